"""Starting weights of studies: each differs from its model just where its name says."""

from typing import get_args

import numpy as np
import pytest
import torch
from scipy import sparse

from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.initialisation import initialise
from bertsmith.study.starting_weights import StartName, starting_weights
from bertsmith.text.pair_counts import TextCounts

CONFIG = BertConfig.of_size("tiny", vocab_size=300).model_copy(update={"num_attention_heads": 4})
_PAIRS = np.random.default_rng(0).poisson(3.0, size=(2, 300, 300))
COUNTS = TextCounts(np.arange(300), [sparse.csr_array(pairs.astype(np.float64)) for pairs in _PAIRS])


def weights(name: StartName, seed: int = 0) -> dict[str, torch.Tensor]:
    model = BertForPreTraining(CONFIG)
    starting_weights(model, name, seed, COUNTS)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def scheme(name: str, seed: int = 0) -> dict[str, torch.Tensor]:
    model = BertForPreTraining(CONFIG)
    initialise(model, name, seed, COUNTS)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def differing(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in left if not torch.equal(left[name], right[name])}


QKV = "bert.encoder.layers.0.attention.qkv.weight"
OUTPUT = "bert.encoder.layers.0.attention.output.weight"
VALUES = {f"bert.encoder.layers.{layer}.attention.{part}.weight" for layer in (0, 1) for part in ("qkv", "output")}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("neighbour-without-positions", {"bert.embeddings.positions.weight"}),
        ("neighbour-with-full-segments", {"bert.embeddings.segments.weight"}),
        ("neighbour-without-output-bias", {"masked_lm.bias"}),
        ("neighbour-without-queries", {QKV}),
        ("neighbour-without-values", VALUES),
        ("neighbour-weak", {QKV}),
        ("neighbour-sharp", {QKV}),
        ("neighbour-half-of-the-heads", {QKV}),
        ("neighbour-next-words-only", {QKV}),
        ("neighbour-far-words-only", {QKV}),
        ("neighbour-two-layers", {"bert.encoder.layers.1.attention.qkv.weight"}),
    ],
)
def test_a_variant_of_the_neighbour_initialisation_differs_only_in_its_part(name, parts):
    assert differing(weights(name), scheme("neighbour")) == parts


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cooccurrence-without-vectors", {"bert.embeddings.tokens.weight"}),
        ("cooccurrence-without-links", VALUES - {QKV, OUTPUT}),
        ("cooccurrence-without-match", {QKV, OUTPUT}),
        ("cooccurrence-without-transform", {"masked_lm.transform.weight"}),
        ("cooccurrence-without-output-bias", {"masked_lm.bias"}),
    ],
)
def test_a_variant_of_the_cooccurrence_initialisation_has_the_papers_values_in_its_part_only(name, parts):
    assert differing(weights(name), scheme("cooccurrence")) == parts
    assert all(torch.equal(weights(name)[part], scheme("normal")[part]) for part in parts)


def test_what_is_left_out_is_as_the_paper_has_it():
    ordinary = scheme("normal")
    for name, part in (("positions", "bert.embeddings.positions.weight"), ("output-bias", "masked_lm.bias")):
        assert torch.equal(weights(f"neighbour-without-{name}")[part], ordinary[part])
    queries_keys, values = weights("neighbour-without-queries")[QKV], weights("neighbour-without-values")[QKV]
    assert torch.equal(queries_keys[:256], ordinary[QKV][:256])
    assert torch.equal(values[256:], ordinary[QKV][256:])


def test_half_of_the_heads_keep_the_values_of_the_paper():
    half, whole, ordinary = (
        start[QKV] for start in (weights("neighbour-half-of-the-heads"), scheme("neighbour"), scheme("normal"))
    )
    for first in (0, 128):  # queries, keys
        assert torch.equal(half[first : first + 64], whole[first : first + 64])
        assert torch.equal(half[first + 64 : first + 128], ordinary[first + 64 : first + 128])


def test_the_rivals_differ_from_the_paper_only_where_they_say():
    positions = "bert.embeddings.positions.weight"
    assert differing(weights("normal-with-output-bias"), scheme("normal")) == {"masked_lm.bias"}
    assert differing(weights("sinusoidal-positions"), scheme("normal")) == {positions}
    assert differing(weights("mimetic"), scheme("normal")) == {positions, *VALUES}


def test_sinusoidal_positions_are_those_of_the_transformer_as_large_as_the_tokens():
    start = weights("sinusoidal-positions")
    table, tokens = start["bert.embeddings.positions.weight"], start["bert.embeddings.tokens.weight"]
    assert table.square().mean().item() == pytest.approx(tokens.square().mean().item(), rel=1e-5)
    place, pair = 7, 5
    ratio = table[place, 2 * pair] / table[place, 2 * pair + 1]
    assert ratio.item() == pytest.approx(np.tan(place / 10_000 ** (2 * pair / 128)), rel=1e-4)


def test_mimetic_products_are_near_the_identity_and_its_negative():
    start = weights("mimetic")
    query, key, value = start[QKV].chunk(3)
    heads = [query[rows].T @ key[rows] for rows in torch.arange(128).split(32)]
    share = [product.trace().item() for product in heads]
    assert all(trace > 20 for trace in share)  # of rank 32: most of what an identity of that rank would have
    output = start["bert.encoder.layers.0.attention.output.weight"]
    product = output @ value
    assert product.diagonal().mean().item() == pytest.approx(-0.4, abs=0.02)
    off_diagonal = product - torch.diag(product.diagonal())
    assert off_diagonal.std().item() == pytest.approx(0.4 / 128**0.5, rel=0.1)


@pytest.mark.parametrize("name", get_args(StartName))
def test_a_start_is_a_function_of_its_name_and_seed(name):
    assert not differing(weights(name, seed=3), weights(name, seed=3))
    assert differing(weights(name, seed=3), weights(name, seed=4))
