"""What a BERT is made of: sizes, rates and limits, under the names of Hugging Face's `config.json`."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, model_validator

from bertsmith.core.configuration import Settings, build_settings
from bertsmith.core.errors import ArtefactError, ConfigurationError
from bertsmith.model.weight_names import BERT_NAMES, WeightNames

CONFIGURATION_FILE = "config.json"

Activation = Literal["gelu", "gelu_new", "relu"]
Problem = Literal["classification", "multi_label", "regression"]
ConfigType = TypeVar("ConfigType", bound=Settings)

# name -> (layers, hidden size, heads). Base and Large: BERT 3; the others: the authors' later small models.
SIZES: dict[str, tuple[int, int, int]] = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}

# Keys of a config.json that change what the network computes, and the only values that we compute.
_FIXED_KEYS: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute",),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "pruned_heads": ({},),
}
_PROBLEM_TYPES: dict[str, Problem] = {
    "single_label_classification": "classification",
    "multi_label_classification": "multi_label",
    "regression": "regression",
}


class BertConfig(Settings):
    """The shape of the network and its dropout rates. Defaults: BERT-Base (BERT 3; A.2)."""

    model_type: ClassVar[str] = "bert"  # of config.json
    weight_names: ClassVar[WeightNames] = BERT_NAMES

    vocab_size: int = Field(30522, ge=1, description="pieces in the vocabulary")
    hidden_size: int = Field(768, ge=1, description="width H of every hidden state")
    num_hidden_layers: int = Field(12, ge=1, description="Transformer layers L")
    num_attention_heads: int = Field(12, ge=1, description="attention heads A of each layer; divides the hidden size")
    intermediate_size: int = Field(3072, ge=1, description="width of the feed-forward layer; 4 H in the paper")
    hidden_act: Activation = Field("gelu", description="activation; gelu_new is its tanh approximation")
    hidden_dropout_prob: float = Field(
        0.1, ge=0, lt=1, description="dropout of embeddings and of each sublayer's output"
    )
    attention_probs_dropout_prob: float = Field(0.1, ge=0, lt=1, description="dropout of attention probabilities")
    classifier_dropout: float | None = Field(
        None, ge=0, lt=1, description="dropout before a classifier; None: the same as hidden_dropout_prob"
    )
    max_position_embeddings: int = Field(512, ge=1, description="longest sequence in tokens")
    type_vocab_size: int = Field(2, ge=1, description="segments that have an embedding")
    initializer_range: float = Field(0.02, gt=0, description="standard deviation of initial weights, before truncation")
    layer_norm_eps: float = Field(1e-12, gt=0, description="added to the variance in LayerNorm")
    is_decoder: bool = Field(False, description="attention from left to right: no token sees a later one")
    pad_token_id: int = Field(0, ge=0, description="id of [PAD]; kept for other libraries, since we never pad")

    @model_validator(mode="after")
    def _heads_divide_the_hidden_size(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        return self

    def with_dropout(self, rate: float) -> Self:
        """The same network with one rate everywhere."""
        return self.model_copy(update=dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), rate))

    @property
    def state_size(self) -> int:
        """Width H of a state, whatever the family calls it."""
        return self.hidden_size

    @property
    def head_size(self) -> int:
        """Width D of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def of_size(cls, size: str, **settings: Any) -> Self:  # noqa: ANN401
        """A configuration by name (`SIZES`), feed-forward width 4 H; `settings` overrule."""
        if size not in SIZES:
            raise ConfigurationError(f"There is no model size '{size}'. The sizes are {', '.join(SIZES)}.")
        layers, hidden_size, heads = SIZES[size]
        shape = {
            "num_hidden_layers": layers,
            "hidden_size": hidden_size,
            "num_attention_heads": heads,
            "intermediate_size": 4 * hidden_size,
        }
        return build_settings(cls, shape, settings)

    def to_hugging_face(self) -> dict[str, Any]:
        """The entries of a `config.json` that describe the network."""
        return {"model_type": self.model_type} | self.model_dump()

    @classmethod
    def from_hugging_face(cls, entries: Mapping[str, Any], source: str) -> Self:
        """Read a `config.json`; keys that do not concern the network are ignored.

        source  where the entries come from, for the message
        raises  ConfigurationError for a network that is not this one, by the name of the key
        """
        return read_network(
            cls, entries, source, {"model_type": (cls.model_type,)} | _FIXED_KEYS, nullable={"classifier_dropout"}
        )


def read_network(
    config_class: type[ConfigType],
    entries: Mapping[str, Any],
    source: str,
    fixed_keys: Mapping[str, tuple[Any, ...]],
    nullable: Collection[str] = (),
) -> ConfigType:
    """The configuration of a network from the entries of a `config.json`.

    fixed_keys  keys that change what is computed, and the only values that we compute; they need not be there
    nullable    fields that may be null; another field that is null has its default
    raises      ConfigurationError for a network that is not this one, by the name of the key
    """
    for key, allowed in fixed_keys.items():
        value = entries.get(key)
        if value is not None and value not in allowed:
            raise ConfigurationError(
                f"{source} describes a network that bertsmith does not build: {key} is {json.dumps(value)}, "
                f"and only {json.dumps(allowed[0])} is supported."
            )
    known = {
        key: entries[key]
        for key in config_class.model_fields
        if key in entries and (entries[key] is not None or key in nullable)
    }
    try:
        return build_settings(config_class, known)
    except ConfigurationError as error:
        raise ConfigurationError(f"{source} cannot be used. {error}") from None


@dataclass(frozen=True)
class ClassifierLabels:
    """What the outputs of a classifier of sequences or tokens mean.

    names    one for each output, in order; a regression has one output
    problem  "classification": softmax over the outputs; "multi_label": each output is yes or no by itself;
             "regression": the output is the number itself
    """

    names: tuple[str, ...]
    problem: Problem = "classification"

    def __post_init__(self) -> None:
        least = 2 if self.problem == "classification" else 1
        wrong_count = len(self.names) < least or (self.problem == "regression" and len(self.names) > 1)
        if wrong_count:
            problem = self.problem.replace("_", "-")
            raise ConfigurationError(f"A {problem} cannot have {len(self.names)} outputs: {list(self.names)}.")

    def to_hugging_face(self) -> dict[str, Any]:
        """The entries of a `config.json` that describe the labels."""
        problem_type = next(theirs for theirs, ours in _PROBLEM_TYPES.items() if ours == self.problem)
        return {
            "id2label": {str(index): name for index, name in enumerate(self.names)},
            "label2id": {name: index for index, name in enumerate(self.names)},
            "problem_type": problem_type,
        }

    @classmethod
    def from_hugging_face(cls, entries: Mapping[str, Any], source: str) -> Self:
        """Read the labels of a `config.json`; without any they are LABEL_0, LABEL_1, as in transformers."""
        by_id = entries.get("id2label") or {str(i): f"LABEL_{i}" for i in range(entries.get("num_labels", 2))}
        try:
            names = tuple(by_id[str(index)] for index in range(len(by_id)))
        except KeyError:
            raise ConfigurationError(f"{source} cannot be used: id2label does not number its labels from 0.") from None
        problem_type = entries.get("problem_type")
        if problem_type is None:
            problem_type = "regression" if len(names) == 1 else "single_label_classification"
        if problem_type not in _PROBLEM_TYPES:
            raise ConfigurationError(
                f"{source} describes a classifier that bertsmith does not build: problem_type is '{problem_type}', "
                f"and only {' and '.join(_PROBLEM_TYPES)} are supported."
            )
        return cls(names, _PROBLEM_TYPES[problem_type])


def read_hugging_face_config(folder: Path) -> dict[str, Any]:
    """The entries of `folder/config.json`."""
    path = folder / CONFIGURATION_FILE
    try:
        entries = json.loads(path.read_bytes())
    except OSError:
        raise ArtefactError(f"{folder} is not a model folder: it has no readable {CONFIGURATION_FILE}.") from None
    except ValueError as error:
        raise ArtefactError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(entries, dict):
        raise ArtefactError(f"{path} is not a JSON object.")
    return entries
