"""The loss of spans is that of transformers' BertForQuestionAnswering: value, gradients, and parts that add up."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering

from bertsmith.core.artefact import stage_artefact
from bertsmith.model.bert_for_tasks import BertForQuestionAnswering
from bertsmith.model.folder import load_model, save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.weight_names import BERT_NAMES
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.spans.objective import SpanObjective, as_rows
from bertsmith.tasks.spans.squad_file import Answer, Question
from bertsmith.tasks.spans.windows import encode_questions

WORDS = ["the", "cat", "dog", "sat", "on", "it", "!"]


@pytest.fixture
def network(tokenizer, tiny_config):
    config = tiny_config(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2)
    made = BertForQuestionAnswering(config)
    initialise(made, "normal", seed=3)
    return made


@pytest.fixture
def saved(network, tokenizer, tmp_path):
    with stage_artefact(tmp_path / "model", kind="model", command="test", configuration={}) as staging:
        save_model(network, staging.folder, tokenizer, model_card="")
    return tmp_path / "model"


def batch_of(tokenizer, *, equal_lengths=False, misplaced=(), count=9):
    """Questions of one word; every third has no answer."""
    random = np.random.default_rng(0)
    questions = []
    for index in range(count):
        words = random.choice(WORDS, size=8 if equal_lengths else random.integers(2, 14)).tolist()
        first = int(random.integers(len(words)))
        answer = Answer(words[first] + "x" * (index in misplaced), sum(len(word) + 1 for word in words[:first]))
        impossible = index % 3 == 2
        questions.append(Question(str(index), " ".join(words), "it", () if impossible else (answer,), impossible))
    encoded = encode_questions(questions, tokenizer, InputLimits(max_seq_length=24), labelled=True)
    return encoded.batch(range(len(encoded)))


def padded(batch, tokenizer):
    """The batch as transformers takes it, and which places hold a token."""
    mask = torch.arange(batch.inputs.max_seqlen) < batch.inputs.cu_seqlens.diff()[:, None]
    ids, segments = torch.full(mask.shape, tokenizer.pad_id), torch.zeros(mask.shape, dtype=torch.int64)
    ids[mask], segments[mask] = batch.inputs.token_ids, batch.inputs.segment_ids
    return {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask.long()}, mask


def closely(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("equal_lengths", [True, False])
def test_scores_loss_and_gradients_equal_transformers(network, saved, tokenizer, equal_lengths):
    reference, info = AutoModelForQuestionAnswering.from_pretrained(saved, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    batch = batch_of(tokenizer, equal_lengths=equal_lengths)
    assert len(set(batch.inputs.cu_seqlens.diff().tolist())) == 1 or not equal_lengths
    inputs, mask = padded(batch, tokenizer)
    starts, ends = batch.labels.unbind(dim=1)
    theirs = reference.eval()(**inputs, start_positions=starts, end_positions=ends)
    closely(network(batch.inputs), torch.stack([theirs.start_logits, theirs.end_logits], dim=2)[mask].detach())
    their_loss = theirs.loss
    if not equal_lengths:  # transformers' softmax is over the padding too
        their_loss = sum(
            torch.nn.functional.cross_entropy(scores.masked_fill(~mask, -torch.inf), labels) / 2
            for scores, labels in ((theirs.start_logits, starts), (theirs.end_logits, ends))
        )
    their_loss.backward()
    loss, _ = SpanObjective(network, LossSettings())(batch, batch)
    closely(loss.detach(), their_loss.detach())
    loss.backward()
    gradients = BERT_NAMES.to_hugging_face({name: parameter.grad for name, parameter in network.named_parameters()})
    for name, parameter in reference.named_parameters():
        closely(gradients[name], parameter.grad)


def test_a_saved_network_is_read_back(network, saved, tokenizer):
    batch = batch_of(tokenizer)
    again = load_model(BertForQuestionAnswering, saved)
    torch.testing.assert_close(again.eval()(batch.inputs), network.eval()(batch.inputs))


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_parts_of_a_batch_add_up(network, tokenizer, size):
    batch = batch_of(tokenizer, misplaced=(1, 4))
    objective = SpanObjective(network, LossSettings())
    whole, metrics = objective(batch, batch)
    parts = [objective(batch.slice(start, min(start + size, 9)), batch) for start in range(0, 9, size)]
    closely(sum(loss for loss, _ in parts), whole)
    closely(sum(part["blind_loss"] for _, part in parts), metrics["blind_loss"])


def test_blind_guessing_points_at_every_token_alike(network, tokenizer):
    batch = batch_of(tokenizer)
    _, metrics = SpanObjective(network, LossSettings())(batch, batch)
    lengths = batch.inputs.cu_seqlens.diff().tolist()
    assert metrics["blind_loss"].item() == pytest.approx(sum(map(math.log, lengths)) / len(lengths))
    network.qa_outputs.weight.data.zero_()
    loss, _ = SpanObjective(network, LossSettings())(batch, batch)
    closely(loss.detach(), metrics["blind_loss"])


def test_nothing_is_learnt_where_the_answer_is_unknown(network, tokenizer):
    batch = batch_of(tokenizer, misplaced=(0, 3))
    known = batch_of(tokenizer)
    objective = SpanObjective(network, LossSettings())
    with torch.no_grad():
        singles = [objective(known.slice(index, index + 1), known.slice(index, index + 1))[0] for index in range(9)]
        loss, _ = objective(batch, batch)
    closely(loss, torch.stack([single for index, single in enumerate(singles) if index not in (0, 3)]).mean())


def test_a_batch_from_which_nothing_is_learnt_has_no_loss_and_no_gradient(network, tokenizer):
    batch = batch_of(tokenizer, misplaced=(0, 1), count=2)
    loss, metrics = SpanObjective(network, LossSettings())(batch, batch)
    loss.backward()
    assert loss.item() == metrics["blind_loss"].item() == 0
    assert all(not parameter.grad.any() for parameter in network.parameters())


def test_rows_end_in_places_that_cannot_be_chosen():
    scores = torch.arange(10, dtype=torch.bfloat16).reshape(5, 2)
    rows = as_rows(scores, torch.tensor([2, 3]), 3)
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[[0, 1], [2, 3], [-math.inf] * 2], [[4, 5], [6, 7], [8, 9]]]
