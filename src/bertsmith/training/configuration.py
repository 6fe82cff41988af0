"""Every setting of `pretrain`, in groups: model, data, training, runtime."""

import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from bertsmith.batches.configuration import BatchSettings
from bertsmith.core.configuration import Settings, build_settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.configuration import SIZES, BertConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.initialisation import InitialisationScheme
from bertsmith.training.machine import TrainingMachineSettings
from bertsmith.training.minimal_pairs import MinimalPairsName
from bertsmith.training.optimiser import OptimiserSettings
from bertsmith.training.schedule import Duration

DEFAULT_RECIPE = "paper-base"
PLANNED = "planned"  # stands for a recipe where there is none: `pretrain` decides what is left open (`planning`)

NetworkName = Literal["bert", "gpt", "elmo"]
SizeName = Literal["tiny", "mini", "small", "medium", "base", "large"]


def recipe_names() -> list[str]:
    """Names of the recipes that bertsmith brings."""
    folder = importlib.resources.files("bertsmith.recipes")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_recipe(name: str) -> dict[str, Any]:
    """Settings of a recipe by name, as a table for `build_settings`."""
    if name not in recipe_names():
        raise ConfigurationError(f"There is no recipe '{name}'. There are: {', '.join(recipe_names())}.")
    return tomllib.loads((importlib.resources.files("bertsmith.recipes") / f"{name}.toml").read_text(encoding="utf-8"))


class ModelSettings(Settings):
    """The network. Its vocabulary comes from the token store."""

    network: NetworkName = Field(
        "bert",
        description="bert; or gpt, which has no segments and tells the next piece (data.objective = next); or elmo, "
        "which joins pieces to words and tells the next and the previous word (objective = next, too)",
    )
    size: SizeName = Field("base", description="layers, width and heads by name (tiny 2/128/2 ... large 24/1024/16)")
    num_hidden_layers: int | None = Field(None, ge=1, description="layers, instead of the size's")
    hidden_size: int | None = Field(None, ge=1, description="width of the hidden states, instead of the size's")
    num_attention_heads: int | None = Field(None, ge=1, description="attention heads, instead of the size's")
    max_positions: int = Field(512, ge=8, description="longest sequence that the network can read, in tokens")
    hidden_dropout: float = Field(0.1, ge=0, lt=1, description="dropout of embeddings and of each layer's outputs")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="dropout of attention probabilities")
    num_words: int = Field(
        50_000, ge=1, description="size of an elmo's output vocabulary: the most frequent words; all others share one"
    )
    initialisation: InitialisationScheme = Field(
        "normal",
        description="initial weights: normal = the paper's; neighbour = heads that look at neighbours; "
        "cooccurrence = what pairs of words in the text say, counted first",
    )

    def bert_config(self, vocabulary_size: int, pad_id: int) -> BertConfig:
        """The complete configuration of the network."""
        layers, hidden_size, heads = SIZES[self.size]
        hidden_size = self.hidden_size or hidden_size
        return BertConfig.from_layers(
            {
                "vocab_size": vocabulary_size,
                "num_hidden_layers": self.num_hidden_layers or layers,
                "hidden_size": hidden_size,
                "num_attention_heads": self.num_attention_heads or heads,
                "intermediate_size": 4 * hidden_size,
                "max_position_embeddings": self.max_positions,
                "hidden_dropout_prob": self.hidden_dropout,
                "attention_probs_dropout_prob": self.attention_dropout,
                "pad_token_id": pad_id,
            }
        )

    def gpt_config(self, vocabulary_size: int) -> GptConfig:
        """The complete configuration of a GPT of the same size."""
        layers, hidden_size, heads = SIZES[self.size]
        return GptConfig.from_layers(
            {
                "vocab_size": vocabulary_size,
                "n_layer": self.num_hidden_layers or layers,
                "n_embd": self.hidden_size or hidden_size,
                "n_head": self.num_attention_heads or heads,
                "n_positions": self.max_positions,
                "resid_pdrop": self.hidden_dropout,
                "embd_pdrop": self.hidden_dropout,
                "attn_pdrop": self.attention_dropout,
            }
        )

    def elmo_config(self, vocabulary_size: int) -> ElmoConfig:
        """The configuration of an ELMo of about the same size, whose words are not counted yet."""
        return ElmoConfig.of_size(
            self.size,
            vocab_size=vocabulary_size,
            dropout=self.hidden_dropout,
            max_position_embeddings=self.max_positions,
        ).for_words(self.num_words)


class PretrainingSettings(OptimiserSettings):
    """The optimiser, and how long to train."""

    steps: int | None = Field(None, ge=1, description="length of the training in optimiser steps")
    hours: float | None = Field(None, gt=0, description="length of the training on the clock; the schedule follows it")

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if (self.steps is None) == (self.hours is None):
            raise ValueError("the length of the training is given either as steps or as hours")
        return self

    @property
    def duration(self) -> Duration:
        """The length of the training."""
        return Duration(steps=self.steps, hours=self.hours)


class RuntimeSettings(TrainingMachineSettings):
    """How the machine is used and what is kept.

    Precision, device, threads, micro_batch_size and compile_layers decide how sums are rounded (and the last two which
    dropout is drawn); the rest does not touch the numbers.
    """

    micro_batch_size: int = Field(32, ge=1, description="sequences of one forward and backward pass (memory)")
    checkpoint_minutes: float = Field(10.0, gt=0, description="minutes between checkpoints")
    checkpoint_steps: int | None = Field(None, ge=1, description="steps between checkpoints, instead of minutes")
    keep_checkpoints: int = Field(2, ge=1, description="newest checkpoints that are kept")
    log_steps: int = Field(10, ge=1, description="steps between lines of metrics.jsonl")
    evaluations: int = Field(20, ge=1, description="how often the held-out text is scored, at equal shares")
    evaluation_sequences: int = Field(512, ge=1, description="held-out sequences that are scored each time")
    minimal_pairs: MinimalPairsName | Path | None = Field(
        None, description="minimal pairs that are scored each time too: english, or a tsv file of your own"
    )


class PretrainConfig(Settings):
    """Pre-train an encoder on a token store."""

    store: Path = Field(description="token store made by `prepare`")
    out: Path = Field(description="new run folder: checkpoints, metrics, and the model when done")
    recipe: str | None = Field(
        None,
        description=f"named settings to start from: {', '.join(recipe_names())}; default: {PLANNED} by --hours, or "
        f"{DEFAULT_RECIPE} without",
    )
    init: Path | None = Field(None, description="model folder to start from, instead of initial weights")
    seed: int = Field(0, ge=0, description="seed of everything random")
    dry_run: bool = Field(False, description="pass every stage in seconds, keep nothing")
    model: ModelSettings = ModelSettings()
    data: BatchSettings = BatchSettings()
    training: PretrainingSettings
    runtime: RuntimeSettings = RuntimeSettings()

    @model_validator(mode="after")
    def _fits_the_positions(self) -> Self:
        if self.data.longest > self.model.max_positions:
            raise ValueError(
                f"sequences of {self.data.longest} tokens do not fit max_positions = {self.model.max_positions}"
            )
        return self

    @model_validator(mode="after")
    def _is_one_kind_of_language_model(self) -> Self:
        if self.data.objective == "masked":
            if self.model.network == "gpt":
                raise ValueError("a GPT tells the next piece: set data.objective = next")
            if self.model.network == "elmo":
                raise ValueError("an ELMo tells the next and the previous word: set data.objective = next")
            return self
        if self.model.network == "elmo":
            if not self.data.special_pieces:
                raise ValueError("an ELMo's texts have a begin and an end: set data.special_pieces = true")
            shape = ("num_hidden_layers", "hidden_size", "num_attention_heads")
            if any(getattr(self.model, name) is not None for name in shape):
                raise ValueError("an ELMo has its shape by its size alone: leave layers, width and heads away")
            if self.runtime.activation_checkpointing or self.runtime.compile_layers:
                raise ValueError("an ELMo is no Transformer: leave activation_checkpointing and compile_layers away")
        if self.model.initialisation != "normal":
            raise ValueError(
                f"initialisation = {self.model.initialisation} is for masked language models; with data.objective = "
                f"next, set it to normal"
            )
        if self.runtime.minimal_pairs is not None:
            raise ValueError("minimal pairs are scored by masks, so not with data.objective = next")
        return self

    @classmethod
    def from_layers(cls, *layers: Mapping[str, Any]) -> Self:
        """A recipe with layers of settings on top (a configuration file, then flags); the last word counts.

        Without a recipe, hours are planned for: what no layer sets is then decided when the run starts.
        """
        names = [layer["recipe"] for layer in layers if layer.get("recipe") is not None]
        recipe = names[-1] if names else PLANNED if _is_given_in_hours(layers) else DEFAULT_RECIPE
        lowest = {} if recipe == PLANNED else load_recipe(recipe)
        return build_settings(cls, *_with_one_length([lowest, *layers, {"recipe": recipe}]))


def _is_given_in_hours(layers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the uppermost layer that says how long to train says it in hours."""
    lengths = [_training(layer) for layer in layers if {"steps", "hours"} & _training(layer).keys()]
    return bool(lengths) and lengths[-1].get("hours") is not None


def _with_one_length(layers: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Let the uppermost layer that says how long to train have its way: hours replace a recipe's steps."""
    upwards: list[Mapping[str, Any]] = []
    for layer in layers:
        if {"steps", "hours"} & _training(layer).keys():
            upwards = [_without_length(below) for below in upwards]
        upwards.append(layer)
    return upwards


def _without_length(layer: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in _training(layer).items() if key not in ("steps", "hours")}
    return {**layer, "training": kept}


def _training(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The group of the training; what is no group has no length, and is refused by name where settings are built."""
    group = layer.get("training", {})
    return group if isinstance(group, Mapping) else {}
