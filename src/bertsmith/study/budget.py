"""What a pre-training may cost, in minutes, tokens or floating-point operations: a comparison is at equal cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.configuration import Settings
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.flops import flops_per_token
from bertsmith.training.network import network_config

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
    network = network_config(config, store.tokenizer)
    tokens = flops = 0.0
    for number, phase in enumerate(config.data.phases):
        cost = _phase_cost(batches, Cursor(phase=number), network)
        tokens += phase.share * cost.tokens
        flops += phase.share * cost.flops
    return StepCost(tokens, flops)


def _phase_cost(batches: PretrainingBatches, cursor: Cursor, network: EncoderConfig) -> StepCost:
    """Of the first batches of a phase: their lengths and labels are those of all."""
    sampled = []
    for _ in range(_SAMPLED_BATCHES):
        batch, cursor = batches.batch(cursor)
        sampled.append(batch)
    tokens = sum(batch.num_tokens for batch in sampled)
    mean_length = tokens / sum(batch.num_sequences for batch in sampled)
    label_share = sum(len(batch.masked_labels) for batch in sampled) / tokens
    work = flops_per_token(network, mean_length, label_share)
    return StepCost(tokens / _SAMPLED_BATCHES, work * tokens / _SAMPLED_BATCHES)
