"""An ELMo over the pieces that the other networks read, and its two language models (Peters et al. 2018, 3.1).

Legend: T pieces of all sequences together, W words with begins and ends, M pieces that have one before them, P width of
one direction, L LSTM layers.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.piece_words import PieceWords, WordReader
from bertsmith.model.adaptive_vocabulary import AdaptiveVocabulary
from bertsmith.model.attention_backends import AttentionName
from bertsmith.model.bert import PreTrainingOutput
from bertsmith.model.elmo import Elmo, ElmoOutput
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.encoder import chosen_states
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_list import WordList

_BEGIN, _END, _UNKNOWN, _FIRST_WORD = range(4)  # the frequent ones first, as the softmax wants it


class ElmoOnPieces(Elmo):
    """The network as an encoder of pieces: each has the state of the word that it is a part of."""

    architecture: ClassVar[str] = "ElmoOnPieces"
    config_class: ClassVar[type[ElmoConfig]] = ElmoConfig

    def __init__(self, config: ElmoConfig, tokenizer: Tokenizer):
        super().__init__(config)
        self.reader = WordReader(tokenizer, config.max_characters)

    def read(self, inputs: FlatBatch) -> tuple[PieceWords, ElmoOutput]:
        """The words of a batch and the states of all layers, [W, 2 P] each."""
        words = self.reader.words(inputs)
        return words, self(words.words)

    def states_of(self, inputs: FlatBatch, layers: Sequence[int], *, attention: AttentionName = "auto") -> list[Tensor]:
        """States of some layers in the order asked, [T, 2 P] each: 0 the words (twice), L the last.

        attention  is not used: there is none

        raises  ValueError for a layer that is not there
        """
        del attention
        words, output = self.read(inputs)
        chosen = chosen_states(iter(output.layers), layers, self.config.num_layers)
        return [states.index_select(0, words.rows) for states in chosen]


class ElmoScores:
    """What both language models say of the words of a batch, in the terms of its pieces.

    A word's loss is shared by its pieces alike, so that the mean over pieces stands beside that of a model of pieces; a
    piece is told right if its word is. Both directions count half. The forward model tells all but the begin of a text,
    the backward model all but the end: in either, as many pieces as have one before them.
    """

    def __init__(
        self, states: tuple[Tensor, Tensor], words: PieceWords, numbers: Tensor, vocabulary: AdaptiveVocabulary
    ):
        self._states = states  # [W, P] of the last layer, forward and backward
        self._words = words
        self._numbers = numbers  # [W] int64, of each word in the list
        self._vocabulary = vocabulary

    def judge(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Half of the sum of the losses of both directions, and what is told right.

        labels   [M]  of the batch: only their number counts, for the words are found in the pieces
        returns  [] and [M] float32; only the loss has a gradient
        """
        total, told = [], []
        for states, targets in self._sides():
            loss, correct = self._vocabulary.judge(states, self._numbers[targets])
            total.append(loss)
            told.append(torch.repeat_interleave(correct, self._words.sizes[targets]))
        return (total[0] + total[1]) / 2, _mean_of_sides(told, len(labels))

    def guesses(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each piece, and whether it is told right, [M] float32 each, without a gradient."""
        losses, told = [], []
        for states, targets in self._sides():
            loss, correct = self._vocabulary.guesses(states, self._numbers[targets])
            sizes = self._words.sizes[targets]
            losses.append(torch.repeat_interleave(loss / sizes, sizes))
            told.append(torch.repeat_interleave(correct, sizes))
        return _mean_of_sides(losses, len(labels)), _mean_of_sides(told, len(labels))

    def _sides(self) -> list[tuple[Tensor, Tensor]]:
        """For each direction the states that tell a word, and the places of the words that they tell.

        Both in the order of the text, where the begin, which the backward model tells, stands in the place of the end.
        """
        lengths = self._words.words.lengths
        ends = lengths.cumsum(0) - 1
        targets = torch.ones_like(self._numbers, dtype=torch.bool)
        targets[ends - lengths + 1] = False
        after = targets.nonzero().squeeze(1)
        begin_of = torch.zeros_like(self._numbers)
        begin_of[ends] = ends - lengths + 1
        is_end = torch.zeros_like(targets)
        is_end[ends] = True
        before = torch.where(is_end[after], begin_of[after], after)
        forward, backward = self._states
        return [(forward.index_select(0, after - 1), after), (backward.index_select(0, before + 1), before)]


class ElmoLanguageModel(nn.Module):
    """Both language models: each tells a word by what stands on its side; they share words and softmax."""

    architecture: ClassVar[str] = "ElmoLanguageModel"
    config_class: ClassVar[type[ElmoConfig]] = ElmoConfig

    def __init__(self, config: ElmoConfig, tokenizer: Tokenizer, words: WordList):
        super().__init__()
        self.config = config
        self.words = words
        self.elmo = ElmoOnPieces(config, tokenizer)
        self.vocabulary = AdaptiveVocabulary(config.hidden_size, _FIRST_WORD + len(words), config.cutoffs)

    def forward(
        self, inputs: FlatBatch, masked_positions: Tensor, *, attention: AttentionName = "auto"
    ) -> PreTrainingOutput:
        """What both language models say of a batch, each sequence one segment between [CLS] and [SEP].

        masked_positions, attention  not used: all words are told, and there is no attention
        """
        del masked_positions, attention
        words, output = self.elmo.read(inputs)
        states, width = output.layers[-1], self.config.hidden_size  # [W, 2 P]
        sides = states[:, :width], states[:, width:]
        return PreTrainingOutput(ElmoScores(sides, words, self.numbers(words), self.vocabulary), None)

    def numbers(self, words: PieceWords) -> Tensor:
        """What each word is to the softmax, [W]: begin, end, unknown, or its place in the list."""
        known = torch.from_numpy(self.words.numbers(words.keys)).to(words.rows.device)
        numbers = torch.where(known == len(self.words), _UNKNOWN, known + _FIRST_WORD)
        ends = words.words.lengths.cumsum(0)
        numbers[ends - words.words.lengths] = _BEGIN
        numbers[ends - 1] = _END
        return numbers


def _mean_of_sides(sides: Sequence[Tensor], count: int) -> Tensor:
    forward, backward = sides
    if not len(forward) == len(backward) == count:
        raise ValueError(f"{count} labels and {len(forward)} and {len(backward)} pieces: give [CLS] A [SEP], not pairs")
    return (forward + backward) / 2


ElmoModel = ElmoOnPieces | ElmoLanguageModel
