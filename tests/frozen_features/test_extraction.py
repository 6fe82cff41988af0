"""Vectors are transformers' hidden states; every token of a text has one, whatever the text's length."""

from functools import partial

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.core.errors import ConfigurationError
from bertsmith.frozen_features.extraction import FeatureExtractor
from bertsmith.frozen_features.layer_choice import LayerChoice
from bertsmith.tasks.inference import InferenceSettings

assert_close = partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
EXACT = InferenceSettings(precision="float32", threads=1)
TEXTS = ["The cat sat on the mat.", "Dogs, cats!", "", "run run"]


def extractor(encoder, **given):
    choice = {name: given.pop(name) for name in ("layers", "combine", "weights") if name in given}
    return FeatureExtractor.load(encoder, LayerChoice(**choice), settings=EXACT, **given)


@pytest.fixture(scope="module")
def their_states(encoder):
    """All hidden states of a text by transformers, [L + 1, n, H] without [CLS] and [SEP], and that of [CLS]."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
    model = transformers.AutoModel.from_pretrained(encoder).eval()

    def states(text):
        with torch.no_grad():
            layers = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        stacked = torch.stack(layers)[:, 0].numpy()
        return stacked[:, 1:-1], stacked[:, 0]

    return states


@pytest.mark.parametrize(
    ("given", "combine"),
    [
        ({"layers": ("embeddings",)}, lambda layers: layers[0]),
        ({"layers": ("second-to-last",)}, lambda layers: layers[4]),
        ({"layers": ("last",)}, lambda layers: layers[5]),
        ({"layers": ("last4",)}, lambda layers: np.concatenate(layers[2:], axis=-1)),
        ({"layers": ("last4",), "weights": (0.1, 0.2, 0.3, -1.0)},
         lambda layers: np.einsum("lnh,l->nh", layers[2:], [0.1, 0.2, 0.3, -1.0])),
        ({"layers": ("all",), "combine": "sum"}, lambda layers: layers[1:].sum(0)),
        ({"layers": ("5", "0"), "combine": "mean"}, lambda layers: layers[[0, 5]].mean(0)),
        ({"layers": ("3", "1")}, lambda layers: np.concatenate([layers[3], layers[1]], axis=-1)),
    ],
    ids=["embeddings", "second-to-last", "last", "last4", "weighted", "sum", "mean", "in the order asked"],
)  # fmt: skip
def test_every_row_of_table_7_equals_transformers(given, combine, encoder, their_states):
    made = extractor(encoder, **given)
    for text, features in zip(TEXTS, made.features(TEXTS), strict=True):
        assert_close(features.vectors, combine(their_states(text)[0]).reshape(-1, made.width))


def test_offsets_lead_back_to_the_text(encoder):
    (cats,) = extractor(encoder).features(["The cats, sat."])
    assert ["The cats, sat."[begin:end] for begin, end in cats.offsets] == ["The", "cat", "s", ",", "sat", "."]


def test_a_word_is_its_first_piece_or_the_mean_of_its_pieces(encoder, their_states):
    text = "The cats, sat."
    tokens = their_states(text)[0][5]
    first = extractor(encoder, layers=("last",), unit="word").features([text])[0]
    assert [text[begin:end] for begin, end in first.offsets] == ["The", "cats", ",", "sat", "."]
    assert_close(first.vectors, tokens[[0, 1, 3, 4, 5]])
    mean = extractor(encoder, layers=("last",), unit="word", pooling="mean").features([text])[0]
    assert_close(mean.vectors[1], tokens[1:3].mean(0))
    assert_close(np.delete(mean.vectors, 1, axis=0), tokens[[0, 3, 4, 5]])


def test_a_text_is_the_mean_of_its_tokens_or_cls(encoder, their_states):
    mean = extractor(encoder, layers=("last",), unit="text").features(TEXTS)
    cls = extractor(encoder, layers=("last",), unit="text", pooling="cls").features(TEXTS)
    for text, of_mean, of_cls in zip(TEXTS, mean, cls, strict=True):
        tokens, first = their_states(text)
        assert_close(of_cls.vectors[0], first[5])
        assert_close(of_mean.vectors[0], tokens[5].mean(0) if text else first[5])  # nothing but [CLS] is there
        assert of_mean.offsets.tolist() == [[0, len(text)]]


def test_a_long_text_is_read_in_windows_with_most_context(encoder, their_states):
    words = ["the", "cat", "sat", "on", "mat"] * 14  # 70 tokens, in windows of 30 that begin 15 apart
    vectors = extractor(encoder, layers=("last",)).features([" ".join(words)])[0].vectors
    assert len(vectors) == 70
    for begin, first, end in [(0, 0, 23), (15, 23, 38), (30, 38, 50), (40, 56, 70)]:
        window = their_states(" ".join(words[begin : begin + 30]))[0][5]
        assert_close(vectors[first:end], window[first - begin : end - begin])


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 90), min_size=1, max_size=5), limit=st.integers(8, 32))
def test_every_token_has_one_vector_whatever_stands_beside_its_text(lengths, limit, encoder):
    texts = [" ".join(["cat", "dog", "mat"][place % 3] for place in range(length)) for length in lengths]
    made = extractor(encoder, layers=("2",), max_seq_length=limit)
    together = made.features(texts)
    for text, length, features in zip(texts, lengths, together, strict=True):
        assert features.vectors.shape == (length, 256)
        assert_close(features.vectors, made.features([text])[0].vectors)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layers": ("7",)}, "has no layer '7': it has 5 layers"),
        ({"layers": ("first",)}, "has no layer 'first'"),
        ({"layers": ("last", "5")}, "names a layer twice"),
        ({"weights": (1.0,)}, "1 numbers for 4 layers"),
        ({"max_seq_length": 33}, "more than the 32 positions"),
        ({"pooling": "cls"}, "not for a token"),
    ],
)
def test_what_cannot_be_is_refused(given, message, encoder):
    with pytest.raises(ConfigurationError, match=message):
        extractor(encoder, **given)
