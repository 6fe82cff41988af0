"""Sums of losses in float32, equal to torch's, whatever the dtype and the number of rows."""

import pytest
import torch

from bertsmith.model import losses
from bertsmith.model.losses import (
    correctness,
    correctness_of_all,
    count_correct,
    cross_entropies,
    cross_entropy_sum,
    squared_error_sum,
)


@pytest.mark.parametrize("rows", [0, 1, 7, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cross_entropy_and_its_gradient_equal_torch(rows, dtype, monkeypatch):
    monkeypatch.setattr(losses, "_CHUNK_ELEMENTS", 3 * 1001)  # several chunks, the last one not full
    torch.manual_seed(0)
    logits = (4 * torch.randn(rows, 1001)).to(dtype).requires_grad_()
    assert rows < 7 or len(losses.rows_at_a_time(logits, rows)) > 1
    labels = torch.randint(0, 1001, (rows,))
    exact = logits.detach().float().requires_grad_()
    expected = torch.nn.functional.cross_entropy(exact, labels, reduction="sum")
    loss = cross_entropy_sum(logits, labels)
    (loss / 3).backward()
    (expected / 3).backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        logits.grad, exact.grad.to(dtype), rtol=1e-5 if dtype == torch.float32 else 1e-2, atol=1e-7
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_counts_ties_as_a_cpu_does(dtype):
    torch.manual_seed(0)
    logits, labels = torch.randint(-2, 3, (500, 7)).to(dtype), torch.randint(0, 7, (500,))
    own, largest = logits.gather(1, labels[:, None]).squeeze(1), logits.amax(dim=1)
    everywhere = correctness_of_all(logits, own, largest)
    assert torch.equal(everywhere, correctness(logits, labels))
    assert {0.0, 1.0, 0.5} < set(everywhere.tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_figures_of_each_label_add_up_to_those_of_all(dtype, monkeypatch):
    monkeypatch.setattr(losses, "_CHUNK_ELEMENTS", 3 * 7)
    torch.manual_seed(0)
    logits, labels = torch.randn(100, 7).to(dtype), torch.randint(0, 7, (100,))
    expected = torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none")
    torch.testing.assert_close(cross_entropies(logits, labels), expected)
    assert torch.equal(cross_entropies(logits, labels).sum(), cross_entropy_sum(logits, labels))
    torch.testing.assert_close(correctness(logits, labels).sum(), count_correct(logits, labels))
    is_largest = logits.gather(1, labels[:, None]).squeeze(1) == logits.amax(dim=1)
    assert torch.equal(correctness(logits, labels) > 0, is_largest)


def test_large_logits_do_not_overflow():
    logits = torch.tensor([[1000.0, 0.0, -1000.0]], requires_grad=True)
    loss = cross_entropy_sum(logits, torch.tensor([1]))
    loss.backward()
    assert loss.item() == 1000.0
    assert logits.grad.tolist() == [[1.0, -1.0, 0.0]]


def test_an_infinite_logit_gives_a_loss_that_is_not_finite():
    logits = torch.tensor([[float("nan"), 0.0], [1.0, 2.0]])
    assert not cross_entropy_sum(logits, torch.tensor([1, 0])).isfinite()


def test_squared_errors_are_summed_in_float32():
    predictions = torch.tensor([1.0, 3.0], dtype=torch.bfloat16)
    assert squared_error_sum(predictions, torch.tensor([0.5, 1.0])).item() == pytest.approx(4.25)


@pytest.mark.parametrize("rows", [0, 1, 300])
def test_correct_predictions_are_those_of_the_largest_logit(rows):
    torch.manual_seed(0)
    logits, labels = torch.randn(rows, 5), torch.randint(0, 5, (rows,))
    assert count_correct(logits, labels).item() == (logits.argmax(dim=1) == labels).sum().item()
    assert count_correct(logits, labels).dtype == torch.float32


def test_a_label_that_shares_the_largest_logit_counts_its_share():
    logits = torch.tensor([[2.0, 2.0, 1.0], [2.0, 2.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]], dtype=torch.bfloat16)
    assert count_correct(logits, torch.tensor([0, 2, 1, 2])).item() == pytest.approx(1 / 2 + 1 / 3 + 0 + 1)
