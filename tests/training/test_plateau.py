"""The plateau is named when it is left, and when it is not left in time; once, and with a remedy that fits the run."""

import json

import pytest
from small_runs import LEARNS_FROM_NEIGHBOURS, make_chain_store, small_config

from bertsmith.core.artefact import read_manifest
from bertsmith.training.metrics_log import MetricsLog, read_metrics
from bertsmith.training.plateau import (
    LATE_SHARE,
    HeldOutLoss,
    PlateauWatch,
    advice,
    describe,
    has_left,
    held_out_losses,
)
from bertsmith.training.pretraining import pretrain


@pytest.mark.parametrize(
    ("token_loss", "left"), [(8.0, False), (7.2, False), (6.085, False), (5.77, False), (5.75, True), (4.54, True)]
)
def test_the_plateau_ends_a_fifth_below_the_unigram_entropy(token_loss, left):
    assert has_left(token_loss, unigram_loss=7.2) is left


def test_a_loss_is_described_by_its_distance_from_the_unigram_entropy():
    assert describe(HeldOutLoss(1500, 10.84, 5.62), 7.221) == (
        "held-out loss 5.620 is 1.60 below the unigram entropy 7.221, after 1,500 steps, 10.8 minutes"
    )
    assert "0.30 above the unigram entropy" in describe(HeldOutLoss(0, 0.0, 7.5), 7.2)


def test_held_out_losses_stand_at_the_time_of_the_training_before_them():
    records = [
        {"step": 0, "held_out": {"token_loss": 6.5}},
        {"step": 20, "train": {"token_loss": 5.0, "elapsed_seconds": 60.0}},
        {"step": 25, "held_out": {"token_loss": 5.2}},
        {"step": 25, "plateau": {"left": 1, "token_loss": 5.2, "unigram_loss": 6.6}},
    ]
    assert held_out_losses(records) == [HeldOutLoss(0, 0.0, 6.5), HeldOutLoss(25, 1.0, 5.2)]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({}, "--initialisation cooccurrence"),
        ({"model": {"initialisation": "neighbour"}, "training": {"bias_correction": False}}, "--bias-correction"),
        ({"model": {"initialisation": "neighbour"}, "data": {"batch_size": 256}}, "--batch-size 32"),
        ({"model": {"initialisation": "neighbour"}}, "Train longer"),
        ({"init": "some-model"}, "Train longer"),
    ],
)
def test_the_remedy_fits_the_run(tmp_path, changes, remedy):
    said = advice(small_config(tmp_path, tmp_path, **changes))
    assert remedy in said
    others = {"--initialisation cooccurrence", "--bias-correction", "--batch-size 32", "Train longer"} - {remedy}
    assert not [other for other in others if other in said]


def test_a_long_warm_up_needs_no_bias_correction(tmp_path):
    training = {"bias_correction": False, "beta2": 0.999, "steps": 1_000_000, "warmup_share": 0.01}
    config = small_config(tmp_path, tmp_path, model={"initialisation": "neighbour"}, training=training)
    assert "--bias-correction" not in advice(config)


def watch(folder, config, points):
    """What a watch writes and says of held-out losses given as (share done, loss)."""
    with MetricsLog(folder, keep_until_step=1000) as log:
        plateau = PlateauWatch(config, 5.0, log, read_metrics(folder))
        for share, loss in points:
            plateau.look(HeldOutLoss(int(100 * share), share, loss), share)
    return [(record["step"], record["plateau"]["left"]) for record in read_metrics(folder)]


def test_each_thing_is_said_once_also_by_a_resumed_run(tmp_path, config, capfd):
    assert watch(tmp_path, config, [(0.0, 9.0), (0.2, 4.5), (0.4, 4.4), (0.6, 4.3)]) == [(40, 0)]
    assert watch(tmp_path, config, [(0.7, 4.2), (0.8, 3.9), (0.9, 4.2), (1.0, 3.8)]) == [(40, 0), (80, 1)]
    assert watch(tmp_path, config, [(1.0, 3.7)]) == [(40, 0), (80, 1)]
    lines = [line for line in capfd.readouterr().err.splitlines() if "plateau" in line]
    assert [line.partition(":")[0] for line in lines] == ["still on the plateau", "left the plateau"]
    assert "--initialisation cooccurrence" in lines[0]


def test_nothing_is_late_before_a_third_of_the_training(tmp_path, config):
    assert watch(tmp_path, config, [(0.0, 9.0), (LATE_SHARE - 0.01, 4.9)]) == []


def test_a_run_that_goes_on_from_a_trained_model_begins_past_the_plateau(tmp_path, config, capfd):
    assert watch(tmp_path, config, [(0.0, 2.0), (0.5, 1.9)]) == [(0, 1)]
    assert "begins past the plateau" in capfd.readouterr().err


def test_a_short_run_from_normal_initial_values_stays_on_the_plateau(store, tmp_path, capfd):
    result = pretrain(small_config(store, tmp_path / "run"))
    events = [record["plateau"] for record in read_metrics(tmp_path / "run") if "plateau" in record]
    assert [event["left"] for event in events] == [0]
    assert "still on the plateau: held-out loss" in capfd.readouterr().err
    facts = read_manifest(result.model, "model").facts
    assert facts["unigram_loss"] == events[0]["unigram_loss"]


def test_a_run_that_learns_from_neighbours_leaves_it(tmp_path, capfd):
    config = small_config(make_chain_store(tmp_path / "store"), tmp_path / "run", **LEARNS_FROM_NEIGHBOURS)
    pretrain(config)
    records = read_metrics(tmp_path / "run")
    events = [(record["step"], record["plateau"]["left"]) for record in records if "plateau" in record]
    losses = held_out_losses(records)
    floor = next(record["plateau"]["unigram_loss"] for record in records if "plateau" in record)
    first = next(loss.step for loss in losses if has_left(loss.token_loss, floor))
    assert events[-1] == (first, 1)
    assert first > 0
    assert "left the plateau: held-out loss" in capfd.readouterr().err
    json.dumps(records, allow_nan=False)
