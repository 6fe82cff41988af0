import pytest

from bertsmith.core.errors import ConfigurationError
from bertsmith.training.schedule import Duration, warm_up_then_linear_decay


@pytest.mark.parametrize(
    ("progress", "factor"), [(0.0, 0.0), (0.05, 0.5), (0.1, 0.9), (0.5, 0.5), (0.99, 0.01), (1.0, 0.0)]
)
def test_the_rate_rises_over_the_warm_up_and_is_one_minus_progress_after(progress, factor):
    assert warm_up_then_linear_decay(progress, 0.1) == pytest.approx(factor)


def test_without_warm_up_the_first_step_has_the_full_rate():
    assert warm_up_then_linear_decay(0.0, 0.0) == 1.0


def test_the_rate_of_each_step_is_that_of_the_released_code():
    steps, warmup = 1000, 100
    for step in range(steps):
        released = step / warmup if step < warmup else 1.0 - step / steps
        assert warm_up_then_linear_decay(Duration(steps=steps).progress(step, 0.0), 0.1) == pytest.approx(released)


def test_progress_follows_the_steps_or_the_clock():
    assert Duration(steps=8).progress(2, elapsed_seconds=1e9) == 0.25
    assert Duration(hours=2).progress(10**9, elapsed_seconds=1800) == 0.25
    assert Duration(hours=2).progress(0, elapsed_seconds=1e9) == 1.0


@pytest.mark.parametrize("lengths", [{}, {"steps": 1, "hours": 1.0}])
def test_a_training_has_one_length(lengths):
    with pytest.raises(ConfigurationError, match="either as --steps or as --hours"):
        Duration(**lengths)
