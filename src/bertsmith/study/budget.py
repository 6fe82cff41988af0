"""What a pre-training may cost, in minutes, tokens or floating-point operations: a comparison is at equal cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field, model_validator

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.configuration import Settings
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.flops import flops_of_step
from bertsmith.training.network import PretrainedNetwork, new_network

_SAMPLED_BATCHES = 16


class Budget(Settings):
    """One limit for all variants. Minutes are of the clock; the others become steps, before the first one is taken."""

    minutes: float | None = Field(None, gt=0, description="minutes on the clock")
    tokens: float | None = Field(None, gt=0, description="tokens that are read")
    flops: float | None = Field(None, gt=0, description="floating-point operations of all matrix products")

    @model_validator(mode="after")
    def _is_one_limit(self) -> Self:
        if sum(limit is not None for limit in (self.minutes, self.tokens, self.flops)) != 1:
            raise ValueError("a budget is given either in minutes, in tokens, or in flops")
        return self

    def length(self, config: PretrainConfig) -> dict[str, Any]:
        """The settings that say how long a run lasts."""
        if self.minutes is not None:
            return {"hours": self.minutes / 60}
        step = step_cost(config)
        if self.tokens is not None:
            return {"steps": max(1, round(self.tokens / step.tokens))}
        assert self.flops is not None
        return {"steps": max(1, round(self.flops / step.flops))}


@dataclass(frozen=True)
class StepCost:
    """What a step of a run costs, on average."""

    tokens: float
    flops: float


def step_cost(config: PretrainConfig) -> StepCost:
    """Over all phases, each by its share of the training: as if a step of one took as long as a step of another."""
    store = TokenStore.open(Path(config.store))
    batches = PretrainingBatches(store.train, store.tokenizer, config.data, config.seed)
    with torch.device("meta"):  # its weights are not needed
        model = new_network(config, store)
    tokens = flops = 0.0
    for number, phase in enumerate(config.data.phases):
        cost = _phase_cost(batches, Cursor(phase=number), model, config.runtime.micro_batch_size)
        tokens += phase.share * cost.tokens
        flops += phase.share * cost.flops
    return StepCost(tokens, flops)


def _phase_cost(
    batches: PretrainingBatches, cursor: Cursor, model: PretrainedNetwork, micro_batch_size: int
) -> StepCost:
    """Of the first batches of a phase: their lengths, labels and words are those of all."""
    tokens = flops = 0.0
    for _ in range(_SAMPLED_BATCHES):
        batch, cursor = batches.batch(cursor)
        tokens += batch.num_tokens
        flops += flops_of_step(model, batch, micro_batch_size)
    return StepCost(tokens / _SAMPLED_BATCHES, flops / _SAMPLED_BATCHES)
