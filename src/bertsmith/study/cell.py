"""One cell of a study: a variant pre-trained with a seed, and the small JSON file that stays of it.

One that is done is never run again. Any number of processes may work on the cells of a folder: each takes those that no
other one holds.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bertsmith.core.errors import DamagedArtefact, MismatchedArtefact
from bertsmith.study.other_graphs import GraphName
from bertsmith.study.starting_weights import StartName
from bertsmith.study.study_file import Study, Variant
from bertsmith.study.trials import TaskFiles, TaskOutcome
from bertsmith.study.yardstick import Scores
from bertsmith.training.configuration import DEFAULT_RECIPE, PretrainConfig
from bertsmith.training.machine import MachineSettings

RUNS = "runs"
_SPARE_CHECKPOINTS = 10  # besides the states that a study asks for: every signal leaves one


@dataclass(frozen=True)
class Cell:
    """What a run gave.

    start      name of initial weights that no recipe has, if it began from such
    graph      name of a network that is not BERT, if it was one
    settings   groups of settings that decide what is learnt, complete, and the tasks
    precision  of pre-training, and threads: what decided the speed, beside the machine
    made_from  fingerprints of token store and vocabulary, and SHA-256 of every file of its tasks
    tokens     seen in training
    flops      of all matrix products of the training
    curve      held-out scores from the first step to the last; none without pre-training
    tasks      what came out on each task of the study
    on_the_way the same of the states on the way, by the step
    """

    variant: str
    seed: int
    start: StartName | None
    graph: GraphName | None
    settings: Mapping[str, Any]
    precision: str | None
    threads: int
    made_from: Mapping[str, str]
    tokens: int
    flops: float
    curve: tuple[Scores, ...]
    tasks: Mapping[str, TaskOutcome]
    on_the_way: Mapping[int, Mapping[str, TaskOutcome]]


def cell_settings(
    study: Study, variant: Variant, seed: int, store: Path, out: Path, runtime: MachineSettings
) -> PretrainConfig:
    """The settings of a cell's run."""
    own = {
        "store": store,
        "out": out / RUNS / cell_name(variant, seed),
        "seed": seed,
        "runtime": runtime.model_dump(exclude_unset=True),
    }
    lowest = {"recipe": DEFAULT_RECIPE}  # a study says what it compares: nothing is planned for it
    layers: list[Mapping[str, Any]] = [lowest, study.settings, variant.settings, own]
    if study.budget is not None:
        any_length = {"training": {"steps": 1}}
        layers.append({"training": study.budget.length(PretrainConfig.from_layers(*layers, any_length))})
    if study.checkpoints:
        layers.append({"runtime": _checkpoints(PretrainConfig.from_layers(*layers), study.checkpoints)})
    return PretrainConfig.from_layers(*layers)


def _checkpoints(config: PretrainConfig, count: int) -> dict[str, Any]:
    """Settings that leave so many states on the way, at equal shares of the training."""
    steps, hours = config.training.steps, config.training.hours
    if hours is not None:
        every: dict[str, Any] = {"checkpoint_minutes": 60 * hours / (count + 1)}
    else:
        assert steps is not None
        every = {"checkpoint_steps": max(1, steps // (count + 1))}
    return every | {"keep_checkpoints": count + _SPARE_CHECKPOINTS}


def cell_name(variant: Variant, seed: int) -> str:
    """Name of a cell, of its run's folder and of its file."""
    return f"{variant.name}-seed{seed}"


def inputs_of_cell(store: Mapping[str, str], files: TaskFiles) -> dict[str, str]:
    """What a cell is made from, by its role.

    store  fingerprints of the token store and of its vocabulary
    files  of its tasks
    """
    return {**store, **{f"{part}_file_of_{task}": sha for task, parts in files.items() for part, sha in parts.items()}}


def write_cell(cell: Cell, path: Path) -> None:
    """Write the file of a finished cell: on the disk before it has its name, so that it is whole or not there."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(cell), indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the run is removed next
    finally:
        os.close(folder)


def read_cell(path: Path) -> Cell:
    """Read the file of a finished cell.

    raises  DamagedArtefact for one that is empty, cut, or lacks an entry
    """
    try:
        return TypeAdapter(Cell).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DamagedArtefact(
            f"{path} is not a whole cell: {f'{place}: ' if place else ''}{first['msg']}. Restore the file from a copy, "
            f"or move it away to run the cell again."
        ) from None


def require_same_cell(
    cell: Cell, config: PretrainConfig, study: Study, variant: Variant, made_from: Mapping[str, str], path: Path
) -> None:
    """Refuse a finished cell that was run with other settings than the study has now, or on other data.

    made_from  what the study's cells are made from now (`inputs_of_cell`)
    """
    before: dict[str, Any] = {"start": cell.start, "graph": cell.graph, "untrained": not cell.curve, **cell.settings}
    before |= {f"the {role.replace('_', ' ')}": fingerprint for role, fingerprint in cell.made_from.items()}
    now: dict[str, Any] = {"start": variant.start, "graph": variant.graph, "untrained": variant.untrained}
    now |= what_decides(config, study, variant)
    now |= {f"the {role.replace('_', ' ')}": fingerprint for role, fingerprint in made_from.items()}
    if before != now:
        differing = [name for name in {**now, **before} if before.get(name) != now.get(name)]
        raise MismatchedArtefact(
            f"{path} was run with another value of {', '.join(differing)} than the study has now. Move the file away "
            f"to run the cell again, or give another --out."
        )


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold a cell while it runs. Yields False if another process holds it."""
    lock_path = path.with_suffix(".lock")
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
            lock_path.unlink(missing_ok=True)  # who waited for the same file may be here after it is gone
    finally:
        os.close(lock)


def what_decides(config: PretrainConfig, study: Study, variant: Variant) -> dict[str, Any]:
    """The groups of settings that decide what is learnt, and the tasks."""
    settings: dict[str, Any] = config.model_dump(mode="json", include={"model", "data", "training"})
    return settings | {
        "tasks": [trial.model_dump(mode="json") for trial in study.tasks],
        "finetuning": variant.model_dump(mode="json", include={"finetuning"})["finetuning"],
        "checkpoints": study.checkpoints,
    }
