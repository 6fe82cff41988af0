"""Which files of a task's folder are its parts: train, dev, test; and a dev part where there is none."""

from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from bertsmith.core.errors import InputError
from bertsmith.core.randomness import generator
from bertsmith.tasks.task import Examples, Task


def find_part(folder: Path, task: Task[Any, Any], part: str) -> Path | None:
    """The file of a part in a task's folder, or in the folder above it (`glue/` for `glue/SST-2/`), if there is one."""
    folders = [folder]
    if folder.is_dir():
        folders += sorted(child for child in folder.iterdir() if child.is_dir() and child.name.casefold() == task.name)
    candidates = [place / name for place in folders for name in _names(task, part)]
    return next((path for path in candidates if path.is_file()), None)


def require_part(folder: Path, task: Task[Any, Any], part: str) -> Path:
    """As `find_part`; raises InputError if there is no such file."""
    path = find_part(folder, task, part)
    if path is None:
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "is not there"
            raise InputError(f"{folder} {what}. Give --data the folder with the task's files, or one file.")
        names = " or ".join(_names(task, part))
        raise InputError(f"{folder} has no file for the part '{part}' of {task.name}: expected {names}.")
    return path


def hold_out(examples: Examples[Any], share: float, seed: int) -> tuple[Examples[Any], Examples[Any]]:
    """Cut off a random `share` of the rows (at least one) as dev. A function of (rows, share, seed); order is kept.

    Rows of one group stay together: whoever has read a text in training would know it in dev. So the share is met by
    the first groups in random order that reach it.

    returns  (train, dev)
    """
    total = len(examples.rows)
    groups = examples.groups if len(set(examples.groups)) > 1 else range(total)  # a single text has to be divided
    num_dev = max(1, round(share * total))
    sizes = Counter(groups)
    names = list(sizes)
    held_out: set[Hashable] = set()
    num_held_out = 0
    for index in generator(seed, "dev share").permutation(len(names)).tolist():
        if num_held_out >= num_dev:
            break
        held_out.add(names[index])
        num_held_out += sizes[names[index]]
    if num_held_out >= total:
        raise InputError(
            f"{examples.source} has {total} usable rows, too few to hold out a share of {share:g}. Give --dev FILE."
        )
    train = [row for row, group in zip(examples.rows, groups, strict=True) if group not in held_out]
    dev = [row for row, group in zip(examples.rows, groups, strict=True) if group in held_out]
    return Examples(examples.source, train, examples.skipped), Examples(examples.source, dev)


def _names(task: Task[Any, Any], part: str) -> tuple[str, ...]:
    return task.files.get(part, tuple(part + ending for ending in task.endings))
