"""One batch by heart: a network that can, and labels that nobody could learn."""

from dataclasses import replace

import pytest
import torch
from small_runs import small_config

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.diagnosis.finding import Level
from bertsmith.diagnosis.one_batch import BOUND, learn_one_batch, one_batch_finding
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.initialisation import initialise
from bertsmith.training.starting_point import counts_for


@pytest.fixture(scope="module")
def model(chain_store) -> BertForPreTraining:
    settings = small_config(chain_store.folder, chain_store.folder).model
    model = BertForPreTraining(settings.bert_config(chain_store.tokenizer.vocabulary_size, 0))
    initialise(model, "neighbour", 0, counts_for("neighbour", chain_store))
    return model


@pytest.fixture(scope="module")
def batch(chain_store):
    data = small_config(chain_store.folder, chain_store.folder).data
    return PretrainingBatches(chain_store.train, chain_store.tokenizer, data, 0).batch(Cursor())[0].slice(0, 4)


def test_a_network_that_can_learn_does_and_stays_as_it_was(model, batch):
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    result = learn_one_batch(model, batch)
    assert result.last_loss < BOUND < result.first_loss
    assert one_batch_finding(result).level is Level.GOOD
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_labels_that_contradict_each_other_are_found(model, batch):
    """The same sentence three times, and each time another word is said to have stood in the gap."""
    one = batch.slice(0, 1)
    length, gaps = one.num_tokens, len(one.masked_labels)
    inputs = replace(
        one.inputs,
        token_ids=one.inputs.token_ids.repeat(3),
        segment_ids=one.inputs.segment_ids.repeat(3),
        positions=one.inputs.positions.repeat(3),
        cu_seqlens=torch.arange(4, dtype=torch.int32) * length,
    )
    places = torch.cat([one.masked_positions + number * length for number in range(3)])
    labels = torch.arange(3).repeat_interleave(gaps) + 10
    contradicting = replace(
        one, inputs=inputs, masked_positions=places, masked_labels=labels, not_next=one.not_next.repeat(3)
    )
    finding = one_batch_finding(learn_one_batch(model, contradicting))
    assert finding.level is Level.WARNING
    assert finding.values["last_loss"] > 1.0  # log 3 is the best that can be had
