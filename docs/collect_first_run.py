"""What the first real run gave: a pre-training from each initialisation, tasks from each start, several seeds.

    python docs/collect_first_run.py FOLDER

FOLDER holds what the commands of docs/results/first-run.md wrote there. The figures go into first-run.json beside that
page, the curves into first-run.png; `python docs/generate.py` then renews the tables of the page.
"""

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bertsmith.core.artefact import read_manifest
from bertsmith.tasks.sentences.metrics import METRICS
from bertsmith.tasks.task_data import ColumnSettings, TaskDataSettings, load_task_data
from bertsmith.text.token_store import TokenStore
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.run import read_run

RESULTS = Path(__file__).parent / "results"
INITIALISATIONS = ("normal", "neighbour")
STARTS = ("untrained", *INITIALISATIONS)
TASKS = ("sst-2", "mrpc", "sts-b")
RECORDS_PER_POINT = 20  # of the training curve: the mean of so many lines of metrics.jsonl


def describe_store(store: TokenStore) -> dict[str, Any]:
    """Size of the text."""
    return {
        "bytes_read": read_manifest(store.folder, "token_store").facts["bytes_read"],
        "tokens": store.train.num_tokens + store.held_out.num_tokens,
        "vocabulary_size": len(store.token_counts),
    }


def describe_pretraining(folder: Path) -> dict[str, Any]:
    """Length, curves and floor of one run."""
    run = read_run(folder, {})
    facts = read_manifest(run.model, "model").facts
    records = read_metrics(folder)
    training = [(record["step"], record["train"]) for record in records if "train" in record]
    return {
        "steps": facts["steps"],
        "tokens": facts["tokens_seen"],
        "minutes": training[-1][1]["elapsed_seconds"] / 60,
        "settings": run.configuration["training"] | {"seed": run.config.seed, "precision": run.precision},
        "train": [
            _mean_point(training[first : first + RECORDS_PER_POINT])
            for first in range(0, len(training), RECORDS_PER_POINT)
        ],
        "held_out": [{"step": record["step"]} | record["held_out"] for record in records if "held_out" in record],
        "unigram_loss": facts["unigram_loss"],
    }


def _mean_point(records: list[tuple[int, Mapping[str, float]]]) -> tuple[int, float]:
    return records[-1][0], statistics.fmean(train["token_loss"] for _, train in records)


def describe_task(folder: Path, task: str) -> dict[str, Any]:
    """Dev scores of every seed from every start, and of giving every example the same answer."""
    results = {
        start: json.loads((folder / f"{task}-{start}" / "results.json").read_text(encoding="utf-8")) for start in STARTS
    }
    metric = results["untrained"]["metric"]
    settings = read_manifest(folder / f"{task}-untrained", "finetuning").configuration
    return {
        "metric": metric,
        "settings": settings["training"],
        "same_answer": _score_of_same_answer(settings, metric),
        "examples": {part: facts["examples"] for part, facts in results["untrained"]["parts"].items()},
        "scores": {
            start: [seed["epochs"][-1]["dev"]["dev"][metric] for seed in result["seeds"]]
            for start, result in results.items()
        },
        "collapsed": {start: result["collapsed"] for start, result in results.items()},
    }


def _score_of_same_answer(settings: Mapping[str, Any], metric: str) -> float:
    """The metric on dev of always giving the most frequent answer of the training examples."""
    task_data, columns = TaskDataSettings(**settings["task_data"]), ColumnSettings(**settings["columns"])
    data = load_task_data(task_data, columns, settings["seed"])
    answer = statistics.mode(example.label for example in data.train.rows)
    labels = [example.label for example in data.dev["dev"].rows]
    if data.task.labels is not None:
        answer, labels = data.task.labels.index(answer), [data.task.labels.index(label) for label in labels]
    return METRICS[metric](np.array(labels), np.full(len(labels), answer))


def draw_curves(pretraining: Mapping[str, Any], target: Path) -> None:
    """Masked-LM loss of both runs over steps, and the floor of guessing by frequency."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for initialisation, colour in zip(INITIALISATIONS, ("tab:orange", "tab:blue"), strict=True):
        run = pretraining[initialisation]
        axes.plot(*zip(*run["train"], strict=True), color=colour, alpha=0.35, linewidth=1.2)
        points = [(scores["step"], scores["token_loss"]) for scores in run["held_out"]]
        axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=initialisation)
    floor = pretraining["normal"]["unigram_loss"]
    axes.axhline(floor, linestyle="--", color="gray", label=f"guessing by frequency: {floor:.2f}")
    axes.set(xlabel="step (32 sequences of at most 128 tokens)", ylabel="masked-LM loss (nats)")
    axes.set_ylim(top=floor + 0.5)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(target, dpi=110)


def main() -> None:
    """Collect, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    store = TokenStore.open(folder / "store")
    results = {
        "store": describe_store(store),
        "pretraining": {name: describe_pretraining(folder / f"{name}-mini") for name in INITIALISATIONS},
        "tasks": {task: describe_task(folder, task) for task in TASKS},
    }
    (RESULTS / "first-run.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    draw_curves(results["pretraining"], RESULTS / "first-run.png")


if __name__ == "__main__":
    main()
