"""Rates that fall from layer to layer, and layers that do not learn."""

import pytest
import torch

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert_for_tasks import BertForSequenceClassification
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.layer_settings import LayerSettings
from bertsmith.training.optimiser import Optimiser, OptimiserSettings

UNIFORM = OptimiserSettings(learning_rate=1.0, weight_decay=0.0, bias_correction=True, gradient_clip=1e9)


@pytest.fixture
def network(tokenizer, tiny_config):
    model = BertForSequenceClassification(tiny_config(tokenizer), ClassifierLabels(("no", "yes")))
    initialise(model, "normal", seed=0)
    return model


def test_the_rate_falls_by_the_same_factor_from_the_added_layer_down_to_the_embeddings():
    factor = LayerSettings(layer_decay=0.5).rate_factor(num_layers=2)
    assert [
        factor(name)
        for name in (
            "classifier.weight",
            "bert.pooler.dense.bias",
            "bert.encoder.layers.1.attention.qkv.weight",
            "bert.encoder.layers.0.feed_forward_norm.weight",
            "bert.embeddings.tokens.weight",
        )
    ] == [1.0, 1.0, 0.5, 0.25, 0.125]
    assert {LayerSettings().rate_factor(12)(name) for name in ("bert.embeddings.norm.bias", "classifier.bias")} == {1.0}


def test_adams_first_step_of_a_layer_is_its_rate(network):
    """A gradient of one everywhere: Adam's first step is the learning rate itself."""
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    factor = LayerSettings(layer_decay=0.5).rate_factor(2)
    optimiser = Optimiser(network, UNIFORM, torch.float32, factor)
    optimiser.zero_gradients()
    for parameter in network.parameters():
        parameter.grad.fill_(1.0)
    optimiser.step(0.1, optimiser.gradient_norm())
    for name, weight in optimiser.float32_weights().items():
        torch.testing.assert_close(
            before[name] - weight, torch.full_like(weight, 0.1 * factor(name)), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize(
    ("frozen_layers", "learning"),
    [
        (None, {"embeddings", "layers.0", "layers.1", "head"}),
        (0, {"layers.0", "layers.1", "head"}),
        (1, {"layers.1", "head"}),
        (2, {"head"}),
    ],
)
def test_frozen_layers_ask_for_no_gradient(network, frozen_layers, learning):
    LayerSettings(frozen_layers=frozen_layers).freeze(network)

    def place(name):
        return next((part for part in ("embeddings", "layers.0", "layers.1") if part in name), "head")

    assert {place(name) for name, weight in network.named_parameters() if weight.requires_grad} == learning


def test_more_frozen_layers_than_there_are_is_refused(network):
    with pytest.raises(ConfigurationError, match="--frozen-layers 3 is more than the 2 layers"):
        LayerSettings(frozen_layers=3).freeze(network)
