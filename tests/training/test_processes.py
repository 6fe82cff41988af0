"""Several processes under torchrun train what one would: the same batches, the same losses, whoever is lost."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import small_config

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import load_model
from bertsmith.training.checkpoint import list_checkpoints
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.pretraining import pretrain, resume_pretraining
from bertsmith.training.processes import Processes, launch_name, require_alone

NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
SCRIPT = """
import os
import sys
from pathlib import Path
from bertsmith.core.errors import BertsmithError
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.pretraining import pretrain
config = PretrainConfig.model_validate_json(sys.argv[1])
(Path(sys.argv[2]) / f"{os.environ['RANK']}-{os.environ['TORCHELASTIC_RESTART_COUNT']}").write_text(str(os.getpid()))
try:
    pretrain(config)
except BertsmithError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""

# Each process takes another time for its initial weights, and leaves a hash of its last ones.
SCRIPT_WITH_CLOCKS_APART = """
import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from bertsmith.training import pretraining
from bertsmith.training.configuration import PretrainConfig
load, optimisers = pretraining.load_starting_point, []
def load_at_another_time(*arguments):
    model, optimiser, state = load(*arguments)
    optimisers.append(optimiser)
    return model, optimiser, replace(state, position=replace(state.position, elapsed_seconds=float(os.environ["RANK"])))
pretraining.load_starting_point = load_at_another_time
pretraining.pretrain(PretrainConfig.model_validate_json(sys.argv[1]))
weights = b"".join(weight.numpy().tobytes() for weight in optimisers[0].float32_weights().values())
(Path(sys.argv[2]) / f"weights-{os.environ['RANK']}").write_text(hashlib.sha256(weights).hexdigest())
"""


def settings(store, out, **changes):
    runtime = {
        "checkpoint_steps": 4,
        "keep_checkpoints": 2,
        "log_steps": 1,
        "micro_batch_size": 3,
        "precision": "float32",
    }
    common = {"training": {"steps": 12}, "data": {"batch_size": 8}, "model": NO_DROPOUT, "runtime": runtime}
    return small_config(store, out, **common | changes)


def together(config, folder, count=2, restarts=0, script=SCRIPT):
    """The same training in several processes, each of which leaves a file with its number."""
    (folder / "pids").mkdir(exist_ok=True)
    (folder / "script.py").write_text(script)
    return torchrun(["--standalone", f"--nproc-per-node={count}", f"--max-restarts={restarts}"], config, folder)


def torchrun(options, config, folder):
    """One torchrun with these options of its own."""
    command = [sys.executable, "-m", "torch.distributed.run", *options]
    command += [str(folder / "script.py"), config.model_dump_json(), str(folder / "pids")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_a_checkpoint(run, process):
    deadline = time.monotonic() + 90
    while not list_checkpoints(run / "checkpoints"):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def trace(run):
    """Loss, tokens and gradient norm of each step, and the held-out losses."""
    steps = [line for line in read_metrics(run) if "train" in line]
    held_out = {line["step"]: line["held_out"]["token_loss"] for line in read_metrics(run) if "held_out" in line}
    return [
        (line["step"], line["train"]["tokens"], line["train"]["loss"], line["train"]["gradient_norm"]) for line in steps
    ], held_out


def assert_same_trace(run, expected):
    steps, held_out = trace(run)
    other_steps, other_held_out = trace(expected)
    assert [line[:2] for line in steps] == [line[:2] for line in other_steps]
    for line, other in zip(steps, other_steps, strict=True):
        assert line[2:] == pytest.approx(other[2:], rel=1e-4)
    assert held_out == pytest.approx(other_held_out, rel=1e-4)


@pytest.fixture(scope="module")
def alone(store, tmp_path_factory):
    """The run folder of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    pretrain(settings(store, folder))
    return folder


@given(st.integers(1, 9), st.integers(1, 40))
def test_shares_are_the_whole_in_order(count, sequences):
    shares = [Processes(number, count).share(sequences) for number in range(count)]
    assert [place for share in shares for place in share] == list(range(sequences))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_two_processes_learn_what_one_learns_and_one_may_go_on(store, alone, tmp_path):
    process = together(settings(store, tmp_path / "run"), tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_same_trace(tmp_path / "run", alone)
    load_model(BertForPreTraining, tmp_path / "run")
    for name in ("model", "loss.png"):
        path = tmp_path / "run" / name
        path.rename(path.with_name(f"old-{name}"))
    first, last = list_checkpoints(tmp_path / "run" / "checkpoints")
    assert (first.name, last.name) == ("step-00000008", "step-00000012")
    resume_pretraining(first, {})
    assert_same_trace(tmp_path / "run", alone)


def test_a_lost_process_is_replaced_and_nobody_can_tell_afterwards(store, tmp_path):
    steps = {"training": {"steps": 60, "learning_rate": 1e-3}, "data": {"batch_size": 8}}
    pretrain(settings(store, tmp_path / "whole", **steps))
    process = together(settings(store, tmp_path / "run", **steps), tmp_path, restarts=1)
    wait_for_a_checkpoint(tmp_path / "run", process)
    os.kill(int((tmp_path / "pids" / "1-0").read_text()), signal.SIGKILL)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert (tmp_path / "pids" / "0-1").exists()  # started again
    assert_same_trace(tmp_path / "run", tmp_path / "whole")


def test_a_process_lost_on_one_of_two_machines_is_replaced(store, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (tmp_path / "pids").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    options = ["--nnodes=2", "--nproc-per-node=1", "--max-restarts=1", "--rdzv-backend=c10d"]
    options += ["--rdzv-id=two", f"--rdzv-endpoint=localhost:{port}"]
    steps = {"training": {"steps": 60, "learning_rate": 1e-3}, "data": {"batch_size": 8}}
    machines = [torchrun(options, settings(store, tmp_path / "run", **steps), tmp_path) for _ in range(2)]
    wait_for_a_checkpoint(tmp_path / "run", machines[0])
    os.kill(int((tmp_path / "pids" / "1-0").read_text()), signal.SIGKILL)
    for machine in machines:
        _, errors = machine.communicate(timeout=180)
        assert machine.returncode == 0, errors
    load_model(BertForPreTraining, tmp_path / "run")


def test_a_launch_has_a_name_of_its_own_without_rdzv_id(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert launch_name() is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "bert")
    assert launch_name() == "bert"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")  # what torchrun says where nothing was given
    mine = launch_name()
    assert mine == launch_name() not in (None, "none")
    ask = "from bertsmith.training.processes import launch_name; print(launch_name())"
    child = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert child.stdout.strip() != mine  # its parent is another process


def test_a_run_of_another_command_is_refused_however_often_torchrun_starts(store, tmp_path):
    pretrain(settings(store, tmp_path / "run"))
    (tmp_path / "run" / "model").rename(tmp_path / "model")  # as if it had been stopped before its end
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    process = together(settings(store, tmp_path / "run", seed=8), tmp_path, count=1, restarts=1)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and "already" in errors
    assert (tmp_path / "pids" / "0-1").exists()  # started again
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_by_the_clock_too_all_processes_have_the_same_weights(store, tmp_path):
    hours = {"training": {"steps": None, "hours": 3 / 3600}}
    process = together(settings(store, tmp_path / "run", **hours), tmp_path, script=SCRIPT_WITH_CLOCKS_APART)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    first, second = ((tmp_path / "pids" / f"weights-{number}").read_text() for number in (0, 1))
    assert first == second


@pytest.mark.parametrize("to_all", [False, True], ids=["to-one", "to-all-and-to-torchrun-as-slurm-does"])
def test_a_signal_saves_and_all_leave(to_all, store, tmp_path):
    steps = {"training": {"steps": 100_000}, "data": {"batch_size": 8}}
    process = together(settings(store, tmp_path / "run", **steps), tmp_path)
    deadline = time.monotonic() + 60
    while not list_checkpoints(tmp_path / "run" / "checkpoints"):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first, second = (int((tmp_path / "pids" / f"{number}-0").read_text()) for number in (0, 1))
    for number in (process.pid, first, second) if to_all else (second,):
        os.kill(number, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    told = re.search(r"after ([\d,]+) steps; nothing is lost", errors)
    assert told, errors
    state = json.loads((list_checkpoints(tmp_path / "run" / "checkpoints")[-1] / "state.json").read_text())
    assert state["position"]["steps_done"] == int(told[1].replace(",", ""))


def test_what_cannot_be_shared_is_refused(store, tmp_path):
    process = together(settings(store, Path(tmp_path / "run"), data={"batch_size": 1}), tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Batches of 1 sequences cannot be shared by 2 processes" in errors


def test_verbs_that_do_not_share_their_work_are_refused(monkeypatch):
    require_alone("finetune")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigurationError, match="`finetune` is for one process"):
        require_alone("finetune")
