"""Layers of a network by name: what `features` and the feature-based approach let one choose (BERT 5.3, table 7)."""

from collections.abc import Sequence

from bertsmith.core.errors import ConfigurationError

LAYER_NAMES = ("embeddings", "second-to-last", "last", "last4", "all")


def layer_numbers(entries: Sequence[str], num_layers: int, flag: str) -> list[int]:
    """The chosen layers of a network with `num_layers`, in the order given: 0 is the embeddings, 1 the first layer.

    Of a network with fewer than four layers, last4 is all of them, never the embeddings.

    entries  names of LAYER_NAMES, or numbers
    flag     what the user chose them with, for the message
    raises   ConfigurationError for a layer that the network does not have, or one named twice
    """
    chosen = [number for entry in entries for number in _numbers(entry, num_layers, flag)]
    if len(set(chosen)) < len(chosen):
        raise ConfigurationError(f"{flag} {' '.join(entries)} names a layer twice; the network has {num_layers}.")
    return chosen


def _numbers(entry: str, num_layers: int, flag: str) -> list[int]:
    named = {
        "embeddings": [0],
        "second-to-last": [num_layers - 1],
        "last": [num_layers],
        "last4": list(range(max(1, num_layers - 3), num_layers + 1)),
        "all": list(range(1, num_layers + 1)),
    }
    numbers = named.get(entry, [int(entry)] if entry.isdecimal() else [])
    if not numbers or min(numbers) < 0 or max(numbers) > num_layers:
        raise ConfigurationError(
            f"This network has no layer '{entry}': it has {num_layers} layers. {flag} takes {', '.join(LAYER_NAMES)}, "
            f"or numbers from 0 (the embeddings) to {num_layers}."
        )
    return numbers
