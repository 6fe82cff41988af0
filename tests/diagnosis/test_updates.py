"""The size of updates: measured on real steps, and graded."""

import pytest
import torch
from small_runs import small_config

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.diagnosis.finding import Level
from bertsmith.diagnosis.updates import UpdateSizes, kind_of, measure_updates, update_finding
from bertsmith.training.run import Run
from bertsmith.training.starting_point import load_starting_point

KINDS = {
    "token embeddings", "position embeddings", "segment embeddings", "queries, keys, values", "attention outputs",
    "feed-forward", "heads of both tasks",
}  # fmt: skip


def measure(store, rate: float) -> UpdateSizes:
    config = small_config(store.folder, store.folder, training={"learning_rate": rate, "bias_correction": True})
    model, optimiser, _ = load_starting_point(
        Run(store.folder, config, "float32", {}), store, None, torch.device("cpu")
    )
    batches = PretrainingBatches(store.train, store.tokenizer, config.data, config.seed)
    return measure_updates(model, optimiser, [batches.batch(Cursor())[0]], seed=0)


def test_an_update_is_measured_in_proportion_to_the_rate(chain_store):
    small, large = measure(chain_store, 1e-6), measure(chain_store, 1e-5)
    assert set(small.kinds) == KINDS
    assert large.encoder == pytest.approx(10 * small.encoder, rel=0.02)
    assert small.encoder == pytest.approx(1e-6 / 0.0176, rel=0.2)  # Adam's first step is the rate; N(0, 0.02) cut off
    assert small.growth == pytest.approx(0.88, abs=0.02)


@pytest.mark.parametrize(
    ("share", "growth", "level", "remedy"),
    [
        (1e-5, 3.0, Level.WARNING, "--learning-rate 1e-01"),
        (1e-3, 3.0, Level.GOOD, ""),
        (2.4e-2, 1.0, Level.NOTE, "--learning-rate 2e-04"),
        (5e-2, 1.0, Level.WARNING, "--learning-rate 1e-04"),
        (5e-3, 100.0, Level.WARNING, "--learning-rate 1e-05 or less"),
    ],
)
def test_too_short_and_too_long_steps_get_a_rate_to_try(share, growth, level, remedy):
    finding = update_finding(UpdateSizes({"feed-forward": share}, share, growth, 1e-3), steps=3)
    assert finding.level is level
    assert remedy in finding.remedy


def test_every_part_of_the_network_has_its_kind():
    assert kind_of("bert.encoder.layers.0.attention.output.weight") == "attention outputs"
    assert kind_of("bert.encoder.layers.3.feed_forward.expand.weight") == "feed-forward"
    assert kind_of("masked_lm.transform.weight") == "heads of both tasks"
