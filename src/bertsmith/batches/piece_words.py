"""The words of a batch of pieces: what an ELMo reads of the text that a BERT reads (Peters et al. 2018).

A word is a run of pieces joined. Each segment of a sequence is a text of its own, between a begin and an end: `[CLS]`
is the begin, `[SEP]` the end, and where a segment has none of them (B has no `[CLS]`), begin or end stand for no piece.
A segment that begins within a word has the rest as its first word. Sentences are not parted: to the network a run of
them is one, as in the continuous text that the published networks have seen.

Legend: V vocabulary size, T pieces, G segments, W words with begins and ends, C characters of a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.flat_words import FlatWords, begin_of_sentence, end_of_sentence, word_characters
from bertsmith.text.pieces import CONTINUATION
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_list import TOO_LONG, Ids, word_keys


@dataclass(frozen=True, eq=False)
class PieceWords:
    """The words of a batch.

    words   spelled, W of them
    rows    [T]  int64, the word that each piece is a part of, as its place among the W
    keys    [W]  of each word (`word_list`), -1 of begins, ends and words that are too long for one
    sizes   [W]  int64, pieces of each word; 0 of a begin or an end that stands for none
    """

    words: FlatWords
    rows: Tensor
    keys: Ids
    sizes: Tensor

    def to(self, device: torch.device) -> Self:
        """The same words on another device; keys stay, for they are looked up on the CPU."""
        return replace(self, words=self.words.to(device), rows=self.rows.to(device), sizes=self.sizes.to(device))


class WordReader:
    """Joins the pieces of one vocabulary.

    max_characters  C
    """

    def __init__(self, tokenizer: Tokenizer, max_characters: int):
        self._tokenizer = tokenizer
        self._texts = [piece.removeprefix(CONTINUATION) for piece in tokenizer.pieces]
        self._max_characters = max_characters
        self._spelled = np.array([word_characters(text, max_characters) for text in self._texts])  # [V, C]
        self._marks = np.array(
            [begin_of_sentence(max_characters), end_of_sentence(max_characters)], dtype=np.int64
        )  # [2, C]

    def words(self, inputs: FlatBatch) -> PieceWords:
        """The words of sequences that have one or two segments, on their device."""
        ids = inputs.token_ids.cpu().numpy()
        begins_segment = inputs.positions.cpu().numpy() == 0
        begins_segment[1:] |= np.diff(inputs.segment_ids.cpu().numpy()) != 0
        segment = np.cumsum(begins_segment) - 1  # [T]
        is_begin = (ids == self._tokenizer.cls_id) & begins_segment
        is_end = ids == self._tokenizer.sep_id
        inside = ~(is_begin | is_end)
        after_mark = np.concatenate([[True], ~inside[:-1]])
        begins_word = inside & (self._tokenizer.starts_word[ids] | begins_segment | after_mark)
        begins = np.flatnonzero(begins_word)
        ends = np.flatnonzero(np.append(begins_word[1:] | ~inside[1:], True) & inside) + 1
        counts = np.bincount(segment[begins], minlength=segment[-1] + 1)  # [G] words of each segment
        lengths = counts + 2
        first_rows = np.cumsum(lengths) - lengths  # [G]
        words_before = np.cumsum(counts) - counts
        rows = np.where(
            is_begin,
            first_rows[segment],
            np.where(
                is_end,
                first_rows[segment] + lengths[segment] - 1,
                first_rows[segment] + np.cumsum(begins_word) - words_before[segment],
            ),
        )
        keys = np.full(int(lengths.sum()), TOO_LONG)
        keys[rows[begins]] = own_keys = word_keys(ids, begins, ends, self._tokenizer.vocabulary_size)
        index = np.zeros(len(keys), dtype=np.int64)
        index[first_rows + lengths - 1] = 1
        characters, word_index = self._spell(ids, begins, ends, own_keys)
        index[rows[begins]] = 2 + word_index
        return PieceWords(
            words=FlatWords(
                character_ids=torch.from_numpy(np.concatenate([self._marks, characters])),
                word_index=torch.from_numpy(index),
                lengths=torch.from_numpy(lengths),
            ),
            rows=torch.from_numpy(rows),
            keys=keys,
            sizes=torch.from_numpy(np.bincount(rows, minlength=len(keys))),
        ).to(inputs.token_ids.device)

    def _spell(self, ids: Ids, begins: Ids, ends: Ids, keys: Ids) -> tuple[Ids, Ids]:
        """Characters of each different word, and which one each word is; a word without a key is one for itself."""
        told_apart = np.where(keys == TOO_LONG, -2 - np.arange(len(keys)), keys)
        _, first, word_index = np.unique(told_apart, return_index=True, return_inverse=True)
        characters = self._spelled[ids[begins[first]]]
        for place in np.flatnonzero(ends[first] - begins[first] > 1).tolist():
            pieces = ids[begins[first[place]] : ends[first[place]]].tolist()
            characters[place] = word_characters(self._joined(pieces), self._max_characters)
        return characters, word_index

    def _joined(self, pieces: Sequence[int]) -> str:
        return "".join(self._texts[piece] for piece in pieces)
