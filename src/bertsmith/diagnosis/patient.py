"""Who is examined: a token store, or a run of `pretrain` (going on, stopped or finished) and its store. Read only."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bertsmith.batches.configuration import BatchSettings
from bertsmith.core.artefact import MANIFEST
from bertsmith.core.errors import ArtefactError, ConfigurationError
from bertsmith.diagnosis.course import Records
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import STATE_FILE, TrainingState, list_checkpoints
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.run import RUN_FILE, Run, read_run, require_same_inputs


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it.

    records     what metrics.jsonl holds
    checkpoint  the newest one, None before the first
    """

    run: Run
    records: Records
    checkpoint: Path | None

    @cached_property
    def state(self) -> TrainingState | None:
        """Where the newest checkpoint stands."""
        if self.checkpoint is None:
            return None
        return TrainingState.from_json((self.checkpoint / STATE_FILE).read_text(encoding="utf-8"))

    @property
    def progress(self) -> float:
        """Share of the training that is done, by the last record or the newest checkpoint, whichever is later."""
        steps, seconds = 0, 0.0
        for record in self.records:
            steps = record["step"]
            seconds = record["train"]["elapsed_seconds"] if "train" in record else seconds
        if self.state is not None:
            steps = max(steps, self.state.position.steps_done)
            seconds = max(seconds, self.state.position.elapsed_seconds)
        return self.run.config.training.duration.progress(steps, seconds)


@dataclass(frozen=True)
class Patient:
    """A token store, and the run on it if one is examined."""

    folder: Path
    store: TokenStore
    record: RunRecord | None

    @property
    def data(self) -> BatchSettings:
        """How batches are made: as the run does, else the paper's way."""
        return self.record.run.config.data if self.record is not None else BatchSettings()


def open_patient(folder: Path, store: Path | None) -> Patient:
    """Open a run folder or a token store.

    store   where the run's token store is, if it is not where it was
    raises  ArtefactError and its subclasses; ConfigurationError if a store is given with a store
    """
    if (folder / RUN_FILE).is_file():
        run = read_run(folder, {})
        opened = TokenStore.open(store if store is not None else _find_store(run))
        require_same_inputs(run, opened)
        checkpoints = list_checkpoints(run.checkpoints)
        record = RunRecord(run, read_metrics(folder), checkpoints[-1] if checkpoints else None)
        return Patient(folder, opened, record)
    if not (folder / MANIFEST).is_file():
        raise ArtefactError(
            f"{folder} is neither the folder of a run, with {RUN_FILE} in it, nor a token store. Give the --out of "
            "`bertsmith pretrain` or of `bertsmith prepare`."
        )
    if store is not None:
        raise ConfigurationError(f"{folder} is a token store itself. --store belongs to a run.")
    return Patient(folder, TokenStore.open(folder), None)


def _find_store(run: Run) -> Path:
    """Where the run found its store; a relative path was meant from where the run was started, often beside it."""
    recorded = run.config.store
    for place in (recorded, run.folder.absolute().parent / recorded):
        if (place / MANIFEST).is_file():
            return place
    raise ArtefactError(f"The token store of {run.folder} is not at {recorded}. Say where it is with --store.")
