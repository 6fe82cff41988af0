"""The nine tasks of GLUE (Wang et al. 2019; BERT 4.1, B.1) as rows of a table.

Columns and file names are those of the official download; so are the metrics. The primary metric, by which the best of
several runs is chosen, is the one of the paper's table 1: F1 for QQP and MRPC, Spearman's correlation for STS-B,
Matthews' for CoLA, accuracy for the rest. `AX`, the diagnostic examples, are no task to learn: the MNLI model answers
them.
"""

from collections.abc import Mapping
from pathlib import Path

from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.task import SentenceTask

_FILES: Mapping[str, tuple[str, ...]] = {"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)}
_PAIR = Columns("sentence1", "sentence2", "label")
_ENTAILMENT = ("entailment", "not_entailment")
_INFERENCE = ("contradiction", "entailment", "neutral")

GLUE: Mapping[str, SentenceTask] = {
    task.name: task
    for task in (
        SentenceTask(
            "cola",
            Columns(text=3, label=1),  # train and dev have no header: source, label, author's own mark, sentence
            labels=("0", "1"),
            metrics=("matthews", "accuracy"),
            files=_FILES,
            unlabelled=Columns("sentence"),
        ),
        SentenceTask(
            "sst-2", Columns("sentence", label="label"), labels=("0", "1"), metrics=("accuracy",), files=_FILES
        ),
        SentenceTask(
            "mrpc",
            Columns("#1 String", "#2 String", "Quality"),
            labels=("0", "1"),
            symmetric=True,
            metrics=("f1", "accuracy"),
            files={
                "train": ("train.tsv", "msr_paraphrase_train.txt"),
                "dev": ("dev.tsv",),
                "test": ("msr_paraphrase_test.txt", "test.tsv"),  # the first has labels
            },
        ),
        SentenceTask(
            "sts-b",
            Columns("sentence1", "sentence2", "score"),
            labels=None,
            score_range=(0.0, 5.0),
            symmetric=True,
            metrics=("spearman", "pearson"),
            files=_FILES,
        ),
        SentenceTask(
            "qqp",
            Columns("question1", "question2", "is_duplicate"),
            labels=("0", "1"),
            symmetric=True,
            metrics=("f1", "accuracy"),
            files=_FILES,
            broken=("train", "dev"),  # line breaks inside questions: line 97,931 of train has 3 columns of 6
        ),
        SentenceTask(
            "mnli",
            Columns("sentence1", "sentence2", "gold_label"),
            labels=_INFERENCE,
            metrics=("accuracy",),
            files={
                "train": ("train.tsv",),
                "dev": ("dev_matched.tsv",),
                "dev_mismatched": ("dev_mismatched.tsv",),
                "test": ("test_matched.tsv",),
                "test_mismatched": ("test_mismatched.tsv",),
            },
        ),
        SentenceTask(
            "qnli", Columns("question", "sentence", "label"), labels=_ENTAILMENT, metrics=("accuracy",), files=_FILES
        ),
        SentenceTask("rte", _PAIR, labels=_ENTAILMENT, metrics=("accuracy",), files=_FILES),
        SentenceTask("wnli", _PAIR, labels=("0", "1"), metrics=("accuracy",), files=_FILES),
    )
}

AX = SentenceTask(
    "ax",
    Columns("Premise", "Hypothesis", "Label"),  # of diagnostic-full.tsv, which has labels
    labels=_INFERENCE,
    metrics=("matthews", "accuracy"),
    files={"test": ("diagnostic.tsv", "AX.tsv")},
    unlabelled=Columns("sentence1", "sentence2"),
)

_FOLDERS: Mapping[str, tuple[str, ...]] = {AX.name: ("diagnostic", "ax")}  # the others' are called like the task


def folder_of(task: SentenceTask, data: Path) -> Path | None:
    """The folder of a task in the folder of all tasks (`glue/SST-2` in `glue`), whatever the letter case."""
    names = _FOLDERS.get(task.name, (task.name,))
    return next((child for child in sorted(data.iterdir()) if child.is_dir() and child.name.casefold() in names), None)
