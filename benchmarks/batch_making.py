"""How fast one thread makes batches of pre-training: the bound of what several GPUs can be fed.

    python benchmarks/batch_making.py STORE [--lengths 128 512] [--batches 40] [--json FILE]

Batches of 256 samples in the order of `pretrain`: pairs, masks and all. The clock is the thread's own, so that other
work on the machine does not count.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.text.token_store import TokenStore

BATCH, WARM_UP = 256, 5


def tokens_a_second(store: TokenStore, length: int, count: int) -> float:
    """The median over `count` batches of samples of up to `length` tokens."""
    settings = BatchSettings(batch_size=BATCH, max_seq_length=length)
    batches = PretrainingBatches(store.train, store.tokenizer, settings, seed=0)
    speeds, cursor = [], Cursor()
    for _ in range(WARM_UP + count):
        started = time.thread_time()
        batch, cursor = batches.batch(cursor)
        speeds.append(batch.num_tokens / (time.thread_time() - started))
    return statistics.median(speeds[WARM_UP:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    store = TokenStore.open(given.store)
    speeds = {str(length): tokens_a_second(store, length, given.batches) for length in given.lengths}
    for length, speed in speeds.items():
        print(f"up to {length} tokens: {speed:,.0f} tokens a second")
    if given.json is not None:
        given.json.write_text(json.dumps({"tokens_per_second": speeds}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
