"""How good a pre-trained network is on text it has not seen: fixed masks, the same for every run on a store."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.training.masked_language_model import MaskedLanguageModel


@dataclass(frozen=True)
class HeldOutScores:
    """Means over held-out labels and pairs. Losses in nats. The NSP scores are None without NSP."""

    mlm_loss: float
    mlm_accuracy: float
    perplexity: float
    nsp_loss: float | None
    nsp_accuracy: float | None

    def __str__(self) -> str:
        nsp = f", NSP accuracy {self.nsp_accuracy:.1%}" if self.nsp_accuracy is not None else ""
        return f"masked-LM loss {self.mlm_loss:.3f}, accuracy {self.mlm_accuracy:.1%}{nsp}"


@torch.inference_mode()
def evaluate_held_out(
    objective: MaskedLanguageModel, batches: Sequence[PretrainingBatch], stop: Callable[[], bool] = lambda: False
) -> HeldOutScores | None:
    """Score the network on held-out batches. None if told to stop on the way."""
    objective.model.eval()
    device = next(objective.model.parameters()).device
    totals: dict[str, float] = {}
    num_labels = sum(len(batch.masked_labels) for batch in batches)
    num_pairs = sum(batch.num_sequences for batch in batches)
    for batch in batches:
        if stop():
            return None
        on_device = batch.to(device)
        _, means = objective(on_device, on_device)
        for name, mean in means.items():
            weight = (
                batch.num_sequences / num_pairs if name.startswith("nsp") else len(batch.masked_labels) / num_labels
            )
            totals[name] = totals.get(name, 0.0) + mean.item() * weight
    return HeldOutScores(
        mlm_loss=totals["mlm_loss"],
        mlm_accuracy=totals["mlm_accuracy"],
        perplexity=math.exp(totals["mlm_loss"]),
        nsp_loss=totals.get("nsp_loss"),
        nsp_accuracy=totals.get("nsp_accuracy"),
    )


def unigram_loss(batches: Sequence[PretrainingBatch], token_counts: npt.NDArray[np.int64]) -> float:
    """Loss in nats of guessing each held-out label by its frequency in the training text: the floor without context.

    token_counts  [V]  occurrences in the training text; one is added to each, so that unseen pieces have a finite loss
    """
    log_frequencies = np.log(token_counts + 1.0) - math.log(float(token_counts.sum() + len(token_counts)))
    labels = torch.cat([batch.masked_labels for batch in batches]).numpy()
    return float(-log_frequencies[labels].mean())
