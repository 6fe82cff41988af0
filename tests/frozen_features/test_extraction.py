"""Vectors are transformers' hidden states; every token of a text has one, whatever the text's length."""

from functools import partial

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.core.errors import ConfigurationError
from bertsmith.frozen_features import extraction
from bertsmith.frozen_features.extraction import FeatureExtractor
from bertsmith.frozen_features.layer_choice import LayerChoice
from bertsmith.model.bert import Bert
from bertsmith.model.configuration import BertConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.elmo_language_model import ElmoOnPieces
from bertsmith.model.gpt import Gpt
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.text.tokenizer import Tokenizer

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


def gpt(vocab_size):
    return Gpt(GptConfig(vocab_size=vocab_size, n_embd=16, n_layer=2, n_head=2, n_positions=32))


def bert_from_left_to_right(vocab_size):
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return Bert(BertConfig(vocab_size=vocab_size, max_position_embeddings=32, is_decoder=True, **shape), pooler=False)


@pytest.mark.parametrize("new_network", [gpt, bert_from_left_to_right])
def test_from_left_to_right_a_text_is_its_last_token_which_has_seen_all(new_network, encoder):
    tokenizer = Tokenizer.load(encoder)
    network = new_network(tokenizer.vocabulary_size).eval()
    torch.manual_seed(0)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    made = FeatureExtractor(network, tokenizer, LayerChoice(layers=("last",)), unit="text", pooling="cls")
    long = "dog " * 40
    vectors = [features.vectors[0] for features in made.features(["the cat sat", "the dog sat", "", long])]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    for text, vector in zip(["the cat sat", "the dog sat", "", "dog " * 30], vectors, strict=True):  # a window has 30
        ids = np.concatenate([[tokenizer.cls_id], tokenizer.encode(text), [tokenizer.sep_id]]).astype(np.int64)
        with torch.no_grad():
            (states,) = network.states_of(FlatBatch.from_sequences([ids], [np.zeros_like(ids)]), [2])
        assert_close(vector, states[-1].numpy())


def test_of_an_elmo_no_token_stands_for_a_text(encoder):
    tokenizer = Tokenizer.load(encoder)
    shape = {"hidden_size": 4, "cell_size": 8, "filters": ((1, 4),), "max_characters": 8}
    network = ElmoOnPieces(ElmoConfig(vocab_size=tokenizer.vocabulary_size, **shape), tokenizer).eval()
    with pytest.raises(ConfigurationError, match="none of its tokens has seen a whole text"):
        FeatureExtractor(network, tokenizer, unit="text", pooling="cls")
    (features,) = FeatureExtractor(network, tokenizer, unit="text").features(["the cat sat"])
    assert features.vectors.shape == (1, 2 * 2 * 4)


def test_of_many_long_texts_no_more_vectors_are_held_than_stated(encoder, monkeypatch):
    made = extractor(encoder)  # 4 KB a token
    texts = ["cat " * length for length in (3, 0, 30_000, 70_000, 1)] + ["dog"] * 1100
    parts = list(made.parts(iter(texts)))
    assert [one.text for part in parts for one in part] == texts
    held = [sum(1 + len(one.ids) for one in part) * made.width * 4 for part in parts]
    assert all(size <= 256 * 2**20 or len(part) == 1 for part, size in zip(parts, held, strict=True))
    assert max(len(part) for part in parts) == 512
    monkeypatch.setattr(extraction, "_MOST_BYTES", 1)
    made.batch_tokens = 512  # of one forward pass, which is the least
    assert [len(part) for part in made.parts(["cat"] * 4100)] == [256] * 16 + [4]


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
