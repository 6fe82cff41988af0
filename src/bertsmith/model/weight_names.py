"""Our weight names and Hugging Face's: for each family of networks one table, read in both directions.

A row names modules; `weight` and `bias` have the same names on both sides. Several names on the right are tensors that
we keep as one, end to end along the first dimension. `#` is the number of a layer. Names of the encoder have a prefix
wherever the encoder is a part of a larger model.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_PARAMETERS = {"weight", "bias", "weights", "gamma"}  # of heads; the last two of a learnt sum of layers
_OLD_NAMES = {"gamma": "weight", "beta": "bias"}


@dataclass(frozen=True)
class WeightNames:
    """The names of one family.

    prefixes    ours and theirs of the encoder inside a larger model
    modules     our module -> theirs
    heads       our names of what is added to an encoder: a folder may lack it, and may hold one that a model has not
    tied        their name of a second copy that some files hold -> their name of the tensor that it is a copy of
    harmless    patterns of their names of tensors that carry nothing of ours
    transposed  modules whose matrices they keep the other way round, [in, out]
    vocabulary  our name of the head that the copies serve; None: the encoder's own
    """

    prefixes: tuple[str, str]
    modules: Mapping[str, tuple[str, ...]]
    heads: tuple[str, ...]
    tied: Mapping[str, str]
    harmless: tuple[str, ...] = ()
    transposed: frozenset[str] = frozenset()
    vocabulary: str | None = None

    def of(self, name: str) -> tuple[str, ...]:
        """The names of the tensors that, end to end, are our tensor `name`."""
        ours, theirs = self.prefixes
        prefix = theirs if name.startswith(ours) else ""
        module, parameter = self._row(name)
        layer = re.search(r"\.(\d+)\.", name)
        number = f".{layer[1]}." if layer else ""
        return tuple(f"{prefix}{other}.{parameter}".replace(".#.", number) for other in self.modules[module])

    def head_of(self, name: str) -> str | None:
        """The head that our tensor `name` belongs to, None for the encoder's own."""
        first = name.removeprefix(self.prefixes[0]).partition(".")[0]
        return first if first in self.heads else None

    def plain(self, name: str) -> str:
        """One of their names without what differs between versions: the prefix, and LayerNorm's gamma and beta."""
        name = name.removeprefix(self.prefixes[1])
        return re.sub(r"LayerNorm\.(gamma|beta)$", lambda old: f"LayerNorm.{_OLD_NAMES[old[1]]}", name)

    def is_harmless(self, name: str) -> bool:
        """Whether a tensor with this plain name may be left unread: another head, a table of positions, a copy."""
        if name in self.tied or any(re.fullmatch(pattern, name) for pattern in self.harmless):
            return True
        module, parameter = self._row(name)
        heads = {other for ours, theirs in self.modules.items() if self.head_of(f"{ours}.") for other in theirs}
        return module in heads and parameter in _PARAMETERS

    def to_hugging_face(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under their names, in their shapes, split where they keep several."""
        theirs: dict[str, Tensor] = {}
        for name, tensor in weights.items():
            names = self.of(name)
            parts = (tensor,) if len(names) == 1 else tensor.chunk(len(names))
            theirs |= zip(names, (part.mT if self._is_transposed(name) else part for part in parts), strict=True)
        return theirs

    def from_hugging_face(self, name: str, parts: Sequence[Tensor]) -> Tensor:
        """Our tensor `name`, of what they keep it as."""
        turned = [part.mT if self._is_transposed(name) else part for part in parts]
        return turned[0] if len(turned) == 1 else torch.cat(turned)

    def shape_of_part(self, name: str, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of each tensor that they keep our tensor `name`, of this shape, as."""
        count = len(self.of(name))
        part = tuple(shape) if count == 1 else (shape[0] // count, *shape[1:])
        return part[::-1] if self._is_transposed(name) else part

    def _row(self, name: str) -> tuple[str, str]:
        """Our module, with # for the number of a layer, and the parameter."""
        module, _, parameter = name.removeprefix(self.prefixes[0]).rpartition(".")
        return re.sub(r"\.\d+(?=\.|$)", ".#", module), parameter

    def _is_transposed(self, name: str) -> bool:
        module, parameter = self._row(name)
        return parameter == "weight" and module in self.transposed


# What a BiLSTM on an encoder is made of: transformers has no such network, so the names are ours.
_BILSTM_MODULES = {
    name: (name,)
    for name in (
        "mix",
        "bilstm.compare",
        "summary",
        *(
            f"bilstm.{layer}.{direction}_lstm.{part}_gates"
            for layer in ("first", "second")
            for direction in ("forward", "backward")
            for part in ("input", "recurrent")
        ),
    )
}
_BILSTM_HEADS = ("mix", "bilstm", "summary")

BERT_NAMES = WeightNames(
    prefixes=("bert.", "bert."),
    modules={
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
        **_BILSTM_MODULES,
    },
    heads=("pooler", "masked_lm", "next_sentence", "classifier", "qa_outputs", *_BILSTM_HEADS),
    tied={  # the vocabulary layer is the token embeddings again; older files store both
        "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    harmless=(r"embeddings\.position_ids",),
    vocabulary="masked_lm",
)

GPT_NAMES = WeightNames(
    prefixes=("gpt.", "transformer."),
    modules={
        "embeddings.tokens": ("tokens_embed",),
        "embeddings.positions": ("positions_embed",),
        "decoder.layers.#.attention.qkv": ("h.#.attn.c_attn",),
        "decoder.layers.#.attention.output": ("h.#.attn.c_proj",),
        "decoder.layers.#.attention_norm": ("h.#.ln_1",),
        "decoder.layers.#.feed_forward.expand": ("h.#.mlp.c_fc",),
        "decoder.layers.#.feed_forward.contract": ("h.#.mlp.c_proj",),
        "decoder.layers.#.feed_forward_norm": ("h.#.ln_2",),
        "choice": ("multiple_choice_head.summary",),
        "classifier": ("score",),
        "qa_outputs": ("qa_outputs",),
        **_BILSTM_MODULES,
    },
    heads=("choice", "classifier", "qa_outputs", *_BILSTM_HEADS),
    tied={"lm_head.weight": "tokens_embed.weight"},
    harmless=(r"position_ids", r"h\.\d+\.attn\.bias"),  # tables of positions and of what is later than what
    transposed=frozenset(
        f"decoder.layers.#.{product}"
        for product in ("attention.qkv", "attention.output", "feed_forward.expand", "feed_forward.contract")
    ),
)

# transformers has no ELMo: the names are ours on both sides
ELMO_NAMES = WeightNames(
    prefixes=("elmo.", "elmo."),
    modules={
        name: (name,)
        for name in (
            "words.characters",
            "words.filters.#",
            "words.highways.#.transform",
            "words.highways.#.gate",
            "words.projection",
            *(
                f"{direction}_model.layers.#.{part}"
                for direction in ("forward", "backward")
                for part in ("input_gates", "recurrent_gates", "projection")
            ),
            "vocabulary.head",
            "vocabulary.narrow.#",
            "vocabulary.tails.#",
            "classifier",
            "qa_outputs",
        )
    }
    | _BILSTM_MODULES,
    heads=("vocabulary", "classifier", "qa_outputs", *_BILSTM_HEADS),
    tied={},
)
