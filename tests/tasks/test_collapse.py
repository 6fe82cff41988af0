"""What counts as learning nothing."""

import numpy as np
import pytest
import torch
from scipy import stats

from bertsmith.tasks.collapse import BlindGuess, CollapseWatch, are_constant, is_no_better_than_blind


def test_blind_guessing_costs_the_entropy_of_the_labels_or_the_variance_of_the_scores():
    for labels in ([0, 1, 0, 1], [0, 0, 0, 1], [2, 0, 2, 2, 1, 1]):
        shares = np.bincount(labels) / len(labels)
        guess = BlindGuess(np.array(labels), is_regression=False)
        assert guess.loss_sum(torch.tensor(labels)).item() / len(labels) == pytest.approx(stats.entropy(shares))
    scores = np.array([1.0, 3.0, 2.5], dtype=np.float32)
    guess = BlindGuess(scores, is_regression=True)
    assert guess.loss_sum(torch.from_numpy(scores)).item() / 3 == pytest.approx(scores.var())


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


@pytest.mark.parametrize(
    ("predictions", "labels", "is_regression", "blind"),
    [
        ([1, 0, 1, 1], [1, 1, 1, 0], False, True),  # 2 of 4 right; always 1 gets 3
        ([1, 1, 1, 0], [1, 1, 1, 0], False, False),
        ([1.0, 2.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0], True, True),
        ([0.1, 0.2, 0.3, 0.3], [0.0, 1.0, 2.0, 3.0], True, False),  # far off, and in the right order
    ],
)
def test_predictions_are_compared_with_those_of_someone_who_does_not_read(predictions, labels, is_regression, blind):
    assert is_no_better_than_blind(np.array(predictions), np.array(labels), is_regression=is_regression) is blind


def first_sign(losses, blind_loss=0.7):
    watch = CollapseWatch(seed=0)
    for done, loss in enumerate(losses, start=1):
        watch.after_step(done, done / len(losses), loss, blind_loss, 8)
    return watch.first_sign


def test_each_tenth_from_the_third_on_is_judged_by_its_mean_loss():
    assert first_sign([0.71] * 100) == 30
    assert first_sign([0.71] * 20 + [0.3] * 30 + [0.71] * 50) == 60
    assert first_sign([0.71] * 20 + [0.69] * 80) is None
    assert first_sign([0.71, 0.68] * 50) is None  # 0.695 on average


def test_the_first_sign_is_said_once(capsys):
    first_sign([0.71] * 100)
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count("no better than guessing") == 1
    assert "seed 0, step 30: the training loss, 0.710, is not below 0.700, what guessing blindly costs" in shown
