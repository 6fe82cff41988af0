"""What counts as learning nothing."""

import math

import numpy as np
import pytest

from bertsmith.tasks.collapse import CollapseWatch, are_constant, chance_loss


def test_the_chance_level_is_the_entropy_of_the_labels_or_the_variance_of_the_scores():
    assert chance_loss(np.array([0, 1, 0, 1]), is_regression=False) == pytest.approx(math.log(2))
    assert chance_loss(np.array([0, 0, 0, 1]), is_regression=False) == pytest.approx(
        -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    )
    assert chance_loss(np.array([1.0, 3.0]), is_regression=True) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("predictions", "labels", "is_regression", "constant"),
    [
        ([1, 1, 1], [0, 1, 1], False, True),
        ([1, 0, 1], [0, 1, 1], False, False),
        ([1, 1, 1], [1, 1, 1], False, False),  # all right: dev has one label only
        ([2.5, 2.5001, 2.5], [0.0, 2.0, 5.0], True, True),
        ([2.0, 2.5, 3.0], [0.0, 2.0, 5.0], True, False),
    ],
)
def test_predictions_are_constant_if_the_labels_are_not(predictions, labels, is_regression, constant):
    assert are_constant(np.array(predictions), np.array(labels), is_regression=is_regression) is constant


def first_sign(losses, chance=0.7):
    watch = CollapseWatch(seed=0, chance=chance)
    for done, loss in enumerate(losses, start=1):
        watch.after_step(done, done / len(losses), loss, 8)
    return watch.first_sign


def test_each_tenth_from_the_third_on_is_judged_by_its_mean_loss():
    assert first_sign([0.71] * 100) == 30
    assert first_sign([0.71] * 20 + [0.3] * 30 + [0.71] * 50) == 60
    assert first_sign([0.71] * 20 + [0.69] * 80) is None
    assert first_sign([0.71, 0.68] * 50) is None  # 0.695 on average


def test_the_first_sign_is_said_once(capsys):
    first_sign([0.71] * 100)
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count("So far nothing is learnt") == 1
    assert "seed 0, step 30: the training loss, 0.710, is not below 0.700, what guessing blindly costs" in shown
