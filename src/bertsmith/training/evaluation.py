"""How good a pre-trained network is on text it has not seen: fixed masks, the same for every run on a store.

Legend: M labels of all batches, N pairs of all batches, V vocabulary size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.model.bert import BertForMaskedLM
from bertsmith.model.losses import correctness, cross_entropies
from bertsmith.training.network import PretrainedNetwork

_LARGEST_EXPONENT = 700.0  # a run that diverges may have a loss whose perplexity is no number any more


@dataclass(frozen=True)
class HeldOutScores:
    """Means over held-out labels and pairs. Losses in nats. The NSP scores are None without NSP."""

    token_loss: float
    token_accuracy: float
    perplexity: float
    nsp_loss: float | None
    nsp_accuracy: float | None

    def __str__(self) -> str:
        nsp = f", NSP accuracy {self.nsp_accuracy:.1%}" if self.nsp_accuracy is not None else ""
        return f"loss {self.token_loss:.3f}, accuracy {self.token_accuracy:.1%}{nsp}"


@dataclass(frozen=True, eq=False)
class Guesses:
    """What a network made of some labels, one by one.

    labels   [K]  int64, what was to be guessed
    losses   [K]  float64, nats
    correct  [K]  float64, 1 if guessed right, 0 if not, a share where several guesses tie
    """

    labels: npt.NDArray[np.int64]
    losses: npt.NDArray[np.float64]
    correct: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeldOutGuesses:
    """What a network made of the labels of held-out batches, in their order: M tokens, and N pairs if there is NSP."""

    tokens: Guesses
    pairs: Guesses | None

    @property
    def scores(self) -> HeldOutScores:
        """The means."""
        token_loss = float(self.tokens.losses.mean())
        return HeldOutScores(
            token_loss=token_loss,
            token_accuracy=float(self.tokens.correct.mean()),
            perplexity=math.exp(min(token_loss, _LARGEST_EXPONENT)),
            nsp_loss=None if self.pairs is None else float(self.pairs.losses.mean()),
            nsp_accuracy=None if self.pairs is None else float(self.pairs.correct.mean()),
        )


@torch.inference_mode()
def guess_held_out(
    model: PretrainedNetwork | BertForMaskedLM,
    batches: Sequence[PretrainingBatch],
    stop: Callable[[], bool] = lambda: False,
) -> HeldOutGuesses | None:
    """Let the network guess the labels of held-out batches (one at least). None if told to stop on the way."""
    model.eval()
    device = next(model.parameters()).device
    tokens: list[Guesses] = []
    pairs: list[Guesses] = []
    for batch in batches:
        if stop():
            return None
        on_device = batch.to(device)
        output = model(on_device.inputs, on_device.masked_positions)
        tokens.append(_guesses(on_device.masked_labels, *output.token_scores.guesses(on_device.masked_labels)))
        if output.nsp_logits is not None and on_device.not_next is not None:
            told = cross_entropies(output.nsp_logits, on_device.not_next)
            pairs.append(_guesses(on_device.not_next, told, correctness(output.nsp_logits, on_device.not_next)))
    return HeldOutGuesses(_joined(tokens), _joined(pairs) if pairs else None)


def unigram_losses(token_counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Loss in nats of guessing each piece by its frequency in the training text: the floor without context.

    token_counts  [V]  occurrences in the training text; one is added to each, so that unseen pieces have a finite loss
    returns       [V]
    """
    losses: npt.NDArray[np.float64] = math.log(float(token_counts.sum() + len(token_counts))) - np.log(token_counts + 1)
    return losses


def unigram_loss(batches: Sequence[PretrainingBatch], token_counts: npt.NDArray[np.int64]) -> float:
    """The mean of `unigram_losses` over the labels of held-out batches."""
    labels = torch.cat([batch.masked_labels for batch in batches]).numpy()
    return float(unigram_losses(token_counts)[labels].mean())


def _guesses(labels: torch.Tensor, losses: torch.Tensor, correct: torch.Tensor) -> Guesses:
    """[K] each."""
    return Guesses(labels.cpu().numpy(), losses.double().cpu().numpy(), correct.double().cpu().numpy())


def _joined(parts: Sequence[Guesses]) -> Guesses:
    return Guesses(
        labels=np.concatenate([part.labels for part in parts]),
        losses=np.concatenate([part.losses for part in parts]),
        correct=np.concatenate([part.correct for part in parts]),
    )
