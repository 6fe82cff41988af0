"""The count of a step's arithmetic, against torch's own counter."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.training.flops import flops_per_token
from bertsmith.training.pretraining_objective import PretrainingObjective


@pytest.mark.parametrize("num_layers", [1, 3])
def test_the_formula_is_what_torch_counts_in_a_step(num_layers):
    config = BertConfig(
        vocab_size=300,
        hidden_size=64,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=64,
    )
    sequences, length = 4, 32
    ids = np.arange(sequences * length).reshape(sequences, length)
    inputs = FlatBatch.from_sequences(list(ids), list(np.zeros_like(ids)))
    masked_positions = torch.arange(1, inputs.num_tokens, 8)
    batch = PretrainingBatch(inputs, masked_positions, torch.zeros_like(masked_positions), torch.zeros(4).long())
    objective = PretrainingObjective(BertForPreTraining(config))
    with FlopCounterMode(display=False) as counter:
        loss, _ = objective(batch, batch)
        loss.backward()
    pooler_and_next_sentence = 6 * sequences * (64 * 64 + 64 * 2)
    expected = flops_per_token(config, length, len(masked_positions) / inputs.num_tokens) * inputs.num_tokens
    assert counter.get_total_flops() == pytest.approx(expected + pooler_and_next_sentence, rel=1e-9)
