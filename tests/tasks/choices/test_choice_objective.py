"""A step on choices equals that of transformers' BertForMultipleChoice: logits, loss, gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForMultipleChoice

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert_for_tasks import BertForMultipleChoice
from bertsmith.model.folder import load_model, save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.weight_names import BERT_NAMES
from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.choices.objective import scores_by_question
from bertsmith.tasks.choices.task import ChoiceTask
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.task import require_usable_loss

TASK = ChoiceTask.of_files("toy")
LIMITS = InputLimits(max_seq_length=24)


def random_examples(count, numbers_of_choices):
    random = np.random.default_rng(0)

    def text(least=1):
        return " ".join(random.choice(["the", "cat", "dogs", "sat", "on", "it", "!"], size=random.integers(least, 9)))

    examples = []
    for line in range(count):
        choices = tuple(text() for _ in range(random.choice(numbers_of_choices)))
        examples.append(ChoiceExample(text(), text(0), choices, int(random.integers(len(choices))), line))
    return examples


@pytest.fixture
def model(tokenizer, tiny_config):
    config = tiny_config(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2)
    model = BertForMultipleChoice(config)
    initialise(model, "normal", seed=3)
    return model


@pytest.fixture
def saved(model, tokenizer, tmp_path):
    with stage_artefact(tmp_path / "model", kind="model", command="test", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="")
    return tmp_path / "model"


def rectangle(batch, tokenizer, num_choices):
    """The same batch padded, [E, K, L]."""
    lengths = batch.inputs.cu_seqlens.diff()
    mask = torch.arange(batch.inputs.max_seqlen) < lengths[:, None]
    ids = torch.full(mask.shape, tokenizer.pad_id)
    segments = torch.zeros(mask.shape, dtype=torch.int64)
    ids[mask], segments[mask] = batch.inputs.token_ids, batch.inputs.segment_ids
    inputs = {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask.long()}
    return {name: tensor.unflatten(0, (-1, num_choices)) for name, tensor in inputs.items()}


def closely(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_saved_model_is_transformers_own(saved):
    reference, info = AutoModelForMultipleChoice.from_pretrained(saved, output_loading_info=True)
    assert type(reference).__name__ == "BertForMultipleChoice"
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


def test_a_saved_model_is_loaded_as_it_was(saved, model):
    again = load_model(BertForMultipleChoice, saved)
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight)


@pytest.mark.parametrize("micro_batch_size", [9, 4])
def test_a_step_equals_transformers(model, saved, tokenizer, micro_batch_size):
    encoded = TASK.encode(random_examples(9, [4]), tokenizer, LIMITS)
    batch = encoded.batch(range(9))
    assert len(batch.inputs.cu_seqlens.diff().unique()) > 3  # sequences of different length

    reference = AutoModelForMultipleChoice.from_pretrained(saved)
    reference.eval()  # no dropout to begin with; gradients flow
    theirs = reference(**rectangle(batch, tokenizer, 4), labels=batch.labels)
    theirs.loss.backward()
    closely(model(batch.inputs).detach().view(9, 4), theirs.logits.detach())

    objective = TASK.objective(model, encoded, LossSettings())
    parts = [batch.slice(start, min(start + micro_batch_size, 9)) for start in range(0, 9, micro_batch_size)]
    losses, metrics = zip(*(objective(part, batch) for part in parts), strict=True)
    loss = sum(losses)
    closely(loss.detach(), theirs.loss.detach())
    loss.backward()
    gradients = BERT_NAMES.to_hugging_face({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, parameter in reference.named_parameters():
        closely(gradients[name], parameter.grad)

    right = (theirs.logits.argmax(dim=1) == batch.labels).float().mean().item()
    assert sum(metric["accuracy"].item() for metric in metrics) == pytest.approx(right)
    assert sum(metric["blind_loss"].item() for metric in metrics) == pytest.approx(math.log(4))


@pytest.mark.parametrize("micro_batch_size", [11, 3])
def test_questions_with_unequal_numbers_of_choices_weigh_alike(model, tokenizer, micro_batch_size):
    examples = random_examples(11, [2, 3, 5])
    encoded = TASK.encode(examples, tokenizer, LIMITS)
    batch = encoded.batch(range(11))
    alone = []
    for index, example in enumerate(examples):
        scores = model(encoded.batch([index]).inputs)[:, 0]
        alone.append(-scores.log_softmax(dim=0)[example.label])
    expected = torch.stack(alone).mean()
    expected_gradients = torch.autograd.grad(expected, list(model.parameters()))

    objective = TASK.objective(model, encoded, LossSettings())
    loss, blind = torch.zeros(()), 0.0
    for start in range(0, 11, micro_batch_size):
        share, metrics = objective(batch.slice(start, min(start + micro_batch_size, 11)), batch)
        loss, blind = loss + share, blind + metrics["blind_loss"].item()
    closely(loss.detach(), expected.detach())
    assert blind == pytest.approx(sum(math.log(len(example.choices)) for example in examples) / 11, rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(loss, list(model.parameters())), expected_gradients, strict=True):
        closely(ours, theirs)


@given(st.lists(st.integers(2, 6), min_size=1, max_size=8))
def test_scores_stand_by_question_and_what_is_not_there_is_never_right(sizes):
    scores = torch.randn(sum(sizes), generator=torch.Generator().manual_seed(0))
    table = scores_by_question(scores, sizes)
    assert table.shape == (len(sizes), max(sizes))
    assert torch.equal(table[table.isfinite()], scores)
    assert table.isfinite().sum(dim=1).tolist() == sizes
    assert bool(table.softmax(dim=1)[~table.isfinite()].eq(0).all())


def test_settings_for_labels_are_refused():
    with pytest.raises(ConfigurationError, match="Class weights"):
        require_usable_loss(TASK, LossSettings(label_smoothing=0.1))
