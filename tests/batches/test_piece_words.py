"""Pieces are joined to the words that they are of, text by text, and each piece knows its word."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.flat_words import FlatWords
from bertsmith.batches.piece_words import WordReader
from bertsmith.text.tokenizer import Tokenizer

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "##s", "##es", "a", "##a", "."]
CLS, SEP = 2, 3
TOKENIZER = Tokenizer(PIECES)
READER = WordReader(TOKENIZER, 12)
TEXT = st.lists(st.sampled_from([1, 4, 5, 6, 7, 8, 9, 10, 11]), max_size=12)


def joined(pieces):
    words = []
    for piece in pieces:
        text = PIECES[piece]
        if text.startswith("##") and words:
            words[-1] += text.removeprefix("##")
        else:
            words.append(text.removeprefix("##"))
    return words


@given(st.lists(st.tuples(TEXT, st.none() | TEXT), min_size=1, max_size=4))
def test_words_are_those_of_the_texts_spelled_as_whole(pairs):
    sequences, segments, texts, expected_rows = [], [], [], []
    for first, second in pairs:
        parts = [[CLS, *first, SEP]] + ([] if second is None else [[*second, SEP]])
        sequences.append([piece for part in parts for piece in part])
        segments.append([number for number, part in enumerate(parts) for _ in part])
        texts += [first] if second is None else [first, second]
    made = READER.words(FlatBatch.from_sequences(sequences, segments))
    plain = FlatWords.from_sentences([joined(text) for text in texts], 12)
    assert torch.equal(made.words.lengths, plain.lengths)
    assert torch.equal(made.words.character_ids[made.words.word_index], plain.character_ids[plain.word_index])
    row = 0
    for text in texts:
        opens_sequence = text is not None and len(expected_rows) in np.cumsum([0, *map(len, sequences)])
        if opens_sequence:
            expected_rows.append(row)  # [CLS]
        for place, piece in enumerate(text):
            row += not PIECES[piece].startswith("##") or place == 0
            expected_rows.append(row)
        row += 1
        expected_rows.append(row)  # [SEP]
        row += 1
    assert made.rows.tolist() == expected_rows
    assert made.sizes.tolist() == np.bincount(expected_rows, minlength=row).tolist()


def test_without_marks_begin_and_end_stand_for_no_piece():
    made = READER.words(FlatBatch.from_sequences([[5, 7], [10, 6]], [[0, 0], [0, 0]]))
    assert made.words.lengths.tolist() == [3, 4]
    assert made.rows.tolist() == [1, 1, 4, 5]
    assert made.sizes.tolist() == [0, 2, 0, 0, 1, 1, 0]


@pytest.mark.parametrize("count", [1, 300])
def test_a_word_that_comes_often_is_spelled_once(count):
    made = READER.words(FlatBatch.from_sequences([[CLS, *[5, 7] * count, SEP]], [[0] * (2 * count + 2)]))
    assert len(made.words.character_ids) == 3
