"""Examples as the network of a folder reads them: a BERT as the task says, a GPT by its own marks.

A GPT's sequence begins with a start, has a delimiter between two texts, and ends with what its answer is taken from
(Radford et al. 2018, figure 1). Pre-training has shown it none of the three, so any pieces will do that text does not
hold: ours are [CLS], [SEP], and at the end [MASK]. Where neither of two texts is the first by nature, it reads both
orders, and what it makes of them is averaged (3.3 has the sum, before the matrix).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExample, EncodedExamples, Ids
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_network import network_of
from bertsmith.text.tokenizer import Tokenizer


def encode_for(
    network: EncoderConfig,
    task: Task[Any, Any],
    examples: Sequence[Any],
    tokenizer: Tokenizer,
    limits: InputLimits,
    *,
    labelled: bool = True,
) -> EncodedExamples:
    """Encode the examples of a task for a network of either family.

    raises  ConfigurationError for a task that a GPT cannot learn
    """
    encoded = task.encode(examples, tokenizer, limits, labelled=labelled)
    if not isinstance(network, GptConfig) or network_of(task, network).outputs_per == "token":
        return encoded
    both_orders = isinstance(task, SentenceTask) and task.symmetric
    rows = [_with_marks(_in_both_orders(row) if both_orders else row, tokenizer.mask_id) for row in encoded.rows]
    kept = limits.model_copy(update={"long_texts": "mean"}) if both_orders else limits
    return replace(encoded, rows=rows, limits=kept)


def reading_task(own: Task[Any, Any], named: Task[Any, Any], columns: ColumnSettings) -> Task[Any, Any]:
    """What reads the files for a model: a task and the columns that were named.

    own     the model's task
    raises  ConfigurationError where that would read two texts for a model of one, or one for a model of two
    """
    task = named.with_columns(columns)
    if isinstance(own, SentenceTask) and isinstance(task, SentenceTask) and own.is_pair != task.is_pair:
        asked, wanted = ("two texts", "one text") if task.is_pair else ("one text", "two texts")
        raise ConfigurationError(
            f"The model was fine-tuned on examples of {wanted}, and here {asked} would be read. Give "
            f"the columns that it was fine-tuned on."
        )
    return task


def _with_marks(row: EncodedExample, extract: int) -> EncodedExample:
    """The same sequences with another last piece."""
    return replace(row, token_ids=tuple(np.append(ids[:-1], np.int32(extract)) for ids in row.token_ids))


def _in_both_orders(row: EncodedExample) -> EncodedExample:
    """Each sequence `[CLS] A [SEP] B [SEP]`, and then `[CLS] B [SEP] A [SEP]`."""
    pairs = list(zip(row.token_ids, row.segment_ids, strict=True))
    turned = [_turned(*pair) for pair in pairs]
    sequences = [sequence for both in zip(pairs, turned, strict=True) for sequence in both]
    return replace(
        row, token_ids=tuple(ids for ids, _ in sequences), segment_ids=tuple(segments for _, segments in sequences)
    )


def _turned(ids: Ids, segments: Ids) -> tuple[Ids, Ids]:
    num_first = int((segments == 0).sum())  # [CLS] A [SEP]
    turned = np.concatenate([ids[:1], ids[num_first:], ids[1:num_first]])
    num_second = len(ids) - num_first  # B [SEP]
    return turned, np.repeat(np.array([0, 1], dtype=np.int32), [num_second + 1, num_first - 1])
