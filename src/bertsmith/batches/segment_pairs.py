"""The data recipe: how text becomes training samples (BERT 3.1 task 2, A.2).

A sample is `[CLS] A [SEP] B [SEP]`. A and B are runs of whole sentences. In half of the samples B is the text that
follows A, in the other half it comes from another document. Everything here is decided from the lengths of sentences,
for one window of the corpus at a time; tokens are only touched when a batch is put together.

**A sample fills up.** We walk through a document, sentence by sentence. A sample has room for `max_seq_length` minus
three special tokens. In one sample out of ten the room is instead uniform between 2 tokens and that, so that the model
also meets short input. We take whole sentences while they fit. A pair wants two units at least, so a sentence that
does not fit is cut where the room ends if there is only one before it; its rest opens the next sample. A sentence that
takes all the room for itself is its own A and B, parted at a uniform place.

**A ends** after the first units of the sample: how many is uniform, and at least one is left for B.

**A coin decides.** Heads: B is the units that are left. Tails: B is random text, and the units that are left are put
back and open the next sample. So nothing is thrown away, and each token of the corpus is in exactly one A or one true
B of an epoch.

**Half of the pairs are true.** A single sentence left over at the end of a document has no successor, so its pair is
random without a coin. Where a sample reaches the end of its document with n units, a random pair leaves such a single
sentence with probability 1 / (n - 1); there the coin is true with probability n / (2n - 1), which makes both labels
equally frequent. What then still unbalances them (documents of one sentence, leftovers after a true pair) goes to an
account of random pairs too many, and every coin is turned by a sixteenth of the account: repaid soon, but not always by
the opening of the next document, from which the label could then be guessed.

**Random text differs in its meaning and, as far as that can be had, in nothing else.** It stands in for the text that
it displaces, and begins and ends as that would have: `other_documents` tells how.

Without NSP a sample is `[CLS] A [SEP]`: whole sentences while they fit, cut only where one exceeds the room. A GPT's is
A alone.

Where the released code (`create_pretraining_data.py`) does otherwise:
- Its sample runs over the room by up to a sentence and is then clipped at both ends; what is clipped off is lost.
- Its random text has the rule "until the room is full", and its leftovers are not repaid: on Wikipedia 59 % of its
  pairs are random, and the two lengths alone tell the label better than ours do (`other_documents`).
- Its short room is drawn once a document, ours for each sample, so that one sample in ten is short (A.2).
- Its other document is one of the same shard, ours any of the split.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertsmith.text.token_store import TokenBlock

_DRAWS_AT_A_TIME = 4096
_REPAYMENT = 1 / 16


class Ending(IntEnum):
    """How the text after A ends, and so how random text in its place has to end."""

    DOCUMENT = 0  # with its document (or there is none)
    SENTENCE = 1  # with a sentence; the next one would not fit
    CUT = 2  # within its one sentence, which begins with it
    WITHIN = 3  # within the sentence that A is of


class SegmentPair(NamedTuple):
    """One sample. Tokens are counted within the block of A."""

    block: int  # which of the window's blocks A is in
    document: int  # number of A's document in the split
    start: int  # A is tokens start:border
    border: int
    end: int  # border:end follows A in the sample's room; it is B if the pair is true
    room: int  # tokens that B may have at most; 0 without NSP
    not_next: int  # 0: B follows A; 1: B is random text
    ending: int  # the Ending of border:end


class Passage(NamedTuple):
    """A segment and where it stands: tokens start:end of a block."""

    block: TokenBlock
    start: int
    end: int

    @property
    def token_ids(self) -> NDArray[np.unsignedinteger]:
        """[n] a view into the store."""
        return self.block.token_ids[self.start : self.end]

    def edge_distances(self) -> NDArray[np.int64]:
        """[n] tokens between each token and the nearer edge of its sentence: 0 for its first and its last token.

        Where the segment cuts a sentence, the edge is still that of the sentence in the text.
        """
        places = np.arange(self.start, self.end)
        offsets = self.block.sentence_offsets
        sentences = np.searchsorted(offsets, places, side="right") - 1
        distances: NDArray[np.int64] = np.minimum(places - offsets[sentences], offsets[sentences + 1] - 1 - places)
        return distances


def plan_segments(
    blocks: Sequence[TokenBlock],
    *,
    max_seq_length: int,
    short_sequence_probability: float,
    next_sentence: bool,
    special_pieces: bool = True,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Cut all documents of some blocks into samples and shuffle them.

    returns  [N, 8]  a row per sample, in training order, its columns are the fields of SegmentPair
    """
    cut = _cut_pairs if next_sentence else _cut_single
    num_special = (3 if next_sentence else 2) if special_pieces else 0
    draws = _draw(max_seq_length - num_special, short_sequence_probability, rng)
    samples = np.array(list(cut(blocks, draws)), dtype=np.int64)
    return rng.permutation(samples)


_Draws = Iterator[tuple[int, float, float]]
_Row = tuple[int, int, int, int, int, int, int, int]  # the fields of a SegmentPair


def _draw(max_tokens: int, short_sequence_probability: float, rng: np.random.Generator) -> _Draws:
    """What chance decides for each sample: its room in tokens, the coin, and the place of the border (both 0 to 1)."""
    while True:
        short, coins, places = rng.random((3, _DRAWS_AT_A_TIME))
        rooms = np.full(_DRAWS_AT_A_TIME, max_tokens)
        is_short = short < short_sequence_probability
        # a uniform number below its threshold is uniform again: it also says how short
        rooms[is_short] = 2 + np.floor(short[is_short] / short_sequence_probability * (max_tokens - 1))
        yield from zip(rooms.tolist(), coins.tolist(), places.tolist(), strict=True)


def _documents(blocks: Sequence[TokenBlock]) -> Iterator[tuple[int, int, list[int], int, int]]:
    """Each document or piece of one: its block and number, the block's sentence offsets, its first and end sentence."""
    for number, block in enumerate(blocks):
        offsets = block.sentence_offsets.tolist()
        for document, (first, last) in enumerate(pairwise(block.document_offsets.tolist()), block.first_document):
            yield number, document, offsets, first, last


def _cut_pairs(blocks: Sequence[TokenBlock], draws: _Draws) -> Iterator[_Row]:
    """Samples with NSP, in the order of the text. The module's text tells the rule."""
    account = 0.0  # random pairs too many so far
    for block, document, offsets, first_sentence, last in _documents(blocks):
        sentence = first_sentence
        start, document_end = offsets[sentence], offsets[last]
        while start < document_end:
            room, coin, place = next(draws)
            while offsets[sentence + 1] <= start:
                sentence += 1
            fitting = bisect_right(offsets, start + room, sentence + 1, last + 1) - 1  # sentences up to here fit
            units = fitting - sentence
            true_probability = 0.5
            if units >= 2:
                border = offsets[sentence + 1 + int(place * (units - 1))]
                end, ending = offsets[fitting], Ending.SENTENCE
                if end == document_end:
                    ending = Ending.DOCUMENT
                    true_probability = units / (2 * units - 1)
            elif units == 1 and offsets[fitting] == document_end and document_end < start + room:
                border, end, ending = document_end, document_end, Ending.DOCUMENT
            elif units == 1 and offsets[fitting] < start + room:
                border, end, ending = offsets[fitting], start + room, Ending.CUT
            else:
                border, end, ending = start + 1 + int(place * (room - 1)), start + room, Ending.WITHIN
            if border == document_end:
                not_next = 1
                account += 1.0
            else:
                true_probability = min(1.0, max(0.0, true_probability + account * _REPAYMENT))
                not_next = int(coin >= true_probability)
                account -= 2.0 * true_probability - 1.0
            yield block, document, start, border, end, room - (border - start), not_next, ending
            start = border if not_next else end


def _cut_single(blocks: Sequence[TokenBlock], draws: _Draws) -> Iterator[_Row]:
    """Samples without NSP, in the order of the text."""
    for block, document, offsets, first_sentence, last in _documents(blocks):
        sentence = first_sentence
        start, document_end = offsets[sentence], offsets[last]
        while start < document_end:
            room, _, _ = next(draws)
            while offsets[sentence + 1] <= start:
                sentence += 1
            fitting = bisect_right(offsets, start + room, sentence + 1, last + 1) - 1
            end = offsets[fitting] if fitting > sentence else start + room
            yield block, document, start, end, end, 0, 0, Ending.SENTENCE
            start = end
