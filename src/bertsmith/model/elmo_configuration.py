"""What an ELMo is made of, and the published networks' `options.json` (Peters et al. 2018, 3)."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from bertsmith.batches.flat_words import NUM_CHARACTERS
from bertsmith.core.configuration import Settings, build_settings
from bertsmith.core.errors import ConfigurationError

FilterActivation = Literal["relu", "tanh"]


class ElmoConfig(Settings):
    """The shape of the network. Defaults: the published one (Peters et al. 2018, 3.4)."""

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

    @model_validator(mode="after")
    def _filters_fit_the_word(self) -> Self:
        longest = max(length for length, _ in self.filters)
        if longest > self.max_characters:
            raise ValueError(f"a filter of {longest} characters does not fit a word of {self.max_characters}")
        return self

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
