"""What the quickstart writes: text and examples of modules that are kept apart."""

import json

import pytest

from bertsmith.core.errors import InputError
from bertsmith.study.documentation_data import is_held_out, write_quickstart_data
from bertsmith.study.python_documentation import source_files
from bertsmith.study.word_order import SWAPPED

NOUNS = (
    "array",
    "buffer",
    "cursor",
    "digest",
    "element",
    "format",
    "graph",
    "header",
    "index",
    "join",
    "kernel",
    "list",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sixty modules with forty sentences each; a sentence of module_0 is in every module."""
    root = tmp_path_factory.mktemp("library")
    for number in range(60):
        lines = [
            f"Return the {first} of module number {number} whenever the {second} of its owner is empty."
            for first in NOUNS[:5]
            for second in NOUNS[:8]
        ]
        lines.append("This very sentence is the same in every one of these modules.")
        (root / f"module_{number}.py").write_text('"""' + "\n\n".join(lines) + '\n"""\n')
    return source_files({"library": root})


@pytest.fixture(scope="module")
def data(files, tmp_path_factory):
    return write_quickstart_data(tmp_path_factory.mktemp("out") / "data", 0, files)


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_no_held_out_module_is_in_the_text_or_among_the_training_examples(data, files):
    held_out = {file.module for file in files if is_held_out(file.module)}
    assert 0 < len(held_out) < 20
    documents = rows(data.text)
    assert {document["module"] for document in documents} == {file.module for file in files} - held_out
    mentions = [f"module number {module.rpartition('_')[2]} " for module in held_out]
    texts = [document["text"] for document in documents] + [row["text"] for row in rows(data.task / "train.jsonl")]
    assert not any(mention in text for mention in mentions for text in texts)


def test_dev_examples_and_unread_sentences_are_of_held_out_modules_only(data, files):
    held_out = {file.module.rpartition("_")[2] for file in files if is_held_out(file.module)}
    intact = [row["text"] for row in rows(data.task / "dev.jsonl") if row["label"] != SWAPPED]
    for sentence in [*intact, *data.unread_sentences]:
        words = sentence.split()
        assert words[words.index("number") + 1] in held_out


def test_files_hold_what_was_returned(data):
    assert [(row["text"], row["label"]) for row in rows(data.task / "dev.jsonl")] == [
        (e.text, e.label) for e in data.dev
    ]
    assert not set(data.unread_sentences) & {example.text for example in data.dev}


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(data, files, tmp_path):
    again = write_quickstart_data(tmp_path / "again", 0, files)
    other = write_quickstart_data(tmp_path / "other", 1, files)
    assert (again.task / "train.jsonl").read_bytes() == (data.task / "train.jsonl").read_bytes()
    assert again.text.read_bytes() == other.text.read_bytes() == data.text.read_bytes()
    assert (other.task / "train.jsonl").read_bytes() != (data.task / "train.jsonl").read_bytes()


def test_a_python_without_docstrings_is_refused_with_a_reason(tmp_path):
    with pytest.raises(InputError, match="without docstrings"):
        write_quickstart_data(tmp_path / "data", 0, [])
