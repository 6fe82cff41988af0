"""When a run is evaluated."""

from itertools import pairwise

import pytest

from bertsmith.batches.pretraining import Cursor
from bertsmith.training.loop import Position, Step
from bertsmith.training.phases import evaluation_is_due
from bertsmith.training.schedule import Duration


def step_between(before: float, after: float) -> Step[Cursor]:
    return Step(
        position=Position(Cursor()),
        progress_before=before,
        progress=after,
        loss=0.0,
        metrics={},
        learning_rate=0.0,
        gradient_norm=0.0,
        num_tokens=0,
        num_sequences=0,
        seconds=0.0,
        waited=0.0,
    )


@pytest.mark.parametrize(
    ("steps", "evaluations"), [(100, 100), (100, 20), (100, 7), (1000, 1000), (1000, 29), (49, 49), (10, 3), (10, 100)]
)
def test_evaluations_are_made_at_equal_shares_of_the_steps(steps, evaluations):
    duration = Duration(steps=steps)
    made = [
        done
        for done in range(1, steps + 1)
        if evaluation_is_due(step_between(duration.progress(done - 1, 0.0), duration.progress(done, 0.0)), evaluations)
    ]
    shares = {-(-number * steps // evaluations) for number in range(1, evaluations)}  # the first step at or past each
    assert made == sorted(shares - {steps})


def test_by_the_clock_the_step_that_passes_a_share_is_evaluated():
    duration = Duration(hours=1.0)
    seconds = [0.0, 899.9, 900.1, 1000.0, 2800.0, 3700.0]  # of four shares it passes the first, then two at once
    progress = [duration.progress(0, each) for each in seconds]
    due = [evaluation_is_due(step_between(*pair), 4) for pair in pairwise(progress)]
    assert due == [False, True, False, True, False]
