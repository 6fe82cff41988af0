"""Made-up corpora: documents as lists of sentence lengths."""

import numpy as np

SPECIAL_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FIRST_WORD = len(SPECIAL_PIECES)
NUM_WORDS = 40_000  # a quarter of them continuations


def random_documents(number: int, seed: int, sentences: float = 3.0) -> list[list[int]]:
    """Documents with as many and as long sentences as an encyclopaedia's: many short ones, a few very long."""
    rng = np.random.default_rng(seed)
    sizes = np.ceil(rng.lognormal(np.log(sentences), 1.0, size=number)).astype(int)
    return [np.ceil(rng.lognormal(np.log(19), 0.65, size=size)).astype(int).tolist() for size in sizes]
