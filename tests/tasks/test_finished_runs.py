"""Runs that are done survive a kill, and only those of the same settings are found again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from bertsmith.core.artefact import verify_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.tasks.finetuning import finetune
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.finished_runs import FinishedRun, FinishedRuns
from bertsmith.tasks.seed_run import EpochResult, SeedResult

RUN = FinishedRun(
    SeedResult(3, (EpochResult(1, 0.5, {"dev": {"accuracy": 0.75}}, None),), 1, None, 2.5, restarted_from=(7,)),
    ({"seed": 3, "step": 10},),
)


def test_a_run_comes_back_as_it_was(tmp_path):
    finished = FinishedRuns(tmp_path / "out")
    weights = {"a": torch.randn(2, 3), "b": torch.randn(5)}
    finished.add("key", RUN, weights)
    assert finished.find("key") == RUN
    assert all(torch.equal(finished.weights("key")[name], weight) for name, weight in weights.items())
    assert finished.find("other") is None


def test_a_file_that_was_cut_off_is_no_run(tmp_path):
    finished = FinishedRuns(tmp_path / "out")
    finished.add("key", RUN, {"a": torch.zeros(1)})
    path = finished.folder / "key.json"
    path.write_bytes(path.read_bytes()[:-9])
    assert finished.find("key") is None


def test_only_the_weights_that_may_become_the_model_are_kept(tmp_path):
    finished = FinishedRuns(tmp_path / "out")
    for key in "abc":
        finished.add(key, RUN, {"w": torch.zeros(1)})
    finished.keep_weights_of({"b"})
    assert [finished.weights(key) is not None for key in "abc"] == [False, True, False]
    assert all(finished.find(key) == RUN for key in "abc")
    finished.remove()
    assert not finished.folder.exists()


@pytest.mark.timeout(120)
def test_a_killed_fine_tuning_goes_on_and_ends_as_if_nothing_had_been(pretrained, reviews, tmp_path):
    def command(out):
        return [
            *(sys.executable, "-m", "bertsmith", "finetune", str(pretrained), "--data", str(reviews)),
            *("--out", str(out), "--seeds", "3", "--grid-learning-rates", "1e-3", "5e-3", "--epochs", "2"),
            *("--max-seq-length", "32", "--precision", "float32", "--threads", "1"),
        ]

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole), check=True, capture_output=True)
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    unfinished = tmp_path / "killed.unfinished"
    while len(list(unfinished.glob("*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    done = {path: path.stat().st_mtime_ns for path in unfinished.glob("*.json")}
    shown = subprocess.run(command(killed), check=True, capture_output=True, text=True).stderr
    assert shown.count("done before") == len(done)
    assert not unfinished.exists()
    verify_artefact(killed, "finetuning")

    def scores(out):
        results = json.loads((out / "results.json").read_text())
        return [[run["epochs"] for run in cell["runs"]] for cell in results["grid"]], results["cell"]

    assert scores(killed) == scores(whole)
    weights = [(out / "model" / "model.safetensors").read_bytes() for out in (killed, whole)]
    assert weights[0] == weights[1]


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
