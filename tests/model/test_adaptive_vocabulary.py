"""The adaptive softmax is torch's, in losses, gradients and what it tells."""

import pytest
import torch

from bertsmith.model.adaptive_vocabulary import AdaptiveVocabulary


@pytest.fixture(params=[(), (4,), (5, 20)])
def pair(request):
    torch.manual_seed(0)
    ours = AdaptiveVocabulary(16, 50, request.param)
    if not request.param:
        return ours, None
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 50, list(request.param), div_value=4.0, head_bias=True)
    theirs.head.load_state_dict(ours.head.state_dict())
    for number, (first, second) in enumerate(theirs.tail):
        first.load_state_dict(ours.narrow[number].state_dict())
        second.load_state_dict(ours.tails[number].state_dict())
    return ours, theirs


def test_it_is_torchs(pair):
    ours, theirs = pair
    states, words = torch.randn(40, 16, requires_grad=True), torch.randint(0, 50, (40,))
    total, correct = ours.judge(states, words)
    if theirs is None:
        logits = ours.head(states)
        expected = torch.nn.functional.cross_entropy(logits, words, reduction="none")
        told = logits.argmax(dim=1) == words
    else:
        expected = -theirs(states, words).output
    gradients = torch.autograd.grad(total, [states, *ours.parameters()])
    parameters = [*(theirs or ours).parameters()]
    names = [name for name, _ in ours.named_parameters()]
    if theirs is not None:
        names_of_theirs = {"head.weight": theirs.head.weight, "head.bias": theirs.head.bias}
        for number, (first, second) in enumerate(theirs.tail):
            names_of_theirs |= {f"narrow.{number}.weight": first.weight, f"tails.{number}.weight": second.weight}
        parameters = [names_of_theirs[name] for name in names]
    wanted = torch.autograd.grad(expected.sum(), [states, *parameters])
    torch.testing.assert_close(total, expected.sum())
    for mine, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(mine, other)
    losses, told_one_by_one = ours.guesses(states, words)
    torch.testing.assert_close(losses, expected)
    assert torch.equal(told_one_by_one, correct)
    if theirs is None:
        assert torch.equal(correct > 0, told)


def test_probabilities_are_those_of_all_words_together(pair):
    ours, _ = pair
    state = torch.randn(1, 16).expand(50, -1)
    losses, _ = ours.guesses(state, torch.arange(50))
    assert (-losses).exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_clusters_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"cannot begin at \[60\]"):
        AdaptiveVocabulary(16, 50, (60,))
