"""What batches hold: lengths, sizes, pairs and masks, for the whole training or for a part of it."""

from itertools import accumulate
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bertsmith.core.configuration import Settings

LanguageObjective = Literal["masked", "next"]


class Phase(Settings):
    """A part of the training. What it does not set is as the whole training's."""

    share: float = Field(gt=0, le=1, description="share of the training, in steps or on the clock")
    max_seq_length: int | None = Field(None, ge=8, description="tokens of a sample at most in this phase")
    batch_size: int | None = Field(None, ge=1, description="samples for each step in this phase")
    masking_rate: float | None = Field(None, gt=0, lt=1, description="share of the tokens to guess in this phase")


class BatchSettings(Settings):
    """What a training batch holds. The defaults are the paper's, its first phase."""

    max_seq_length: int = Field(128, ge=8, description="tokens of a sample at most, special ones included")
    batch_size: int = Field(256, ge=1, description="samples for each step of the optimiser")
    phases: tuple[Phase, ...] = Field((Phase(share=1.0),), description="parts of the training, in a file")
    short_sequence_probability: float = Field(
        0.1, ge=0, le=1, description="share of the samples cut shorter, uniformly"
    )
    objective: LanguageObjective = Field(
        "masked", description="what is predicted: masked tokens, or each next token, from left to right"
    )
    special_pieces: bool = Field(True, description="samples begin with [CLS], and segments end with [SEP]")
    next_sentence: bool = Field(True, description="train on pairs of segments and on whether B follows A")
    masking_rate: float = Field(0.15, gt=0, lt=1, description="share of the tokens that the model has to guess")
    mask_share: float = Field(0.8, ge=0, le=1, description="share of those tokens that are shown as [MASK]")
    random_share: float = Field(0.1, ge=0, le=1, description="share of those shown as a random piece; the rest stays")
    whole_word: bool = Field(False, description="mask all pieces of a word or none")
    max_predictions: int | None = Field(
        None, ge=1, description="tokens to guess in a sample at most; default: masking_rate * length, rounded up"
    )

    @field_validator("random_share")
    @classmethod
    def _shares_fit(cls, random_share: float, info: ValidationInfo) -> float:
        mask_share = info.data.get("mask_share", 0.0)
        if mask_share + random_share > 1 + 1e-9:
            raise ValueError(f"with mask_share {mask_share} it leaves less than nothing; together they are at most 1")
        return random_share

    @field_validator("phases")
    @classmethod
    def _shares_are_the_whole(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        whole = sum(phase.share for phase in phases)
        if abs(whole - 1.0) > 1e-6:
            raise ValueError(f"the shares of the phases add up to {whole:g} instead of 1")
        return phases

    @model_validator(mode="after")
    def _has_pairs_only_where_they_can_be_told(self) -> Self:
        if self.next_sentence and self.objective == "next":
            raise ValueError(
                "from left to right, the first piece sees no other one, so it cannot tell whether B follows A: with "
                "objective = next, set next_sentence = false"
            )
        if not self.special_pieces and (self.next_sentence or self.objective == "masked"):
            raise ValueError("special_pieces = false is for objective = next")
        return self

    @property
    def phase_ends(self) -> list[float]:
        """Share of the training after which each phase is over; the last one is 1."""
        return [*accumulate(phase.share for phase in self.phases[:-1]), 1.0]

    @property
    def longest(self) -> int:
        """Tokens of a sample at most in any phase."""
        return max(self.length_of(phase) for phase in range(len(self.phases)))

    def length_of(self, phase: int) -> int:
        """Tokens of a sample at most in a phase."""
        return self.phases[phase].max_seq_length or self.max_seq_length

    def batch_size_of(self, phase: int) -> int:
        """Samples of a batch in a phase."""
        return self.phases[phase].batch_size or self.batch_size

    def masking_rate_of(self, phase: int) -> float:
        """Share of the tokens to guess in a phase."""
        return self.phases[phase].masking_rate or self.masking_rate
