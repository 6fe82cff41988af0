"""GPT against transformers': states, logits, losses and all gradients to 1e-5 in float32; and what it may not see."""

from functools import partial

import pytest
import torch
import transformers
from torch import nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.core.errors import ConfigurationError, MismatchedArtefact
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import load_model, save_model
from bertsmith.model.folder_configuration import load_config
from bertsmith.model.gpt import Gpt, GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.gpt_for_tasks import GptForMultipleChoice, with_language_model
from bertsmith.model.losses import cross_entropy_sum
from bertsmith.model.weight_names import GPT_NAMES

assert_close = partial(torch.testing.assert_close, rtol=0, atol=1e-5)
backends = pytest.mark.parametrize("backend", ["dense", "reference"])  # varlen is for 16 bits on a GPU


@pytest.fixture
def gpt_config():
    rates = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "summary_first_dropout": 0.0}
    return GptConfig(vocab_size=211, n_positions=512, n_embd=48, n_layer=3, n_head=4, layer_norm_epsilon=1e-6, **rates)


def padded_of(inputs):
    return {name: inputs.padded[name] for name in ("input_ids", "attention_mask")}


def assert_gradients_equal(model, twin):
    ours = GPT_NAMES.to_hugging_face({name: parameter.grad for name, parameter in model.named_parameters()})
    theirs = {name: parameter.grad for name, parameter in twin.named_parameters()}
    assert set(ours) == set(theirs)
    for name, gradient in ours.items():
        assert gradient.abs().max() > 0, f"{name} has no gradient"
        assert_close(gradient, theirs[name], msg=lambda message, name=name: f"{name}: {message}")


@backends
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_states_of_every_layer_equal_transformers(backend, activation, gpt_config, make_inputs, randomise, make_twin):
    model = randomise(Gpt(gpt_config.model_copy(update={"afn": activation})))
    inputs = make_inputs()
    twin = make_twin(transformers.OpenAIGPTModel, model)
    theirs = twin(**padded_of(inputs), output_hidden_states=True).hidden_states
    states = model.hidden_states(inputs.flat, attention=backend)
    assert len(states) == len(theirs) == 4
    for ours, other in zip(states, theirs, strict=True):
        assert_close(ours, inputs.flatten(other))
    assert_close(model(inputs.flat, attention=backend), states[-1])


@backends
def test_language_model_logits_loss_and_all_gradients_equal_transformers(
    backend, gpt_config, make_inputs, randomise, make_twin
):
    model = randomise(GptLanguageModel(gpt_config))
    twin = make_twin(transformers.OpenAIGPTLMHeadModel, model)
    inputs = make_inputs(lengths=(3, 17, 100, 5))
    labels = inputs.padded["input_ids"].masked_fill(inputs.padded["attention_mask"] == 0, -100)
    theirs = twin(**padded_of(inputs), labels=labels)
    theirs.loss.backward()

    flat = inputs.flat
    is_last = torch.zeros(flat.num_tokens, dtype=torch.bool)
    is_last[flat.cu_seqlens[1:].long() - 1] = True
    rows = (~is_last).nonzero().squeeze(1)
    logits = model(flat, rows, attention=backend).token_logits
    loss = cross_entropy_sum(logits, flat.token_ids[rows + 1]) / len(rows)
    loss.backward()

    assert_close(logits, inputs.flatten(theirs.logits)[rows])
    assert_close(loss, theirs.loss)
    assert_gradients_equal(model, twin)


@backends
def test_both_heads_and_all_gradients_equal_transformers(backend, gpt_config, make_inputs, randomise, make_twin):
    model = randomise(GptForMultipleChoice(gpt_config))
    twin = make_twin(transformers.OpenAIGPTDoubleHeadsModel, model)
    inputs = make_inputs(lengths=(9, 17, 30, 12, 5, 21))  # three choices for each of two questions
    flat = inputs.flat
    choices = {name: values.view(2, 3, -1) for name, values in padded_of(inputs).items()}
    places = (flat.last_tokens - flat.first_tokens).view(2, 3)
    labels = choices["input_ids"].masked_fill(choices["attention_mask"] == 0, -100)
    right = torch.tensor([2, 0])
    # theirs fails on a mask of choices; it needs none, since what is filled up stands after all tokens
    theirs = twin(choices["input_ids"], mc_token_ids=places, labels=labels, mc_labels=right)
    (theirs.mc_loss + 0.5 * theirs.loss).backward()

    ours = with_language_model(model, flat, attention=backend)
    lm_loss = ours.language_loss / ours.num_tokens
    scores = ours.outputs.view(2, 3)
    choice_loss = cross_entropy_sum(scores, right) / 2
    (choice_loss + 0.5 * lm_loss).backward()

    assert_close(scores, theirs.mc_logits)
    assert_close(choice_loss, theirs.mc_loss)
    assert_close(lm_loss, theirs.loss)
    assert_gradients_equal(model, twin)


def test_greedy_decoding_equals_transformers(gpt_config, randomise, make_twin):
    model = randomise(GptLanguageModel(gpt_config)).eval()
    twin = make_twin(transformers.OpenAIGPTLMHeadModel, model).eval()
    twin.generation_config.pad_token_id = 0
    for beginning in ([17], [5, 9, 120, 33], list(range(50, 80))):
        theirs = twin.generate(
            torch.tensor([beginning]), attention_mask=torch.ones(1, len(beginning)), max_new_tokens=40, do_sample=False
        )
        ours = list(beginning)
        with torch.no_grad():
            for _ in range(40):
                inputs = FlatBatch.from_sequences([ours], [[0] * len(ours)])
                ours.append(int(model(inputs, inputs.last_tokens).token_logits[0].argmax()))
        assert ours == theirs[0].tolist()


@backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_later_token_changes_no_bit_of_an_earlier_state(backend, dtype, gpt_config, make_inputs, randomise):
    model = randomise(Gpt(gpt_config)).to(dtype).eval()
    inputs = make_inputs(lengths=(40, 64, 3)).flat
    before = model.hidden_states(inputs, attention=backend)
    for place in (39, 40 + 20, 40 + 63):
        changed = inputs.token_ids.clone()
        changed[place] = 7
        after = model.hidden_states(FlatBatch(changed, *list(vars(inputs).values())[1:5]), attention=backend)
        begin = 0 if place < 40 else 40
        same = [token for token in range(inputs.num_tokens) if not begin <= token < begin + 64 or token < place]
        for old, new in zip(before, after, strict=True):
            assert torch.equal(old[same], new[same])
            assert not torch.equal(old[place], new[place])


@backends
def test_gradients_of_dropped_out_causal_attention_flow_to_earlier_tokens_only(
    backend, gpt_config, make_inputs, randomise
):
    config = gpt_config.model_copy(update={"attn_pdrop": 0.3, "resid_pdrop": 0.3, "embd_pdrop": 0.3})
    model = randomise(Gpt(config)).train()
    inputs = make_inputs(lengths=(12,)).flat
    states = model(inputs, torch.tensor([5]), attention=backend)
    states.sum().backward()
    seen = model.embeddings.positions.weight.grad.abs().sum(1) > 0
    assert seen[:6].all() and not seen[6:].any()


@pytest.mark.parametrize("model_class", [Gpt, GptLanguageModel, GptForMultipleChoice])
def test_a_saved_folder_is_read_by_transformers_and_by_us(
    model_class, gpt_config, make_inputs, randomise, tokenizer, tmp_path
):
    model = randomise(model_class(gpt_config)).eval()
    save_model(model, tmp_path, tokenizer, model_card="A GPT.\n")
    again = load_model(model_class, tmp_path)
    assert load_config(GptConfig, tmp_path) == gpt_config
    for (name, ours), other in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, other), name
    twin_class = getattr(transformers, model_class.architecture)
    twin, info = twin_class.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    inputs = make_inputs(lengths=(17, 30))
    theirs = twin.eval()(**padded_of(inputs), output_hidden_states=True).hidden_states[-1]
    gpt = model if model_class is Gpt else model.gpt
    assert_close(gpt(inputs.flat), inputs.flatten(theirs))


def test_what_transformers_saves_is_read(gpt_config, make_inputs, tmp_path):
    twin = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(**gpt_config.to_hugging_face())).eval()
    twin.save_pretrained(tmp_path)
    inputs = make_inputs(lengths=(17, 30))
    every_token = torch.arange(inputs.flat.num_tokens)
    logits = load_model(GptLanguageModel, tmp_path).eval()(inputs.flat, every_token).token_logits
    assert_close(logits, inputs.flatten(twin(**padded_of(inputs)).logits))
    with pytest.raises(MismatchedArtefact, match="holds a GPT, and what you ask for needs a BERT"):
        load_config(BertConfig, tmp_path)
    choice = load_model(GptForMultipleChoice, tmp_path, seed=3).choice
    assert isinstance(choice, nn.Linear)
    assert choice.weight.abs().max() > 0


def test_sizes_are_those_of_bert():
    config = GptConfig.of_size("mini", vocab_size=1000)
    assert (config.n_layer, config.n_embd, config.n_head, config.layers.intermediate_size) == (4, 256, 4, 1024)
    with pytest.raises(ConfigurationError, match="no model size 'giant'"):
        GptConfig.of_size("giant")
    with pytest.raises(ConfigurationError, match="not a multiple"):
        GptConfig.from_hugging_face({"n_embd": 50, "n_head": 4}, "config.json")
