"""Who is examined: a token store, or a run of `pretrain` (going on, stopped or finished) and its store. Read only."""

from dataclasses import dataclass
from pathlib import Path

from bertsmith.batches.configuration import BatchSettings
from bertsmith.core.artefact import MANIFEST, read_manifest
from bertsmith.core.errors import ArtefactError, ConfigurationError
from bertsmith.diagnosis.course import Records
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import list_checkpoints, read_state
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.run import RUN_FILE, Run, read_run, require_same_inputs


@dataclass(frozen=True)
class ExaminedWeights:
    """The newest weights of a run: of its last checkpoint, else of its finished model, else those it begins with.

    named        for the report
    checkpoint   None for other weights; only a checkpoint has Adam's running means
    model        the folder of the finished model, where there is no checkpoint
    tokens_seen  by these weights
    progress     share of the training that they have behind them
    """

    named: str
    checkpoint: Path | None = None
    model: Path | None = None
    tokens_seen: int = 0
    progress: float = 0.0

    @classmethod
    def of(cls, run: Run) -> "ExaminedWeights":
        """What a run's folder holds."""
        if checkpoints := list_checkpoints(run.checkpoints):
            newest = checkpoints[-1]
            state = read_state(newest)
            position = state.position
            progress = run.config.training.duration.progress(position.steps_done, position.elapsed_seconds)
            named = f"the weights of the checkpoint {newest.name}"
            return cls(named, checkpoint=newest, tokens_seen=state.tokens_seen, progress=progress)
        if (run.model / MANIFEST).is_file():
            tokens_seen = read_manifest(run.model, "model").facts["tokens_seen"]
            named = "the weights of the finished model; the updates are not measured, for there is no checkpoint"
            return cls(named, model=run.model, tokens_seen=tokens_seen, progress=1.0)
        return cls("the weights that the run begins with, for there is no checkpoint")


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it.

    records  what metrics.jsonl holds
    weights  the newest ones
    """

    run: Run
    records: Records
    weights: ExaminedWeights

    @property
    def progress(self) -> float:
        """Share of the training that is done, by the last record or the newest weights, whichever is later."""
        steps, seconds = 0, 0.0
        for record in self.records:
            steps = record["step"]
            seconds = record["train"]["elapsed_seconds"] if "train" in record else seconds
        return max(self.run.config.training.duration.progress(steps, seconds), self.weights.progress)


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
    raises  ArtefactError and its subclasses; ConfigurationError if a store is given with a store, and for a run that
            learns from no masks: what is looked for is a masked language model's
    """
    if (folder / RUN_FILE).is_file():
        run = read_run(folder, {})
        if run.config.data.objective != "masked":
            raise ConfigurationError(
                f"{folder} learns to tell what comes next (data.objective = {run.config.data.objective}), and the "
                f"doctor examines masked language models only. `bertsmith evaluate` scores it on held-out text, and "
                f"the doctor examines its token store: bertsmith doctor {run.config.store}"
            )
        opened = TokenStore.open(store if store is not None else _find_store(run))
        require_same_inputs(run, opened)
        return Patient(folder, opened, RunRecord(run, read_metrics(folder), ExaminedWeights.of(run)))
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
