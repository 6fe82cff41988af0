"""The loss over labels: weights, smoothing, and what guessing blindly costs."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from bertsmith.tasks.loss_settings import LabelLoss, LossSettings


def test_blind_guessing_costs_the_entropy_of_the_labels():
    for labels in ([0, 1, 0, 1], [0, 0, 0, 1], [2, 0, 2, 2, 1, 1]):
        loss = LabelLoss(np.array(labels), 1 + max(labels), LossSettings())
        expected = stats.entropy(np.bincount(labels) / len(labels))
        assert loss.blind_sum(torch.tensor(labels)).item() / len(labels) == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("class_weights", ["equal", "balanced"])
def test_no_other_constant_answer_costs_less_than_guessing_blindly(class_weights, smoothing):
    labels = np.array([0] * 90 + [1] * 8 + [2] * 2)
    loss = LabelLoss(labels, 3, LossSettings(class_weights=class_weights, label_smoothing=smoothing))
    blind, every = loss.blind_sum(torch.from_numpy(labels)).item(), torch.from_numpy(labels)
    for seed in range(200):
        logits = torch.randn(3, generator=torch.Generator().manual_seed(seed)).expand(len(labels), -1)
        assert loss.sum(logits, every).item() >= blind - 1e-3


def test_balanced_weights_make_rare_labels_count_as_much_as_frequent_ones():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = LossSettings(class_weights="balanced").weights(labels, 4)
    counted = np.bincount(labels, weights=weights.numpy()[labels], minlength=4)
    assert counted.tolist() == pytest.approx([10 / 3, 10 / 3, 10 / 3, 0])
    assert LossSettings().weights(labels, 4) is None


def test_smoothing_and_weights_are_torchs():
    logits, labels = torch.randn(7, 3), torch.tensor([0, 1, 2, 1, 0, 0, 0])
    settings = LossSettings(class_weights="balanced", label_smoothing=0.1)
    loss = LabelLoss(labels.numpy(), 3, settings)
    weights = settings.weights(labels.numpy(), 3)
    expected = nn.CrossEntropyLoss(weight=weights, label_smoothing=0.1, reduction="sum")(logits, labels)
    assert loss.sum(logits, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_labels_below_zero_are_none_and_do_not_count():
    with_gaps = LabelLoss(np.array([-100, 0, -100, 1, 1]), 2, LossSettings())
    without = LabelLoss(np.array([0, 1, 1]), 2, LossSettings())
    labels = torch.tensor([0, 1])
    assert with_gaps.blind_sum(labels) == without.blind_sum(labels)
