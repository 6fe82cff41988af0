"""All backends mean the same, and no sequence can see another."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention import reference_attention
from bertsmith.model.attention_backends import ATTENTION_BACKENDS
from bertsmith.model.bert import Bert
from bertsmith.model.dense_attention import _Rectangles, dense_attention
from bertsmith.model.dropout import keep_mask

backends = pytest.mark.parametrize("backend", ["dense", "reference"])  # varlen is for 16 bits on a GPU
HEADS, WIDTH = 3, 24
RAGGED = tuple(1 + 7 * index % 61 for index in range(20))  # for `dense` three rectangles; the others below are one
LENGTHS = [(3, 17, 512, 1), (7,), (1, 1), (30, 30, 30), RAGGED]


def qkv_of(inputs, *, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(inputs.num_tokens, 3 * WIDTH, generator=generator).to(dtype).requires_grad_()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_dense_and_reference_agree_in_context_and_gradient(lengths, causal, make_inputs):
    inputs = make_inputs(lengths=lengths).flat
    results = []
    for backend in (reference_attention, dense_attention):
        qkv = qkv_of(inputs)
        context = backend(inputs, HEADS, causal=causal)(qkv, 0.0)
        context.square().sum().backward()
        results.append((context, qkv.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_without_a_gradient_the_context_is_the_same(lengths, causal, make_inputs):
    inputs = make_inputs(lengths=lengths).flat
    qkv = torch.cat([qkv_of(inputs).detach(), torch.full((2, 3 * WIDTH), torch.nan)])
    attend = dense_attention(inputs, HEADS, causal=causal)
    expected = attend(qkv, 0.0)
    with torch.inference_mode():
        assert torch.equal(attend(qkv, 0.0), expected)
        fused = attend(qkv.bfloat16(), 0.0)
    assert torch.equal(fused[-2:], torch.zeros(2, WIDTH))
    torch.testing.assert_close(fused.float(), expected, rtol=0.02, atol=0.01)


def test_dense_and_reference_agree_in_bfloat16(make_inputs):
    inputs = make_inputs(lengths=(100, 128, 3)).flat
    exact = reference_attention(inputs, HEADS)(qkv_of(inputs, dtype=torch.bfloat16).float(), 0.0)
    gradients = []
    for backend in (reference_attention, dense_attention):
        qkv = qkv_of(inputs, dtype=torch.bfloat16)
        context = backend(inputs, HEADS)(qkv, 0.0)
        context.float().square().sum().backward()
        assert context.dtype == torch.bfloat16
        torch.testing.assert_close(context.float(), exact, rtol=0.02, atol=0.01)
        gradients.append(qkv.grad)
    torch.testing.assert_close(*gradients, rtol=0.05, atol=0.03)


@backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("foreign", [5.0, float("inf"), float("nan")])
@pytest.mark.parametrize("lengths", [(4, 9, 6), (4, 9, *RAGGED)], ids=str)
def test_a_change_in_a_neighbouring_sequence_changes_no_bit_of_the_others(
    backend, dtype, foreign, lengths, make_inputs
):
    inputs = make_inputs(lengths=lengths).flat
    attend = ATTENTION_BACKENDS[backend](inputs, HEADS)
    others = [*range(4), *range(13, inputs.num_tokens)]
    contexts, gradients = [], []
    for change in (0.0, foreign):
        qkv = qkv_of(inputs, dtype=dtype)
        with torch.no_grad():
            qkv[4:13] += change
        context = attend(qkv, 0.0)
        context[others].float().square().sum().backward()
        contexts.append(context[others])
        gradients.append(qkv.grad[others])
    assert torch.equal(*contexts)
    assert torch.equal(*gradients)
    assert contexts[0].isfinite().all()


@backends
def test_a_neighbouring_sequence_changes_no_bit_of_the_whole_encoder(backend, tiny_config, make_inputs, randomise):
    model = randomise(Bert(tiny_config)).eval()
    inputs = make_inputs(lengths=(4, 9, 6)).flat
    before = model(inputs, attention=backend)
    inputs.token_ids[4:13] = 7
    after = model(inputs, attention=backend)
    assert torch.equal(before[:4], after[:4])
    assert torch.equal(before[13:], after[13:])
    assert not torch.equal(before[4:13], after[4:13])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_through_attention_dropout_is_that_of_the_formula(dtype, make_inputs):
    inputs = make_inputs(lengths=(12, 12)).flat
    qkv = qkv_of(inputs, dtype=dtype)
    torch.manual_seed(3)
    context = dense_attention(inputs, HEADS)(qkv, 0.3)
    context.square().sum().backward()

    plain = qkv.detach().clone().requires_grad_()
    torch.manual_seed(3)
    query, key, value = plain.view(2, 12, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
    probabilities = torch.softmax(query @ key.mT / (WIDTH // HEADS) ** 0.5, dim=-1)
    keep = keep_mask(probabilities.flatten(0, 1), 0.3).view_as(probabilities)
    expected = (probabilities * keep / 0.7 @ value).transpose(1, 2).reshape(24, -1)
    expected.square().sum().backward()
    torch.testing.assert_close(context, expected)
    torch.testing.assert_close(qkv.grad, plain.grad)
    assert not keep.all()


@pytest.mark.parametrize(("lengths", "count"), [(RAGGED, 3), (LENGTHS[0], 1), ((100,) * 20, 1)], ids=str)
def test_a_batch_takes_several_rectangles_where_one_would_be_mostly_filling(lengths, count, make_inputs):
    inputs = make_inputs(lengths=lengths).flat
    assert len(_Rectangles.around(inputs, HEADS, causal=False).parts) == count


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    causal=st.booleans(),
    filling=st.integers(0, 3),
)
def test_rectangles_hold_every_token_of_any_batch(lengths, causal, filling):
    inputs = FlatBatch.from_sequences([[0] * length for length in lengths], [[0] * length for length in lengths])
    qkv = torch.nn.functional.pad(qkv_of(inputs).detach(), (0, 0, 0, filling))
    expected = reference_attention(inputs, HEADS, causal=causal)(qkv, 0.0)
    torch.testing.assert_close(dense_attention(inputs, HEADS, causal=causal)(qkv, 0.0), expected)


def test_attention_probabilities_are_those_of_each_sequence(tiny_config, make_inputs, randomise):
    model = randomise(Bert(tiny_config)).eval()
    layers = model.attention_probabilities(make_inputs(lengths=(5, 2)).flat)
    assert len(layers) == 3
    for layer in layers:
        assert [tuple(probabilities.shape) for probabilities in layer] == [(4, 5, 5), (4, 2, 2)]
        for probabilities in layer:
            torch.testing.assert_close(probabilities.sum(-1), torch.ones(probabilities.shape[:2]))


@backends
@pytest.mark.parametrize("lengths", [(4, 9, 6), (5, 5)], ids=str)
def test_rows_after_the_last_token_come_out_as_zeros_and_get_no_gradient(backend, lengths, make_inputs):
    inputs = make_inputs(lengths=lengths).flat
    qkv = qkv_of(inputs)
    attend = ATTENTION_BACKENDS[backend](inputs, HEADS)
    alone = attend(qkv, 0.0)
    longer = torch.cat([qkv.detach(), torch.full((3, 3 * WIDTH), 7.0)]).requires_grad_()
    context = attend(longer, 0.0)
    torch.testing.assert_close(context[:-3], alone, rtol=0, atol=0)
    assert not context[-3:].any()
    alone.square().sum().backward()
    (context.square().sum() + context[-3:].sum()).backward()
    torch.testing.assert_close(longer.grad[:-3], qkv.grad, rtol=0, atol=0)
    assert not longer.grad[-3:].any()
