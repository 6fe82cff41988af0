"""Model folders, laid out as Hugging Face's: `AutoModel...from_pretrained(folder)` reads ours, and we read theirs.

    config.json         the network (`configuration.BertConfig`), the class of the model, the labels of a classifier
    model.safetensors   the weights in float32 under Hugging Face's names (`weight_names`)
    vocab.txt, tokenizer.json, tokenizer_config.json, special_tokens_map.json
    README.md           the model card

Nothing in a folder is executed: no pickle is opened, and `auto_map` entries (code) are ignored.
"""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from bertsmith.core.configuration import build_settings
from bertsmith.core.console import console
from bertsmith.core.errors import ArtefactError, MismatchedArtefact
from bertsmith.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertsmith.model.bert_for_tasks import (
    BertForMaskedWord,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    MaskedWordIds,
)
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.bilstm_for_tasks import (
    BiLstmForMultipleChoice,
    BiLstmForQuestionAnswering,
    BiLstmForSequenceClassification,
    BiLstmForTokenClassification,
    BiLstmTaskNetwork,
    EncoderConfig,
)
from bertsmith.model.configuration import (
    CONFIGURATION_FILE,
    BertConfig,
    ClassifierLabels,
)
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.elmo_language_model import ElmoLanguageModel, ElmoModel, ElmoOnPieces
from bertsmith.model.folder_configuration import (
    BILSTM_ENTRY,
    load_any_config,
    load_bilstm_config,
    load_config,
    load_labels,
    read_entries,
    resolve_model_folder,
)
from bertsmith.model.gpt import Gpt, GptLanguageModel, GptModel
from bertsmith.model.gpt_for_tasks import (
    GptForMultipleChoice,
    GptForQuestionAnswering,
    GptForSequenceClassification,
    GptForTokenClassification,
    GptTaskNetwork,
)
from bertsmith.model.initialisation import initialise_normal
from bertsmith.model.weight_files import WEIGHTS_FILE, open_weight_files
from bertsmith.model.weight_loading import and_more, load_weights
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_list import WordList

MODEL_CARD = "README.md"

ModelType = TypeVar(
    "ModelType",
    Bert,
    BertForPreTraining,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForTokenClassification,
    BertForMaskedWord,
    Gpt,
    GptLanguageModel,
    GptForSequenceClassification,
    GptForMultipleChoice,
    GptForQuestionAnswering,
    GptForTokenClassification,
    BiLstmForSequenceClassification,
    BiLstmForMultipleChoice,
    BiLstmForQuestionAnswering,
    BiLstmForTokenClassification,
    ElmoOnPieces,
    ElmoLanguageModel,
)
_CLASSIFIERS = (
    BertForSequenceClassification,
    BertForTokenClassification,
    GptForSequenceClassification,
    GptForTokenClassification,
    BiLstmForSequenceClassification,
    BiLstmForTokenClassification,
)
_ON_BILSTM = (
    BiLstmForSequenceClassification,
    BiLstmForMultipleChoice,
    BiLstmForQuestionAnswering,
    BiLstmForTokenClassification,
)
_ADDED_LAYERS = ("classifier", "qa_outputs", "choice")  # heads of tasks; those of several kinds share a name


def save_model(
    model: BertModel | GptModel | GptTaskNetwork | BiLstmTaskNetwork | ElmoModel,
    folder: Path,
    tokenizer: Tokenizer,
    *,
    model_card: str,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the files of a model into `folder`, which exists (usually the staging folder of an artefact).

    model_card  the text of README.md
    weights     what to write in the place of the model's weights, under the same names: an optimiser's float32 masters
    raises      MismatchedArtefact for a tokenizer with more pieces than the model has embeddings
    """
    if tokenizer.vocabulary_size > model.config.vocab_size:
        raise MismatchedArtefact(
            f"The tokenizer has {tokenizer.vocabulary_size:,} pieces and the model embeddings for "
            f"{model.config.vocab_size:,}. Save a model with the tokenizer that it was trained with."
        )
    entries = {"architectures": [model.architecture], "dtype": "float32"} | model.config.to_hugging_face()
    if isinstance(model, _CLASSIFIERS):
        entries |= model.labels.to_hugging_face()
    if isinstance(model, _ON_BILSTM):
        entries[BILSTM_ENTRY] = model.bilstm_config.model_dump(mode="json")
    if isinstance(model, ElmoLanguageModel):
        model.words.save(folder, tokenizer.pieces)
    (folder / CONFIGURATION_FILE).write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    theirs = model.config.weight_names.to_hugging_face(model.state_dict() if weights is None else weights)
    tensors = {name: tensor.detach().float().contiguous().cpu() for name, tensor in theirs.items()}
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    tokenizer.save(folder, model_max_length=model.config.max_position_embeddings)
    (folder / MODEL_CARD).write_text(model_card, encoding="utf-8")


def load_model(
    model_class: type[ModelType],
    folder: Path,
    *,
    seed: int | None = None,
    labels: ClassifierLabels | None = None,
    words: MaskedWordIds | None = None,
    bilstm: BiLstmConfig | None = None,
    task: str | None = None,
    learnt: str | None = None,
    **overrides: Any,  # noqa: ANN401
) -> ModelType:
    """Load a model of one of our classes from a folder of ours or of Hugging Face's, in float32, in training mode.

    seed       heads that the folder lacks get initial values from it, and the screen says so; None: that is an error
    labels     of a classifier; other labels than the folder's mean a new classifier. None: the folder's
    task       the name of what is going to be learnt, where that is a task
    learnt     what the folder says that it has learnt; if that is another task, its added layer is not used. None: it
               says nothing, and its layer is used where it fits
    words      of a masked-word network, which needs them: the mask, and what may stand in its place
    bilstm     what stands on the encoder, of a network with a BiLSTM; None: what the folder says
    overrides  fields of the configuration that differ from the folder's, say `hidden_dropout_prob=0.0`
    raises     ArtefactError and its subclasses, ConfigurationError
    """
    folder = resolve_model_folder(folder)
    stored_config = _config_for(model_class, folder)
    config = build_settings(type(stored_config), stored_config.model_dump(), overrides)
    if isinstance(config, BertConfig) and config.is_decoder and model_class in (BertForMaskedLM, BertForMaskedWord):
        raise ArtefactError(
            f"{folder} reads from left to right (is_decoder), and a {model_class.architecture} has to see both sides. "
            f"Give an encoder that was pre-trained with masks."
        )
    build: Callable[..., ModelType] = model_class
    other = None  # what the added layer of the folder is for, if not for this
    if read_entries(folder).get("architectures") not in (None, [model_class.architecture]):
        other = "another kind of task"
    parts: list[Any] = [config]
    if issubclass(model_class, _ON_BILSTM):
        parts.append(bilstm or load_bilstm_config(folder))
    if issubclass(model_class, _CLASSIFIERS):
        stored_labels = load_labels(folder)
        parts.append(labels or stored_labels)
        if labels not in (None, stored_labels):
            other = "other labels"
    if learnt not in (None, task):
        other = f"another task, {learnt}"
    if issubclass(model_class, BertForMaskedWord):
        parts.append(words)
    if isinstance(config, ElmoConfig):
        tokenizer = Tokenizer.load(folder)
        parts.append(tokenizer)
        if issubclass(model_class, ElmoLanguageModel):
            parts.append(WordList.load(folder, tokenizer))
    with torch.device("meta"):  # no initial values: all come from the folder or the seed
        model = build(*parts)
    model.to_empty(device="cpu")
    missing = load_weights(model, folder, skip_heads=_ADDED_LAYERS if other else ())
    if missing and seed is None:
        raise ArtefactError(
            f"{folder} lacks what a {model.architecture} needs: {and_more(missing)}. "
            "It holds an encoder, or another kind of model; fine-tune it first."
        )
    if missing and seed is not None:
        initialise_normal(model, seed, only=missing)
    if seed is not None:
        _tell_of_heads(model, folder, missing, seed, other, learnt)
    return model


def _tell_of_heads(
    model: BertModel | GptModel | GptTaskNetwork | BiLstmTaskNetwork | ElmoModel,
    folder: Path,
    missing: Collection[str],
    seed: int,
    other: str | None,
    learnt: str | None,
) -> None:
    """Say which heads the folder lacks, and what becomes of the added layer that it has."""
    names = model.config.weight_names
    heads = {name: head for name, _ in model.named_parameters() if (head := names.head_of(name))}
    with open_weight_files(folder, names.plain) as files:
        stored = {head for name, head in heads.items() if files.names.issuperset(map(names.plain, names.of(name)))}
    initialised = {heads[name] for name in missing}
    if lacking := sorted(initialised - stored):
        console.print(f"{folder} has no {' and no '.join(lacking)}: initialised with seed {seed}.", soft_wrap=True)
    for head in sorted(stored & initialised):
        console.print(f"{folder}: its {head} is for {other}: a new one, initialised with seed {seed}.", soft_wrap=True)
    for head in sorted((stored - initialised) & {*_ADDED_LAYERS, "bilstm"}):
        console.print(f"The {head} of {learnt or folder} is kept.", soft_wrap=True)


def _config_for(model_class: type[Any], folder: Path) -> EncoderConfig:
    """The network that a folder describes: of the family of a class, or of any if it is for all."""
    if issubclass(model_class, _ON_BILSTM):
        return load_any_config(folder)
    config: EncoderConfig = load_config(model_class.config_class, folder)
    return config
