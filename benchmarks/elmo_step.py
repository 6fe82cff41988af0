"""What share of this machine's own matrix product a pre-training step of an ELMo comes to.

    python benchmarks/elmo_step.py STORE [--sizes tiny mini small] [--rounds 20] [--threads 2] [--json FILE]

The steps are those of `pretrain --network elmo --objective next --no-next-sentence` on real batches of a token store:
32 samples of up to 128 tokens, words of characters, LSTMs of both directions, the adaptive softmax, clipping, AdamW. A
recurrence is a chain of small products, one for each word of the longest text, so the share is that of these.
Operations are counted by words and by different words (`training.flops`).
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.process_environment import start_tuned
from bertsmith.model.initialisation import initialise
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.flops import flops_of_step
from bertsmith.training.network import new_network
from bertsmith.training.precision import choose_precision, matmul_peak
from pretraining_step import step_of

BATCH, WARM_UP = 32, 5


def measure(store: TokenStore, size: str, rounds: int, precision: torch.dtype) -> dict[str, Any]:
    """Tokens a second and share of the peak of each round, the peak measured beside it."""
    config = PretrainConfig.from_layers(
        {
            "store": store.folder,
            "out": "unused",
            "model": {"network": "elmo", "size": size},
            "data": {"objective": "next", "next_sentence": False, "batch_size": BATCH},
        },
    )
    model = new_network(config, store)
    initialise(model, "normal", seed=0)
    step = step_of(model.train(), precision)
    batches = PretrainingBatches(store.train, store.tokenizer, config.data, seed=0)
    speeds, shares, peaks, cursor = [], [], [], Cursor()
    for place in range(WARM_UP + rounds):
        batch, cursor = batches.batch(cursor)
        peak = matmul_peak(precision, torch.device("cpu"))
        started = time.perf_counter()
        step(batch)
        seconds = time.perf_counter() - started
        if place >= WARM_UP:
            speeds.append(batch.num_tokens / seconds)
            shares.append(flops_of_step(model, batch, BATCH) / seconds / peak)
            peaks.append(peak)
    return {
        "tokens_per_second": statistics.median(speeds),
        "share_of_peak": statistics.median(shares),
        "shares": shares,
        "peak_flops": statistics.median(peaks),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["tiny", "mini", "small"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    precision = choose_precision("auto", torch.device("cpu"))
    store = TokenStore.open(given.store)
    sizes = {}
    for size in given.sizes:
        found = sizes[size] = measure(store, size, given.rounds, precision)
        print(
            f"{size}: {found['tokens_per_second']:,.0f} tokens/s, {found['share_of_peak']:.0%} of "
            f"{found['peak_flops'] / 1e9:,.0f} GFLOP/s ({min(found['shares']):.0%} to {max(found['shares']):.0%})"
        )
    if given.json is not None:
        content = {"threads": given.threads, "precision": str(precision).removeprefix("torch."), "sizes": sizes}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start_tuned()
    main()
