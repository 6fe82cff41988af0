"""Runs of a fine-tuning that are done, kept beside its folder until it is whole: a killed one goes on where it was.

    OUT.unfinished/KEY.json         a run: its result and the lines of its log
                   KEY.safetensors  its weights, of those runs only that may become the model

A key is the hash of everything that determines a run, so runs of other settings are not found and do no harm.
"""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bertsmith.tasks.seed_run import SeedResult


@dataclass(frozen=True)
class FinishedRun:
    """A run that is done, and what it wrote into its log."""

    result: SeedResult
    log: tuple[Mapping[str, Any], ...]


class FinishedRuns:
    """The runs in `OUT.unfinished`."""

    def __init__(self, out: Path):
        self.folder = out.with_name(f"{out.name}.unfinished")

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
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "partial"
        save_file({name: weight.contiguous().cpu() for name, weight in weights.items()}, partial)
        partial.replace(self.folder / f"{key}.safetensors")
        partial.write_text(json.dumps(asdict(run)), encoding="utf-8")
        partial.replace(self.folder / f"{key}.json")

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
