"""Settings classes as command-line flags, and back.

A field is a flag of its own name. The fields of a group (`data.batch_size`) are flags of their own (`--batch-size`),
shown under the group's name. So a name must be unique over all groups of a class. A list of groups (`[[data.phases]]`)
has no flag: it is written in a file.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeGuard, get_args, get_origin

from cyclopts import Group, Parameter

from bertsmith.core.configuration import Settings


@dataclass(frozen=True)
class Flag:
    """One field of a settings class, as the command line shows it."""

    path: tuple[str, ...]  # where it stands in the settings: ("data", "batch_size")
    annotation: Any
    default: Any
    required: bool
    help: str

    @property
    def name(self) -> str:
        """The field's own name."""
        return self.path[-1]

    @property
    def is_switch(self) -> bool:
        """Whether it is said as `--name` or `--no-name`."""
        return bool in (self.annotation, *get_args(self.annotation))


# What the command line itself takes, beside the fields: name, type, default, help.
CONFIG = ("config", Path | None, None, "TOML file of settings; typed flags go over it")
JSON = ("json", bool, False, "print the result as JSON")
DEBUG = ("debug", bool, False, "show the traceback of an error")
RESUME = ("resume", Path | None, None, "go on with this run folder, or from one of its checkpoints")


def flags_of(
    settings_class: type[Settings], group: tuple[str, ...] = (), above: Settings | None = None
) -> Iterator[Flag]:
    """Yield the flags of a settings class and of its groups. `above`: what the class that holds a group sets in it."""
    for name, field in settings_class.model_fields.items():
        value = getattr(above, name) if above is not None else field.get_default(call_default_factory=True)
        if _is_group(field.annotation):
            yield from flags_of(field.annotation, (*group, name), None if field.is_required() else value)
        elif not any(_is_group(part) for part in get_args(field.annotation)):
            yield Flag((*group, name), field.annotation, value, field.is_required(), field.description or "")


def _is_group(annotation: Any) -> TypeGuard[type[Settings]]:  # noqa: ANN401 - any type hint
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def nested(flags: Iterable[Flag], typed: Mapping[str, object]) -> dict[str, Any]:
    """Put typed values where they stand in the settings: {"batch_size": 8} -> {"data": {"batch_size": 8}}."""
    settings: dict[str, Any] = {}
    for flag in flags:
        if flag.name in typed:
            table = settings
            for group in flag.path[:-1]:
                table = table.setdefault(group, {})
            table[flag.name] = typed[flag.name]
    return settings


def signature(flags: Sequence[Flag], positional: Sequence[str], *, can_resume: bool) -> inspect.Signature:
    """Describe the flags to cyclopts: positional ones, the others group by group, then the command line's own."""
    places = {path: place for place, path in enumerate(dict.fromkeys(flag.path[:-1] for flag in flags))}
    by_name = {flag.name: flag for flag in flags}
    first = [by_name[name] for name in positional]
    others = [flag for flag in flags if flag.name not in positional]
    parameters = [_parameter(flag, inspect.Parameter.POSITIONAL_OR_KEYWORD, places) for flag in first]
    parameters += [_parameter(flag, inspect.Parameter.KEYWORD_ONLY, places) for flag in others]
    own = [RESUME, CONFIG, JSON, DEBUG] if can_resume else [CONFIG, JSON, DEBUG]
    group = Group("Command line", sort_key=len(places))
    for name, annotation, default, text in own:
        shown = Parameter(help=text, group=group, negative=(), show_default=False)
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, shown]
            )
        )
    return inspect.Signature(parameters)


def usage(flags: Sequence[Flag], positional: Sequence[str]) -> str:
    """What has to be said: `TEXT... --out PATH [options]`."""
    by_name = {flag.name: flag for flag in flags}
    words = []
    for name in positional:
        several = "..." if get_origin(by_name[name].annotation) is tuple else ""
        words.append(f"{name.upper()}{several}" if by_name[name].required else f"[{name.upper()}{several}]")
    needed = [flag for flag in flags if flag.required and flag.name not in positional]
    words += [f"--{flag.name.replace('_', '-')} {'PATH' if flag.annotation is Path else 'VALUE'}" for flag in needed]
    return " ".join([*words, "[options]"])


def _parameter(
    flag: Flag,
    kind: Any,  # noqa: ANN401 - an enumeration that inspect keeps private
    places: Mapping[tuple[str, ...], int],
) -> inspect.Parameter:
    group = flag.path[-2].replace("_", " ").capitalize() if len(flag.path) > 1 else "Settings"
    shown = Parameter(
        help=flag.help + (" (required)" if flag.required else ""),
        required=False,  # a file may hold it: build_settings has the last word
        group=Group(group, sort_key=places[flag.path[:-1]]),
        negative=None if flag.is_switch else (),
        consume_multiple=True,
        allow_leading_hyphen=flag.default == Path("-"),  # standard input is an argument, and no flag
    )
    annotation, default = (flag.annotation | None, None) if flag.required else (flag.annotation, flag.default)
    return inspect.Parameter(flag.name, kind, default=default, annotation=Annotated[annotation, shown])
