"""Sentences as words, and words as characters: what an ELMo reads (Peters et al. 2018; Kim et al. 2016).

A word is its UTF-8 bytes between two marks, filled up to a fixed length. The ids are those of the published networks:
bytes 0 to 255, and five marks after them.

Legend: B sentences, T words of all sentences together with a begin and an end each, U different words among them, C
characters of a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, FILLING = range(256, 261)
NUM_CHARACTERS = 261


def word_characters(word: str, max_characters: int) -> list[int]:
    """The ids of a word, C of them; a word that is too long is cut."""
    return _between_marks(list(word.encode("utf-8", "ignore")), max_characters)


def begin_of_sentence(max_characters: int) -> list[int]:
    """The ids of the begin of a sentence, C of them."""
    return _between_marks([BEGIN_SENTENCE], max_characters)


def end_of_sentence(max_characters: int) -> list[int]:
    """The ids of the end of a sentence, C of them."""
    return _between_marks([END_SENTENCE], max_characters)


def _between_marks(inside: list[int], max_characters: int) -> list[int]:
    ids = [BEGIN_WORD, *inside[: max_characters - 2], END_WORD]
    return ids + [FILLING] * (max_characters - len(ids))


@dataclass(frozen=True, eq=False)
class FlatWords:
    """Sentences end to end, each between a begin and an end. A word that comes often is spelled once.

    character_ids  [U, C]  int64
    word_index     [T]     int64 into U
    lengths        [B]     int64, words of each sentence, its begin and end included
    """

    character_ids: Tensor
    word_index: Tensor
    lengths: Tensor

    @classmethod
    def from_sentences(cls, sentences: Sequence[Sequence[str]], max_characters: int = 50) -> Self:
        """Spell the words of some sentences. A sentence may be empty: then it is its begin and its end."""
        spelled = {
            None: begin_of_sentence(max_characters),
            "": end_of_sentence(max_characters),  # no word is empty
        }
        places: dict[str | None, int] = {None: 0, "": 1}
        for word in (word for sentence in sentences for word in sentence):
            if word not in places:
                places[word] = len(places)
                spelled[word] = word_characters(word, max_characters)
        index = [place for words in sentences for place in (0, *(places[word] for word in words), 1)]
        return cls(
            character_ids=torch.tensor([spelled[word] for word in places]),
            word_index=torch.tensor(index),
            lengths=torch.tensor([len(words) + 2 for words in sentences]),
        )

    def to(self, device: torch.device) -> Self:
        """The same sentences on another device."""
        return replace(
            self,
            character_ids=self.character_ids.to(device),
            word_index=self.word_index.to(device),
            lengths=self.lengths.to(device),
        )

    @property
    def words(self) -> Tensor:
        """[T] bool, whether it is a word and not the begin or the end of a sentence."""
        ends = self.lengths.cumsum(0)
        inside = torch.ones(len(self.word_index), dtype=torch.bool, device=ends.device)
        inside[ends - 1] = False
        inside[ends - self.lengths] = False
        return inside
