"""What a network of spans learns (BERT 4.2): the probability of the first token of the answer, and that of the last.

Each is a softmax over the tokens of one sequence, [CLS] included, where answers that are not in it are pointed at.
Legend: B sequences, T tokens of all of them, S tokens of the longest.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bertsmith.batches.batch_parts import Counted
from bertsmith.model.task_networks import SpanNetwork
from bertsmith.tasks.encoded import NO_LABEL, TaskBatch
from bertsmith.tasks.language_loss import add_language, outputs_and_language
from bertsmith.tasks.loss_settings import LossSettings


class SpanObjective:
    """The mean of the two cross-entropies, over the windows of a batch from which something is learnt, in float32."""

    def __init__(self, model: SpanNetwork, loss: LossSettings):
        self.model = model
        self._language_weight = loss.language_model

    def __call__(self, micro_batch: TaskBatch, whole_batch: Counted) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The micro-batch's part of the whole batch's mean loss, and of the loss of pointing anywhere alike."""
        labels = micro_batch.labels  # [B, 2]
        is_lesson = labels[:, 0] != NO_LABEL
        count = max(whole_batch.num_labels, 1)
        lengths = micro_batch.inputs.cu_seqlens.diff()
        made, language = outputs_and_language(self.model, micro_batch, whole_batch, self._language_weight)
        scores = as_rows(made, lengths, micro_batch.inputs.max_seqlen)
        loss = nn.functional.cross_entropy(scores, labels, ignore_index=NO_LABEL, reduction="sum") / 2
        return add_language(loss / count, {"blind_loss": (lengths.float().log() * is_lesson).sum() / count}, language)


def as_rows(scores: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """The scores of the tokens of each sequence beside each other, [T, 2] to float32 [B, S, 2].

    Places behind the end of a sequence have a score of -inf, so a softmax over S gives them nothing.

    lengths  [B]  tokens of each sequence
    longest  S
    """
    is_token = torch.arange(longest, device=scores.device) < lengths[:, None]  # [B, S]
    rows = scores.new_full((*is_token.shape, scores.shape[1]), -torch.inf, dtype=torch.float32)
    rows[is_token] = scores.float()
    return rows
