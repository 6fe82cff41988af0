"""Every task that has a name, and every kind of task."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Literal

from bertsmith.core.errors import ConfigurationError
from bertsmith.tasks.choices.named import CHOICE_TASKS
from bertsmith.tasks.choices.task import ChoiceTask
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.masked_words.named import MASKED_WORD_TASKS
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.sentences.glue import AX, GLUE
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.tasks.spans.task import SPAN_TASKS, SpanTask
from bertsmith.tasks.tags.named import TAG_TASKS
from bertsmith.tasks.tags.task import TagTask
from bertsmith.tasks.task import Task

KindName = Literal["sentences", "spans", "choices", "tags", "masked-words"]

KINDS: Mapping[str, type[Task[Any, Any]]] = {
    kind.kind: kind for kind in (SentenceTask, SpanTask, ChoiceTask, TagTask, MaskedWordTask)
}

TASKS: Mapping[str, Task[Any, Any]] = {
    **GLUE,
    AX.name: AX,
    **SPAN_TASKS,
    **CHOICE_TASKS,
    **TAG_TASKS,
    **MASKED_WORD_TASKS,
}


def find_task(name: str) -> Task[Any, Any]:
    """The task called `name`, whatever the letter case, hyphens and underscores. Raises ConfigurationError."""
    by_letters = {_letters(known): task for known, task in TASKS.items()}
    if task := by_letters.get(_letters(name)):
        return task
    near = get_close_matches(_letters(name), by_letters, n=1)
    hint = f" Did you mean '{by_letters[near[0]].name}'?" if near else ""
    raise ConfigurationError(
        f"There is no task '{name}'.{hint} Known tasks: {', '.join(TASKS)}. For a file of your own leave --task out "
        f"and name its columns with --text, --text-pair and --label."
    )


def own_task(
    kind: KindName, name: str, columns: ColumnSettings, *, regression: bool = False, several_labels: bool = False
) -> Task[Any, Any]:
    """A description of files of one's own, whose labels the training file will tell."""
    task = KINDS[kind].of_files(name).with_columns(columns)
    if not (regression or several_labels):
        return task
    if not isinstance(task, SentenceTask):
        raise ConfigurationError(f"--regression and --several-labels are for sentences, not for {kind}.")
    if regression and several_labels:
        raise ConfigurationError("A label is a number (--regression) or a set of names (--several-labels), not both.")
    if regression:
        return replace(task, labels=None, metrics=("spearman", "pearson"))
    return replace(task, several=True, metrics=("micro_f1", "macro_f1", "accuracy"))


def _letters(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")
