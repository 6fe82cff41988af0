"""GPT with one added layer: transformers' classes where it has them, and the loss beside the task."""

from functools import partial

import pytest
import torch
import transformers

from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.folder import load_model, save_model
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.gpt_for_tasks import (
    GptForMultipleChoice,
    GptForQuestionAnswering,
    GptForSequenceClassification,
    GptForTokenClassification,
    with_language_model,
)
from bertsmith.model.losses import cross_entropy_sum
from bertsmith.model.weight_names import GPT_NAMES

assert_close = partial(torch.testing.assert_close, rtol=0, atol=1e-5)
LABELS = ClassifierLabels(("no", "maybe", "yes"))
LENGTHS = (9, 17, 30, 12)
NETWORKS = {
    GptForSequenceClassification: (LABELS,),
    GptForMultipleChoice: (),
    GptForQuestionAnswering: (),
    GptForTokenClassification: (LABELS,),
}
networks = pytest.mark.parametrize("network_class", NETWORKS, ids=lambda made: made.__name__)


@pytest.fixture
def gpt_config():
    rates = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "summary_first_dropout": 0.0}
    return GptConfig(vocab_size=211, n_positions=64, n_embd=48, n_layer=3, n_head=4, **rates)


def test_classifier_logits_loss_and_all_gradients_equal_transformers(gpt_config, make_inputs, randomise, make_twin):
    model = randomise(GptForSequenceClassification(gpt_config, LABELS))
    settings = LABELS.to_hugging_face() | {"pad_token_id": 0}
    twin = make_twin(transformers.OpenAIGPTForSequenceClassification, model, **settings)
    inputs = make_inputs(lengths=LENGTHS)
    labels = torch.tensor([0, 2, 1, 1])
    padded = {name: inputs.padded[name] for name in ("input_ids", "attention_mask")}
    theirs = twin(**padded, labels=labels)
    theirs.loss.backward()
    logits = model(inputs.flat)
    loss = cross_entropy_sum(logits, labels) / len(labels)
    loss.backward()
    assert_close(logits, theirs.logits)
    assert_close(loss, theirs.loss)
    gradients = GPT_NAMES.to_hugging_face({name: weight.grad for name, weight in model.named_parameters()})
    of_twin = dict(twin.named_parameters())
    for name, gradient in gradients.items():
        assert_close(gradient, of_twin[name].grad)


def test_scores_of_choices_equal_transformers(gpt_config, make_inputs, randomise, make_twin):
    model = randomise(GptForMultipleChoice(gpt_config))
    twin = make_twin(transformers.OpenAIGPTDoubleHeadsModel, model)
    inputs = make_inputs(lengths=LENGTHS)
    places = (inputs.flat.last_tokens - inputs.flat.first_tokens)[:, None]
    theirs = twin(inputs.padded["input_ids"][:, None], mc_token_ids=places)
    assert_close(model(inputs.flat), theirs.mc_logits)


@networks
def test_the_loss_beside_the_task_is_that_of_the_language_model(network_class, gpt_config, make_inputs, randomise):
    model = randomise(network_class(gpt_config, *NETWORKS[network_class]))
    flat = make_inputs(lengths=LENGTHS).flat
    both = with_language_model(model, flat)
    assert_close(both.outputs, model(flat))
    alone = GptLanguageModel(gpt_config)
    alone.gpt = model.gpt
    is_last = torch.isin(torch.arange(flat.num_tokens), flat.last_tokens)
    before = (~is_last).nonzero().squeeze(1)
    expected = cross_entropy_sum(alone(flat, before).token_logits, flat.token_ids[before + 1])
    assert both.num_tokens == len(before)
    torch.testing.assert_close(both.language_loss, expected)


def test_tokens_that_are_asked_for_are_those_of_the_whole(gpt_config, make_inputs, randomise):
    model = randomise(GptForTokenClassification(gpt_config, LABELS)).eval()
    flat = make_inputs(lengths=LENGTHS).flat
    rows = torch.tensor([3, 0, 40])
    assert_close(model(flat, rows), model(flat)[rows])
    assert_close(with_language_model(model, flat, rows).outputs, model(flat)[rows])


@networks
def test_a_saved_folder_comes_back_and_a_language_model_lends_its_weights(
    network_class, gpt_config, make_inputs, randomise, tokenizer, tmp_path
):
    model = randomise(network_class(gpt_config, *NETWORKS[network_class])).eval()
    (tmp_path / "task").mkdir()
    save_model(model, tmp_path / "task", tokenizer, model_card="")
    flat = make_inputs(lengths=LENGTHS).flat
    assert torch.equal(load_model(network_class, tmp_path / "task").eval()(flat), model(flat))
    language_model = randomise(GptLanguageModel(gpt_config))
    (tmp_path / "language").mkdir()
    save_model(language_model, tmp_path / "language", tokenizer, model_card="")
    labels = {"labels": LABELS} if NETWORKS[network_class] else {}
    fresh = load_model(network_class, tmp_path / "language", seed=0, **labels)
    assert torch.equal(fresh.gpt.embeddings.tokens.weight, language_model.gpt.embeddings.tokens.weight)
