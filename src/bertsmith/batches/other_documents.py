"""Random text for the pairs that are not true (BERT 3.1 task 2): a run of sentences of another document.

The document is uniform among all others of the split, whatever their length, and the start is uniform among its
sentences (BERT's released code), as far as the text from there can stand in for the text that it displaces:

- True text never opens a document. So neither does random text.
- Did the displaced text end with its document? Then so does the random text.
- Did it end with a sentence because the next one would not fit? Then so does the random text.
- Was it a sentence that had to be cut? Then the random text is a sentence that has to be cut.
- Was it the rest of A's own sentence? Then the random text starts and ends anywhere.

A document that has no such place is drawn again, a few times. Without these rules the label can be read off the form.
Measured on Wikipedia at 128 tokens, area under the curve of a classifier that sees the lengths of A and B (0.5 tells
nothing): the released code's samples 0.69; random text that is cut where the room ends 0.79, and 0.84 if one also sees
whether B ends with a sentence; these rules 0.56.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bertsmith.batches.segment_pairs import Ending, Passage
from bertsmith.text.token_store import TokenBlock, TokenTable

_TRIES = 16
_CACHED_BLOCKS = 256  # some 6 MB of offsets
_CACHED_LONG_DOCUMENTS = 1024


class OtherDocuments:
    """Draws random text from a split that has two documents at least."""

    def __init__(self, table: TokenTable):
        self._table = table
        self._block = lru_cache(_CACHED_BLOCKS)(table.block)
        self._sentences_before = lru_cache(_CACHED_LONG_DOCUMENTS)(self._count_sentences_before)

    def draw(self, rng: np.random.Generator, *, not_document: int | None, room: int, ending: int) -> Passage:
        """Random text of 1 to `room` tokens.

        not_document  the document that the text must not be from; None: any will do
        room          tokens, at least 1
        ending        the Ending of the text that is displaced
        """
        num_others = self._table.num_documents - (not_document is not None)
        for _ in range(_TRIES):
            document = int(rng.random() * num_others)
            if not_document is not None and document >= not_document:
                document += 1
            block, first, last = self._piece(document, rng)
            offsets = block.sentence_offsets[first : last + 1]
            found = _find_text(offsets, room, ending, rng.random())
            if found is not None:
                return Passage(block, *found)
        start = int(offsets[int(rng.random() * (last - first))])  # no place like it: cut what is there
        return Passage(block, start, min(start + room, int(offsets[-1])))

    def _piece(self, document: int, rng: np.random.Generator) -> tuple[TokenBlock, int, int]:
        """The document as its block and first:last sentence; of one in several blocks a piece, drawn by its length."""
        index = self._table.block_of_document(document)
        block = self._block(index)
        row = document - block.first_document
        if row == len(block.document_offsets) - 2 and self._continues(document, index):
            sentences_before = self._sentences_before(document, index)
            sentence = int(rng.random() * sentences_before[-1])
            piece = int(np.searchsorted(sentences_before, sentence, side="right")) - 1
            if piece:
                block, row = self._block(index + piece), 0
        return block, int(block.document_offsets[row]), int(block.document_offsets[row + 1])

    def _continues(self, document: int, index: int) -> bool:
        """Whether the last document of a block goes on in the next."""
        return index + 1 < self._table.num_blocks and self._block(index + 1).first_document == document

    def _count_sentences_before(self, document: int, index: int) -> NDArray[np.int64]:
        """[pieces + 1] sentences of a long document before each of its pieces; `index` is the block of the first."""
        offsets = self._block(index).document_offsets
        counts = [0, int(offsets[-1] - offsets[-2])]
        while self._continues(document, index):
            index += 1
            counts.append(int(self._block(index).document_offsets[1]))
        return np.cumsum(counts)


def _find_text(offsets: NDArray[np.int64], room: int, ending: int, place: float) -> tuple[int, int] | None:
    """Choose a run of sentences that ends as wanted.

    offsets  [S+1]  where the sentences of a document begin, and its end
    place    0 to 1, chooses among the possible starts
    returns  first token and end, or None if the document has no such place
    """
    document_end = offsets[-1]
    if ending == Ending.WITHIN:
        start = int(offsets[0] + place * (document_end - offsets[0]))
        return start, min(start + room, int(document_end))
    starts = offsets[1:-1]  # true text never opens a document
    num_not_to_end = int(starts.searchsorted(document_end - room))  # from the later ones the document ends in the room
    if ending == Ending.DOCUMENT:
        possible = starts[num_not_to_end:]
    else:
        fits = np.diff(offsets[1:])[:num_not_to_end] <= room
        possible = starts[:num_not_to_end][fits if ending == Ending.SENTENCE else ~fits]
    if not len(possible):
        return None
    start = int(possible[int(place * len(possible))])
    if ending == Ending.DOCUMENT:
        return start, int(document_end)
    if ending == Ending.CUT:
        return start, start + room
    return start, int(offsets[offsets.searchsorted(start + room, side="right") - 1])
