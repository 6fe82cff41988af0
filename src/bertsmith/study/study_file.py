"""A study: one question, and the runs of `pretrain` that answer it, as a TOML file.

question = "What is lost when a part of the neighbour initialisation is left out?"

[settings]                        # of all runs, as for `pretrain --config`
recipe = "mini"
[settings.training]
hours = 0.25

[[variants]]
name = "whole"
settings.model.initialisation = "neighbour"

[[variants]]
name = "ordinary-queries"         # what differs, over the settings of all
settings.model.initialisation = "neighbour"
start = "neighbour-without-queries"
"""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from bertsmith.core.configuration import Settings, build_settings, read_toml
from bertsmith.core.errors import ConfigurationError
from bertsmith.study.other_graphs import GraphName
from bertsmith.study.starting_weights import StartName
from bertsmith.study.trials import TaskTrial

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]  # becomes part of a file name


class Variant(Settings):
    """One of the things that are compared."""

    name: Name = Field(description="name in tables and file names")
    settings: Mapping[str, Any] = Field({}, description="settings of `pretrain` over those of the study")
    start: StartName | None = Field(None, description="initial weights that no recipe has, by name")
    graph: GraphName | None = Field(None, description="a network that is not BERT, as a yardstick, by name")
    untrained: bool = Field(False, description="no pre-training: initial weights, to be fine-tuned on the tasks")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [name for name in ("start", "graph", "untrained") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give one of them")
        return self


class Study(Settings):
    """A question and the variants that answer it; each is run once with each seed."""

    question: str = Field(description="what the study asks, in a sentence")
    settings: Mapping[str, Any] = Field({}, description="settings of `pretrain` that all runs share")
    variants: tuple[Variant, ...] = Field(min_length=1, description="what is compared")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="seeds of each variant")
    tasks: tuple[TaskTrial, ...] = Field((), description="what each pre-trained network is fine-tuned on")

    @field_validator("variants")
    @classmethod
    def _names_are_unique(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        names = [variant.name for variant in variants]
        if len(set(names)) < len(names):
            raise ValueError("two variants have the same name")
        return variants


def study_names() -> list[str]:
    """Names of the studies that bertsmith brings."""
    folder = importlib.resources.files("bertsmith.study.studies")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_study(name_or_path: str) -> tuple[str, Study]:
    """A study that bertsmith brings, by its name, or one of the user's own, by its path. Returns its name too."""
    if name_or_path in study_names():
        path = Path(str(importlib.resources.files("bertsmith.study.studies") / f"{name_or_path}.toml"))
    elif Path(name_or_path).suffix == ".toml":
        path = Path(name_or_path)
    else:
        raise ConfigurationError(
            f"There is no study '{name_or_path}'. There are: {', '.join(study_names())}. A study of your own is a file "
            f"that ends in .toml."
        )
    return path.stem, build_settings(Study, read_toml(path))
