"""The record of a run: smooth and broken courses, and next sentences told or guessed."""

import math

import numpy as np
import pytest

from bertsmith.diagnosis.course import course_finding, find_spikes, next_sentence_finding, rise_of
from bertsmith.diagnosis.finding import Level


def losses(number: int = 400, noise: float = 0.2) -> np.ndarray:
    """As of a healthy run: fast, then slow, with the noise of batches."""
    steps = np.arange(number)
    return 5.0 + 3.0 * np.exp(-steps / 60) + np.random.default_rng(0).normal(0, noise, number)


def records(values, gradient_norm: float = 2.0):
    return [
        {"step": step, "train": {"token_loss": float(loss), "gradient_norm": gradient_norm}}
        for step, loss in enumerate(values)
    ]


def test_a_healthy_course_has_no_spikes_and_clipping_is_no_sickness():
    finding = course_finding(records(losses()), gradient_clip=1.0)
    assert finding.level is Level.GOOD
    assert finding.values["spikes"] == 0
    assert finding.values["clipped_share"] == 1.0


def test_one_spike_is_noted_and_many_are_a_warning():
    once, often = losses(), losses()
    once[200] += 3.0
    often[50::40] += 3.0
    assert find_spikes(once.tolist()) == [200]
    assert course_finding(records(once), 1.0).level is Level.NOTE
    finding = course_finding(records(often), 1.0)
    assert finding.level is Level.WARNING
    assert "--learning-rate" in finding.remedy


def test_a_loss_that_rises_again_is_a_warning():
    rising = losses() + np.maximum(0.0, np.arange(400) - 300) * 0.02
    assert rise_of(rising.tolist()) > 1.0
    assert rise_of(losses().tolist()) < 0.1
    assert course_finding(records(rising), 1.0).level is Level.WARNING


def test_a_loss_that_is_no_number_is_a_warning():
    broken = losses()
    broken[-1] = math.nan
    finding = course_finding(records(broken), 1.0)
    assert finding.level is Level.WARNING
    assert finding.values == {"not_finite": 1}


def test_of_a_few_records_nothing_is_said():
    assert course_finding(records(losses(10)), 1.0).level is Level.NOTE
    assert course_finding([], 1.0).level is Level.NOTE


@pytest.mark.parametrize(
    ("accuracy", "progress", "level"),
    [
        (0.88, 1.0, Level.GOOD),
        (0.57, 0.1, Level.GOOD),
        (0.56, 0.1, Level.NOTE),
        (0.56, 0.9, Level.WARNING),
        (0.45, 0.9, Level.WARNING),
    ],
)
def test_next_sentences_are_told_where_the_accuracy_is_three_errors_above_chance(accuracy, progress, level):
    assert next_sentence_finding(accuracy, pairs=512, progress=progress).level is level
