"""Which files of a task's folder are its parts: train, dev, test; and a dev part where there is none."""

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
            raise InputError(f"{folder} is not a folder. Give --data the folder with the task's files.")
        names = " or ".join(_names(task, part))
        raise InputError(f"{folder} has no file for the part '{part}' of {task.name}: expected {names}.")
    return path


def hold_out(examples: Examples[Any], share: float, seed: int) -> tuple[Examples[Any], Examples[Any]]:
    """Cut off a random `share` of the rows (at least one) as dev. A function of (rows, share, seed); order is kept.

    returns  (train, dev)
    """
    total = len(examples.rows)
    num_dev = max(1, round(share * total))
    if num_dev >= total:
        raise InputError(
            f"{examples.source} has {total} usable rows, too few to hold out a share of {share:g}. Give --dev FILE."
        )
    held_out = set(generator(seed, "dev share").permutation(total)[:num_dev].tolist())
    train = [row for index, row in enumerate(examples.rows) if index not in held_out]
    dev = [row for index, row in enumerate(examples.rows) if index in held_out]
    return Examples(examples.source, train, examples.skipped), Examples(examples.source, dev)


def _names(task: Task[Any, Any], part: str) -> tuple[str, ...]:
    return task.files.get(part, tuple(part + ending for ending in task.endings))
