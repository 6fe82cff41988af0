"""How fast this machine trains a network: a few real steps on real batches, whose weights are thrown away."""

import time
from dataclasses import dataclass

import torch

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.model.initialisation import initialise_normal
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.loop import Position, Step, training_steps
from bertsmith.training.network import new_network
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.pretraining_objective import PretrainingObjective
from bertsmith.training.schedule import Duration

_STEPS = 4  # the first one warms up: it allocates memory and plans the text


@dataclass(frozen=True)
class Speed:
    """What some steps showed."""

    tokens_per_second: float
    tokens_per_sequence: float
    seconds_per_step: float


def try_speed(
    config: PretrainConfig, store: TokenStore, device: torch.device, precision: torch.dtype, seconds: float
) -> Speed:
    """Train as `config` says, for four steps, or fewer if `seconds` are over, but for one at least.

    The initial values do not matter for the speed, so they are ordinary ones, which cost least.
    """
    started = time.monotonic()
    plain = config.runtime.model_copy(update={"compile_layers": False})  # whose first step would take a minute
    model = new_network(config.model_copy(update={"runtime": plain}), store)
    initialise_normal(model, config.seed)
    steps: list[Step[Cursor]] = []
    for step in training_steps(
        PretrainingObjective(model),
        PretrainingBatches(store.train, store.tokenizer, config.data, config.seed),
        Optimiser(model.to(device), config.training, precision),
        duration=Duration(steps=_STEPS),
        start=Position(Cursor()),
        seed=config.seed,
        device=device,
        micro_batch_size=config.runtime.micro_batch_size,
        stop=lambda: bool(steps) and time.monotonic() - started > seconds,
    ):
        steps.append(step)
    timed = steps[1:] or steps
    tokens, clock = sum(step.num_tokens for step in timed), sum(step.seconds for step in timed)
    return Speed(tokens / clock, tokens / sum(step.num_sequences for step in timed), clock / len(timed))
