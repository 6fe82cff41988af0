"""Renew what the pages take from the code and from results on file: `python docs/generate.py`. A test holds them to it.

A page has blocks `<!-- from the code: NAME -->` ... `<!-- end -->`; what stands between is replaced.
"""

import re
import tomllib
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import bertsmith
from benchmark_tables import (
    BENCHMARKS,
    elmo_table,
    encoding_table,
    machine,
    preparation_table,
    profile_table,
    step_table,
)
from bertsmith.cli import COMMANDS, Command, settings_class_of
from bertsmith.flags import RESUME, Flag, flags_of, usage
from bertsmith.tasks.catalogue import TASKS
from cost_table import cost_table
from result_tables import (
    clock_table,
    every_task_table,
    gain_table,
    paper_tables,
    pretraining_table,
    study_table,
    task_table,
)

DOCS = Path(__file__).parent
RECIPES = Path(bertsmith.__file__).parent / "recipes"
PAGES = (
    *("commands.md", "recipes.md", "plateau.md", "tasks.md", "benchmarks.md", "scaling.md"),
    *("results/first-run.md", "results/every-task.md", "results/small-budget.md"),
    "results/paper-claims.md",
)
PAPER_STUDIES = ("pretraining-tasks", "masking")  # that have been run, as their pages in `results` show
_BLOCK = re.compile(r"(<!-- from the code: (?P<name>\S+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def render(page: str) -> str:
    """Return the text of a page with its blocks renewed."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return _BLOCK.sub(lambda block: f"{block[1]}{_content(block['name'])}{block[4]}", text)


def blocks(page: str) -> list[str]:
    """Return the names of the blocks of a page."""
    return [block["name"] for block in _BLOCK.finditer((DOCS / page).read_text(encoding="utf-8"))]


def _content(name: str) -> str:
    if name in COMMANDS:
        return command_section(name, COMMANDS[name])
    tables = {
        "recipes": recipe_table,
        "named-tasks": named_task_table,
        "first-run-pretraining": pretraining_table,
        "first-run-tasks": task_table,
        "benchmark-machine": machine,
        "benchmark-steps": step_table,
        "benchmark-machine-amx": lambda: machine(BENCHMARKS / "amx"),
        "benchmark-steps-amx": lambda: step_table(BENCHMARKS / "amx"),
        "benchmark-profile": profile_table,
        "benchmark-encoding": encoding_table,
        "benchmark-elmo": elmo_table,
        "benchmark-preparation": preparation_table,
        "by-the-clock": clock_table,
        "cost": cost_table,
        "every-task": every_task_table,
        "cooccurrence-parts": lambda: study_table("cooccurrence-parts"),
        "start": lambda: study_table("start"),
        "start-german": lambda: study_table("start", folder="start-german"),
        "neighbour-parts": lambda: study_table("neighbour-parts"),
        "start-sizes": lambda: study_table("start-sizes"),
        "rivals": lambda: study_table("rivals"),
        "recipe-parts": lambda: study_table("recipe-parts"),
        "hour-pretraining": lambda: study_table("hour", tasks=False),
        "hour-tasks": lambda: gain_table(["hour", "lunch"], "untrained"),
        "lunch-pretraining": lambda: study_table("lunch", minutes=True, tasks=False),
        "lunch-tasks": lambda: gain_table(["lunch"], "untrained"),
    }
    for study in PAPER_STUDIES:
        tables |= paper_tables(study)
    return tables[name]()


def command_section(name: str, command: Command) -> str:
    """One command: what it does, examples, and a table of its flags."""
    examples = "\n".join(command.examples)
    rows = []
    group: tuple[str, ...] = ()
    flags = list(flags_of(settings_class_of(command)))
    flags.sort(key=lambda flag: _place(flag, command))
    for flag in flags:
        if flag.path[:-1] != group:
            group = flag.path[:-1]
            rows.append(f"| **{group[-1].replace('_', ' ')}** | | | |")
        shown = flag.name.upper() if flag.name in command.positional else f"`{spelled(flag)}`"
        rows.append(f"| {shown} | {kind(flag.annotation)} | {default(flag)} | {_cell(flag.help)} |")
    if command.resume:
        rows.append(f"| `--{RESUME[0]}` | path |  | {RESUME[3]} |")
    table = "\n".join(["| flag | value | default | meaning |", "|---|---|---|---|", *rows])
    needed = usage(flags, command.positional)
    call = f"bertsmith {name} {needed}"
    return f"{command.summary}\n\n```\n{call}\n```\n\nFor example:\n\n```\n{examples}\n```\n\n{table}\n"


def _place(flag: Flag, command: Command) -> tuple[int, int]:
    if flag.name in command.positional:
        return 0, command.positional.index(flag.name)
    return len(flag.path), 0


def spelled(flag: Flag) -> str:
    """Spell a flag as it is typed."""
    name = flag.name.replace("_", "-")
    return f"--{name} / --no-{name}" if flag.is_switch else f"--{name}"


def kind(annotation: Any) -> str:  # noqa: ANN401 - any type hint
    """Say what a flag takes."""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"{kind(get_args(annotation)[0])}, one or more"
    if parts := [part for part in get_args(annotation) if part is not NoneType]:
        return ", ".join(kind(part) for part in parts)
    return {bool: "", int: "whole number", float: "number", Path: "path", str: "text"}[annotation]


def default(flag: Flag) -> str:
    """Say what holds when the flag is not typed."""
    if flag.required:
        return "required"
    if flag.default is None or isinstance(flag.default, bool):
        return {None: "", True: "yes", False: "no"}[flag.default]
    if isinstance(flag.default, tuple):
        return " ".join(map(str, flag.default))
    return f"{flag.default:g}" if isinstance(flag.default, float) else _cell(str(flag.default))


def recipe_table() -> str:
    """Every recipe with its settings."""
    rows = []
    for path in sorted(RECIPES.glob("*.toml")):
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        named = [f"{group}.{key} = {spelled_value(table[key])}" for group, table in settings.items() for key in table]
        rows.append(f"| `{path.stem}` | {'; '.join(f'`{setting}`' for setting in named)} |")
    return "\n".join(["| recipe | settings |", "|---|---|", *rows]) + "\n"


def named_task_table() -> str:
    """Every named task: its kind, its files, its scores, and where it departs from the defaults of `finetune`."""
    rows = []
    for name, task in TASKS.items():
        files = ", ".join(f"`{names[0]}`" for names in task.files.values())
        settings = {key: value for group in task.recommended.values() for key, value in group.items()}
        recommended = ", ".join(f"`{key} = {spelled_value(value)}`" for key, value in settings.items())
        rows.append(f"| `{name}` | {task.kind} | {files} | {', '.join(task.metrics)} | {recommended} |")
    header = "| task | kind | files | scores, the first is the primary one | settings of its own |"
    return "\n".join([header, "|---|---|---|---|---|", *rows]) + "\n"


def spelled_value(value: Any) -> str:  # noqa: ANN401 - any TOML value
    """Write a setting's value as TOML has it on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(spelled_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {spelled_value(entry)}" for key, entry in value.items()) + "}"
    return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        (DOCS / page).write_text(render(page), encoding="utf-8")


if __name__ == "__main__":
    main()
