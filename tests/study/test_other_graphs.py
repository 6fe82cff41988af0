"""The yardsticks are what their names say."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.configuration import BertConfig
from bertsmith.model.dense_attention import dense_attention
from bertsmith.study.other_graphs import other_graph, stack

CONFIG = BertConfig.of_size("tiny", vocab_size=300)


def batch(ids: np.ndarray, first_position: int = 0) -> FlatBatch:
    inputs = FlatBatch.from_sequences([ids], [np.zeros_like(ids)])
    return FlatBatch(
        inputs.token_ids, inputs.segment_ids, inputs.positions + first_position, inputs.cu_seqlens, inputs.max_seqlen
    )


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def test_rotary_sees_distances_and_not_places():
    bert = other_graph("rotary", CONFIG, seed=0).bert.eval()
    for layer in bert.encoder.layers:
        layer.attention.qkv.weight.mul_(20)  # so that attention is far from uniform
    ids = np.random.default_rng(0).integers(5, 300, size=20)
    here, there = bert(batch(ids)), bert(batch(ids, first_position=9))
    assert_close(here, there, atol=1e-5, rtol=0)
    assert not torch.allclose(bert(batch(ids[::-1].copy())).flip(0), here, atol=1e-2)


def test_rotary_gives_a_sequence_the_same_states_where_the_encoder_adds_rows():
    bert = other_graph("rotary", CONFIG, seed=0).bert.eval()
    ids = np.random.default_rng(0).integers(5, 300, size=33)
    segments = np.zeros(33, dtype=np.int64)
    both = FlatBatch.from_sequences([ids[:20], ids[20:]], [segments[:20], segments[20:]])  # 33 tokens, 34 rows
    assert_close(bert(both), torch.cat([bert(batch(ids[:20])), bert(batch(ids[20:]))]), atol=1e-5, rtol=0)


def test_rotary_attention_is_the_formula_in_complex_numbers():
    bert = other_graph("rotary", CONFIG, seed=0).bert.eval()
    layer = bert.encoder.layers[0]
    layer.attention.qkv.weight.mul_(20)
    inputs = batch(np.random.default_rng(0).integers(5, 300, size=12))
    states = bert.embeddings(inputs)
    query, key, value = layer.attention.qkv(states).view(12, 3, 2, 64).unbind(1)  # [S, A, D] each
    turns = torch.polar(
        torch.ones(12, 32), torch.outer(torch.arange(12.0), 10_000.0 ** -(torch.arange(0, 64, 2) / 64))
    )[:, None]
    query, key = (torch.complex(part[..., :32], part[..., 32:]) * turns for part in (query, key))
    scores = torch.einsum("sad,tad->ast", query, key.conj()).real / 8
    context = torch.einsum("ast,tad->sad", scores.softmax(-1), value).flatten(1)
    attended = layer.attention.output(context)
    states = layer.attention_norm(states + attended)
    expected = layer.feed_forward_norm(states + layer.feed_forward(states))
    bert.encoder.layers = bert.encoder.layers[:1]
    assert_close(bert(inputs), expected, atol=1e-5, rtol=1e-4)


def test_pre_norm_adds_to_the_states_what_normalised_ones_give():
    model = other_graph("pre-norm", CONFIG, seed=0).eval()
    bert, inputs = model.bert, batch(np.arange(5, 25))
    states = bert.embeddings(inputs)
    attend = dense_attention(inputs, 2)
    for layer in bert.encoder.layers:
        states = states + layer.attention(layer.attention_norm(states), attend, None)
        states = states + layer.feed_forward(layer.feed_forward_norm(states))
    expected = bert.encoder.last_norm(states)
    assert_close(bert(inputs), expected)
    rows = torch.tensor([3, 0])
    assert_close(bert(inputs, rows), expected[rows])


def test_a_stacked_network_is_its_lower_half_twice():
    half = other_graph("stacked", CONFIG, seed=0).eval()
    inputs = batch(np.arange(5, 25))
    assert half.config.num_hidden_layers == 1
    whole = stack(half).eval()
    assert whole.config == CONFIG
    first, twice = whole.bert.hidden_states(inputs)[1:]
    assert_close(first, half.bert(inputs))
    assert_close(twice, half.bert.encoder.layers[0](first, dense_attention(inputs, 2), None))
    assert_close(
        whole.masked_lm(first, whole.bert.embeddings.tokens.weight), half(inputs, torch.arange(20)).token_logits
    )
