"""Settings: frozen pydantic classes; TOML files and flags merged in layers; errors that name the nearest key."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bertsmith.core.errors import ConfigurationError


class Settings(BaseModel):
    """Base of all settings: immutable, checked when made, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def from_layers(cls, *layers: Mapping[str, Any]) -> Self:
        """Build these settings from a file and the flags over it, as the command line does (`build_settings`)."""
        return build_settings(cls, *layers)


SettingsType = TypeVar("SettingsType", bound=Settings)


def build_settings(settings_class: type[SettingsType], *layers: Mapping[str, Any]) -> SettingsType:
    """Merge layers (defaults < recipe < file < flags; later wins, tables merge key by key) and check the result."""
    merged = _group_defaults(settings_class)
    for layer in layers:
        merged = _merge(merged, layer)
    try:
        return settings_class.model_validate(merged)
    except ValidationError as error:
        raise ConfigurationError(_explain(settings_class, error)) from None


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The configuration file {path} is not valid TOML: {error}.") from None


def _group_defaults(settings_class: type[Settings]) -> dict[str, Any]:
    """Unfold defaults like `fire: Fire = Fire(degrees=1000)`: a layer that sets another key of the group keeps them."""
    defaults = {}
    for name, field in settings_class.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(default, Settings):
            defaults[name] = default.model_dump(exclude_unset=True)
    return defaults


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _field_names(settings_class: type[BaseModel]) -> Iterator[str]:
    for name, field in settings_class.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _field_names(field.annotation)


def _explain(settings_class: type[BaseModel], error: ValidationError) -> str:
    """One sentence for each thing that is wrong."""
    sentences = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ").rstrip(".")
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), list(_field_names(settings_class)), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            sentences.append(f"There is no setting '{where}'.{hint}")
        elif problem["type"] == "missing":
            sentences.append(f"The setting '{where}' is required.")
        elif problem["type"] == "value_error" and isinstance(problem["input"], Mapping):  # a rule over several settings
            sentences.append(f"The settings{f' of {where!r}' if where else ''} are not usable: {reason}.")
        else:
            sentences.append(f"The setting '{where}' = {problem['input']!r} is not usable: {reason}.")
    return " ".join(sentences)
