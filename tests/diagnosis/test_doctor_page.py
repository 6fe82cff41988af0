"""docs/doctor.md says the thresholds of the code and the figures of the first run on file."""

import json
from pathlib import Path

import pytest

from bertsmith.diagnosis import (
    attention_heads,
    course,
    one_batch,
    pair_lengths,
    plateau,
    repetition,
    text_entropy,
    text_size,
    updates,
)
from bertsmith.training.plateau import LATE_SHARE, LEFT_SHARE, has_left

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = " ".join((DOCS / "doctor.md").read_text(encoding="utf-8").split())


def power(number: float) -> str:
    return f"{number:.0e}".replace("e-0", "e-")


@pytest.mark.parametrize(
    "sentence",
    [
        f"more than {plateau.ABOVE:g} above the unigram entropy",
        f"gives one of the four neighbours {attention_heads.LOOKS_AT:.0%} or more".replace("%", " %"),
        f"below {power(updates.SMALLEST)} |",
        f"| {power(updates.SMALLEST)} to {power(updates.LARGEST)} | good |",
        f"| {power(updates.LARGEST)} to {power(updates.FAR_TOO_LARGE)} | note",
        f"more than {updates.RUNAWAY:g} times as large as normal initial weights",
        f"Not before step {updates.FEWEST_STEPS}",
        f"at most {one_batch.MOST_STEPS} steps",
        f"has to fall below {one_batch.BOUND:g} nats",
        f"({course.SPIKE_NATS:g} nat and {course.SPIKE_DEVIATIONS:g} standard deviations",
        f"more than {100 * course.SPIKE_SHARE:g} % of the records, for a rise of more than {course.RISE_NATS:g} nats",
        f"{100 * (0.5 + course.STANDARD_ERRORS * 0.5 / 512**0.5):.1f} % with 512 pairs",
        f"a note above {text_size.MANY_EPOCHS} times",
        f"a note above {100 * repetition.NOTE_SHARE:g} %, a warning above {100 * repetition.WARNING_SHARE:g} %",
        f"sentences (of {repetition.MIN_TOKENS} tokens and more)",
        f"on {pair_lengths.PAIRS:,} pairs",
        f"a note above {pair_lengths.NOTE_AREA:.2f}, a warning above {pair_lengths.WARNING_AREA:.2f}",
        f"fewer than {text_size.FEW_TOKENS:,} tokens to train on",
        f"fewer than {text_size.FEW_HELD_OUT_TOKENS:,} held-out tokens",
        f"`[UNK]` above {100 * text_size.NOTE_UNKNOWN:g} %; above {100 * text_size.WARNING_UNKNOWN:g} %",
    ],
)
def test_the_page_says_the_threshold(sentence):
    assert sentence in PAGE


def test_shares_that_the_page_says_in_words():
    assert LEFT_SHARE == 1 / 5
    assert "The plateau ends a fifth below it" in PAGE
    assert LATE_SHARE == 1 / 3
    assert "after a third of the training it has not" in PAGE
    assert text_entropy.HARDLY_ANY == 1 / 20
    assert "less than a twentieth of the unigram entropy" in PAGE
    assert text_size.SINGLE_SENTENCE_SHARE == 1 / 2


def test_the_first_run_is_told_as_it_is_on_file():
    runs = json.loads((DOCS / "results" / "first-run.json").read_text(encoding="utf-8"))["pretraining"]
    floor = runs["normal"]["unigram_loss"]
    assert f"was {floor:.2f} nats and a fifth below it {0.8 * floor:.2f}" in PAGE
    normal, neighbour = (
        [scores["token_loss"] for scores in runs[name]["held_out"]] for name in ("normal", "neighbour")
    )
    assert not any(has_left(loss, floor) for loss in normal)
    assert f"the run ended at {normal[-1]:.2f}" in PAGE
    passed = next(scores["step"] for scores in runs["neighbour"]["held_out"] if has_left(scores["token_loss"], floor))
    assert f"passed the line within {passed:,} steps and ended at {neighbour[-1]:.2f}" in PAGE
