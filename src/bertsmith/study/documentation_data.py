"""The quickstart's data on disk: text to pre-train on and a task, from modules that are kept apart.

Modules are divided, not docstrings: of every tenth module no sentence is in the pre-training text or among the
examples to learn from. They give the examples to be judged by and the sentences whose words are to be guessed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from bertsmith.core.errors import InputError
from bertsmith.core.randomness import derive_seed, generator
from bertsmith.study.python_documentation import (
    CollectionCounts,
    Docstring,
    SourceFile,
    collect,
    installed_libraries,
    source_files,
)
from bertsmith.study.word_order import Example, make_examples, sentences

HELD_OUT_SHARE = 0.1
TRAIN_EXAMPLES = 2_000
DEV_EXAMPLES = 1_000


@dataclass(frozen=True)
class QuickstartData:
    """What was written, and the sentences of held-out modules that are not examples.

    text  the file to pre-train on
    task  the folder with `train.jsonl` and `dev.jsonl`
    """

    text: Path
    task: Path
    train: Sequence[Example]
    dev: Sequence[Example]
    unread_sentences: Sequence[str]
    counts: CollectionCounts
    libraries: Sequence[str]


def is_held_out(module: str) -> bool:
    """Whether a module is kept from all training. A function of its name: the same on every machine."""
    return derive_seed(0, f"held-out module/{module}") < HELD_OUT_SHARE * 2**63


def write_quickstart_data(folder: Path, seed: int, files: Sequence[SourceFile] | None = None) -> QuickstartData:
    """Collect the documentation; write `documentation.jsonl` and the task `word-order` into a new folder.

    files   source files to read; default: the standard library and the libraries that bertsmith needs
    raises  InputError where there is not enough text
    """
    libraries = installed_libraries()
    counts = CollectionCounts()
    docstrings = list(collect(source_files(libraries) if files is None else files, counts))
    read = [docstring for docstring in docstrings if not is_held_out(docstring.module)]
    unread = [docstring for docstring in docstrings if is_held_out(docstring.module)]
    train_pool, dev_pool = _sentences(read), _sentences(unread)
    known = set(train_pool)
    dev_pool = [sentence for sentence in dev_pool if sentence not in known]
    train = make_examples(train_pool, TRAIN_EXAMPLES, generator(seed, "word order/train"))
    dev = make_examples(dev_pool, DEV_EXAMPLES, generator(seed, "word order/dev"))
    if len(train) < 100 or len(dev) < 100:
        raise InputError(
            f"The documentation of this Python gives {len(train)} and {len(dev)} examples, too few for the quickstart. "
            "It was probably installed without docstrings; use a Python that has them, or your own text."
        )
    used = {example.text for example in dev}
    task = folder / "word-order"
    task.mkdir(parents=True)
    data = QuickstartData(
        text=folder / "documentation.jsonl",
        task=task,
        train=train,
        dev=dev,
        unread_sentences=[sentence for sentence in dev_pool if sentence not in used],
        counts=counts,
        libraries=list(libraries),
    )
    _write_lines(data.text, module_documents(read))
    _write_lines(task / "train.jsonl", map(asdict, train))
    _write_lines(task / "dev.jsonl", map(asdict, dev))
    return data


def module_documents(docstrings: Iterable[Docstring]) -> list[dict[str, str]]:
    """One document a module: the paragraphs of all its docstrings, with blank lines between them."""
    return [
        {"text": "\n\n".join(paragraph for docstring in group for paragraph in docstring.paragraphs), "module": module}
        for (_, module), group in groupby(docstrings, key=lambda docstring: (docstring.library, docstring.module))
    ]


def _sentences(docstrings: Iterable[Docstring]) -> list[str]:
    return sentences(paragraph for docstring in docstrings for paragraph in docstring.paragraphs)


def _write_lines(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row) + "\n")
