"""The encoder computes a few more rows than there are tokens, and nobody can tell."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import ConfigurationError
from bertsmith.model import encoder
from bertsmith.model.bert import Bert
from bertsmith.model.encoder import checkpoint_activations, compile_layers
from bertsmith.model.initialisation import initialise


@given(st.integers(1, 10**6))
def test_rows_are_rounded_up_by_a_sixteenth_at_most(count):
    assert count <= encoder.padded_rows(count) <= count * 17 / 16


def test_between_two_powers_of_two_there_are_sixteen_numbers_of_rows():
    assert len({encoder.padded_rows(count) for count in range(2049, 4097)}) == 16


@pytest.mark.parametrize("rows", [None, [0, 30, 61, 62, 3]], ids=["all states", "some states"])
def test_padding_changes_neither_states_nor_gradients(rows, tiny_config, make_inputs, monkeypatch):
    inputs = make_inputs(lengths=(30, 31, 2)).flat  # 63 tokens, 64 rows
    chosen = None if rows is None else torch.tensor(rows)
    results = []
    for padded_rows in (lambda count: count, encoder.padded_rows, lambda count: count + 40):
        monkeypatch.setattr(encoder, "padded_rows", padded_rows)
        model = Bert(tiny_config)
        initialise(model, "normal", seed=0)
        states = model(inputs, chosen)
        states.square().sum().backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        results.append((states.detach(), gradients))
    for states, gradients in results[1:]:
        torch.testing.assert_close(states, results[0][0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradients, results[0][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [None, [0, 30, 61, 62, 3]], ids=["all states", "some states"])
@pytest.mark.parametrize("attention", ["dense", "reference"])
def test_with_activation_checkpointing_less_is_kept_and_all_numbers_are_the_same(
    rows, attention, tiny_config, make_inputs
):
    inputs = make_inputs(lengths=(30, 31, 2)).flat
    chosen = None if rows is None else torch.tensor(rows)
    config = tiny_config.model_copy(update={"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
    results = []
    for is_checkpointed in (False, True):
        model = Bert(config).train()
        initialise(model, "normal", seed=0)
        if is_checkpointed:
            checkpoint_activations(model)
        kept = []
        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda _: None):
            states = model(inputs, chosen, attention=attention)
        sizes = sum(tensor.numel() for tensor in kept if not isinstance(tensor, torch.nn.Parameter))
        torch.manual_seed(0)
        states = model(inputs, chosen, attention=attention)
        states.square().sum().backward()
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        results.append((states.detach(), gradients, torch.get_rng_state(), sizes))
    (states, gradients, generator, size), (same_states, same_gradients, same_generator, smaller) = results
    assert torch.equal(states, same_states)
    assert len(gradients) == len(same_gradients)
    assert all(torch.equal(one, other) for one, other in zip(gradients, same_gradients, strict=True))
    assert torch.equal(generator, same_generator)
    assert smaller < 0.25 * size


@pytest.mark.slow  # a compiler runs
def test_compiled_layers_give_the_same_numbers(tiny_config, make_inputs):
    from torch._dynamo.utils import counters  # here, as it imports the compiler

    counters.clear()
    results = []
    for is_compiled in (False, True):
        model = Bert(tiny_config).train()
        initialise(model, "normal", seed=0)
        if is_compiled:
            compile_layers(model)
        states = [model(make_inputs(lengths=lengths).flat) for lengths in ((30, 31, 2), (5, 70), (9,))]
        torch.cat(states).square().mean().backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        results.append(([each.detach() for each in states], gradients))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)
    assert counters["stats"]["unique_graphs"] == 1  # for all layers and lengths


def test_a_network_without_layers_cannot_be_checkpointed_or_compiled():
    with pytest.raises(ConfigurationError, match="this one has none"):
        checkpoint_activations(torch.nn.Linear(2, 2))
    with pytest.raises(ConfigurationError, match="this one has none"):
        compile_layers(torch.nn.Linear(2, 2))


def test_the_states_of_each_layer_are_those_of_the_tokens(tiny_config, make_inputs):
    inputs = make_inputs(lengths=(40, 23, 2)).flat
    model = Bert(tiny_config)
    assert [len(states) for states in model.hidden_states(inputs)] == [65] * (tiny_config.num_hidden_layers + 1)
