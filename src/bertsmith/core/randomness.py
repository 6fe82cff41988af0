"""Randomness as a function, not a state.

Every random choice is drawn from a generator keyed by (seed, purpose, counters). Whoever asks with the same key gets
the same numbers, in any process and in any order, so nothing has to be replayed and no state has to be saved.
"""

import hashlib

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray


class _Key(ISeedSequence):
    """A Philox key in the place of a seed: with `Philox(key=...)` numpy asks the system for a seed it does not use."""

    def __init__(self, words: NDArray[np.uint64]):
        self._words = words

    def generate_state(self, n_words: int, dtype: object = np.uint64) -> NDArray[np.uint64]:
        """The key's two words; Philox asks for no others."""
        assert n_words == len(self._words) and dtype == np.uint64
        return self._words


def _digest(seed: int, purpose: str, counters: tuple[int, ...], num_bytes: int) -> bytes:
    key = "/".join([str(seed), purpose, *map(str, counters)])
    return hashlib.blake2b(key.encode(), digest_size=num_bytes).digest()


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A Philox generator for one purpose, e.g. `generator(seed, "mask", epoch, index)`."""
    words = np.frombuffer(_digest(seed, purpose, counters, 16), dtype="<u8").astype(np.uint64, copy=False)
    return np.random.Generator(np.random.Philox(_Key(words)))  # type: ignore[arg-type]  # numpy takes any ISeedSequence


def derive_seed(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit seed for libraries that want an integer (torch's dropout)."""
    return int.from_bytes(_digest(seed, purpose, counters, 8), "little") >> 1
