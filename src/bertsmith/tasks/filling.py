"""The verb `fill`: what a pre-trained model would write where a text has `[MASK]` (the Cloze task of BERT 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field
from rich.table import Table

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.token_budget import within_tokens
from bertsmith.core.configuration import Settings
from bertsmith.core.errors import InputError
from bertsmith.model.bert import BertForMaskedLM
from bertsmith.model.folder import load_model
from bertsmith.model.folder_configuration import load_tokenizer, resolve_model_folder
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.text.pieces import MASK
from bertsmith.text.tokenizer import Tokenizer


class FillConfig(Settings):
    """Fill the [MASK]s of a text."""

    model: Path = Field(description="pre-trained model: a run folder, a model folder, or Hugging Face's")
    texts: tuple[str, ...] = Field(min_length=1, description='texts with [MASK], e.g. "Paris is the [MASK] of France."')
    top: int = Field(5, ge=1, description="candidates for each [MASK]")
    runtime: InferenceSettings = InferenceSettings()


@dataclass(frozen=True)
class Candidate:
    """One piece of the vocabulary and its probability."""

    piece: str
    probability: float


@dataclass(frozen=True)
class FilledText:
    """For each [MASK] of a text, in order, the likeliest pieces, best first."""

    text: str
    masks: tuple[tuple[Candidate, ...], ...]


@dataclass(frozen=True)
class FillResult:
    """The filled texts."""

    texts: tuple[FilledText, ...]

    def __rich__(self) -> Table:
        """The table for a terminal."""
        table = Table("text", "mask", "candidates")
        for filled in self.texts:
            for number, candidates in enumerate(filled.masks, start=1):
                shown = "  ".join(f"{candidate.piece} {candidate.probability:.1%}" for candidate in candidates)
                table.add_row(filled.text if number == 1 else "", str(number), shown)
            table.add_section()
        return table


def fill(config: FillConfig) -> FillResult:
    """The likeliest pieces for each [MASK]. Several masks of a text are filled each on its own, the others unseen.

    raises  InputError for a text without [MASK] or too long for the model
            ArtefactError for a model without a masked-LM head
    """
    folder = resolve_model_folder(config.model)
    tokenizer = load_tokenizer(folder)
    model = load_model(BertForMaskedLM, folder)
    sequences = [_encode(text, tokenizer, model.config.max_position_embeddings) for text in config.texts]
    config.runtime.place(model)
    candidates: list[tuple[tuple[Candidate, ...], ...]] = []
    for batch in within_tokens(sequences, len, config.runtime.batch_tokens):
        candidates += top_candidates(model, tokenizer, batch, config.top)
    filled = (FilledText(text, masks) for text, masks in zip(config.texts, candidates, strict=True))
    return FillResult(tuple(filled))


@torch.inference_mode()
def top_candidates(
    model: BertForMaskedLM, tokenizer: Tokenizer, sequences: Sequence[Sequence[int]], top: int
) -> list[tuple[tuple[Candidate, ...], ...]]:
    """For each sequence of ids, for each [MASK] in it, the `top` likeliest pieces."""
    device = next(model.parameters()).device
    inputs = FlatBatch.from_sequences(sequences, [[0] * len(ids) for ids in sequences])
    masked_positions = (inputs.token_ids == tokenizer.mask_id).nonzero()[:, 0]  # [M]
    logits = model(inputs.to(device), masked_positions.to(device)).token_logits.float()  # [M, V]
    # a model may have more rows than the vocabulary has pieces (padded to a round number): those stand for nothing
    probabilities = logits[:, : tokenizer.vocabulary_size].softmax(dim=1).cpu()
    best, pieces = probabilities.topk(min(top, tokenizer.vocabulary_size), dim=1)
    candidates = iter(
        tuple(Candidate(tokenizer.pieces[piece], value) for piece, value in zip(row, values, strict=True))
        for row, values in zip(pieces.tolist(), best.tolist(), strict=True)
    )
    return [tuple(next(candidates) for _ in range(list(ids).count(tokenizer.mask_id))) for ids in sequences]


def _encode(text: str, tokenizer: Tokenizer, max_positions: int) -> list[int]:
    ids = [tokenizer.cls_id, *tokenizer.encode(text), tokenizer.sep_id]
    if tokenizer.mask_id not in ids:
        raise InputError(f"There is no {MASK} in the text '{text}'. Write {MASK}, in capitals, where a word is wanted.")
    if len(ids) > max_positions:
        raise InputError(
            f"The text '{text[:60]}...' has {len(ids):,} tokens, and the model reads at most {max_positions:,}. "
            "Shorten it."
        )
    return ids
