"""The answer to "did it help?" follows the numbers."""

import pytest

from bertsmith.study.comparison import Comparison, Outcome


@pytest.mark.parametrize(
    ("pretrained", "untrained", "outcome"),
    [
        ((0.71, 0.70, 0.73), (0.51, 0.53, 0.50), Outcome.HELPED),
        ((0.52, 0.50, 0.53), (0.51, 0.53, 0.50), Outcome.UNCLEAR),
        ((0.51, 0.53, 0.50), (0.71, 0.70, 0.73), Outcome.HURT),
        ((0.90, 0.50, 0.60), (0.55, 0.53, 0.50), Outcome.UNCLEAR),  # large, but the seeds disagree
        ((0.60,), (0.50,), Outcome.HELPED),
        ((0.53,), (0.50,), Outcome.UNCLEAR),
    ],
)
def test_a_gain_counts_only_beyond_two_standard_errors(pretrained, untrained, outcome):
    assert Comparison(pretrained, untrained, dev_examples=1000).outcome is outcome


def test_the_standard_error_adds_the_dev_set_and_the_seeds():
    comparison = Comparison((0.6, 0.7), (0.5, 0.5), dev_examples=100)
    from_dev_set = 0.65 * 0.35 / 100 + 0.5 * 0.5 / 100
    from_seeds = 0.005 / 2
    assert comparison.gain == pytest.approx(0.15)
    assert comparison.standard_error == pytest.approx((from_dev_set + from_seeds) ** 0.5)


def test_the_words_carry_the_numbers():
    helped = Comparison((0.71, 0.70, 0.72), (0.51, 0.53, 0.50), 1000).in_words()
    assert helped == (
        "Accuracy on 1,000 unseen examples: 71.0% (mean of 3 seeds, 70.0% to 72.0%) after pre-training, "
        "51.3% (mean of 3 seeds, 50.0% to 53.0%) from random weights: a difference of +19.7 points "
        "(standard error 2.4). Every run of the better start beat every run of the other."
    )
    unclear = Comparison((0.52,), (0.51,), 1000).in_words()
    assert "+1.0 points" in unclear
    assert "chance alone could explain it" in unclear


def test_overlapping_runs_are_said_to_overlap():
    words = Comparison((0.58, 0.65, 0.66, 0.66), (0.58, 0.51, 0.52, 0.51), 5000).in_words()
    assert words.endswith("Single runs overlap; the means are clearly apart.")
