import json

import pytest

from bertsmith.core.errors import DamagedArtefact
from bertsmith.training.metrics_log import METRICS_FILE, MetricsLog, read_metrics


def write_three(folder):
    with MetricsLog(folder, keep_until_step=0) as log:
        for step in (1, 2, 3):
            log.write(step, "train", {"loss": step / 3})


def test_records_are_read_back_exactly(tmp_path):
    write_three(tmp_path)
    assert read_metrics(tmp_path) == [{"step": step, "train": {"loss": step / 3}} for step in (1, 2, 3)]


def test_a_resumed_run_drops_the_records_of_the_steps_it_repeats(tmp_path):
    write_three(tmp_path)
    with MetricsLog(tmp_path, keep_until_step=1) as log:
        log.write(2, "train", {"loss": 9.0})
    assert [(record["step"], record["train"]["loss"]) for record in read_metrics(tmp_path)] == [(1, 1 / 3), (2, 9.0)]


def test_a_last_line_cut_by_a_kill_is_left_out_and_a_damaged_one_before_it_is_named(tmp_path):
    write_three(tmp_path)
    path = tmp_path / METRICS_FILE
    path.write_text(path.read_text()[:-9])
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 2]
    path.write_text("{]\n" + json.dumps({"step": 2}) + "\n")
    with pytest.raises(DamagedArtefact, match="line 1"):
        read_metrics(tmp_path)


def test_tensorboard_gets_the_same_values(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write_three(tmp_path)
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [
        (step, pytest.approx(step / 3)) for step in (1, 2, 3)
    ]
