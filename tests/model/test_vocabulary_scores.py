"""Scores over the vocabulary are a linear layer and its cross-entropy, whatever fills the rows up."""

import pytest
import torch

from bertsmith.model import losses
from bertsmith.model.losses import correctness
from bertsmith.model.vocabulary_scores import VocabularyScores


@pytest.mark.parametrize("num_tokens", [0, 1, 21, 24])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_and_gradients_equal_those_of_a_linear_layer(num_tokens, with_bias, dtype, monkeypatch):
    monkeypatch.setattr(losses, "_CHUNK_ELEMENTS", 5 * 1001)  # several chunks, the last one not full
    torch.manual_seed(0)
    parts = [torch.randn(24, 32), torch.randn(1001, 32)] + ([torch.randn(1001)] if with_bias else [])
    ours = [part.to(dtype).requires_grad_() for part in parts]
    exact = [part.detach().float().requires_grad_() for part in ours]
    labels = torch.randint(0, 1001, (num_tokens,))
    assert num_tokens < 7 or len(losses.rows_at_a_time(exact[1].mT, num_tokens)) > 1

    scores = VocabularyScores(ours[0], ours[1], ours[2] if with_bias else None, num_tokens)
    loss, correct = scores.judge(labels)
    (loss / 3).backward()
    logits = torch.nn.functional.linear(exact[0][:num_tokens], *exact[1:])
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    (expected / 3).backward()

    assert loss.dtype == correct.dtype == torch.float32
    assert torch.equal(correct, correctness(scores.logits, labels))
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 6e-2}
    torch.testing.assert_close(scores.logits.float(), logits, **tolerance)
    torch.testing.assert_close(loss, expected, rtol=tolerance["rtol"], atol=1e-4)
    for mine, wanted in zip(ours, exact, strict=True):
        torch.testing.assert_close(mine.grad.float(), wanted.grad, **tolerance)


def test_filling_has_no_say():
    torch.manual_seed(0)
    states, matrix = torch.randn(8, 4, requires_grad=True), torch.randn(50, 4, requires_grad=True)
    with torch.no_grad():
        states[5:] = float("nan")
    loss, _ = VocabularyScores(states, matrix, None, 5).judge(torch.arange(5))
    assert loss.isfinite()


def test_a_label_that_cannot_be_told_gives_a_loss_that_is_not_finite():
    states = torch.tensor([[float("nan")], [1.0]], requires_grad=True)
    loss, _ = VocabularyScores(states, torch.ones(3, 1), None, 2).judge(torch.tensor([0, 1]))
    assert not loss.isfinite()


@pytest.mark.parametrize("vocabulary", [203, 1000])
def test_what_was_in_memory_before_reaches_no_gradient(vocabulary):
    labels = torch.arange(37)
    for _ in range(20):
        torch.full((4 * 48 * vocabulary,), torch.nan)  # given back at once: the scores may be laid there
        parts = [torch.randn(48, 32), torch.randn(vocabulary, 32), torch.randn(vocabulary)]
        states, matrix, bias = (part.bfloat16().requires_grad_() for part in parts)
        loss, _ = VocabularyScores(states, matrix, bias, len(labels)).judge(labels)
        loss.backward()
        assert all(part.grad.isfinite().all() for part in (states, matrix, bias))
