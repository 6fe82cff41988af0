"""The run folder of `pretrain`: what was asked for, and who may write to it.

run.json            settings, precision, fingerprints of store and vocabulary, and which torchrun it was started by;
                    written once, when the run starts
metrics.jsonl       one line a record
checkpoints/        the newest checkpoints
model/              the result, there once training is done
loss.png            loss against steps, with the floors drawn in
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertsmith.core.artefact import require_free
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ArtefactError, ConfigurationError, MismatchedArtefact
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig

RUN_FILE = "run.json"
# settings that may differ when a run goes on. Another device or number of threads adds up in another order: the run
# then goes on with the same batches, but no longer bit for bit
_FREE_TO_CHANGE = {"store", "out", "device", "threads", "keep_checkpoints", "log_steps", "evaluations"}
_FREE_TO_CHANGE |= {"checkpoint_minutes", "checkpoint_steps", "minimal_pairs", "activation_checkpointing"}


@dataclass(frozen=True)
class Run:
    """One pre-training run on disk."""

    folder: Path
    config: PretrainConfig
    precision: str  # "bfloat16" or "float32", as chosen when the run started
    made_from: Mapping[str, str]  # "token_store" and "vocabulary" -> fingerprint

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        """Folder of the result."""
        return self.folder / "model"

    @property
    def configuration(self) -> dict[str, Any]:
        """The settings, as manifests and run.json hold them."""
        return self.config.model_dump(mode="json") | {"precision": self.precision}


def start_run(config: PretrainConfig, store: TokenStore, precision: str, launch: str | None = None) -> Run:
    """Make the run folder. Raises ArtefactExists if there is something in it.

    launch  what the torchrun that started it is called (`processes.launch_name`)
    """
    require_free(config.out)
    run = Run(config.out, config, precision, fingerprints(store))
    config.out.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"configuration": run.configuration, "made_from": run.made_from}
    content |= {} if launch is None else {"launch": launch}
    partial = config.out / f".{RUN_FILE}.partial"
    partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(config.out / RUN_FILE)
    return run


def read_run(folder: Path, changes: Mapping[str, Any]) -> Run:
    """Read run.json. `changes` are settings given when going on; those that touch the numbers are refused by name."""
    if Path(changes.get("out", folder)) != folder:
        raise ConfigurationError(f"A run goes on in its own folder, {folder}. Leave --out out.")
    try:
        content = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        recorded = dict(content["configuration"])
        precision, made_from = recorded.pop("precision"), content["made_from"]
    except (OSError, ValueError, KeyError):
        raise ArtefactError(f"{folder} is not a run of `bertsmith pretrain`: it has no readable {RUN_FILE}.") from None
    try:
        before = build_settings(PretrainConfig, recorded)
    except ConfigurationError as error:
        raise MismatchedArtefact(
            f"{folder / RUN_FILE} was written by another version of bertsmith: {error} Use that version to go on; the "
            f"model of a finished run can be used with this one."
        ) from None
    after = build_settings(PretrainConfig, recorded, changes).model_copy(update={"out": folder})
    require_same_settings(folder, before.model_dump(mode="json"), after.model_dump(mode="json"))
    return Run(folder, after, precision, made_from)


def with_defaults(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a manifest, with the defaults of those that were not there yet when it was written."""
    given = {name: value for name, value in recorded.items() if name != "precision"}
    return build_settings(PretrainConfig, given).model_dump(mode="json") | {"precision": recorded["precision"]}


def was_started_by(folder: Path, launch: str | None) -> bool:
    """Whether a run folder was made by this very torchrun, which has lost a process since and starts all again."""
    if launch is None or not (folder / RUN_FILE).exists():
        return False
    try:
        recorded = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # it will be refused as a folder that is there
    return bool(recorded.get("launch") == launch)


def require_same_settings(folder: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse, by name, a setting that differs from before and that touches the numbers."""
    for name, old, new in _differing(before, after):
        if name.rpartition(".")[2] not in _FREE_TO_CHANGE:
            raise MismatchedArtefact(
                f"The run {folder} was started with {name} = {old}; it cannot go on with {new}. "
                f"Leave the setting as it was to go on, or start a new run."
            )


def require_same_inputs(run: Run, store: TokenStore) -> None:
    """Refuse a store or a vocabulary that is not the one that the run was started with."""
    for role, fingerprint in fingerprints(store).items():
        if run.made_from[role] != fingerprint:
            raise MismatchedArtefact(
                f"The {role.replace('_', ' ')} of {run.folder} was {run.made_from[role][:16]}..., but "
                f"{store.folder} has {fingerprint[:16]}... Give the store that the run was started with, "
                f"or start a new run."
            )


def fingerprints(store: TokenStore) -> dict[str, str]:
    """What a run is made from."""
    return {"vocabulary": store.tokenizer.fingerprint, "token_store": store.fingerprint}


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(name, old, new) of every setting that differs, groups as "group.name"."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from ((f"{key}.{name}", *values) for name, *values in _differing(old, new))
        elif old != new:
            yield key, old, new


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the run folder, so that two processes never train the same run."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtefactError(f"Another process is training {folder}. Wait for it, or stop it first.") from None
        yield
    finally:
        os.close(lock)
