"""One step equals that of transformers: logits, loss and gradients; its saved folder loads there without a warning."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForTokenClassification

from bertsmith.core.artefact import stage_artefact
from bertsmith.model.bert_for_tasks import BertForTokenClassification
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.weight_names import BERT_NAMES
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.tags.objective import TagObjective
from bertsmith.tasks.tags.sentence import Sentence
from bertsmith.tasks.tags.task import TagTask

TASK = TagTask("t", ("O", "B-A", "I-A"))


def random_sentences(count=12):
    random = np.random.default_rng(0)
    sentences = []
    for line in range(count):
        words = random.choice(["the", "cat", "dogs", "sat", "seeing", "!"], size=random.integers(1, 12)).tolist()
        tags = random.choice(TASK.labels, size=len(words), p=[0.6, 0.3, 0.1]).tolist()
        sentences.append(Sentence(tuple(words), tuple(tags), line))
    return sentences


@pytest.fixture
def both(tokenizer, tiny_config, tmp_path):
    """Our network and transformers', loaded from the folder that ours was saved to, without dropout."""
    config = tiny_config(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2)
    network = BertForTokenClassification(config, TASK.outputs)
    initialise(network, "normal", seed=3)
    with stage_artefact(tmp_path / "model", kind="model", command="test", configuration={}) as staging:
        save_model(network, staging.folder, tokenizer, model_card="")
    reference, info = AutoModelForTokenClassification.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert reference.config.id2label == {0: "O", 1: "B-A", 2: "I-A"}
    return network, reference.eval()


def encoded_sentences(tokenizer):
    return TASK.encode(random_sentences(), tokenizer, InputLimits(max_seq_length=24))


def padded(batch, tokenizer):
    """The same batch as a rectangle; padding has no label."""
    mask = torch.arange(batch.inputs.max_seqlen) < batch.inputs.cu_seqlens.diff()[:, None]
    ids, labels = torch.full(mask.shape, tokenizer.pad_id), torch.full(mask.shape, -100)
    ids[mask], labels[mask] = batch.inputs.token_ids, batch.labels
    return {"input_ids": ids, "attention_mask": mask.long(), "labels": labels}, mask


def closely(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("micro_batch_size", [12, 5])
def test_logits_loss_and_gradients_are_those_of_transformers(both, tokenizer, micro_batch_size):
    network, reference = both
    encoded = encoded_sentences(tokenizer)
    batch = encoded.batch(range(12))
    inputs, mask = padded(batch, tokenizer)
    theirs = reference(**inputs)
    theirs.loss.backward()
    closely(network(batch.inputs).detach(), theirs.logits[mask].detach())

    objective = TASK.objective(network, encoded, LossSettings())
    total, right = 0.0, 0.0
    for start in range(0, 12, micro_batch_size):
        loss, metrics = objective(batch.slice(start, min(12, start + micro_batch_size)), batch)
        loss.backward()
        total += loss.item()
        right += metrics["accuracy"].item()
    assert total == pytest.approx(theirs.loss.item(), abs=1e-5)
    gradients = BERT_NAMES.to_hugging_face({name: parameter.grad for name, parameter in network.named_parameters()})
    for name, parameter in reference.named_parameters():
        closely(gradients[name], parameter.grad)
    known = batch.labels >= 0
    expected = (theirs.logits[mask].argmax(dim=1) == batch.labels)[known].float().mean().item()
    assert right == pytest.approx(expected)


def test_class_weights_and_smoothing_are_those_of_torch(both, tokenizer):
    network, _ = both
    encoded = encoded_sentences(tokenizer)
    batch = encoded.batch(range(12))
    settings = LossSettings(class_weights="balanced", label_smoothing=0.1)
    known = batch.labels >= 0
    labels = batch.labels[known]
    weights = len(labels) / (3 * torch.bincount(labels).float())
    loss, _ = TagObjective(network, encoded, settings)(batch, batch)
    logits = network(batch.inputs)[known]
    expected = nn.functional.cross_entropy(logits, labels, weight=weights, label_smoothing=0.1, reduction="sum")
    closely(loss, expected / len(labels))


def test_the_blind_loss_is_the_entropy_of_the_tags(both, tokenizer):
    network, _ = both
    encoded = encoded_sentences(tokenizer)
    batch = encoded.batch(range(12))
    labels = encoded.labels[encoded.labels >= 0]
    shares = np.bincount(labels) / len(labels)
    _, metrics = TASK.objective(network, encoded, LossSettings())(batch, batch)
    assert metrics["blind_loss"].item() == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)
