"""Weights of a folder into a network, name by name; whatever is missing, unknown or of another shape is told.

Legend: "heads" are what is added to an encoder; a folder may lack a whole head, never a part of one.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from bertsmith.core.artefact import MANIFEST, verify_artefact
from bertsmith.core.errors import ArtefactError
from bertsmith.model.bert_for_tasks import BertModel
from bertsmith.model.bilstm_for_tasks import BiLstmTaskNetwork
from bertsmith.model.configuration import CONFIGURATION_FILE
from bertsmith.model.elmo_language_model import ElmoModel
from bertsmith.model.gpt import GptModel
from bertsmith.model.gpt_for_tasks import GptTaskNetwork
from bertsmith.model.weight_files import WeightFiles, open_weight_files, weight_file_names
from bertsmith.model.weight_names import WeightNames

_KINDS = ("model", "checkpoint")


def load_weights(
    model: BertModel | GptModel | GptTaskNetwork | BiLstmTaskNetwork | ElmoModel,
    folder: Path,
    *,
    skip_heads: Collection[str] = (),
) -> list[str]:
    """Fill a model with the weights of a folder. Returns our names of those that the folder lacks, left as they were.

    Only whole heads may be lacking: pooler, masked_lm, next_sentence, classifier.

    skip_heads  heads that are treated as lacking
    raises      ArtefactError for weights that are missing, unknown, or of another shape, by name
    """
    folder = Path(folder)
    verify_files(folder, weight_file_names(folder))
    names = model.config.weight_names
    with open_weight_files(folder, names.plain) as files, torch.no_grad():
        ours = dict(model.named_parameters())
        wanted = {name: [names.plain(other) for other in names.of(name)] for name in ours}
        known = {other for others in wanted.values() for other in others}
        strangers = sorted(name for name in files.names - known if not names.is_harmless(name))
        if strangers:
            raise ArtefactError(
                f"{folder} holds weights that its {CONFIGURATION_FILE} has no place for: {and_more(strangers)}."
            )
        missing = _missing_heads(wanted, names, files, folder, skip_heads)
        if names.vocabulary is None or any(names.head_of(name) == names.vocabulary for name in ours):
            _check_tied(names, files, folder)
        for name, others in wanted.items():
            if name not in missing:
                sources = [_stored_as(other, names, files) for other in others]
                _check_shapes(names.shape_of_part(name, ours[name].shape), name, sources, files, folder)
                ours[name].copy_(names.from_hugging_face(name, [files.read(source) for source in sources]))
    return missing


def verify_files(folder: Path, names: Collection[str]) -> None:
    """Hash the files that are about to be read, where a manifest of ours tells what they were."""
    if (folder / MANIFEST).is_file():
        verify_artefact(folder, *_KINDS, only=names)


def _stored_as(name: str, names: WeightNames, files: WeightFiles) -> str:
    """The name of a tensor, or of its tied copy where only that is stored."""
    if name in files.names:
        return name
    return next(tied for tied, original in names.tied.items() if original == name)


def _missing_heads(
    wanted: Mapping[str, list[str]],
    names: WeightNames,
    files: WeightFiles,
    folder: Path,
    skip_heads: Collection[str],
) -> list[str]:
    """Our names of the weights of heads that the folder lacks as a whole; anything else missing is an error."""
    available = files.names | {original for tied, original in names.tied.items() if tied in files.names}
    missing = [name for name, others in wanted.items() if not available.issuperset(others)]
    parts_of: dict[str | None, list[str]] = defaultdict(list)
    for name in wanted:
        parts_of[names.head_of(name)].append(name)
    for head, parts in parts_of.items():
        lacking = [name for name in parts if name in missing]
        if lacking and (head is None or len(lacking) < len(parts)):
            theirs = [other for name in lacking for other in wanted[name] if other not in available]
            raise ArtefactError(f"{folder} lacks weights of the {head or 'encoder'}: {and_more(theirs)}.")
    return missing + [name for head in skip_heads for name in parts_of[head] if name not in missing]


def _check_tied(names: WeightNames, files: WeightFiles, folder: Path) -> None:
    """A second copy of a tied weight must be a copy (it may be longer: some pad it to a round number of pieces)."""
    for tied, original in names.tied.items():
        if {tied, original} <= files.names:
            first = files.read(original)
            second = files.read(tied)
            if second.shape[1:] != first.shape[1:] or not torch.equal(second[: len(first)], first):
                raise ArtefactError(
                    f"{folder} has a vocabulary layer of its own: {tied} differs from {original}. "
                    "bertsmith's is tied to the token embeddings, as in the paper."
                )


def _check_shapes(expected: tuple[int, ...], name: str, sources: list[str], files: WeightFiles, folder: Path) -> None:
    for source in sources:
        if files.shape(source) != expected:
            raise ArtefactError(
                f"{folder} has {source} of shape {list(files.shape(source))}, and the model that its "
                f"{CONFIGURATION_FILE} and your settings describe needs {list(expected)} (our {name})."
            )


def and_more(names: list[str], shown: int = 8) -> str:
    """Names for a message, the first few of many."""
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest
