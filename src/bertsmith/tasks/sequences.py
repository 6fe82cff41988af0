"""One text or two as the sequence that BERT reads, `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`, and how a pair is cut.

Of a pair that is too long the longer text is cut first, down to the length of the other; what is still too much is
taken from both, as transformers' `truncation="longest_first"` does.
"""

import numpy as np

from bertsmith.tasks.encoded import Ids
from bertsmith.text.tokenizer import Tokenizer


def sequence_of(first: Ids, second: Ids | None, tokenizer: Tokenizer) -> tuple[Ids, Ids]:
    """Token ids and segment ids of one sequence."""
    cls, sep = [tokenizer.cls_id], [tokenizer.sep_id]
    if second is None:
        ids = np.concatenate([cls, first, sep]).astype(np.int32)
        return ids, np.zeros(len(ids), dtype=np.int32)
    ids = np.concatenate([cls, first, sep, second, sep]).astype(np.int32)
    return ids, np.repeat(np.array([0, 1], dtype=np.int32), [len(first) + 2, len(second) + 1])


def longest_first(num_first: int, num_second: int, limit: int) -> tuple[int, int]:
    """How many tokens of each text of a pair to keep so that together they have at most `limit`.

    If both have to be cut and `limit` is odd, the one that was longer keeps one token more; of two equally long ones
    the second does.
    """
    if num_first + num_second <= limit:
        return num_first, num_second
    shorter = min(num_first, num_second, limit // 2)
    if num_first > num_second:
        return limit - shorter, shorter
    return shorter, limit - shorter
