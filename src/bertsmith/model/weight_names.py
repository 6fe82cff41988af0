"""Our weight names and Hugging Face's: one table, read in both directions.

A row names modules; `weight` and `bias` have the same names on both sides. Several names on the right are tensors that
we keep as one, end to end along the first dimension. `#` is the number of a layer. Names of the encoder have the prefix
`bert.` wherever the encoder is a part of a larger model, on both sides.
"""

import re
from collections.abc import Mapping

from torch import Tensor

PREFIX = "bert."

_MODULES: dict[str, tuple[str, ...]] = {
    "embeddings.tokens": ("embeddings.word_embeddings",),
    "embeddings.positions": ("embeddings.position_embeddings",),
    "embeddings.segments": ("embeddings.token_type_embeddings",),
    "embeddings.norm": ("embeddings.LayerNorm",),
    "encoder.layers.#.attention.qkv": (
        "encoder.layer.#.attention.self.query",
        "encoder.layer.#.attention.self.key",
        "encoder.layer.#.attention.self.value",
    ),
    "encoder.layers.#.attention.output": ("encoder.layer.#.attention.output.dense",),
    "encoder.layers.#.attention_norm": ("encoder.layer.#.attention.output.LayerNorm",),
    "encoder.layers.#.feed_forward.expand": ("encoder.layer.#.intermediate.dense",),
    "encoder.layers.#.feed_forward.contract": ("encoder.layer.#.output.dense",),
    "encoder.layers.#.feed_forward_norm": ("encoder.layer.#.output.LayerNorm",),
    "pooler.dense": ("pooler.dense",),
    "masked_lm.transform": ("cls.predictions.transform.dense",),
    "masked_lm.norm": ("cls.predictions.transform.LayerNorm",),
    "masked_lm": ("cls.predictions",),  # its bias, one for each piece
    "next_sentence": ("cls.seq_relationship",),
    "classifier": ("classifier",),
    "qa_outputs": ("qa_outputs",),
}

# What is added to an encoder: a folder may lack it, and it may hold one that a model does not have.
HEADS = ("pooler", "masked_lm", "next_sentence", "classifier", "qa_outputs")

# Tensors of Hugging Face folders that carry nothing of ours.
_HARMLESS = ("embeddings.position_ids",)

# The vocabulary layer is the token embeddings again; older files store both.
TIED = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def hugging_face_names(name: str) -> tuple[str, ...]:
    """The names of the tensors that, end to end, are our tensor `name`."""
    prefix = PREFIX if name.startswith(PREFIX) else ""
    module, _, parameter = name.removeprefix(PREFIX).rpartition(".")
    layer = re.search(r"\.(\d+)\.", module)
    number = f".{layer[1]}." if layer else ""
    theirs = _MODULES[module.replace(number, ".#.") if layer else module]
    return tuple(f"{prefix}{other}.{parameter}".replace(".#.", number) for other in theirs)


def head_of(name: str) -> str | None:
    """The head that our tensor `name` belongs to, None for the encoder's own."""
    first = name.removeprefix(PREFIX).partition(".")[0]
    return first if first in HEADS else None


def plain_name(name: str) -> str:
    """One of Hugging Face's names without what differs between versions: the prefix, and LayerNorm's gamma and beta."""
    name = name.removeprefix(PREFIX)
    return re.sub(r"LayerNorm\.(gamma|beta)$", lambda old: f"LayerNorm.{_OLD_NAMES[old[1]]}", name)


_OLD_NAMES = {"gamma": "weight", "beta": "bias"}


def is_harmless(name: str) -> bool:
    """Whether a tensor with this plain name may be left unread: another head, a table of positions, a tied weight."""
    if name in _HARMLESS or name in TIED:
        return True
    module, _, parameter = name.rpartition(".")
    heads = {other for ours, theirs in _MODULES.items() if head_of(f"{ours}.") for other in theirs}
    return module in heads and parameter in {"weight", "bias"}


def to_hugging_face(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under their names, split where they keep several."""
    theirs: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        names = hugging_face_names(name)
        theirs |= zip(names, tensor.chunk(len(names)), strict=True)
    return theirs
