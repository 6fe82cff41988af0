"""A step on masked words equals that of transformers' BertForMaskedLM: logits, loss, gradients."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert import BertForMaskedLM
from bertsmith.model.bert_for_tasks import BertForMaskedWord, MaskedWordIds
from bertsmith.model.folder import load_model, save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.weight_names import BERT_NAMES
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.task import require_usable_loss

CLOZE = MaskedWordTask.of_files("cloze")
PROMPT = CLOZE.with_prompt("{text} it was [MASK] .", {"x": "bad", "y": "good", "z": "fine"})
LIMITS = InputLimits(max_seq_length=24)


def random_examples(task, count=9):
    random = np.random.default_rng(0)
    words = ["the", "cat", "dogs", "sat", "on", "it", "!"]
    examples = []
    for line in range(count):
        text = random.choice(words, size=random.integers(2, 9)).tolist()
        if not task.words:
            text[random.integers(len(text))] = "[MASK]"
        examples.append(SentenceExample(" ".join(text), None, str(random.choice(task.labels or ("cat", "mat"))), line))
    return examples


@pytest.fixture
def network(tokenizer, tiny_config):
    def build(task):
        rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        model = BertForMaskedWord(tiny_config(tokenizer, initializer_range=0.2, **rates), task.ids(tokenizer))
        initialise(model, "normal", seed=3)
        torch.nn.init.normal_(model.masked_lm.bias, generator=torch.Generator().manual_seed(0))
        return model

    return build


def saved(model, tokenizer, folder):
    with stage_artefact(folder, kind="model", command="test", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="")
    return folder


def rectangle(batch, tokenizer):
    """The same batch padded, [B, L]."""
    lengths = batch.inputs.cu_seqlens.diff()
    mask = torch.arange(batch.inputs.max_seqlen) < lengths[:, None]
    ids = torch.full(mask.shape, tokenizer.pad_id)
    ids[mask] = batch.inputs.token_ids
    return {"input_ids": ids, "attention_mask": mask.long()}


def closely(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_network_is_the_masked_language_model(network, tokenizer, tmp_path):
    model = network(CLOZE)
    folder = saved(model, tokenizer, tmp_path / "model")
    reference, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert type(reference).__name__ == "BertForMaskedLM"
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    ours = load_model(BertForMaskedLM, folder)
    assert ours.state_dict().keys() == model.state_dict().keys()
    for name, weight in ours.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)


@pytest.mark.parametrize("task", [CLOZE, PROMPT], ids=["cloze", "prompt"])
@pytest.mark.parametrize("micro_batch_size", [9, 4])
def test_a_step_equals_transformers(network, tokenizer, tmp_path, task, micro_batch_size):
    model = network(task)
    encoded = task.encode(random_examples(task), tokenizer, LIMITS)
    batch = encoded.batch(range(9))
    assert len(batch.inputs.cu_seqlens.diff().unique()) > 3  # sequences of different length

    reference = AutoModelForMaskedLM.from_pretrained(saved(model, tokenizer, tmp_path / "model")).eval()
    inputs = rectangle(batch, tokenizer)
    places = inputs["input_ids"] == tokenizer.mask_id
    if task.words:  # the same softmax over the words of the labels alone
        logits = reference(**inputs).logits[places][:, model.ids.words]
        loss = torch.nn.functional.cross_entropy(logits, batch.labels)
    else:
        labels = torch.full(places.shape, -100).masked_scatter(places, batch.labels)
        theirs = reference(**inputs, labels=labels)
        logits, loss = theirs.logits[places], theirs.loss
    loss.backward()
    closely(model(batch.inputs).detach(), logits.detach())

    objective = task.objective(model, encoded, LossSettings())
    parts = [batch.slice(start, min(start + micro_batch_size, 9)) for start in range(0, 9, micro_batch_size)]
    losses, metrics = zip(*(objective(part, batch) for part in parts), strict=True)
    closely(sum(losses).detach(), loss.detach())
    sum(losses).backward()
    gradients = BERT_NAMES.to_hugging_face({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, parameter in reference.named_parameters():
        closely(gradients[name], parameter.grad)
    right = (logits.argmax(dim=1) == batch.labels).float().mean().item()
    assert sum(metric["accuracy"].item() for metric in metrics) == pytest.approx(right)


@pytest.mark.parametrize(("task", "labels"), [(PROMPT, "x x y z"), (CLOZE, "cat cat mat dog")], ids=["prompt", "cloze"])
def test_guessing_blindly_costs_the_entropy_of_the_training_answers(network, tokenizer, task, labels):
    examples = [SentenceExample("the [MASK]", None, label, 1) for label in labels.split()]
    encoded = task.encode(examples, tokenizer, LIMITS)
    batch = encoded.batch(range(4))
    objective = task.objective(network(task), encoded, LossSettings())
    blind = [objective(batch.slice(index, index + 1), batch)[1]["blind_loss"].item() for index in range(4)]
    assert sum(blind) == pytest.approx(-(math.log(0.5) / 2 + math.log(0.25) / 2))


def test_labels_may_be_weighed_and_smoothed(network, tokenizer):
    settings = LossSettings(class_weights="balanced", label_smoothing=0.1)
    model = network(PROMPT)
    encoded = PROMPT.encode(random_examples(PROMPT), tokenizer, LIMITS)
    batch = encoded.batch(range(9))
    loss, _ = PROMPT.objective(model, encoded, settings)(batch, batch)
    expected = torch.nn.functional.cross_entropy(
        model(batch.inputs),
        batch.labels,
        weight=settings.weights(encoded.labels, 3),
        label_smoothing=0.1,
        reduction="sum",
    )
    closely(loss, expected / 9)


def test_a_cloze_test_has_no_labels_to_be_weighed():
    require_usable_loss(PROMPT, LossSettings(class_weights="balanced"))
    with pytest.raises(ConfigurationError, match="Class weights"):
        require_usable_loss(CLOZE, LossSettings(class_weights="balanced"))


def test_the_words_of_the_labels_are_a_part_of_the_vocabulary(network, tokenizer):
    model = network(CLOZE)
    batch = PROMPT.encode(random_examples(PROMPT), tokenizer, LIMITS).batch(range(9))
    whole = model(batch.inputs)
    model.ids = PROMPT.ids(tokenizer)
    assert torch.equal(
        model(batch.inputs), whole[:, [tokenizer.pieces.index(word) for word in ("bad", "good", "fine")]]
    )


def test_a_sequence_without_a_mask_is_refused(network, tokenizer):
    model = network(CLOZE)
    model.ids = MaskedWordIds(tokenizer.pad_id)
    batch = CLOZE.encode(random_examples(CLOZE), tokenizer, LIMITS).batch(range(9))
    with pytest.raises(ValueError, match=r"9 sequences have 0 \[MASK\]s"):
        model(batch.inputs)
