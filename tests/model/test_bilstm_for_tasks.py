"""A BiLSTM on an encoder: what it computes, what it learns, and what it leaves as it is."""

import pytest
import torch

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.bert import Bert
from bertsmith.model.bilstm import BiLstm
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.bilstm_for_tasks import (
    BiLstmForMultipleChoice,
    BiLstmForQuestionAnswering,
    BiLstmForSequenceClassification,
    BiLstmForTokenClassification,
)
from bertsmith.model.configuration import BertConfig, ClassifierLabels
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.initialisation import initialise_normal
from bertsmith.model.segments import Segments

BERT = BertConfig(
    vocab_size=50,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=16,
)
GPT = GptConfig(vocab_size=50, n_positions=16, n_embd=8, n_layer=2, n_head=2)
LABELS = ClassifierLabels(("a", "b", "c"))
PAIR = ([2, 9, 8, 3, 7, 6, 5, 3], [0, 0, 0, 0, 1, 1, 1, 1])
SINGLE = ([2, 9, 3], [0, 0, 0])


def batch_of(*sequences):
    return FlatBatch.from_sequences([ids for ids, _ in sequences], [segments for _, segments in sequences])


def made(network, shape=BERT, **settings):
    bilstm = BiLstmConfig(**({"layers": (1, 2), "size": 6, "dropout": 0.0} | settings))
    labels = [LABELS] if network in (BiLstmForSequenceClassification, BiLstmForTokenClassification) else []
    model = network(shape, bilstm, *labels)
    initialise_normal(model, seed=0)
    return model


def test_two_layers_are_torchs_bidirectional_lstm_on_each_text_alone():
    torch.manual_seed(0)
    ours, theirs = BiLstm(5, 6, 0.0, compares=False), torch.nn.LSTM(5, 3, num_layers=2, bidirectional=True)
    for layer, module in enumerate((ours.first, ours.second)):
        for suffix, lstm in (("", module.forward_lstm), ("_reverse", module.backward_lstm)):
            getattr(theirs, f"weight_ih_l{layer}{suffix}").data.copy_(lstm.input_gates.weight)
            getattr(theirs, f"weight_hh_l{layer}{suffix}").data.copy_(lstm.recurrent_gates.weight)
            getattr(theirs, f"bias_ih_l{layer}{suffix}").data.copy_(lstm.input_gates.bias)
            getattr(theirs, f"bias_hh_l{layer}{suffix}").data.zero_()
    inputs = batch_of(SINGLE, ([2, 9, 8, 3], [0] * 4))
    states = torch.randn(7, 5)
    expected = torch.cat([theirs(text)[0] for text in states.split([3, 4])])
    torch.testing.assert_close(ours(states, Segments.of(inputs)), expected)


@pytest.mark.parametrize("shape", [BERT, GPT])
@pytest.mark.parametrize(
    ("network", "outputs"),
    [
        (BiLstmForSequenceClassification, (2, 3)),
        (BiLstmForMultipleChoice, (2, 1)),
        (BiLstmForQuestionAnswering, (11, 2)),
        (BiLstmForTokenClassification, (11, 3)),
    ],
)
def test_what_else_is_in_the_batch_changes_nothing(network, outputs, shape):
    model = made(network, shape).eval()
    together = model(batch_of(PAIR, SINGLE))
    assert together.shape == outputs
    alone = torch.cat([model(batch_of(PAIR)), model(batch_of(SINGLE))])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("combine", ["concatenate", "weighted-sum"])
@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_has_no_gradient_and_no_dropout(combine, frozen):
    model = made(BiLstmForTokenClassification, BERT.with_dropout(0.5), combine=combine, frozen=frozen).train()
    inputs = batch_of(PAIR)
    first, second = model(inputs), model(inputs)
    assert torch.equal(first, second) == frozen
    first.sum().backward()
    learns = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    of_encoder = {name for name, _ in model.named_parameters() if name.startswith("bert.")}
    assert learns.isdisjoint(of_encoder) if frozen else of_encoder <= learns
    assert {name for name, _ in model.named_parameters()} - of_encoder <= learns


def test_a_weighted_sum_begins_as_the_mean_and_a_concatenation_has_the_order_asked():
    summed = made(BiLstmForTokenClassification, layers=(0, 2), combine="weighted-sum").eval()
    joined = made(BiLstmForTokenClassification, layers=(2, 0)).eval()
    encoder = Bert(BERT, pooler=False)
    initialise_normal(encoder, seed=0)
    inputs = batch_of(PAIR)
    embeddings, last = encoder.eval().states_of(inputs, [0, 2])
    segments = Segments.of(inputs)
    torch.testing.assert_close(
        summed.states(inputs, segments, "dense"), summed.bilstm((embeddings + last) / 2, segments)
    )
    expected = joined.bilstm(torch.cat([last, embeddings], dim=1), segments)
    torch.testing.assert_close(joined.states(inputs, segments, "dense"), expected)


def test_an_lstm_begins_by_remembering():
    model = made(BiLstmForTokenClassification)
    assert model.bilstm.first.forward_lstm.input_gates.bias.tolist() == [0.0] * 3 + [1.0] * 3 + [0.0] * 6
    weights = model.bilstm.second.backward_lstm.recurrent_gates.weight
    assert 0.3 < weights.abs().max() <= 3**-0.5
