"""The labels of a language model from left to right: of every token the one after it (Radford et al. 2018, equation 1).

Legend: B sequences, T tokens of all sequences together, M tokens that have one after them.
"""

import numpy as np
from numpy.typing import NDArray


def next_tokens(
    token_ids: NDArray[np.int64], cu_seqlens: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where a token has one after it in its sequence, and which: [M] indices into T, ascending, and [M] ids.

    token_ids   [T]
    cu_seqlens  [B+1]
    """
    has_next = np.ones(len(token_ids), dtype=np.bool_)
    has_next[cu_seqlens[1:] - 1] = False
    positions = np.flatnonzero(has_next)
    return positions, token_ids[positions + 1]
