"""Offsets: which characters of the text each piece was made of, whatever the normaliser changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.text.pieces import SPECIAL_PIECES
from bertsmith.text.tokenizer import Tokenizer, word_stages

PIECES = [
    *SPECIAL_PIECES,
    *"abcdefghijklmnopqrstuvwxyzABCÉé中文.,-'1",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyzé\u0301\u1161\u11a8\u1100"),
    *("the", "un", "##aff", "##able", "i\u0307", "\u1100", "หน", "नम", "##स्ते"),
]
VARIANTS = {
    "uncased": {"lowercase": True},
    "uncased with accents": {"lowercase": True, "strip_accents": False},
    "cased": {"lowercase": False},
    "cased without accents": {"lowercase": False, "strip_accents": True},
    "words of ideographs": {"lowercase": True, "handle_chinese_chars": False},
}
ODD = [
    *"\0\t\n\x0b\x7f\x85\xa0\xad\u200b\u200d\u2028\u3000\ufeff\ufffd",
    *"İıßŉΐﬁéÉåÅ½²\u0301\u0327\u0e31\u093f\u094d\u3099각",
    *"中文漢\U00020000\uf900々。「",
    *"😀🏽👩‍🚀❤️\ue000",
]
texts = st.lists(
    st.one_of(
        st.sampled_from(ODD),
        st.sampled_from(["unaffable", "café", "cafe\u0301", "  ", " ", "the", "นที่", "नमस्ते", "x" * 101, "[SEP]", "a.b"]),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=15,
).map("".join)


@pytest.fixture(scope="module", params=VARIANTS)
def read(request):
    """A tokenizer, and its normaliser."""
    options = {"strip_accents": None, "handle_chinese_chars": True} | VARIANTS[request.param]
    return Tokenizer(PIECES, **options), word_stages(**options)[0].normalize_str


@given(st.lists(texts, min_size=1, max_size=4))
def test_the_ids_are_those_of_encode_plain(read, text_list):
    tokenizer, _ = read
    both = zip(tokenizer.encode_with_offsets(text_list), tokenizer.encode_plain(text_list), strict=True)
    for (ids, offsets), plain in both:
        assert ids.tolist() == plain.tolist()
        assert offsets.shape == (len(ids), 2)
        assert ids.dtype == offsets.dtype == np.int32


@given(texts)
def test_offsets_lie_in_the_text_and_never_go_back(read, text):
    ((_, offsets),) = read[0].encode_with_offsets([text])
    assert (offsets[:, 0] < offsets[:, 1]).all()
    assert (np.diff(offsets, axis=0) >= 0).all()
    assert not len(offsets) or (offsets[0, 0] >= 0 and offsets[-1, 1] <= len(text))


@given(texts)
def test_a_piece_is_what_its_characters_become(read, text):
    tokenizer, normalise = read
    ((ids, offsets),) = tokenizer.encode_with_offsets([text])
    for index, (piece, (begin, end)) in enumerate(zip(tokenizer.tokens(ids), offsets.tolist(), strict=True)):
        source = normalise(text[begin:end]).strip()
        shares = begin < max(offsets[:index, 1], default=0) or end > min(offsets[index + 1 :, 0], default=len(text))
        if piece == "[UNK]":
            assert source
        elif shares:  # one character became several, and pieces of it
            assert piece.removeprefix("##") in source
        else:
            assert piece.removeprefix("##") == source


@given(texts)
def test_characters_between_pieces_are_those_that_the_normaliser_drops(read, text):
    tokenizer, normalise = read
    ((_, offsets),) = tokenizer.encode_with_offsets([text])
    between = list(text)
    for begin, end in offsets.tolist():
        between[begin:end] = " " * (end - begin)
    assert not normalise("".join(between)).strip()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("The unaffable café.", [("the", "The"), ("un", "un"), ("##aff", "aff"), ("##able", "able"), "café", "."]),
        ("a\u200bb c", [("a", "a"), ("##b", "b"), ("c", "c")]),
        ("中the文", [("中", "中"), ("the", "the"), ("文", "文")]),
        ("\ufeff a", [("a", "a")]),
        ("각", [("\u1100", "각"), ("##\u1161", "각"), ("##\u11a8", "각")]),
        ("a\u0301b", [("a", "a"), ("##b", "b")]),
    ],
)
def test_examples(text, pieces):
    tokenizer = Tokenizer([*PIECES, "cafe"])
    expected = [("cafe" if piece == "café" else piece, piece) if isinstance(piece, str) else piece for piece in pieces]
    ((ids, offsets),) = tokenizer.encode_with_offsets([text])
    found = [(piece, text[begin:end]) for piece, (begin, end) in zip(tokenizer.tokens(ids), offsets, strict=True)]
    assert found == expected


@given(st.lists(st.sampled_from(["a", "the ", "\ud83d", "\udc00", "中", " "]), max_size=12).map("".join))
def test_half_a_surrogate_pair_is_dropped_and_shifts_nothing(text):
    tokenizer = Tokenizer(PIECES)
    ((ids, offsets),) = tokenizer.encode_with_offsets([text])
    assert ids.tolist() == tokenizer.encode_plain([text])[0].tolist()
    for piece, (begin, end) in zip(tokenizer.tokens(ids), offsets.tolist(), strict=True):
        source = text[begin:end].replace("\ud83d", "").replace("\udc00", "")
        assert piece in ("[UNK]", source, f"##{source}")
