"""How long an input may be, and what becomes of a longer one."""

from typing import Literal

from pydantic import Field

from bertsmith.core.configuration import Settings

LongTexts = Literal["cut", "mean", "max", "first"]


class InputLimits(Settings):
    """Lengths in tokens. Stored beside a fine-tuned model, which is used as it was trained."""

    max_seq_length: int = Field(128, ge=8, description="longest input in tokens, [CLS] and [SEP] included")
    stride: int = Field(
        128, ge=1, description="where a long input is read in windows: tokens from one window's start to the next's"
    )
    max_question_length: int = Field(64, ge=1, description="spans: tokens of a question that are kept")
    max_answer_length: int = Field(30, ge=1, description="spans: longest answer in tokens")
    long_texts: LongTexts = Field(
        "cut", description="sentences longer than that: cut them, or read windows and pool their outputs"
    )
