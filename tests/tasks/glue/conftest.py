"""Four tasks of GLUE and the diagnostic examples, small, in the official layout; and a run on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bertsmith.core.configuration import build_settings
from bertsmith.tasks.finetuning import finetune
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.glue.result import GlueResult

INFERENCE = {"good": "entailment", "bad": "contradiction", "cat": "neutral"}  # the word that tells the label
SCORES = {"awful": 0.0, "bad": 1.0, "fine": 2.5, "good": 4.0, "great": 5.0}
MNLI_HEADER = ["index", "promptID", "pairID", "genre", "sentence1", "sentence2", "label1", "gold_label"]
STS_HEADER = ["index", "genre", "filename", "year", "sentence1", "sentence2", "score"]


def write(path, header, rows):
    path.parent.mkdir(exist_ok=True)
    lines = [header, *rows] if header else rows
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))


def write_glue(folder):
    """CoLA, MNLI, RTE, STS-B, a test set for each, the diagnostic examples; QNLI without train."""
    random = np.random.default_rng(0)

    def sentence(word):
        others = random.choice(["the", "film", "is", "very", "a", "dog", "sat"], size=random.integers(1, 4))
        return " ".join(random.permutation([*others, word]))

    def words(choices, count):
        return [list(choices)[place % len(choices)] for place in range(count)]

    for part, count in (("train", 180), ("dev_matched", 30), ("dev_mismatched", 24), ("test_matched", 11)):
        rows = [
            [index, *"xyz", "the film .", sentence(word), *([INFERENCE[word]] * 2 if part[:4] != "test" else [])]
            for index, word in enumerate(words(INFERENCE, count))
        ]
        write(folder / "MNLI" / f"{part}.tsv", MNLI_HEADER if part[:4] != "test" else MNLI_HEADER[:-2], rows)
    for part, count in (("train", 120), ("dev", 20)):
        rows = [["gj04", int(word == "good"), "", sentence(word)] for word in words(("good", "bad"), count)]
        write(folder / "CoLA" / f"{part}.tsv", None, rows)
        label = {"good": "entailment", "bad": "not_entailment"}
        rows = [[index, "a film", sentence(word), label[word]] for index, word in enumerate(words(label, count))]
        write(folder / "RTE" / f"{part}.tsv", ["index", "sentence1", "sentence2", "label"], rows)
        rows = [
            [index, *"xyz", "a film", sentence(word), SCORES[word]] for index, word in enumerate(words(SCORES, count))
        ]
        write(folder / "STS-B" / f"{part}.tsv", STS_HEADER, rows)
    write(folder / "CoLA" / "test.tsv", ["index", "sentence"], [[index, sentence("good")] for index in range(7)])
    pairs = [[index, "a film", sentence("bad")] for index in range(5)]
    write(folder / "RTE" / "test.tsv", ["index", "sentence1", "sentence2"], pairs)
    write(folder / "diagnostic" / "diagnostic.tsv", ["index", "sentence1", "sentence2"], pairs)
    rows = [[index, *"xyz", "a film", sentence(word)] for index, word in enumerate(SCORES)]
    write(folder / "STS-B" / "test.tsv", STS_HEADER[:-1], rows)
    write(folder / "QNLI" / "dev.tsv", ["index", "question", "sentence", "label"], [[0, "Who?", "He.", "entailment"]])


@pytest.fixture(scope="session")
def glue_configuration(pretrained):
    def configure(data, out, *layers):
        return build_settings(
            FinetuneConfig,
            {
                "model": pretrained,
                "out": out,
                "seeds": 2,
                "task_data": {"task": "glue", "data": data},
                "inputs": {"max_seq_length": 32},
                "training": {"learning_rate": 3e-3, "epochs": 4, "batch_size": 8},
                "runtime": {"precision": "float32", "threads": 1},
            },
            *layers,
        )

    return configure


@pytest.fixture(scope="session")
def tiny_glue(tmp_path_factory):
    """The folder of the download."""
    folder = tmp_path_factory.mktemp("glue")
    write_glue(folder)
    return folder


@dataclass(frozen=True)
class GlueRun:
    out: Path
    result: GlueResult


@pytest.fixture(scope="session")
def glue_run(glue_configuration, tiny_glue, tmp_path_factory):
    """All of it, with two seeds, three tasks from the MNLI model."""
    out = tmp_path_factory.mktemp("out") / "glue"
    return GlueRun(out, finetune(glue_configuration(tiny_glue, out, {"task_data": {"from_mnli": True}})))
