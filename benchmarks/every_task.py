"""What one pre-trained network is worth on thirteen tasks of every kind, against the same network untrained.

    python benchmarks/every_task.py data DATA TASKS                    lay the tasks out in TASKS (seconds)
    python benchmarks/every_task.py run TASKS MODEL RESULTS [--start pretrained] [--only sst-2 mrpc ...] [--seeds 3]
    python docs/generate.py                                            put the table onto docs/results/every-task.md

DATA is the collection that this project was checked on; another one's tasks are laid out by hand, as docs/studies.md
says. `run` writes one small file per task and start; what is there is not run again if it is of the same model and
seeds, and a task that was interrupted goes on. Where a set has no train part
of its own (QNLI and SQuAD 2.0 come with dev only), its dev is divided by article: one article in five is scored.
"""

import argparse
import csv
import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bertsmith.core.configuration import build_settings
from bertsmith.core.process_environment import start_tuned
from bertsmith.model.folder_configuration import model_fingerprint, resolve_model_folder
from bertsmith.study.trials import read_outcome
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.task_finetuning import RESULTS_FILE, finetune_task

STARTS = {"pretrained": "pretrained", "untrained": "random"}

# Settings of `finetune` where they differ from the task's own. Small networks want the rate that the authors of the
# small published ones found best; epochs are few where a task is large, for this is for a laptop.
TRIALS: dict[str, dict[str, Any]] = {
    "sst-2": {"task_data": {"task": "sst-2"}, "training": {"epochs": 3, "batch_size": 128, "dropout": 0.3}},
    "mrpc": {"task_data": {"task": "mrpc"}, "training": {"epochs": 4}},
    "sts-b": {"task_data": {"task": "sts-b"}, "training": {"epochs": 4}},
    "wnli": {"task_data": {"task": "wnli"}, "training": {"epochs": 4}},
    "qqp": {"task_data": {"task": "qqp"}, "training": {"epochs": 3, "batch_size": 64}},
    "qnli": {"task_data": {"task": "qnli"}, "training": {"epochs": 4}},
    "sick": {
        "columns": {"text": "sentence_A", "text_pair": "sentence_B", "label": "entailment_judgment"},
        "training": {"epochs": 4},
    },
    "squad": {"task_data": {"task": "squad"}, "inputs": {"max_seq_length": 256}, "training": {"epochs": 2}},
    "squad-2.0": {
        "task_data": {"task": "squad-2.0"},
        "inputs": {"max_seq_length": 256},
        "training": {"epochs": 2, "batch_size": 32},
    },
    "codah": {"task_data": {"task": "codah"}, "training": {"epochs": 4}},
    "dream": {"task_data": {"task": "dream"}, "inputs": {"max_seq_length": 128}, "training": {"epochs": 3}},
    "conll2003": {"task_data": {"task": "conll2003"}, "training": {"epochs": 4}},
    "wnut17": {"task_data": {"task": "wnut17"}, "training": {"epochs": 8}},
}
LEARNING_RATE = 3e-4


def lay_out(data: Path, tasks: Path) -> None:
    """Write every task's folder as `finetune` reads it."""
    for name in TRIALS:
        (tasks / name).mkdir(parents=True, exist_ok=True)
    copies: dict[str, Iterable[Path]] = {
        **{name: (data / "glue" / folder).glob("*.tsv") for name, folder in GLUE_FOLDERS.items()},
        "codah": (data / "codah" / "cv_split" / "fold_0").glob("*.tsv"),
        "dream": (data / "dream").glob("*.json"),
        "conll2003": (data / "conll2003").glob("eng.*"),
        "wnut17": [*(data / "wnut17").glob("*.conll"), data / "wnut17" / "emerging.test.annotated"],
    }
    for name, paths in copies.items():
        for path in paths:
            shutil.copyfile(path, tasks / name / path.name)
    for part, source in {"train": "SICK_train.txt", "dev": "SICK_test_annotated.txt"}.items():
        shutil.copyfile(data / "sick" / source, tasks / "sick" / f"{part}.tsv")
    squad = read_squad(data / "squad" / "dev-v1.1.rebuilt.json")
    write_squad(tasks / "squad" / "dev-v1.1.json", squad)
    parts = ["squad/train-v1.1.subsetA", "squad/train-v1.1.subsetB"]
    parts += ["squadshifts/new_wiki_v1.0", "squadshifts/amazon_reviews_v1.0"]
    train = [article for part in parts for article in read_squad(data / f"{part}.json")]
    write_squad(tasks / "squad" / "train-v1.1.json", train)
    second = read_squad(data / "squad" / "dev-v2.0.rebuilt.json")
    for part, is_dev in {"train-v2.0": False, "dev-v2.0": True}.items():
        chosen = [article for article in second if is_for_dev(article["title"]) == is_dev]
        write_squad(tasks / "squad-2.0" / f"{part}.json", chosen)
    divide_qnli(data / "glue" / "QNLI" / "dev.tsv", squad, tasks / "qnli")
    lay_out_parts(tasks, train, squad)


def lay_out_parts(
    tasks: Path, squad_train: Sequence[Mapping[str, Any]], squad_dev: Sequence[Mapping[str, Any]]
) -> None:
    """Parts of two large tasks, for the studies: a sixth of SST-2's phrases, some articles of SQuAD."""
    (tasks / "sst-2-part").mkdir(exist_ok=True)
    shutil.copyfile(tasks / "sst-2" / "dev.tsv", tasks / "sst-2-part" / "dev.tsv")
    header, *lines = (tasks / "sst-2" / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tasks / "sst-2-part" / "train.tsv").write_text(header + "".join(lines[::6]), encoding="utf-8")
    (tasks / "squad-part").mkdir(exist_ok=True)
    for part, articles in {"train-v1.1": squad_train, "dev-v1.1": squad_dev}.items():
        chosen = [article for article in articles if is_for_dev(article["title"])]
        write_squad(tasks / "squad-part" / f"{part}.json", chosen)
        questions = sum(len(paragraph["qas"]) for article in chosen for paragraph in article["paragraphs"])
        print(f"squad-part, {part}: {questions:,} questions")


GLUE_FOLDERS = {"sst-2": "SST-2", "mrpc": "MRPC", "sts-b": "STS-B", "wnli": "WNLI", "qqp": "QQP_subset"}


def read_squad(path: Path) -> list[dict[str, Any]]:
    """The articles of a file."""
    articles: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["data"]
    return articles


def write_squad(path: Path, articles: Sequence[Mapping[str, Any]]) -> None:
    """A file of articles."""
    path.write_text(json.dumps({"version": path.stem, "data": articles}), encoding="utf-8")


def is_for_dev(title: str) -> bool:
    """Whether an article is scored and not learnt from: one in five, by its name alone."""
    return hashlib.sha256(title.encode()).digest()[0] < 52


def divide_qnli(path: Path, squad: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """QNLI's dev by the article of each question in SQuAD; questions that are not found there are left out."""
    titles = {
        " ".join(question["question"].split()): article["title"]
        for article in squad
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    parts: dict[str, list[list[str]]] = {"train": [], "dev": []}
    for row in rows:
        title = titles.get(" ".join(row[1].split()))
        if title is not None:
            parts["dev" if is_for_dev(title) else "train"].append(row)
    for part, chosen in parts.items():
        lines = ["\t".join(row) + "\n" for row in [header, *chosen]]
        (folder / f"{part}.tsv").write_text("".join(lines), encoding="utf-8")
    print(f"QNLI: {len(parts['train']):,} and {len(parts['dev']):,} of {len(rows):,} pairs")


def run(tasks: Path, model: Path, results: Path, start: str, only: Sequence[str], seeds: int) -> None:
    """Fine-tune on every task whose result is not there yet."""
    results.mkdir(parents=True, exist_ok=True)
    what = {"model": model_fingerprint(resolve_model_folder(model)), "seeds": seeds}
    for name in only or TRIALS:
        target = results / f"{name}-{start}.json"
        if target.exists():
            recorded = json.loads(target.read_text(encoding="utf-8"))
            if any(recorded[key] != value for key, value in what.items()):
                raise SystemExit(
                    f"{target} is of another model or number of seeds. Move it away, or give other RESULTS."
                )
            continue
        out = results / "runs" / f"{name}-{start}"
        config = trial_config(name, tasks / name, model, out, start, seeds)
        started = time.perf_counter()
        if not out.exists():  # else it was done, and the summary was not written any more
            finetune_task(config)
        summary = what | summarise(out, config) | {"minutes": round((time.perf_counter() - started) / 60, 1)}
        target.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def trial_config(name: str, folder: Path, model: Path, out: Path, start: str, seeds: int) -> FinetuneConfig:
    """The settings of a task's runs."""
    trial = TRIALS[name]
    settings = trial | {
        "model": model,
        "out": out,
        "seeds": seeds,
        "initialisation": STARTS[start],
        "task_data": trial.get("task_data", {}) | {"data": folder},
        "training": {"learning_rate": LEARNING_RATE} | trial["training"],
    }
    return build_settings(FinetuneConfig, settings)


def summarise(out: Path, config: FinetuneConfig) -> dict[str, Any]:
    """What stays of a task's runs: dev scores of every seed after its last epoch."""
    parts = json.loads((out / RESULTS_FILE).read_text(encoding="utf-8"))["parts"]
    return asdict(read_outcome(out / RESULTS_FILE)) | {
        "settings": config.model_dump(mode="json", include={"training", "inputs", "columns"}, exclude_unset=True),
        "examples": {part: entry["examples"] for part, entry in parts.items()},
    }


def main() -> None:
    """Lay out or run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    layout = commands.add_parser("data")
    layout.add_argument("data", type=Path)
    layout.add_argument("tasks", type=Path)
    running = commands.add_parser("run")
    for name in ("tasks", "model", "results"):
        running.add_argument(name, type=Path)
    running.add_argument("--start", choices=sorted(STARTS), default="pretrained")
    running.add_argument("--only", nargs="+", choices=list(TRIALS), default=[])
    running.add_argument("--seeds", type=int, default=3)
    given = vars(parser.parse_args())
    if given.pop("command") == "data":
        lay_out(**given)
    else:
        run(**given)


if __name__ == "__main__":
    start_tuned()
    main()
