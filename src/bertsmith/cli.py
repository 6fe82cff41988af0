"""The command line: one command for each verb, its flags made from the verb's settings class.

A verb is a function `verb(config: VerbConfig) -> result`; `VerbConfig` is a `Settings` class, and its fields are the
flags (`flags`). So there is one truth about every setting: its field.

Settings come in layers, each over the one before: the defaults of the class, a recipe (`pretrain`), the file given by
`--config`, and the flags that were typed. Nothing but the verb that runs is imported: `bertsmith --help` and
`bertsmith vocab` never load torch.

    exit code   0  done
                2  the user's to mend: a flag, a setting, a file; one paragraph on stderr
                1  the run failed, or bertsmith has a defect; `--debug` shows the traceback
              130  stopped by Ctrl-C
"""

import errno
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, get_type_hints

from cyclopts import App, CycloptsError
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python
from rich.console import Console

from bertsmith.core.configuration import Settings, read_toml
from bertsmith.core.console import console
from bertsmith.core.errors import BertsmithError, ConfigurationError
from bertsmith.flags import flags_of, nested, signature, usage


@dataclass(frozen=True)
class Command:
    """A line of `bertsmith --help`, and where the rest is found."""

    verb: str  # "module:function", imported when the command is used
    summary: str
    examples: tuple[str, ...]
    positional: tuple[str, ...] = ()  # the fields that may stand without their flag, in this order
    resume: str | None = None  # "module:function" of (folder, changed settings) for --resume FOLDER


COMMANDS: Mapping[str, Command] = {
    "quickstart": Command(
        "bertsmith.study.quickstart:quickstart",
        "Run the whole chain on text that Python ships, in 5 minutes.",
        ("bertsmith quickstart", "bertsmith quickstart --out first-look"),
    ),
    "vocab": Command(
        "bertsmith.text.vocabulary:vocab",
        "Learn a WordPiece vocabulary from text.",
        (
            "bertsmith vocab corpus/*.txt --out vocabulary",
            "bertsmith vocab corpus.jsonl.gz --size 8192 --cased --out vocabulary",
        ),
        positional=("inputs",),
    ),
    "prepare": Command(
        "bertsmith.text.preparation:prepare",
        "Turn text into a token store, ready to train on.",
        (
            "bertsmith prepare corpus/*.txt --vocab vocabulary --out store",
            "bertsmith prepare wiki/ --format wiki --vocab vocabulary --out store --workers 2",
        ),
        positional=("inputs",),
    ),
    "pretrain": Command(
        "bertsmith.training.pretraining:pretrain",
        "Pre-train an encoder on a token store.",
        (
            "bertsmith pretrain store --out run --hours 2",
            "bertsmith pretrain store --out run --recipe lunch",
            "bertsmith pretrain store --out run --recipe paper-base --dry-run",
            "bertsmith pretrain --resume run",
        ),
        positional=("store",),
        resume="bertsmith.training.pretraining:resume_pretraining",
    ),
    "doctor": Command(
        "bertsmith.diagnosis.doctor:doctor",
        "Say what is wrong with a run or a token store, and what to do.",
        ("bertsmith doctor run", "bertsmith doctor store", "bertsmith doctor run --out diagnosis"),
        positional=("subject",),
    ),
    "finetune": Command(
        "bertsmith.tasks.finetuning:finetune",
        "Fine-tune an encoder on a task.",
        (
            "bertsmith finetune run --task sst-2 --data glue/SST-2 --out sst2",
            "bertsmith finetune run --task glue --data glue --out glue-scores --seeds 5 --grid paper-glue",
            "bertsmith finetune run --train reviews.csv --text review --label stars --seeds 5 --out reviews",
            "bertsmith finetune run --kind tags --data my-entities --out tagger",
        ),
        positional=("model",),
    ),
    "evaluate": Command(
        "bertsmith.tasks.evaluation:evaluate",
        "Score a model on a task, on held-out text, or on minimal pairs.",
        (
            "bertsmith evaluate sst2 --data glue/SST-2",
            "bertsmith evaluate run --data store",
            "bertsmith evaluate run --minimal-pairs english",
        ),
        positional=("model",),
    ),
    "predict": Command(
        "bertsmith.tasks.prediction:predict",
        "Predict with a fine-tuned model, one line of JSON for each example.",
        (
            "bertsmith predict sst2 sentences.txt",
            "echo 'A fine film.' | bertsmith predict sst2 -",
            "bertsmith predict squad-model dev-v2.0.json --official answers",
        ),
        positional=("model", "input"),
    ),
    "fill": Command(
        "bertsmith.tasks.filling:fill",
        "Show the best candidates for every [MASK] of a text.",
        ("bertsmith fill run 'The capital of France is [MASK].'",),
        positional=("model", "texts"),
    ),
    "features": Command(
        "bertsmith.frozen_features.features:features",
        "Write the frozen vectors of text: of its tokens, its words, or as a whole.",
        (
            "bertsmith features run corpus.txt --out vectors",
            "bertsmith features run reviews.csv --text review --unit text --layers last --out vectors",
            "bertsmith features run corpus.txt --unit word --layers all --combine mean --numbers float16 --out vectors",
        ),
        positional=("model", "input"),
    ),
    "compare": Command(
        "bertsmith.study.compare:compare",
        "Pre-train the variants of a study and compare them.",
        (
            "bertsmith compare neighbour-parts --store store --out parts",
            "bertsmith compare my-study.toml --store store --out cells --threads 1",
        ),
        positional=("study",),
    ),
}


def settings_class_of(command: Command) -> type[Settings]:
    """Import the verb of a command; return the class of its `config`."""
    settings_class: type[Settings] = get_type_hints(_load(command.verb))["config"]
    return settings_class


def _load(function: str) -> Callable[..., object]:
    module, _, name = function.partition(":")
    loaded: Callable[..., object] = getattr(importlib.import_module(module), name)
    return loaded


def command_function(name: str, command: Command) -> Callable[..., object]:
    """Make the function whose parameters are the flags. cyclopts calls it with those that were typed, and no others."""
    settings_class = settings_class_of(command)
    flags = list(flags_of(settings_class))

    def run(*values: object, **named: object) -> object:
        typed: dict[str, Any] = dict(zip(command.positional, values, strict=False)) | named
        file, resumed = typed.get("config"), typed.get("resume")
        changes = nested(flags, typed)
        if command.resume is None or resumed is None:
            return _load(command.verb)(settings_class.from_layers(read_toml(file) if file else {}, changes))
        if file is not None:
            raise ConfigurationError(f"A run goes on with its own settings, those of {resumed}. Leave --config out.")
        return _load(command.resume)(resumed, changes)

    run.__name__ = name
    run.__doc__ = command.summary
    run.__signature__ = signature(flags, command.positional, can_resume=command.resume is not None)  # type: ignore[attr-defined]
    return run


def main(tokens: Sequence[str] | None = None, commands: Mapping[str, Command] = COMMANDS) -> int:
    """Run one command; return the exit code. `tokens` are the words after `bertsmith`, by default those typed."""
    tokens = sys.argv[1:] if tokens is None else list(tokens)
    try:
        command, bound, _ = _app(commands, tokens).parse_args(tokens, print_error=False, exit_on_error=False)
        as_json = bound.arguments.pop("json", False)
        bound.arguments.pop("debug", None)
        _print_result(command(*bound.args, **bound.kwargs), as_json)
        sys.stdout.flush()
    except BrokenPipeError:  # `bertsmith predict ... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in tokens:
            console.print_exception()
        message, code = _explain(error, tokens)
        console.print(message, style="red", markup=False, soft_wrap=True)
        return code
    return 0


def _app(commands: Mapping[str, Command], tokens: Sequence[str]) -> App:
    """List every command; look into the one that the tokens name and no other."""
    app = App(name="bertsmith", help="Train your own BERT from your own text.", version=metadata.version("bertsmith"))
    named = next((token for token in tokens if not token.startswith("-")), None)
    for place, (name, command) in enumerate(commands.items()):
        if name != named:
            app.command(_not_asked_for, name=name, help=command.summary, sort_key=place)
            continue
        needed = usage(list(flags_of(settings_class_of(command))), command.positional)
        examples = "\n\n".join(f"`{line}`" for line in command.examples)
        app.command(
            command_function(name, command),
            name=name,
            help=command.summary,
            usage=f"Usage: bertsmith {name} {needed}",
            help_epilogue=f"Examples:\n\n{examples}",
            sort_key=place,
        )
    return app


def _not_asked_for() -> None:
    """Stand in for a command that this call does not name."""


def _print_result(result: object, as_json: bool) -> None:
    """Print what a verb returned: a path, something that draws itself, or JSON; a line each if it streams."""
    if isinstance(result, Iterator):
        for line in result:
            sys.stdout.write(f"{_as_json(line)}\n")
            sys.stdout.flush()  # who reads it may be waiting for this answer before asking on
    elif isinstance(result, Path) and not as_json:
        sys.stdout.write(f"{result}\n")
    elif hasattr(result, "__rich__") and not as_json:
        Console(highlight=False, markup=False).print(result)
    elif result is not None:
        sys.stdout.write(f"{_as_json(result, indent=2)}\n")


def _as_json(value: object, indent: int | None = None) -> str:
    """JSON in UTF-8; all beyond ASCII is escaped where a text has half a surrogate pair, which UTF-8 does not have."""
    try:
        return to_json(value, indent=indent).decode()
    except PydanticSerializationError:
        return json.dumps(to_jsonable_python(value), indent=indent)


def _is_full_disk(error: BaseException) -> bool:
    """Of a system call, or of safetensors, which has an error of its own."""
    return os.strerror(errno.ENOSPC) in str(error)


def _explain(error: BaseException, tokens: Sequence[str]) -> tuple[str, int]:
    """One paragraph for the user, and the exit code."""
    match error:
        case BertsmithError():
            where = f" See `bertsmith {tokens[0]} --help`." if isinstance(error, ConfigurationError) else ""
            return f"{error}{where}", error.exit_code
        case CycloptsError():
            error.verbose = False
            return f"{error} See `{' '.join(['bertsmith', *(error.command_chain or ())])} --help`.", 2
        case KeyboardInterrupt():
            return "Stopped.", 130
        case _ if _is_full_disk(error):
            return (
                "There is no room left on the disk, and what was being written is not kept. Make room and give the "
                "command again; a pre-training goes on with --resume."
            ), 1
        case OSError():
            return f"{error.strerror or error}: {error.filename or 'no file is named'}. `--debug` shows where.", 1
        case _:
            name = type(error).__name__
            return f"This is a defect of bertsmith ({name}: {error}). `--debug` shows where; please report it.", 1
