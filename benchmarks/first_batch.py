"""Seconds from opening a token store to the first batch: what a resumed run waits for, wherever it had stopped.

Call with a store, or without one to measure on a made-up store of 8 million tokens.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.artefact import stage_artefact
from bertsmith.text.token_store import TokenStore
from bertsmith.text.token_store_writer import TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer

PLACES = 20


def make_store(folder: Path) -> Path:
    """20,000 documents of 16 sentences of 25 random tokens."""
    rng = np.random.default_rng(0)
    tokenizer = Tokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(30_000))]
    )
    with stage_artefact(folder, kind="token_store", command="benchmark", configuration={}) as staging:
        writer = TokenStoreWriter(staging.folder, tokenizer, held_out=0.01)
        for _ in range(20_000):
            writer.append_document(rng.integers(5, 30_000, size=16 * 25), np.full(16, 25))
        writer.close()
    return folder


def measure(folder: Path) -> list[float]:
    """Open the store and make a batch of 32 x 128, at places drawn by lot from 100 epochs."""
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(PLACES):
        started = time.perf_counter()
        store = TokenStore.open(folder)
        batches = PretrainingBatches(store.train, store.tokenizer, BatchSettings(batch_size=32), seed=0)
        place = Cursor(epoch=int(rng.integers(100)), window=int(rng.integers(batches.num_windows)), offset=500)
        batches.batch(place)
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(arguments.store or make_store(Path(folder) / "store"))
    print(f"first batch at {PLACES} places: median {np.median(seconds):.2f} s, longest {max(seconds):.2f} s")


if __name__ == "__main__":
    main()
