"""Runs of a fine-tuning, kept beside its folder until it is whole: a killed one goes on where it was.

    OUT.unfinished/KEY.json         a run that is done: its result and the lines of its log
                   KEY.safetensors  its weights, of those runs only that may become the model
                   KEY.epoch        a run that is under way, as it was after its last whole epoch (safetensors)

A key is the hash of everything that determines a run, so runs of other settings are not found and do no harm.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from bertsmith.core.artefact import require_free
from bertsmith.core.errors import ArtefactError
from bertsmith.tasks.seed_run import RunState, SeedResult

_RUN = "run"  # the key of a started run among the metadata of its tensors: one file, so both are of the same epoch


@dataclass(frozen=True)
class FinishedRun:
    """A run that is done, and what it wrote into its log."""

    result: SeedResult
    log: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class StartedRun:
    """A run after one of its epochs, and what it wrote into its log until then."""

    state: RunState
    log: tuple[Mapping[str, Any], ...]


class FinishedRuns:
    """The runs in `OUT.unfinished`. Hold the folder to change it."""

    def __init__(self, out: Path):
        self._out = out.resolve()  # "." has a name then
        self.folder = self._out.with_name(f"{self._out.name}.unfinished")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and hold it, so that two processes never make the same `OUT`. An empty one does not stay.

        raises  ArtefactError while another process holds it, ArtefactExists if one has just made `OUT`
        """
        lock = _hold(self.folder)
        try:
            require_free(self._out)
            yield
        finally:
            with suppress(OSError):  # something is kept in it, or it is removed
                self.folder.rmdir()
            os.close(lock)

    @staticmethod
    def key(determinants: Mapping[str, Any]) -> str:
        """The name of a run, by what determines it (JSON-able)."""
        return hashlib.sha256(json.dumps(determinants, sort_keys=True).encode("ascii")).hexdigest()[:16]

    def find(self, key: str) -> FinishedRun | None:
        """The run of this name, if it is done. A file that was cut off counts as none."""
        try:
            return TypeAdapter(FinishedRun).validate_json((self.folder / f"{key}.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def add(self, key: str, run: FinishedRun, weights: Mapping[str, Tensor]) -> None:
        """Keep a run. Its result appears after its weights, each whole or not at all."""
        partial = self.folder / "partial"
        _save(weights, partial)
        partial.replace(self.folder / f"{key}.safetensors")
        partial.write_text(json.dumps(asdict(run)), encoding="utf-8")
        partial.replace(self.folder / f"{key}.json")
        self._epoch_file(key).unlink(missing_ok=True)

    def find_started(self, key: str) -> tuple[StartedRun, dict[str, Tensor]] | None:
        """The run of this name after its last whole epoch, if it has one. A file that was cut off counts as none."""
        try:
            with safe_open(self._epoch_file(key), "pt") as file:
                run = TypeAdapter(StartedRun).validate_json(file.metadata()[_RUN])
                return run, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (FileNotFoundError, SafetensorError, ValidationError):
            return None

    def add_epoch(self, key: str, run: StartedRun, tensors: Mapping[str, Tensor]) -> None:
        """Keep a run that is under way, in the place of what it was an epoch before."""
        partial = self.folder / "partial"
        _save(tensors, partial, {_RUN: json.dumps(asdict(run))})
        partial.replace(self._epoch_file(key))

    def weights(self, key: str) -> dict[str, Tensor] | None:
        """The float32 weights of a run, if they are still there."""
        path = self.folder / f"{key}.safetensors"
        return load_file(path) if path.is_file() else None

    def keep_weights_of(self, keys: Collection[str]) -> None:
        """Remove the weights of all other runs."""
        for path in self.folder.glob("*.safetensors"):
            if path.stem not in keys:
                path.unlink()

    def remove(self) -> None:
        """Remove the folder: the fine-tuning is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _epoch_file(self, key: str) -> Path:
        return self.folder / f"{key}.epoch"


def _save(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, path, metadata)


def _hold(folder: Path) -> int:
    """A lock on a folder, which is made if it is not there. It goes with the process."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # who held it has removed it just now
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            name = folder.with_suffix("")
            raise ArtefactError(
                f"Another process is fine-tuning {name}. Wait for it, stop it first, or choose another --out."
            ) from None
        if folder.exists() and os.path.samestat(folder.stat(), os.fstat(lock)):
            return lock
        os.close(lock)
