"""How fast threads make batches of pre-training: the bound of what GPUs can be fed.

    python benchmarks/batch_making.py STORE [--lengths 128 512] [--processes 1 8] [--batches 40] [--json FILE]

Batches of 256 samples in the order of `pretrain`: pairs, masks and all; of several processes each makes its share of
them, of which one is measured here. The clock is the thread's own, so that other work on the machine does not count.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.text.token_store import TokenStore
from bertsmith.training.processes import Processes

BATCH, WARM_UP = 256, 5


def tokens_a_second(store: TokenStore, length: int, processes: int, count: int) -> float:
    """Of all processes together: the median over `count` batches of samples of up to `length` tokens."""
    settings = BatchSettings(batch_size=BATCH, max_seq_length=length)
    batches = PretrainingBatches(store.train, store.tokenizer, settings, seed=0)
    speeds, cursor = [], Cursor()
    share = Processes(0, processes).share
    for _ in range(WARM_UP + count):
        started = time.thread_time()
        batch, cursor = batches.batch(cursor, share)
        speeds.append(processes * batch.num_tokens / (time.thread_time() - started))
    return statistics.median(speeds[WARM_UP:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    store = TokenStore.open(given.store)
    rows = []
    for length in given.lengths:
        for processes in given.processes:
            speed = tokens_a_second(store, length, processes, given.batches)
            rows.append({"length": length, "processes": processes, "tokens_per_second": speed})
            print(f"up to {length} tokens, {processes} processes: {speed:,.0f} tokens a second", flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
