"""A pass that the memory is too small for ends in a sentence that says what to do."""

import pytest
import torch

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.errors import OutOfMemory
from bertsmith.text.token_store import TokenStore
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.memory import memory_for
from bertsmith.training.network import new_network
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.pretraining_objective import PretrainingObjective
from bertsmith.training.schedule import Duration

MORE_THAN_ANYBODY_HAS = 2**50


class GreedyObjective(PretrainingObjective):
    """Asks for a petabyte."""

    def __call__(self, micro_batch, whole_batch):
        torch.empty(MORE_THAN_ANYBODY_HAS)
        return super().__call__(micro_batch, whole_batch)


def test_a_step_that_does_not_fit_says_what_to_do_and_leaves_the_weights(config):
    store = TokenStore.open(config.store)
    model = new_network(config, store)
    optimiser = Optimiser(model, config.training, torch.float32)
    before = {name: weight.clone() for name, weight in optimiser.float32_weights().items()}
    steps = training_steps(
        GreedyObjective(model),
        PretrainingBatches(store.train, store.tokenizer, config.data, config.seed),
        optimiser,
        duration=Duration(steps=2),
        start=Position(Cursor()),
        seed=0,
        device=torch.device("cpu"),
        micro_batch_size=10,
    )
    with pytest.raises(
        OutOfMemory,
        match=r"over 10 sequences at a time, of [0-9]+ tokens .* smaller --micro-batch-size.*checkpointing",
    ):
        next(steps)
    assert all(torch.equal(weight, before[name]) for name, weight in optimiser.float32_weights().items())


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="cannot be multiplied"), memory_for(1, 2):
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert issubclass(torch.OutOfMemoryError, RuntimeError)
