"""Heads that look at neighbours are told from heads that average."""

import numpy as np
import pytest
import torch
from small_runs import SPECIAL, WORDS

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.held_out import held_out_batches
from bertsmith.diagnosis.attention_heads import PLACES, Attention, attention_finding, measure_attention
from bertsmith.diagnosis.finding import Level
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.initialisation import initialise
from bertsmith.training.starting_point import counts_for

CONFIG = BertConfig(
    vocab_size=len(SPECIAL) + len(WORDS),
    num_hidden_layers=2,
    hidden_size=128,
    num_attention_heads=2,
    intermediate_size=256,
    max_position_embeddings=64,
)


def measure(scheme: str, store) -> Attention:
    model = BertForPreTraining(CONFIG)
    initialise(model, scheme, 0, counts_for(scheme, store))
    batches = held_out_batches(store, BatchSettings(max_seq_length=32), max_sequences=24, batch_size=8)
    return measure_attention(model.bert, batches, store.tokenizer.sep_id)


def test_heads_that_begin_at_their_neighbours_are_named(chain_store):
    attention = measure("neighbour", chain_store)
    assert [(layer, head, place) for layer, head, place, _ in attention.neighbour_heads()] == [
        (1, 1, "1 before"), (1, 2, "1 after"),
    ]  # fmt: skip
    finding = attention_finding(attention, alarming=True, remedy="")
    assert finding.level is Level.GOOD
    assert len(finding.rows.rows) == 2 * 2 + 1


@pytest.mark.parametrize(("alarming", "level"), [(True, Level.WARNING), (False, Level.NOTE)])
def test_heads_that_begin_with_normal_weights_average_over_everything(chain_store, alarming, level):
    attention = measure("normal", chain_store)
    assert attention.neighbour_heads() == []
    np.testing.assert_allclose(attention.heads, np.broadcast_to(attention.uniform, attention.heads.shape), rtol=0.2)
    finding = attention_finding(attention, alarming=alarming, remedy="do this")
    assert finding.level is level
    assert finding.remedy == "do this"


def test_averaging_gives_every_place_one_over_the_length(chain_store):
    batches = held_out_batches(chain_store, BatchSettings(max_seq_length=32), max_sequences=24, batch_size=8)
    lengths = torch.cat([batch.inputs.cu_seqlens.diff() for batch in batches]).numpy()
    uniform = dict(zip(PLACES, measure("normal", chain_store).uniform, strict=True))
    mean = len(lengths) / lengths.sum()
    assert uniform["itself"] == uniform["[CLS]"] == pytest.approx(mean, rel=1e-5)
    assert uniform["[SEP]"] == pytest.approx(2 * mean, rel=0.05)  # two a sequence
    assert uniform["1 before"] == pytest.approx(((lengths - 1) / lengths).sum() / (lengths - 1).sum(), rel=1e-5)
