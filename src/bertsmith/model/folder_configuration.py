"""What a model folder says of itself before its weights are read: network, labels, tokenizer, fingerprint.

Nothing in a folder is executed: no pickle is opened, and `auto_map` entries (code to run on loading) are passed over.
"""

import hashlib
from pathlib import Path
from typing import Any, TypeVar

from bertsmith.core.artefact import MANIFEST, read_manifest, record_file
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ArtefactError, MismatchedArtefact
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.configuration import (
    CONFIGURATION_FILE,
    BertConfig,
    ClassifierLabels,
    read_hugging_face_config,
)
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.weight_files import weight_file_names
from bertsmith.model.weight_loading import verify_files
from bertsmith.text.tokenizer import Tokenizer

ConfigType = TypeVar("ConfigType", BertConfig, GptConfig, ElmoConfig)
BILSTM_ENTRY = "bilstm"  # of config.json
_FAMILIES = {BertConfig.model_type: "a BERT", GptConfig.model_type: "a GPT", ElmoConfig.model_type: "an ELMo"}


def resolve_model_folder(path: Path) -> Path:
    """The folder that holds a model: `path` itself, or its `model/` if it is the folder of a run.

    raises  ArtefactError for anything else
    """
    path = Path(path)
    for folder in (path, path / "model"):
        if (folder / CONFIGURATION_FILE).is_file():
            return folder
    if not path.exists():
        raise ArtefactError(
            f"There is no model at {path}. Give a folder on this machine; bertsmith does not download models."
        )
    checkpoints = sorted((path / "checkpoints").glob("step-*"))
    if checkpoints:
        raise ArtefactError(
            f"The run {path} has no model yet. Resume it, or use its newest checkpoint: {checkpoints[-1]}."
        )
    raise ArtefactError(f"{path} is not a model folder: it has no {CONFIGURATION_FILE}.")


def load_any_config(folder: Path) -> EncoderConfig:
    """The network that a folder describes, of any family."""
    family = read_entries(folder).get("model_type")
    if family == ElmoConfig.model_type:
        return load_config(ElmoConfig, folder)
    return load_config(GptConfig, folder) if family == GptConfig.model_type else load_config(BertConfig, folder)


def load_config(config_class: type[ConfigType], folder: Path) -> ConfigType:
    """The network that a folder describes.

    raises  MismatchedArtefact for a network of another family that we have, ConfigurationError for one that we have not
    """
    entries = read_entries(folder)
    found, wanted = entries.get("model_type", BertConfig.model_type), config_class.model_type
    if found != wanted and found in _FAMILIES:
        raise MismatchedArtefact(
            f"{folder} holds {_FAMILIES[found]}, and what you ask for needs {_FAMILIES[wanted]}: give a folder of one."
        )
    return config_class.from_hugging_face(entries, source=str(resolve_model_folder(folder) / CONFIGURATION_FILE))


def load_labels(folder: Path) -> ClassifierLabels:
    """The labels of the classifier that a folder describes."""
    entries = read_entries(folder)
    return ClassifierLabels.from_hugging_face(entries, source=str(resolve_model_folder(folder) / CONFIGURATION_FILE))


def load_bilstm_config(folder: Path) -> BiLstmConfig | None:
    """What stands on the encoder of a folder, if it is a BiLSTM."""
    stored = read_entries(folder).get(BILSTM_ENTRY)
    return None if stored is None else build_settings(BiLstmConfig, stored)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model. Raises MismatchedArtefact if it has pieces for which the network has no embedding."""
    tokenizer, network = Tokenizer.load(resolve_model_folder(folder)), load_any_config(folder)
    if tokenizer.vocabulary_size > network.vocab_size:
        raise MismatchedArtefact(
            f"The tokenizer in {folder} has {tokenizer.vocabulary_size:,} pieces, and the network embeddings for "
            f"{network.vocab_size:,}: they are not of one model. Put the vocabulary that it was trained with there."
        )
    return tokenizer


def model_fingerprint(folder: Path) -> str:
    """The fingerprint in a model folder's manifest; of a folder without one, the SHA-256 of its weight files."""
    if (folder / MANIFEST).is_file():
        return read_manifest(folder, "model", "checkpoint").fingerprint
    digests = [record_file(folder / name).sha256 for name in weight_file_names(folder)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


def read_entries(folder: Path) -> dict[str, Any]:
    """What stands in config.json, its hash verified where a manifest has it."""
    folder = resolve_model_folder(folder)
    verify_files(folder, [CONFIGURATION_FILE])
    return read_hugging_face_config(folder)
