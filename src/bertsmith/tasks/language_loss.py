"""A GPT's loss as a language model beside its task (Radford et al. 2018, equation 5)."""

from collections.abc import Mapping

from torch import Tensor

from bertsmith.batches.batch_parts import Counted
from bertsmith.model.gpt_for_tasks import (
    GptForMultipleChoice,
    GptForQuestionAnswering,
    GptForSequenceClassification,
    GptForTokenClassification,
    with_language_model,
)
from bertsmith.model.task_networks import TaskNetwork, TokenClassifier
from bertsmith.tasks.encoded import TaskBatch

_GPTS = (GptForSequenceClassification, GptForMultipleChoice, GptForQuestionAnswering, GptForTokenClassification)


def scores_pieces(network: TaskNetwork, weight: float) -> bool:
    """Whether a network goes on as a language model, so that its token table is an output layer too."""
    return isinstance(network, _GPTS) and weight > 0


def outputs_and_language(
    network: TaskNetwork, micro_batch: TaskBatch, whole_batch: Counted, weight: float, rows: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The outputs of a network and the weighted part of the whole batch's mean language loss; None of a BERT.

    rows  [N]  int64, of a network for tokens: those that are asked for
    """
    if isinstance(network, _GPTS) and weight:
        both = with_language_model(network, micro_batch.inputs, rows)
        return both.outputs, weight * both.language_loss / max(whole_batch.num_followed, 1)
    if rows is None:
        return network(micro_batch.inputs), None
    assert isinstance(network, TokenClassifier)
    return network(micro_batch.inputs, rows), None


def add_language(
    loss: Tensor, metrics: Mapping[str, Tensor], language: Tensor | None
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Loss and metrics with the language loss; it is added to what blind guessing costs, too, so that both compare."""
    if language is None:
        return loss, metrics
    told = language.detach()
    return loss + language, {**metrics, "blind_loss": metrics["blind_loss"] + told, "language_loss": told}
