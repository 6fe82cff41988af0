"""Encoding of sentences with tags: which pieces are asked, and that every word is asked exactly once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.tags.encoding import encode_sentences
from bertsmith.tasks.tags.sentence import Sentence, sentence_of_text
from bertsmith.tasks.windows import windows

LABELS = ("O", "B-A", "I-A")


def limits(max_seq_length=16, stride=128):
    return InputLimits(max_seq_length=max_seq_length, stride=stride)


def sentence(text, document=None, tags=None):
    words = tuple(text.split(" "))
    return Sentence(words, tags or ("O",) * len(words), 1, document)


def shown(row, tokenizer):
    """The pieces of a window, those that are asked in upper case."""
    asked = set(row.origin.positions.tolist())
    pieces = tokenizer.tokens(row.token_ids[0])
    return " ".join(piece.upper() if place in asked else piece for place, piece in enumerate(pieces))


def test_the_first_piece_of_a_word_is_asked_and_has_its_label(tokenizer):
    tags = ("O", "B-A", "I-A")
    encoded = encode_sentences([sentence("the dogs saw", tags=tags)], tokenizer, limits(), "sentence", LABELS)
    (row,) = encoded.rows
    assert shown(row, tokenizer) == "[CLS] THE DOG ##s SAW [SEP]"
    assert row.label.tolist() == [-100, 0, 1, -100, 2, -100]
    assert row.segment_ids[0].tolist() == [0] * 6
    assert encoded.labels.tolist() == row.label.tolist()
    assert row.token_ids[0].dtype == row.segment_ids[0].dtype == np.int32


def test_a_word_is_never_lost_and_a_special_piece_is_ordinary_text(tokenizer):
    words = ("\x00", "[SEP]", "\u200b", "cat", " ", "été")
    (row,) = encode_sentences([Sentence(words, None, 1)], tokenizer, limits(), "sentence", None).rows
    assert shown(row, tokenizer) == "[CLS] [UNK] [UNK] [UNK] [UNK] [UNK] CAT [UNK] [UNK] [SEP]"
    assert row.origin.words.tolist() == [0, 1, 2, 3, 4, 5]
    assert row.label is None


def test_without_context_sentences_are_read_alone_and_with_it_those_of_a_document_together(tokenizer):
    rows = [sentence("the cat", 1), sentence("a dog", 1), sentence("it sat", 2), sentence("on"), sentence("a mat")]
    alone = encode_sentences(rows, tokenizer, limits(), "sentence", LABELS)
    assert len(alone) == 5
    together = encode_sentences(rows, tokenizer, limits(), "document", LABELS)
    assert [shown(row, tokenizer) for row in together.rows] == [
        "[CLS] THE CAT A DOG [SEP]",
        "[CLS] IT SAT [SEP]",
        "[CLS] ON [SEP]",
        "[CLS] A MAT [SEP]",
    ]
    assert together.rows[0].origin.sentences.tolist() == [0, 0, 1, 1]
    assert together.rows[0].origin.words.tolist() == [0, 1, 0, 1]


def test_a_long_document_is_read_in_full_windows_and_a_word_is_asked_where_it_has_most_context(tokenizer):
    rows = [sentence("a b c d e f g h i", 1), sentence("j k l m n o p", 1)]
    encoded = encode_sentences(rows, tokenizer, limits(10, stride=4), "document", LABELS)
    assert [shown(row, tokenizer) for row in encoded.rows] == [
        "[CLS] A B C D E F g h [SEP]",
        "[CLS] e f G H I J k l [SEP]",
        "[CLS] i j K L M N O P [SEP]",
    ]


def test_a_word_with_more_pieces_than_a_window_is_cut_and_counted(tokenizer):
    rows = [sentence("the " + "abcdefghijk"), sentence("the cat")]
    encoded = encode_sentences(rows, tokenizer, limits(8), "sentence", LABELS)
    assert encoded.num_cut == 0  # [UNK]: the vocabulary has no pieces for it
    encoded = encode_sentences([sentence("the cat" + "s" * 9), rows[1]], tokenizer, limits(8), "sentence", LABELS)
    assert encoded.num_cut == 1
    assert [shown(row, tokenizer) for row in encoded.rows] == [
        "[CLS] THE [SEP]",
        "[CLS] CAT ##s ##s ##s ##s ##s [SEP]",
        "[CLS] THE CAT [SEP]",
    ]


def test_a_sentence_without_words_is_in_no_window(tokenizer):
    encoded = encode_sentences(
        [sentence_of_text(" ", 1), sentence_of_text("a cat", 2)], tokenizer, limits(), "document", None
    )
    assert [row.origin.sentences.tolist() for row in encoded.rows] == [[1, 1]]
    assert len(encode_sentences([sentence_of_text("", 1)], tokenizer, limits(), "sentence", None)) == 0


@st.composite
def streams(draw):
    room = draw(st.integers(6, 20))
    return draw(st.lists(st.integers(1, room), max_size=60)), room, draw(st.integers(1, 25))


@settings(deadline=None)
@given(streams())
def test_every_word_is_asked_once_where_it_has_most_context(stream):
    lengths, room, stride = stream
    made = windows(lengths, room, stride)
    asked = [place for window in made for place in window.asked.tolist()]
    assert sorted(asked) == list(range(len(lengths)))
    offsets = np.concatenate([[0], np.cumsum(lengths)])

    def smaller_side(window, place):
        return min(offsets[place] - offsets[window.begin], offsets[window.end] - offsets[place + 1])

    for window in made:
        assert len(window.asked)
        assert offsets[window.end] - offsets[window.begin] <= room
        for place in window.asked.tolist():
            assert window.begin <= place < window.end
            others = [other for other in made if other.begin <= place < other.end]
            assert smaller_side(window, place) == max(smaller_side(other, place) for other in others)
    for window in made[:-1]:
        assert offsets[window.end + 1] - offsets[window.begin] > room  # full
    if made:
        begin = made[-1].begin
        assert made[-1].end == len(lengths)
        assert begin == 0 or offsets[-1] - offsets[begin - 1] > room  # filled from the left


WORD = st.sampled_from(["the", "cats", "sassss", "\x00", "unknown", "[CLS]", "😘", "dog's", "中国", "s" * 40])
SENTENCES = st.lists(
    st.tuples(st.lists(WORD, max_size=30), st.sampled_from([None, 0, 0, 1])).map(
        lambda drawn: Sentence(tuple(drawn[0]), tuple(LABELS[len(word) % 3] for word in drawn[0]), 1, drawn[1])
    ),
    max_size=8,
)


@pytest.mark.parametrize("context", ["sentence", "document"])
@settings(deadline=None, max_examples=60)
@given(sentences=SENTENCES, max_seq_length=st.integers(8, 40), stride=st.integers(1, 50))
def test_every_word_gets_one_prediction_whatever_the_lengths(tokenizer, context, sentences, max_seq_length, stride):
    encoded = encode_sentences(sentences, tokenizer, limits(max_seq_length, stride), context, LABELS)
    asked = []
    for row in encoded.rows:
        assert row.num_tokens <= max_seq_length
        assert np.flatnonzero(row.label >= 0).tolist() == row.origin.positions.tolist()
        for position, home, place in zip(row.origin.positions, row.origin.sentences, row.origin.words, strict=True):
            asked.append((home, place))
            assert LABELS[row.label[position]] == sentences[home].tags[place]
            ids = tokenizer.encode_plain([sentences[home].words[place]])[0]
            assert row.token_ids[0][position] == (ids[0] if len(ids) else tokenizer.unk_id)
    expected = [(home, place) for home, one in enumerate(sentences) for place in range(len(one.words))]
    assert sorted(asked) == expected
