"""Checkpoints: a model folder with the optimiser's state and the position, whole or not at all.

`checkpoints/step-00001000/` holds what a model folder holds (float32 weights), `optimizer.safetensors` (Adam's running
means) and `state.json` (steps, cursor, clock). No iterator and no random state is saved: both are functions of the
position. The newest `keep` are kept, and an old one goes only after the new one has been read back and found intact.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from bertsmith.batches.pretraining import Cursor
from bertsmith.core.artefact import remove_abandoned, stage_artefact, verify_artefact
from bertsmith.core.errors import ArtefactError, DamagedArtefact
from bertsmith.model.folder import save_model
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.loop import Position
from bertsmith.training.network import PretrainedNetwork
from bertsmith.training.optimiser import Optimiser

CHECKPOINT = "checkpoint"
OPTIMISER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"
SET_ASIDE = ".set-aside"
_REMOVED = ".removed"


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint knows beside weights and running means."""

    position: Position[Cursor]
    tokens_seen: int

    def to_json(self) -> str:
        """The content of state.json."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, content: str) -> "TrainingState":
        """Read what `to_json` wrote."""
        entries = json.loads(content)
        position = entries["position"] | {"cursor": Cursor(**entries["position"]["cursor"])}
        return cls(Position(**position), entries["tokens_seen"])


def save_checkpoint(
    checkpoints: Path,
    model: PretrainedNetwork,
    optimiser: Optimiser,
    state: TrainingState,
    *,
    tokenizer: Tokenizer,
    configuration: Mapping[str, Any],
    made_from: Mapping[str, str],
    keep: int,
) -> Path:
    """Write `checkpoints/step-NNNNNNNN`, read it back, and remove all but the newest `keep`. Returns its folder."""
    remove_abandoned(checkpoints, "step-*")
    folder = checkpoints / f"step-{state.position.steps_done:08d}"
    with stage_artefact(
        folder, kind=CHECKPOINT, command="pretrain", configuration=configuration, made_from=made_from
    ) as staging:
        card = f"Checkpoint after {state.position.steps_done:,} steps. Go on with `bertsmith pretrain --resume`.\n"
        save_model(model, staging.folder, tokenizer, model_card=card, weights=optimiser.float32_weights())
        save_file(optimiser.state(), staging.folder / OPTIMISER_FILE)
        (staging.folder / STATE_FILE).write_text(state.to_json(), encoding="utf-8")
        staging.facts["steps_done"] = state.position.steps_done
    verify_artefact(folder, CHECKPOINT)
    for old in list_checkpoints(checkpoints)[:-keep]:
        old.rename(old.with_name(f".{old.name}{_REMOVED}"))  # so that a kill leaves no half of it under its name
    for removed in checkpoints.glob(f".step-*{_REMOVED}"):
        shutil.rmtree(removed)
    return folder


def load_state(folder: Path, optimiser: Optimiser) -> TrainingState:
    """Give `optimiser`, made for the weights of this checkpoint, its running means; return where training stood."""
    state = read_state(folder)
    optimiser.load_state(load_file(folder / OPTIMISER_FILE), state.position.steps_done)
    return state


def read_state(folder: Path) -> TrainingState:
    """Where training stood at a checkpoint."""
    return TrainingState.from_json((folder / STATE_FILE).read_text(encoding="utf-8"))


def list_checkpoints(checkpoints: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in checkpoints.glob("step-*") if path.is_dir() and SET_ASIDE not in path.name)


def newest_intact_checkpoint(checkpoints: Path) -> Path | None:
    """The newest checkpoint after checking all its files, or None if there is none.

    raises  DamagedArtefact naming the damaged file and the newest checkpoint that is intact
    """
    found = list_checkpoints(checkpoints)
    if not found:
        return None
    try:
        verify_artefact(found[-1], CHECKPOINT)
    except DamagedArtefact as damage:
        raise DamagedArtefact(f"{damage} {_offer(found[:-1])}") from None
    return found[-1]


def go_back_to(checkpoint: Path) -> Path:
    """Make this checkpoint the newest: check all its files, then rename the later ones, damaged or not.

    raises  ArtefactError if it is not a checkpoint, DamagedArtefact if it is not intact; then nothing is renamed
    """
    everything = list_checkpoints(checkpoint.parent)
    if checkpoint not in everything:
        names = ", ".join(path.name for path in everything) or "none"
        raise ArtefactError(f"{checkpoint} is not a checkpoint. There are: {names}.")
    verify_artefact(checkpoint, CHECKPOINT)
    for later in everything[everything.index(checkpoint) + 1 :]:
        later.rename(_name_aside(later))
    return checkpoint


def _name_aside(checkpoint: Path) -> Path:
    """A free name: a run may go back to the same checkpoint more than once."""
    first = checkpoint.with_name(checkpoint.name + SET_ASIDE)
    names = chain([first], (first.with_name(f"{first.name}-{number}") for number in count(2)))
    return next(path for path in names if not path.exists())


def _offer(older: list[Path]) -> str:
    for checkpoint in reversed(older):
        try:
            verify_artefact(checkpoint, CHECKPOINT)
        except DamagedArtefact:
            continue
        return f"To go on from the one before it: bertsmith pretrain --resume {checkpoint}"
    return "No older checkpoint is intact, so the run has to start again."
