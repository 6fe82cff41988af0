"""What a network of choices learns (BERT 4.4): a softmax over the scores of the choices of each question.

Legend: E questions, S sequences (choices of all questions together), K choices of the question that has most.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from bertsmith.batches.batch_parts import Counted
from bertsmith.model.losses import cross_entropy_sum
from bertsmith.model.task_networks import ChoiceNetwork
from bertsmith.tasks.encoded import TaskBatch
from bertsmith.tasks.language_loss import add_language, outputs_and_language
from bertsmith.tasks.loss_settings import LossSettings


class ChoiceObjective:
    """Mean cross-entropy over the questions of a batch, in float32 whatever the dtype of the model.

    To guess blindly among k choices costs log(k).
    """

    def __init__(self, model: ChoiceNetwork, loss: LossSettings):
        self.model = model
        self._language_weight = loss.language_model

    def __call__(self, micro_batch: TaskBatch, whole_batch: Counted) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The micro-batch's part of the whole batch's mean loss, and of the loss of blind guessing and the accuracy."""
        sizes = [end - begin for begin, end in pairwise(micro_batch.example_borders)]
        made, language = outputs_and_language(self.model, micro_batch, whole_batch, self._language_weight)
        scores = scores_by_question(made.squeeze(1), sizes)  # [E, K]
        labels, count = micro_batch.labels, whole_batch.num_sequences
        metrics = {
            "blind_loss": torch.tensor(sizes, dtype=torch.float32).log().sum() / count,
            "accuracy": (scores.detach().argmax(dim=1) == labels).sum() / count,
        }
        return add_language(cross_entropy_sum(scores, labels) / count, metrics, language)


def scores_by_question(scores: Tensor, sizes: list[int]) -> Tensor:
    """The scores of each question in a row, [S] to [E, K]; a choice that is not there has -inf, so it is never right.

    sizes  how many choices each question has
    """
    questions: list[Tensor] = list(scores.split(sizes))  # type: ignore[no-untyped-call]
    return nn.utils.rnn.pad_sequence(questions, batch_first=True, padding_value=float("-inf"))
