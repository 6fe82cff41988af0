"""Masking: which tokens are hidden, and what the model sees in their place (BERT 3.1 task 1, A.1, C.2).

Positions are uniform among the tokens of the text. The `[CLS]` and `[SEP]` around the segments are never chosen; an
`[UNK]` may be, as in the released code. A sequence of n tokens, special ones included, has
`min(max_predictions, max(1, round(rate * n)))` of them. A chosen token becomes `[MASK]` with probability 0.8, a random
piece with 0.1, and stays with 0.1.

A random piece is uniform over the whole vocabulary, special and unused pieces included, as in the released code: with
30,522 pieces that is one `[CLS]` in two million tokens of text.

Whole-word masking (released later by the authors): the pieces of a word are chosen together or not at all. Words are
shuffled and each is taken if it still fits into the number above; then each piece is replaced on its own. (A sequence
whose words are all longer than its number has no label.) Where a segment begins within a word, that rest is a word of
its own; the released code ties it to the last word of the segment before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertsmith.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class MaskingRule:
    """How to mask.

    rate             share of the tokens that get a label
    max_predictions  labels in a sequence at most
    mask_share       share of the labels that become `[MASK]`
    random_share     share of the labels that become a random piece; the rest stays
    whole_word       choose words, not pieces
    tokenizer        gives the id of `[MASK]`, the size of the vocabulary, and which pieces begin a word
    """

    rate: float
    max_predictions: int
    mask_share: float
    random_share: float
    whole_word: bool
    tokenizer: Tokenizer


def mask_tokens(
    token_ids: NDArray[np.int64],
    cu_seqlens: NDArray[np.int64],
    is_special: NDArray[np.bool_],
    generators: Sequence[np.random.Generator],
    rule: MaskingRule,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Mask the sequences of a batch. `token_ids` is changed in place.

    token_ids   [T]    sequences end to end
    cu_seqlens  [B+1]  sequence b is cu_seqlens[b]:cu_seqlens[b+1]
    is_special  [T]    the tokens that are not of the text
    generators  [B]    one for each sequence, so that its masks do not depend on its neighbours
    returns     masked_positions [M] ascending, masked_labels [M]
    """
    chance = np.empty((len(token_ids), 3))  # of each token: its turn to be chosen, what becomes of it, its replacement
    for generator, start, end in zip(generators, cu_seqlens[:-1].tolist(), cu_seqlens[1:].tolist(), strict=True):
        generator.random(out=chance[start:end])
    lengths = np.diff(cu_seqlens)
    budgets = np.minimum(rule.max_predictions, np.maximum(1, np.rint(rule.rate * lengths).astype(np.int64)))
    if rule.whole_word:
        starts_word = rule.tokenizer.starts_word[token_ids]
        positions = _choose_words(chance[:, 0], cu_seqlens, is_special, starts_word, budgets)
    else:
        positions = _choose_tokens(chance[:, 0], cu_seqlens, is_special, budgets)
    labels = token_ids[positions]
    fate = chance[positions, 1]
    random_pieces = (chance[positions, 2] * rule.tokenizer.vocabulary_size).astype(np.int64)
    token_ids[positions] = np.where(
        fate < rule.mask_share,
        rule.tokenizer.mask_id,
        np.where(fate < rule.mask_share + rule.random_share, random_pieces, labels),
    )
    return positions, labels


def _choose_tokens(
    turns: NDArray[np.float64],
    cu_seqlens: NDArray[np.int64],
    is_special: NDArray[np.bool_],
    budgets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The tokens whose turn comes first in their sequence, as many as its budget allows."""
    candidates = np.flatnonzero(~is_special)
    sequences = np.repeat(np.arange(len(budgets)), np.diff(cu_seqlens))[candidates]
    order = _by_turn(sequences, turns[candidates])
    first = np.searchsorted(sequences, np.arange(len(budgets)))
    chosen = order[np.arange(len(order)) - first[sequences] < budgets[sequences]]
    return np.sort(candidates[chosen])


def _choose_words(
    turns: NDArray[np.float64],
    cu_seqlens: NDArray[np.int64],
    is_special: NDArray[np.bool_],
    starts_word: NDArray[np.bool_],
    budgets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The pieces of the words whose turn comes first in their sequence and that still fit into its budget."""
    after_special = np.concatenate([[True], is_special[:-1]])
    borders = np.flatnonzero(is_special | starts_word | after_special)
    sizes = np.diff(borders, append=len(turns))
    words = np.flatnonzero(~is_special[borders])
    sequences = np.searchsorted(cu_seqlens, borders[words], side="right") - 1
    order = _by_turn(sequences, turns[borders[words]])
    starts = borders[words[order]]
    left = budgets.tolist()
    chosen: list[int] = []
    for sequence, start, size in zip(sequences.tolist(), starts.tolist(), sizes[words[order]].tolist(), strict=True):
        if size <= left[sequence]:
            left[sequence] -= size
            chosen.extend(range(start, start + size))
    return np.sort(np.array(chosen, dtype=np.int64))


def _by_turn(sequences: NDArray[np.int64], turns: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices that sort by sequence (ascending already) and by turn within it. A tie goes to the earlier one.

    One sort of whole numbers for the batch: no sequence's order depends on where in the batch it stands.
    """
    return np.argsort((sequences << 40) | (turns * 2**40).astype(np.int64), kind="stable")
