"""Runs that are done survive a kill, and only those of the same settings are found again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from bertsmith.core.artefact import verify_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ArtefactError, ArtefactExists, StoppedBySignal
from bertsmith.tasks.collapse import CollapseWatch, LossComparison
from bertsmith.tasks.finetuning import finetune
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.finished_runs import FinishedRun, FinishedRuns, StartedRun
from bertsmith.tasks.seed_run import EpochResult, RunState, SeedResult

RUN = FinishedRun(
    SeedResult(3, (EpochResult(1, 0.5, {"dev": {"accuracy": 0.75}}, None),), 1, None, 2.5, restarted_from=(7,)),
    ({"seed": 3, "step": 10},),
)


@pytest.fixture
def finished(tmp_path):
    runs = FinishedRuns(tmp_path / "out")
    with runs.held():
        yield runs


def test_a_run_comes_back_as_it_was(finished):
    weights = {"a": torch.randn(2, 3), "b": torch.randn(5)}
    finished.add("key", RUN, weights)
    assert finished.find("key") == RUN
    assert all(torch.equal(finished.weights("key")[name], weight) for name, weight in weights.items())
    assert finished.find("other") is None


def test_a_file_that_was_cut_off_is_no_run(finished):
    finished.add("key", RUN, {"a": torch.zeros(1)})
    path = finished.folder / "key.json"
    path.write_bytes(path.read_bytes()[:-9])
    assert finished.find("key") is None


def test_only_the_weights_that_may_become_the_model_are_kept(finished):
    for key in "abc":
        finished.add(key, RUN, {"w": torch.zeros(1)})
    finished.keep_weights_of({"b"})
    assert [finished.weights(key) is not None for key in "abc"] == [False, True, False]
    assert all(finished.find(key) == RUN for key in "abc")
    finished.remove()
    assert not finished.folder.exists()


def test_a_started_run_comes_back_as_it_was_and_goes_when_it_is_done(finished):
    watch = CollapseWatch(3, 20, 4, LossComparison(0.1, 0.3, 7))
    started = StartedRun(RunState(RUN.result.epochs, watch, (0.1 + 0.2,), 1.5), RUN.log)
    finished.add_epoch("key", started, {"weights.a": torch.zeros(2)})
    finished.add_epoch("key", started, {"weights.a": torch.ones(2)})
    run, tensors = finished.find_started("key")
    assert run == started
    assert tensors["weights.a"].tolist() == [1.0, 1.0]
    assert finished.find_started("other") is None
    assert finished.find("key") is None
    finished.add("key", RUN, {"a": torch.zeros(1)})
    assert finished.find_started("key") is None


def test_a_started_run_that_was_cut_off_is_none(finished):
    started = StartedRun(RunState((), CollapseWatch(0), (), 0.0), ())
    finished.add_epoch("key", started, {"weights.a": torch.zeros(2)})
    (path,) = finished.folder.iterdir()
    for length in (path.stat().st_size - 1, 20, 0):
        path.write_bytes(path.read_bytes()[:length])
        assert finished.find_started("key") is None


def test_two_never_hold_the_same_folder_and_nothing_is_left_of_it(tmp_path):
    runs = FinishedRuns(tmp_path / "out")
    for _ in range(2):
        with (
            runs.held(),
            pytest.raises(ArtefactError, match=r"Another process is fine-tuning .*/out\. Wait for it, stop it first"),
            FinishedRuns(tmp_path / "out").held(),
        ):
            pass
        assert not any(tmp_path.iterdir())


def test_the_folder_stands_beside_what_a_dot_or_a_link_means(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    assert FinishedRuns(Path()).folder == FinishedRuns(tmp_path / "link").folder == tmp_path / "out.unfinished"


def test_who_was_late_does_not_make_again_what_another_has_just_made(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("{}")
    with pytest.raises(ArtefactExists), FinishedRuns(tmp_path / "out").held():
        pass


def command(pretrained, reviews, out, *flags):
    return [
        *(sys.executable, "-m", "bertsmith", "finetune", str(pretrained), "--data", str(reviews), "--out", str(out)),
        *("--max-seq-length", "32", "--precision", "float32", "--threads", "1", *flags),
    ]


def results_of(out):
    """All that a fine-tuning wrote of its runs, without what the clock says."""
    results = json.loads((out / "results.json").read_text())
    for run in [*results["seeds"], *(run for cell in results["grid"] for run in cell["runs"])]:
        del run["seconds"]
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for line in log:
        for name in ("seconds", "elapsed_seconds", "waited"):
            line.get("train", {}).pop(name, None)
    return results, log, (out / "model" / "model.safetensors").read_bytes()


@pytest.mark.timeout(240)
def test_a_run_killed_between_its_epochs_goes_on_and_meanwhile_nobody_else_may(pretrained, reviews, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    flags = ("--epochs", "8", "--learning-rate", "5e-3")
    process = subprocess.Popen(command(pretrained, reviews, killed, *flags), stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("killed.unfinished/*.epoch")):
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGSTOP)
    second = subprocess.run(
        command(pretrained, reviews, killed, *flags), check=False, capture_output=True, text=True, timeout=60
    )
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert second.returncode == 2
    assert f"Another process is fine-tuning {killed}." in second.stderr
    assert not killed.exists()
    shown = subprocess.run(
        command(pretrained, reviews, killed, *flags), check=True, capture_output=True, text=True
    ).stderr
    assert "seed 0 goes on after epoch" in shown
    assert not (tmp_path / "killed.unfinished").exists()
    settings = {"inputs": {"max_seq_length": 32}, "training": {"epochs": 8, "learning_rate": 5e-3}}
    places = {"model": pretrained, "out": whole, "task_data": {"data": reviews}}
    finetune(build_settings(FinetuneConfig, settings, places, {"runtime": {"precision": "float32"}}))
    assert results_of(killed) == results_of(whole)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": 2},
        {"training": {"patience": 2, "weight_decay": 0.3}},
        {"training": {"optimiser": "muon"}, "layers": {"layer_decay": 0.9}, "loss": {"language_model": 0.5}},
        {"layers": {"frozen_layers": 1}, "runtime": {"precision": "bfloat16", "micro_batch_size": 8}},
        {"strategy": {"strategy": "feature-based", "bilstm_size": 8}},
        {"training": {"learning_rate": 1e-9, "restarts": 1}},
    ],
    ids=str,
)
def test_stopped_after_every_single_epoch_it_ends_as_if_nothing_had_been(
    pretrained, reviews, tmp_path, monkeypatch, changes
):
    def configuration(out):
        settings = {
            "inputs": {"max_seq_length": 32},
            "training": {"epochs": 3, "learning_rate": 5e-3, "batch_size": 32},
            "runtime": {"precision": "float32"},
        }
        places = {"model": pretrained, "out": tmp_path / out, "task_data": {"data": reviews}}
        return build_settings(FinetuneConfig, settings, places, changes)

    finetune(configuration("whole"))
    add_epoch, stops = FinishedRuns.add_epoch, []

    def add_and_stop(finished, *run):
        add_epoch(finished, *run)
        stops.append(finished)
        raise KeyboardInterrupt

    monkeypatch.setattr(FinishedRuns, "add_epoch", add_and_stop)
    while not (tmp_path / "stopped").exists():
        before = len(stops)
        try:
            finetune(configuration("stopped"))
        except StoppedBySignal as stopped:
            assert f"are kept in {tmp_path / 'stopped.unfinished'}" in str(stopped)
            assert len(stops) == before + 1
            assert len(stops) <= 4  # two runs of three epochs at most, none of them twice
    assert len(stops) >= 2
    assert results_of(tmp_path / "stopped") == results_of(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stopped", "whole"]


@pytest.mark.timeout(120)
def test_a_killed_fine_tuning_goes_on_and_ends_as_if_nothing_had_been(pretrained, reviews, tmp_path):
    flags = ("--seeds", "3", "--grid-learning-rates", "1e-3", "5e-3", "--epochs", "2")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(pretrained, reviews, whole, *flags), check=True, capture_output=True)
    process = subprocess.Popen(
        command(pretrained, reviews, killed, *flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    unfinished = tmp_path / "killed.unfinished"
    while len(list(unfinished.glob("*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    done = {path: path.stat().st_mtime_ns for path in unfinished.glob("*.json")}
    shown = subprocess.run(
        command(pretrained, reviews, killed, *flags), check=True, capture_output=True, text=True
    ).stderr
    assert shown.count("done before") == len(done)
    assert not unfinished.exists()
    verify_artefact(killed, "finetuning")
    assert results_of(killed) == results_of(whole)


@pytest.fixture
def again(pretrained, reviews, tmp_path, monkeypatch):
    """Fine-tunes with the runs of the call before still beside the folder, as if it had been killed at its very end."""
    monkeypatch.setattr(FinishedRuns, "remove", lambda finished: None)
    data, out = tmp_path / "reviews", tmp_path / "out"
    shutil.copytree(reviews, data)

    def run(**changes):
        settings = {
            "inputs": {"max_seq_length": 32},
            "training": {"epochs": 1, "learning_rate": 5e-3},
            "runtime": {"precision": "float32"},
        }
        shutil.rmtree(out, ignore_errors=True)
        places = {"model": pretrained, "out": out, "task_data": {"data": data}}
        finetune(build_settings(FinetuneConfig, settings, places, changes))

    run.data = data
    return run


def test_runs_of_the_same_settings_are_taken(again, capfd):
    again()
    assert "done before" not in capfd.readouterr().err
    again()
    assert "done before" in capfd.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"learning_rate": 1e-3}},
        {"training": {"dropout": 0.2}},
        {"inputs": {"max_seq_length": 16}},
        {"loss": {"label_smoothing": 0.1}},
        {"layers": {"frozen_layers": 1}},
        {"initialisation": "random"},
        {"seed": 1},
        {"runtime": {"micro_batch_size": 4}},
    ],
    ids=str,
)
def test_runs_of_other_settings_are_not_taken(again, capfd, changes):
    again()
    again(**changes)
    assert "done before" not in capfd.readouterr().err


def test_runs_on_other_examples_are_not_taken(again, capfd):
    again()
    train = next(again.data.glob("train*"))
    lines = train.read_text().splitlines(keepends=True)
    train.write_text("".join(lines[:-1]))
    again()
    assert "done before" not in capfd.readouterr().err
