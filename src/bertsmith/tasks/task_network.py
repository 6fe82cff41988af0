"""The network of a task: on the weights of a folder, or untrained.

BERT's with one added layer; where the folder holds a GPT, its own; or a BiLSTM on the states of either.
"""

from pathlib import Path
from typing import Any

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert_for_tasks import BertForMaskedWord, BertTaskNetwork, MaskedWordIds
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.configuration import BertConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.folder import load_model
from bertsmith.model.folder_configuration import load_any_config, load_bilstm_config, resolve_model_folder
from bertsmith.model.task_networks import (
    BILSTM_COUNTERPARTS,
    GPT_COUNTERPARTS,
    SequenceClassifier,
    TaskNetwork,
    TokenClassifier,
)
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_file import TASK_FILE, load_task
from bertsmith.text.tokenizer import Tokenizer


def network_of(task: Task[Any, Any], shape: EncoderConfig, bilstm: BiLstmConfig | None = None) -> type[TaskNetwork]:
    """The class of network that a task is learnt with.

    raises  ConfigurationError for a task of hidden words and what has not learnt to tell them
    """
    network: type[BertTaskNetwork] = task.network
    if bilstm is None and isinstance(shape, ElmoConfig):
        raise ConfigurationError("An ELMo gives features and is not fine-tuned: set --strategy feature-based.")
    if bilstm is None and isinstance(shape, BertConfig) and not (shape.is_decoder and network is BertForMaskedWord):
        return network
    if network not in GPT_COUNTERPARTS:
        reader = "a BiLSTM" if bilstm else "a network that reads from left to right"
        raise ConfigurationError(f"{task.name} asks for hidden words, and {reader} has not learnt to tell them.")
    if bilstm is not None:
        return BILSTM_COUNTERPARTS[network]
    return network if isinstance(shape, BertConfig) else GPT_COUNTERPARTS[network]


def load_network(
    task: Task[Any, Any],
    folder: Path,
    tokenizer: Tokenizer,
    *,
    seed: int | None = None,
    dropout: float | None = None,
    bilstm: BiLstmConfig | None = None,
) -> TaskNetwork:
    """The network of a task with the weights of a folder, as `load_model` gives it.

    seed     of what is added, where the folder has none of this task; what it has of another is not used. None: the
             folder has to have it
    dropout  rate everywhere in the network; None: the folder's
    bilstm   what is to stand on the encoder; None: what the folder of a fine-tuned network says
    """
    shape = load_any_config(folder)
    overrides = {} if dropout is None else shape.with_dropout(dropout).model_dump()
    if bilstm is None and seed is None:
        bilstm = load_bilstm_config(folder)
    network: TaskNetwork = load_model(  # type: ignore[type-var]
        network_of(task, shape, bilstm),
        folder,
        seed=seed,
        labels=task.outputs,
        words=_words(task, tokenizer),
        bilstm=bilstm,
        task=task.name,
        learnt=None if seed is None else _task_of(folder),
        **overrides,
    )
    return network


def _task_of(folder: Path) -> str | None:
    """The name of the task that the model in a folder has learnt, if the folder says it."""
    folder = resolve_model_folder(folder)
    return load_task(folder)[0].name if (folder / TASK_FILE).is_file() else None


def new_network(
    task: Task[Any, Any], shape: EncoderConfig, tokenizer: Tokenizer, bilstm: BiLstmConfig | None = None
) -> TaskNetwork:
    """The network of a task, with torch's weights."""
    network: Any = network_of(task, shape, bilstm)
    parts: list[Any] = [shape] if bilstm is None else [shape, bilstm]
    if issubclass(network, SequenceClassifier | TokenClassifier):
        assert task.outputs is not None  # what labels a classifier has is a part of its task
        parts.append(task.outputs)
    elif issubclass(network, BertForMaskedWord):
        parts.append(_words(task, tokenizer))
    if bilstm is not None:
        parts.append(tokenizer)
    made: TaskNetwork = network(*parts)
    return made


def _words(task: Task[Any, Any], tokenizer: Tokenizer) -> MaskedWordIds | None:
    return task.ids(tokenizer) if isinstance(task, MaskedWordTask) else None
