"""The network of a task: on the weights of a folder, or untrained."""

from pathlib import Path
from typing import Any

from bertsmith.model.bert_for_tasks import (
    BertForMaskedWord,
    BertForSequenceClassification,
    BertForTokenClassification,
    MaskedWordIds,
    TaskNetwork,
)
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import load_model
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.task import Task
from bertsmith.text.tokenizer import Tokenizer


def load_network(
    task: Task[Any, Any],
    folder: Path,
    tokenizer: Tokenizer,
    *,
    seed: int | None = None,
    **overrides: Any,  # noqa: ANN401
) -> TaskNetwork:
    """The network of a task with the weights of a folder, as `load_model` gives it.

    seed  of the added layer, where the folder has none of this task; None: that is an error
    """
    network: TaskNetwork = load_model(  # type: ignore[type-var]
        task.network, folder, seed=seed, labels=task.outputs, words=_words(task, tokenizer), **overrides
    )
    return network


def new_network(task: Task[Any, Any], shape: BertConfig, tokenizer: Tokenizer) -> TaskNetwork:
    """The network of a task, with torch's weights."""
    network = task.network
    if issubclass(network, BertForSequenceClassification | BertForTokenClassification):
        assert task.outputs is not None  # what labels a classifier has is a part of its task
        return network(shape, task.outputs)
    if issubclass(network, BertForMaskedWord):
        words = _words(task, tokenizer)
        assert words is not None  # and so are the words
        return network(shape, words)
    return network(shape)


def _words(task: Task[Any, Any], tokenizer: Tokenizer) -> MaskedWordIds | None:
    return task.ids(tokenizer) if isinstance(task, MaskedWordTask) else None
