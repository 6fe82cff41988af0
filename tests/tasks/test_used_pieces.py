"""Training only the rows that the texts use gives what training the whole token table gives."""

import copy

import numpy as np
import pytest
import torch

from bertsmith.model.bert_for_tasks import BertForMaskedWord, BertForSequenceClassification, MaskedWordIds
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.gpt_for_tasks import GptForSequenceClassification
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.encoded import TaskBatches, TaskCursor
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.layer_settings import LayerSettings
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.sentences.encoding import encode_texts
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.tasks.used_pieces import UsedPieces
from bertsmith.training.optimiser import Optimiser, OptimiserSettings

TASK = SentenceTask.of_files("reviews")
LABELS = ClassifierLabels(("bad", "good"))
TABLE = "bert.embeddings.tokens.weight"
SETTINGS = OptimiserSettings(learning_rate=1e-3, weight_decay=0.1)
LAYERS = LayerSettings(layer_decay=0.9)


@pytest.fixture
def train(tokenizer):
    texts = ["the film is good", "a bad film", "it was a great film", "dull and awful"]
    return encode_texts(texts, None, tokenizer, InputLimits(), np.array([1, 0, 1, 0]))


@pytest.fixture
def network(tokenizer, tiny_config):
    config = tiny_config(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = BertForSequenceClassification(config, LABELS)
    initialise(model, "normal", seed=0)
    return model


def learn(network, train, vocabulary, steps=12):
    """Some steps of bertsmith's optimiser on a network; the weights after them."""
    factor = LAYERS.rate_factor(2)
    optimiser = Optimiser(network, SETTINGS, torch.float32, factor)
    objective, cursor = TASK.objective(network, train, LossSettings()), TaskCursor()
    batches = TaskBatches(train, 2, seed=0)
    for step in range(1, steps + 1):
        batch, cursor = batches.batch(cursor)
        optimiser.zero_gradients()
        objective(batch, batch)[0].backward()
        optimiser.add_gradients()
        rate = SETTINGS.learning_rate / step
        optimiser.step(rate, optimiser.gradient_norm())
        if vocabulary is not None:
            vocabulary.after_step(rate * SETTINGS.weight_decay, factor)
    return optimiser.float32_weights()


def test_every_weight_ends_where_it_ends_when_all_rows_are_trained(network, train):
    whole = learn(whole_network := copy.deepcopy(network), train, None)
    vocabulary = UsedPieces(network, train, LossSettings())
    trained = learn(network, vocabulary.train, vocabulary)
    used = {piece for row in train.rows for ids in row.token_ids for piece in ids.tolist()}
    assert len(trained[TABLE]) == len(used) < len(whole[TABLE]) / 2
    widened = vocabulary.all_weights(trained)
    assert list(widened) == list(whole)
    for name, weight in whole.items():
        torch.testing.assert_close(widened[name], weight, atol=1e-6, rtol=1e-5)
    with vocabulary.all_pieces(trained):
        torch.testing.assert_close(network.bert.embeddings.tokens.weight.data, whole[TABLE], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(network(batch_of(train)), whole_network(batch_of(train)), atol=1e-5, rtol=0)
    assert network.bert.embeddings.tokens.weight.shape == trained[TABLE].shape
    vocabulary.widen(trained)
    assert torch.equal(network.bert.embeddings.tokens.weight, widened[TABLE])


def batch_of(encoded):
    return encoded.batch(range(len(encoded))).inputs


def test_pieces_that_no_training_text_has_are_read_as_they_were_but_for_decay(network, train, tokenizer):
    before = network.bert.embeddings.tokens.weight.detach().clone()
    vocabulary = UsedPieces(network, train, LossSettings())
    weights = vocabulary.all_weights(learn(network, vocabulary.train, vocabulary))[TABLE]
    unused = tokenizer.encode("cat")[0]
    share = weights[unused] / before[unused]
    rates = (SETTINGS.learning_rate / step * 0.1 * LAYERS.layer_decay**3 for step in range(1, 13))
    expected = np.prod([1 - rate for rate in rates])
    torch.testing.assert_close(share, torch.full_like(share, float(expected)))


def test_numbers_of_rows_name_the_same_texts(network, train, tokenizer):
    before = network.bert.embeddings.tokens.weight.detach().clone()
    vocabulary = UsedPieces(network, train, LossSettings())
    rows = network.bert.embeddings.tokens.weight.detach()
    for whole, numbered in zip(train.rows, vocabulary.train.rows, strict=True):
        assert torch.equal(before[whole.token_ids[0]], rows[numbered.token_ids[0]])


@pytest.mark.parametrize("what", ["words", "language", "frozen"])
def test_a_table_that_scores_pieces_or_does_not_learn_stays_whole(what, train, tokenizer, tiny_config):
    ids = MaskedWordIds(tokenizer.encode("[MASK]")[0])
    gpt = GptConfig(vocab_size=tokenizer.vocabulary_size, n_positions=64, n_embd=32, n_layer=2, n_head=2)
    network = {
        "words": lambda: BertForMaskedWord(tiny_config(tokenizer), ids),
        "language": lambda: GptForSequenceClassification(gpt, LABELS),
        "frozen": lambda: BertForSequenceClassification(tiny_config(tokenizer), LABELS),
    }[what]()
    if what == "frozen":
        LayerSettings(frozen_layers=0).freeze(network)
    shapes = {name: weight.shape for name, weight in network.named_parameters()}
    vocabulary = UsedPieces(network, train, LossSettings(language_model=0.5))
    assert vocabulary.train is train
    assert {name: weight.shape for name, weight in network.named_parameters()} == shapes
    if what == "language":  # without that loss its table is only read
        narrow = UsedPieces(network, train, LossSettings(language_model=0.0))
        assert narrow.train is not train
