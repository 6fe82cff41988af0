"""What an ELMo is made of, and the published networks' `options.json` (Peters et al. 2018, 3)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bertsmith.batches.flat_words import NUM_CHARACTERS
from bertsmith.core.configuration import Settings, build_settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.configuration import read_network
from bertsmith.model.weight_names import ELMO_NAMES, WeightNames

FilterActivation = Literal["relu", "tanh"]

_FEW_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256))
_ALL_FILTERS = (*_FEW_FILTERS, (6, 512), (7, 1024))

# By the name of a BERT: width P of a direction, width of the memory, filters. The LSTMs have about as many weights as
# that BERT's layers (mini 2.4 M and 3.2 M, base 75 M and 85 M); base is the published network.
_SIZES: dict[str, tuple[int, int, tuple[tuple[int, int], ...]]] = {
    "tiny": (64, 192, _FEW_FILTERS),
    "mini": (128, 512, _FEW_FILTERS),
    "small": (256, 1024, _FEW_FILTERS),
    "medium": (256, 2048, _ALL_FILTERS),
    "base": (512, 4096, _ALL_FILTERS),
    "large": (1024, 8192, _ALL_FILTERS),
}
_CUTOFFS = (4_000, 20_000)
_OWN_CHARACTERS = 25  # of a word, its two marks included; a longer word is cut


class ElmoConfig(Settings):
    """The shape of the network. Defaults: the published one (Peters et al. 2018, 3.4)."""

    model_type: ClassVar[str] = "elmo"  # of config.json
    weight_names: ClassVar[WeightNames] = ELMO_NAMES

    character_size: int = Field(16, ge=1, description="width of a character's embedding")
    filters: tuple[tuple[int, int], ...] = Field(
        ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)),
        min_length=1,
        description="for each length in characters, how many filters",
    )
    filter_activation: FilterActivation = Field("relu", description="of the filters' outputs")
    max_characters: int = Field(50, ge=3, description="characters of a word that are read, its two marks included")
    num_highway_layers: int = Field(2, ge=0, description="highway layers after the filters")
    hidden_size: int = Field(512, ge=1, description="width P of a word and of a layer's output in one direction")
    cell_size: int = Field(4096, ge=1, description="width of an LSTM's memory, before its projection to P")
    num_layers: int = Field(2, ge=1, description="LSTM layers in each direction")
    residual: bool = Field(True, description="layers after the first add their input to their output")
    cell_clip: float | None = Field(3.0, gt=0, description="largest absolute value of the memory; None: any")
    projection_clip: float | None = Field(3.0, gt=0, description="largest absolute value of an output; None: any")
    dropout: float = Field(0.1, ge=0, lt=1, description="of the input of each LSTM layer")
    vocab_size: int = Field(1, ge=1, description="pieces of the vocabulary that the words are joined of; 1: of none")
    num_words: int = Field(1, ge=1, description="words that the language models tell, all others together as one")
    cutoffs: tuple[int, ...] = Field((), description="first word of each cluster of the adaptive softmax")
    max_position_embeddings: int = Field(512, ge=1, description="longest sequence that it is given, in pieces")

    @model_validator(mode="after")
    def _filters_fit_the_word(self) -> Self:
        longest = max(length for length, _ in self.filters)
        if longest > self.max_characters:
            raise ValueError(f"a filter of {longest} characters does not fit a word of {self.max_characters}")
        return self

    @property
    def num_hidden_layers(self) -> int:
        """LSTM layers, under BERT's name."""
        return self.num_layers

    @property
    def initializer_range(self) -> float:
        """Deviation of the weights of what is put on it, as BERT's."""
        return 0.02

    @property
    def state_size(self) -> int:
        """Width of a state of both directions, 2 P."""
        return 2 * self.hidden_size

    def with_dropout(self, rate: float) -> Self:
        """The same network with another rate."""
        return self.model_copy(update={"dropout": rate})

    @classmethod
    def of_size(cls, size: str, **settings: Any) -> Self:  # noqa: ANN401
        """A configuration by the name of a BERT's size (`SIZES`), without clips; `settings` overrule."""
        if size not in _SIZES:
            raise ConfigurationError(f"There is no model size '{size}'. The sizes are {', '.join(_SIZES)}.")
        width, cell, filters = _SIZES[size]
        shape = {"hidden_size": width, "cell_size": cell, "filters": filters, "max_characters": _OWN_CHARACTERS}
        shape |= {"cell_clip": None, "projection_clip": None}
        return build_settings(cls, shape, settings)

    def for_words(self, count: int) -> Self:
        """The same network for a list of so many words, with clusters where they are many."""
        return self.model_copy(
            update={"num_words": count, "cutoffs": tuple(cutoff for cutoff in _CUTOFFS if 2 * cutoff < count)}
        )

    def to_hugging_face(self) -> dict[str, Any]:
        """The entries of a `config.json` that describe the network."""
        return {"model_type": self.model_type} | self.model_dump(mode="json")

    @classmethod
    def from_hugging_face(cls, entries: Mapping[str, Any], source: str) -> Self:
        """Read a `config.json`; keys that do not concern the network are ignored.

        source  where the entries come from, for the message
        raises  ConfigurationError for a network that is not this one
        """
        clips = {"cell_clip", "projection_clip"}
        return read_network(cls, entries, source, {"model_type": (cls.model_type,)}, nullable=clips)

    @property
    def num_filters(self) -> int:
        """Filters of all lengths."""
        return sum(count for _, count in self.filters)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], source: str) -> Self:
        """Read the `options.json` of a published network (bilm-tf).

        source  where the options come from, for the message
        raises  ConfigurationError for a network that is not this one, or options that lack something
        """
        try:
            lstm, characters = options["lstm"], options["char_cnn"]
            if characters["n_characters"] not in (NUM_CHARACTERS, NUM_CHARACTERS + 1):  # some count a filling apart
                raise ConfigurationError(
                    f"{source} has {characters['n_characters']} characters; bertsmith reads networks over UTF-8 bytes, "
                    f"which have {NUM_CHARACTERS}."
                )
            entries = {
                "character_size": characters["embedding"]["dim"],
                "filters": characters["filters"],
                "filter_activation": characters.get("activation", "tanh"),
                "max_characters": characters["max_characters_per_token"],
                "num_highway_layers": characters.get("n_highway", 0),
                "hidden_size": lstm["projection_dim"],
                "cell_size": lstm["dim"],
                "num_layers": lstm["n_layers"],
                "residual": lstm.get("use_skip_connections", False),
                "cell_clip": lstm.get("cell_clip"),
                "projection_clip": lstm.get("proj_clip"),
            }
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"{source} are not the options of an ELMo: {error} is missing.") from None
        return build_settings(cls, entries)
