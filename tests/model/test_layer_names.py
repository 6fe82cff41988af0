"""Layers by name are those of the paper's table 7, in networks of any depth."""

import pytest

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.layer_names import layer_numbers


@pytest.mark.parametrize(
    ("entry", "numbers"),
    [
        ("embeddings", [0]),
        ("second-to-last", [11]),
        ("last", [12]),
        ("last4", [9, 10, 11, 12]),
        ("all", list(range(1, 13))),
        ("3", [3]),
    ],
)
def test_a_name_is_the_layers_that_the_paper_means(entry: str, numbers: list[int]):
    assert layer_numbers([entry], 12, "--layers") == numbers


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
def test_the_last_four_of_a_shallow_network_are_all_its_layers_without_the_embeddings(num_layers: int):
    assert layer_numbers(["last4"], num_layers, "--layers") == layer_numbers(["all"], num_layers, "--layers")


def test_a_layer_is_refused_if_it_is_not_there_or_is_named_twice():
    with pytest.raises(ConfigurationError, match="no layer '3': it has 2 layers"):
        layer_numbers(["3"], 2, "--layers")
    with pytest.raises(ConfigurationError, match="no layer 'middle'"):
        layer_numbers(["middle"], 2, "--layers")
    with pytest.raises(ConfigurationError, match="a layer twice"):
        layer_numbers(["last", "2"], 2, "--layers")
