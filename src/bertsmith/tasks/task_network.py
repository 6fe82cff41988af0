"""The network of a task: on the weights of a folder, or untrained. BERT's, or where the folder holds a GPT, its own."""

from pathlib import Path
from typing import Any

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert_for_tasks import BertForMaskedWord, BertTaskNetwork, MaskedWordIds
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import load_any_config, load_model
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.task_networks import GPT_COUNTERPARTS, SequenceClassifier, TaskNetwork, TokenClassifier
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.task import Task
from bertsmith.text.tokenizer import Tokenizer


def network_of(task: Task[Any, Any], shape: BertConfig | GptConfig) -> type[TaskNetwork]:
    """The class of network that a task is learnt with.

    raises  ConfigurationError for a GPT and a task of hidden words
    """
    network: type[BertTaskNetwork] = task.network
    if isinstance(shape, BertConfig):
        return network
    if network not in GPT_COUNTERPARTS:
        raise ConfigurationError(f"{task.name} asks for hidden words, and a GPT has not learnt to tell them.")
    return GPT_COUNTERPARTS[network]


def load_network(
    task: Task[Any, Any],
    folder: Path,
    tokenizer: Tokenizer,
    *,
    seed: int | None = None,
    dropout: float | None = None,
) -> TaskNetwork:
    """The network of a task with the weights of a folder, as `load_model` gives it.

    seed     of the added layer, where the folder has none of this task; None: that is an error
    dropout  rate everywhere in the network; None: the folder's
    """
    shape = load_any_config(folder)
    overrides = {} if dropout is None else shape.with_dropout(dropout).model_dump()
    network: TaskNetwork = load_model(  # type: ignore[type-var]
        network_of(task, shape), folder, seed=seed, labels=task.outputs, words=_words(task, tokenizer), **overrides
    )
    return network


def new_network(task: Task[Any, Any], shape: BertConfig | GptConfig, tokenizer: Tokenizer) -> TaskNetwork:
    """The network of a task, with torch's weights."""
    network: Any = network_of(task, shape)
    if issubclass(network, SequenceClassifier | TokenClassifier):
        assert task.outputs is not None  # what labels a classifier has is a part of its task
        made: TaskNetwork = network(shape, task.outputs)
    elif issubclass(network, BertForMaskedWord):
        made = network(shape, _words(task, tokenizer))
    else:
        made = network(shape)
    return made


def _words(task: Task[Any, Any], tokenizer: Tokenizer) -> MaskedWordIds | None:
    return task.ids(tokenizer) if isinstance(task, MaskedWordTask) else None
