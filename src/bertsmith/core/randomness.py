"""Randomness as a function, not a state.

Every random choice is drawn from a generator keyed by (seed, purpose, counters). Whoever asks with the same key gets
the same numbers, in any process and in any order, so nothing has to be replayed and no state has to be saved.
"""

import hashlib

import numpy as np


def _digest(seed: int, purpose: str, counters: tuple[int, ...], num_bytes: int) -> int:
    key = "/".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=num_bytes).digest(), "little")


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A Philox generator for one purpose, e.g. `generator(seed, "mask", epoch, index)`."""
    return np.random.Generator(np.random.Philox(key=_digest(seed, purpose, counters, 16)))


def derive_seed(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit seed for libraries that want an integer (torch's dropout)."""
    return _digest(seed, purpose, counters, 8) >> 1
