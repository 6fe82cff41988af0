"""A checkpoint is there whole or not at all, and any change of it is found."""

import multiprocessing
import os
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from small_runs import small_config

from bertsmith.batches.pretraining import Cursor
from bertsmith.core.artefact import verify_artefact
from bertsmith.core.errors import DamagedArtefact
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import (
    CHECKPOINT,
    TrainingState,
    list_checkpoints,
    newest_intact_checkpoint,
    save_checkpoint,
)
from bertsmith.training.loop import Position
from bertsmith.training.pretraining import pretrain
from bertsmith.training.run import start_run
from bertsmith.training.starting_point import load_starting_point


@pytest.fixture(scope="module")
def checkpoint(store, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("checkpoint") / "run"
    pretrain(small_config(store, out, training={"steps": 1}))
    return out / "checkpoints/step-00000001"


def test_the_state_is_read_back_exactly():
    state = TrainingState(Position(Cursor(1, 2, 3, 4), steps_done=5, elapsed_seconds=1 / 3), tokens_seen=6)
    assert TrainingState.from_json(state.to_json()) == state


def test_any_flipped_byte_of_any_file_is_detected(checkpoint):
    """200 flips, spread over the files by their number and over each file at random."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    chance = random.Random(0)
    for flip in range(200):
        path = files[flip % len(files)]
        intact = path.read_bytes()
        place = chance.randrange(len(intact))
        damaged = bytearray(intact)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(DamagedArtefact, match=path.name):
            verify_artefact(checkpoint, CHECKPOINT)
        path.write_bytes(intact)
    verify_artefact(checkpoint, CHECKPOINT)


@pytest.mark.parametrize("change", ["a missing file", "a shortened file", "a stranger"])
def test_missing_cut_and_added_files_are_detected(checkpoint, change):
    path = checkpoint / "optimizer.safetensors"
    intact = path.read_bytes()
    stranger = checkpoint / "extra.bin"
    if change == "a missing file":
        path.unlink()
    elif change == "a shortened file":
        path.write_bytes(intact[:-1])
    else:
        stranger.write_bytes(b"")
    with pytest.raises(DamagedArtefact, match=r"extra\.bin" if change == "a stranger" else r"optimizer\.safetensors"):
        verify_artefact(checkpoint, CHECKPOINT)
    path.write_bytes(intact)
    stranger.unlink(missing_ok=True)


def test_no_pickle_is_in_a_checkpoint(checkpoint):
    names = {path.suffix for path in checkpoint.rglob("*") if path.is_file()}
    assert names == {".json", ".safetensors", ".txt", ".md"}


def save_for_ever(run, store, first_step: int, acknowledge: Connection) -> None:
    """Save checkpoint after checkpoint, telling the parent of each that is safely there."""
    model, optimiser, _ = load_starting_point(run, store, None, device="cpu")
    for step in range(first_step, 10**8):
        save_checkpoint(
            run.checkpoints, model, optimiser, TrainingState(Position(Cursor(), step), 0),
            tokenizer=store.tokenizer, configuration={}, made_from={}, keep=2,
        )  # fmt: skip
        acknowledge.send(step)


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_kills_at_random_moments_of_continuous_saving_lose_nothing(store, tmp_path, kills):
    config = small_config(store, tmp_path / "run")
    opened = TokenStore.open(store)
    run = start_run(config, opened, "float32")
    fork, chance = multiprocessing.get_context("fork"), random.Random(1)
    safe = 0
    for _ in range(kills):
        receiver, sender = fork.Pipe(duplex=False)
        child = fork.Process(target=save_for_ever, args=(run, opened, safe + 1, sender))
        child.start()
        sender.close()
        assert receiver.poll(60), "the child saved nothing"
        time.sleep(chance.random() * 0.05)
        os.kill(child.pid, 9)
        child.join()
        while receiver.poll():
            try:
                safe = receiver.recv()
            except EOFError:
                break
        newest = newest_intact_checkpoint(run.checkpoints)
        assert newest is not None
        assert int(newest.name.removeprefix("step-")) >= safe
        safe = int(newest.name.removeprefix("step-"))
        assert all(verify_artefact(folder, CHECKPOINT) for folder in list_checkpoints(run.checkpoints))
