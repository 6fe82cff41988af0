"""Real processes, real signals: nothing of a run is lost, and nobody can tell afterwards."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_runs import small_config
from torch import Tensor

from bertsmith.batches.pretraining import PretrainingBatches
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import load_model
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import list_checkpoints
from bertsmith.training.loop import training_steps
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.pretraining import pretrain
from bertsmith.training.pretraining_objective import PretrainingObjective
from bertsmith.training.run import read_run, start_run
from bertsmith.training.starting_point import load_starting_point

STEPS = 4000
SCRIPT = """
import sys
from pathlib import Path
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.pretraining import pretrain
from bertsmith.core.errors import BertsmithError
try:
    pretrain(PretrainConfig.model_validate_json(sys.argv[1]))
except BertsmithError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def start(store: Path, out: Path, **changes: object) -> subprocess.Popen:
    """A run of many small steps in a process of its own, once it has saved its first checkpoint."""
    runtime = {"checkpoint_steps": 5, "keep_checkpoints": 2}
    many_steps = {"training": {"steps": STEPS}, "data": {"batch_size": 4}, "runtime": runtime}
    config = small_config(store, out, **many_steps | changes)
    command = [sys.executable, "-c", SCRIPT, config.model_dump_json()]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list_checkpoints(out / "checkpoints"):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    return process


def last_step(run: Path) -> int:
    return int(list_checkpoints(run / "checkpoints")[-1].name.removeprefix("step-"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_step_at_hand_and_leaves_within_seconds(store, tmp_path, number):
    process = start(store, tmp_path / "run")
    sent = time.monotonic()
    process.send_signal(number)
    _, output = process.communicate(timeout=60)
    assert time.monotonic() - sent < 15.0  # under a second on a quiet machine
    assert process.returncode == 130
    assert f"Stopped by {number.name}" in output
    assert "--resume" in output
    logged = [record["step"] for record in read_metrics(tmp_path / "run") if "train" in record]
    assert last_step(tmp_path / "run") == logged[-1]


def test_a_killed_run_loses_only_the_steps_since_its_last_checkpoint(store, tmp_path):
    process = start(store, tmp_path / "run")
    time.sleep(0.2)
    process.kill()
    process.communicate()
    logged = [record["step"] for record in read_metrics(tmp_path / "run") if "train" in record]
    assert logged[-1] - last_step(tmp_path / "run") <= 5 + 1
    run = tmp_path / "run"
    before = last_step(run)
    steps = training_steps_after_resume(run, store)
    assert next(steps).position.steps_done == before + 1


def training_steps_after_resume(run_folder: Path, store: Path):
    """The steps that a resumed run would take."""
    run, opened = read_run(run_folder, {}), TokenStore.open(store)
    model, optimiser, state = load_starting_point(
        run, opened, list_checkpoints(run.checkpoints)[-1], torch.device("cpu")
    )
    return training_steps(
        PretrainingObjective(model),
        PretrainingBatches(opened.train, opened.tokenizer, run.config.data, run.config.seed),
        optimiser,
        duration=run.config.training.duration,
        start=state.position,
        seed=run.config.seed,
        device=torch.device("cpu"),
        micro_batch_size=run.config.runtime.micro_batch_size,
    )


@pytest.mark.parametrize("passes", range(1, 7))
def test_a_run_stopped_in_the_middle_of_a_batch_repeats_that_batch(store, tmp_path, passes):
    """Two steps are three micro-batches each; stop before each of them in turn."""
    config = small_config(store, tmp_path / "whole", training={"steps": 2}, data={"phases": [{"share": 1.0}]})
    pretrain(config)
    opened = TokenStore.open(store)
    run = start_run(config.model_copy(update={"out": tmp_path / "cut"}), opened, "bfloat16")
    model, optimiser, state = load_starting_point(run, opened, None, torch.device("cpu"))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == passes

    arguments = {
        "duration": config.training.duration,
        "seed": config.seed,
        "device": torch.device("cpu"),
        "micro_batch_size": 10,
    }
    batches = PretrainingBatches(opened.train, opened.tokenizer, config.data, config.seed)
    objective = PretrainingObjective(model)
    position = state.position
    for step in training_steps(objective, batches, optimiser, start=position, stop=stop, **arguments):
        position = step.position
    assert position.steps_done == (passes - 1) // 3
    for _ in training_steps(objective, batches, optimiser, start=position, **arguments):
        pass
    assert_equal_weights(optimiser.float32_weights(), tmp_path / "whole")


def assert_equal_weights(weights: dict[str, Tensor], run: Path) -> None:
    for name, expected in load_model(BertForPreTraining, run / "model").named_parameters():
        assert torch.equal(weights[name], expected), name


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_one_that_was_not(store, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    changes = {"training": {"steps": 150}, "data": {"batch_size": 4}, "runtime": {"checkpoint_steps": 3}}
    pretrain(small_config(store, whole, **changes))
    process = start(store, killed, **changes)
    for kill in range(4):
        time.sleep(kill / 20)
        process.kill()
        process.communicate()
        assert not (killed / "model").exists(), "the run was over before it could be killed: give it more steps"
        process = subprocess.Popen([sys.executable, "-m", "bertsmith", "pretrain", "--resume", str(killed)])
        saved = last_step(killed)
        while process.poll() is None and last_step(killed) == saved:
            time.sleep(0.01)
    assert process.wait(timeout=60) == 0
    assert (killed / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()
