"""Renew what the pages take from the code and from results on file: `python docs/generate.py`. A test holds them to it.

A page has blocks `<!-- from the code: NAME -->` ... `<!-- end -->`; what stands between is replaced.
"""

import json
import re
import statistics
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import bertsmith
from bertsmith.cli import COMMANDS, Command, settings_class_of
from bertsmith.flags import RESUME, Flag, flags_of, usage
from bertsmith.study.cell import Cell, cell_name, read_cell
from bertsmith.study.study_file import load_study
from bertsmith.tasks.catalogue import TASKS

DOCS = Path(__file__).parent
RECIPES = Path(bertsmith.__file__).parent / "recipes"
PAGES = ("commands.md", "recipes.md", "plateau.md", "tasks.md", "results/first-run.md", "results/every-task.md")
EVERY_TASK = DOCS / "results" / "every-task"  # of benchmarks/every_task.py, a file for each task and start
CELLS = DOCS / "results" / "cells"  # of `bertsmith compare`, a folder for each study
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
        "by-the-clock": clock_table,
        "every-task": every_task_table,
        "cooccurrence-parts": lambda: study_table("cooccurrence-parts"),
        "hour-pretraining": lambda: study_table("hour", tasks=False),
        "hour-tasks": lambda: gain_table(["hour", "lunch"], "untrained"),
        "lunch-pretraining": lambda: study_table("lunch", minutes=True, tasks=False),
        "lunch-tasks": lambda: gain_table(["lunch"], "untrained"),
    }
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


def pretraining_table() -> str:
    """What each run of the first run ended with on held-out text."""
    rows = []
    for name, run in _first_run()["pretraining"].items():
        scores = run["held_out"][-1]
        length = f"{run['steps']:,} | {run['tokens'] / 1e6:.1f} M | {run['minutes']:.0f}"
        masked_words = f"{scores['token_loss']:.3f} | {scores['perplexity']:.0f} | {scores['token_accuracy']:.1%}"
        rows.append(f"| `{name}` | {length} | {masked_words} | {scores['nsp_accuracy']:.1%} |")
    header = (
        "| initialisation | steps | tokens | minutes | loss (nats) | perplexity | words guessed | next sentence told |"
    )
    return "\n".join([header, "|---|---|---|---|---|---|---|---|", *rows]) + "\n"


def task_table() -> str:
    """Dev scores of the first run's tasks: mean and standard deviation over seeds, and the gain by pre-training."""
    rows = []
    for task, result in _first_run()["tasks"].items():
        untrained, *pretrained = (result["scores"][start] for start in ("untrained", "normal", "neighbour"))
        cells = [f"{task}, {result['metric']}", f"{100 * result['same_answer']:.1f}", _spread(untrained)]
        for scores in pretrained:
            cells += [_spread(scores), f"{100 * (statistics.fmean(scores) - statistics.fmean(untrained)):+.1f}"]
        rows.append(f"| {' | '.join(cells)} |")
    header = "| task | same answer for all | untrained | `normal` | gain | `neighbour` | gain |"
    return "\n".join([header, "|---|---|---|---|---|---|---|", *rows]) + "\n"


def every_task_table() -> str:
    """Dev scores of the thirteen tasks from an untrained and a pre-trained network, and the settings of each."""
    rows = []
    for path in sorted(EVERY_TASK.glob("*-pretrained.json")):
        task = path.name.removesuffix("-pretrained.json")
        pretrained = json.loads(path.read_text(encoding="utf-8"))
        other = EVERY_TASK / f"{task}-untrained.json"
        untrained = json.loads(other.read_text(encoding="utf-8")) if other.is_file() else None
        metric, scores = next(iter(pretrained["scores"].items()))
        before = untrained["scores"][metric] if untrained else None
        gain = f"{100 * (statistics.fmean(scores) - statistics.fmean(before)):+.1f}" if before else ""
        settings = "; ".join(
            f"`{key} = {value:g}`"
            for group in pretrained["settings"].values()
            for key, value in group.items()
            if isinstance(value, int | float)
        )
        counts = f"{pretrained['examples']['train']:,} | {pretrained['examples']['dev']:,}"
        cells = [_spread(before) if before else "", f"{_spread(scores)} ({len(scores)})", gain, settings]
        rows.append(f"| {task}, {metric} | {counts} | {' | '.join(cells)} |")
    header = "| task | learnt from | scored on | untrained | pre-trained (seeds) | gain | settings |"
    return "\n".join([header, "|---|---|---|---|---|---|---|", *rows]) + "\n"


def study_table(study: str, *, minutes: bool = False, tasks: bool = True) -> str:
    """What each variant of a study came to on held-out text and on its tasks; over its seeds if there are several.

    minutes  show them: for cells whose machine did nothing else
    tasks    show them, with the first metric of each
    """
    found: dict[str, list[Cell]] = {}
    for cell in _cells(study):
        if cell.curve or tasks:
            found.setdefault(cell.variant, []).append(cell)
    outcomes = next(iter(found.values()))[0].tasks if tasks else {}
    metrics = {task: next(iter(outcome.scores)) for task, outcome in outcomes.items()}
    rows = []
    for variant, cells in found.items():
        ends = [cell.curve[-1] for cell in cells if cell.curve]
        columns = [f"`{variant}`", str(len(cells)), f"{statistics.fmean(cell.tokens for cell in cells) / 1e6:.1f} M"]
        if minutes:
            columns.append(f"{statistics.fmean(end.minutes for end in ends):.0f}" if ends else "")
        columns.append(f"{statistics.fmean(cell.curve[0].token_loss for cell in cells):.2f}" if ends else "")
        columns.append(_spread([end.token_loss for end in ends], scale=1, digits=3) if ends else "")
        columns.append(_spread([100 * end.token_accuracy for end in ends], scale=1) if ends else "")
        pairs = [end.nsp_accuracy for end in ends if end.nsp_accuracy is not None]
        columns.append(_spread(pairs) if pairs else "")
        for task, metric in metrics.items():
            columns.append(_spread([score for cell in cells for score in cell.tasks[task].scores[metric]]))
        rows.append(f"| {' | '.join(columns)} |")
    heads = ["variant", "seeds", "tokens", *(["minutes"] if minutes else []), "loss before", "loss after"]
    heads += ["words guessed, %", "next sentence told, %", *(f"{task}, {metric}" for task, metric in metrics.items())]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows]) + "\n"


def gain_table(studies: Sequence[str], reference: str) -> str:
    """The tasks and metrics of the first study, a column for each variant of all; the lead of the first variant."""
    cells = {cell.variant: cell for study in studies for cell in _cells(study)}
    best = next(iter(cells))
    for cell in cells.values():  # the same fine-tuning for all
        assert all(trial in cell.settings["tasks"] for trial in cells[best].settings["tasks"])
    rows = []
    for task, outcome in cells[best].tasks.items():
        for metric in outcome.scores:
            scores = {variant: cell.tasks[task].scores[metric] for variant, cell in cells.items()}
            gain = statistics.fmean(scores[best]) - statistics.fmean(scores[reference])
            larger = max(statistics.stdev(scores[variant]) for variant in (best, reference))
            columns = " | ".join(_spread(each) for each in scores.values())
            rows.append(f"| {task}, {metric} | {columns} | {100 * gain:+.1f} | {gain / larger:.1f} |")
    names = " | ".join(f"`{variant}`" for variant in cells)
    header = f"| task, metric | {names} | gain over `{reference}` | in deviations (the larger one) |"
    return "\n".join([header, f"|{'---|' * (len(cells) + 3)}", *rows]) + "\n"


def clock_table() -> str:
    """The loss after so many minutes of two cores, from runs that were planned for that time, where they are on file.

    The paper's recipe: what our first run, of 73 minutes, had come to by then; its rate was still higher than that of a
    run planned for that time would have been. So with transformers, whose run is of one hour. "Begins" is before the
    first step.
    """
    normal = _first_run()["pretraining"]["normal"]
    runs = {cell.variant: cell for study in ("by-the-clock", "hour") for cell in _cells(study)}
    planned = {10: "evening-10", 30: "evening-30", 60: "hour", 150: "evening-150"}
    theirs = json.loads((DOCS / "results" / "transformers-replay.json").read_text(encoding="utf-8"))
    first = (
        next(iter(runs.values())).curve[0].token_loss,
        normal["held_out"][0]["token_loss"],
        theirs["curve"][0]["token_loss"],
    )
    rows = [f"| begins | 0 | {' | '.join(f'{loss:.2f}' for loss in first)} |"]
    for minutes, variant in planned.items():
        if variant not in runs:
            continue
        end = runs[variant].curve[-1]
        until = [scores for scores in normal["held_out"] if scores["step"] <= end.step]
        on_the_way = f"{until[-1]['token_loss']:.2f}" if end.step <= normal["steps"] else ""
        by_then = [scores for scores in theirs["curve"] if scores["step"] <= theirs["steps"] * minutes / 60]
        their_loss = f"{by_then[-1]['token_loss']:.2f}" if minutes <= 60 else ""
        rows.append(f"| {minutes} | {end.step:,} | {end.token_loss:.2f} | {on_the_way} | {their_loss} |")
    last = normal["held_out"][-1]
    rows.append(f"| {normal['minutes']:.0f} | {last['step']:,} | | {last['token_loss']:.2f} | |")
    header = "| minutes | steps | recipe `evening` | the paper's recipe, on its way | transformers, on its way |"
    return "\n".join([header, "|---|---|---|---|---|", *rows]) + "\n"


def _cells(study: str) -> list[Cell]:
    """The finished cells of a study in its order."""
    _, settings = load_study(study)
    paths = [CELLS / study / f"{cell_name(each, seed)}.json" for each in settings.variants for seed in settings.seeds]
    return [read_cell(path) for path in paths if path.exists()]


def _spread(scores: Sequence[float], scale: float = 100, digits: int = 1) -> str:
    """Mean and, of several, standard deviation; in points (of 100) unless told otherwise."""
    mean = f"{scale * statistics.fmean(scores):.{digits}f}"
    return mean if len(scores) == 1 else f"{mean} ± {scale * statistics.stdev(scores):.{digits}f}"


def _first_run() -> dict[str, Any]:
    results: dict[str, Any] = json.loads((DOCS / "results" / "first-run.json").read_text(encoding="utf-8"))
    return results


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        (DOCS / page).write_text(render(page), encoding="utf-8")


if __name__ == "__main__":
    main()
