"""Examples -> batches: `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]` (BERT 3, figure 4), cut to length, end to end.

A text too long is cut at its end. Of a pair, the longer text is cut first, down to the length of the other; what is
still too much is taken from both, as transformers' `truncation="longest_first"` does. Every cut example is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.core.randomness import generator
from bertsmith.tasks.examples import Example
from bertsmith.tasks.task import SentenceTask
from bertsmith.text.tokenizer import Tokenizer

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class EncodedExamples:
    """Token and segment ids of each example, with the special tokens, ready to be put end to end.

    labels   [N]  int64 indices into the task's labels, or float32 scores; None where the labels are unknown
    num_cut  how many examples were longer than the limit and lost tokens
    """

    token_ids: Sequence[Ids]
    segment_ids: Sequence[Ids]
    labels: npt.NDArray[np.generic] | None
    num_cut: int

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """[N] tokens of each example."""
        return np.array([len(ids) for ids in self.token_ids], dtype=np.int64)

    def inputs(self, indices: Sequence[int]) -> FlatBatch:
        """The chosen examples as one batch, in the order of `indices`."""
        return FlatBatch.from_sequences(
            [self.token_ids[index] for index in indices], [self.segment_ids[index] for index in indices]
        )


def encode_texts(
    texts: Sequence[str], text_pairs: Sequence[str] | None, tokenizer: Tokenizer, max_seq_length: int
) -> EncodedExamples:
    """Encode texts, or pairs of texts, without labels. `max_seq_length` counts `[CLS]` and `[SEP]` too."""
    firsts = tokenizer.encode_plain(texts)
    seconds: Sequence[Ids | None] = [None] * len(texts) if text_pairs is None else tokenizer.encode_plain(text_pairs)
    token_ids, segment_ids, num_cut = [], [], 0
    for first, second in zip(firsts, seconds, strict=True):
        ids, segments, cut = _assemble(first, second, tokenizer, max_seq_length)
        token_ids.append(ids)
        segment_ids.append(segments)
        num_cut += cut
    return EncodedExamples(token_ids, segment_ids, None, num_cut)


def encode_examples(
    examples: Sequence[Example], task: SentenceTask, tokenizer: Tokenizer, max_seq_length: int
) -> EncodedExamples:
    """Encode examples with their labels."""
    texts = [example.text for example in examples]
    text_pairs = [example.text_pair or "" for example in examples] if task.is_pair else None
    encoded = encode_texts(texts, text_pairs, tokenizer, max_seq_length)
    return replace(encoded, labels=label_values(examples, task))


def label_values(examples: Sequence[Example], task: SentenceTask) -> npt.NDArray[np.generic]:
    """[N] labels as numbers: int64 indices into the task's labels, or float32 scores."""
    if task.labels is None:
        return np.array([example.label for example in examples], dtype=np.float32)
    index = {label: position for position, label in enumerate(task.labels)}
    return np.array([index[str(example.label)] for example in examples], dtype=np.int64)


def _assemble(first: Ids, second: Ids | None, tokenizer: Tokenizer, max_seq_length: int) -> tuple[Ids, Ids, bool]:
    """Token ids and segment ids of one example, and whether it had to be cut."""
    cls, sep = [tokenizer.cls_id], [tokenizer.sep_id]
    if second is None:
        kept = first[: max_seq_length - 2]
        ids = np.concatenate([cls, kept, sep]).astype(np.int32)
        return ids, np.zeros(len(ids), dtype=np.int32), len(kept) < len(first)
    keep_first, keep_second = longest_first(len(first), len(second), max_seq_length - 3)
    ids = np.concatenate([cls, first[:keep_first], sep, second[:keep_second], sep]).astype(np.int32)
    segments = np.repeat(np.array([0, 1], dtype=np.int32), [keep_first + 2, keep_second + 1])
    return ids, segments, keep_first + keep_second < len(first) + len(second)


def longest_first(num_first: int, num_second: int, limit: int) -> tuple[int, int]:
    """How many tokens of each text of a pair to keep so that together they have at most `limit`.

    If both have to be cut and `limit` is odd, the one that was longer keeps one token more; of two equally long ones
    the second does.
    """
    if num_first + num_second <= limit:
        return num_first, num_second
    shorter = min(num_first, num_second, limit // 2)
    if num_first > num_second:
        return limit - shorter, shorter
    return shorter, limit - shorter


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """A batch with one label for each sequence.

    inputs  FlatBatch
    labels  [B]  int64 indices into the task's labels, or float32 scores
    """

    inputs: FlatBatch
    labels: Tensor

    @property
    def num_sequences(self) -> int:
        """B."""
        return self.inputs.num_sequences

    @property
    def num_tokens(self) -> int:
        """T."""
        return self.inputs.num_tokens

    def slice(self, start: int, stop: int) -> Self:
        """The sequences start:stop with their labels."""
        return replace(self, inputs=self.inputs.slice(start, stop), labels=self.labels[start:stop])

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return replace(self, inputs=self.inputs.to(device), labels=self.labels.to(device))


@dataclass(frozen=True)
class TaskCursor:
    """Names a batch: the epoch, and the number of the batch in it."""

    epoch: int = 0
    index: int = 0


class TaskBatches:
    """Labelled batches in random order: a function of (seed, cursor). The last batch of an epoch may be smaller.

    Within a batch the examples stand by length: of many short ones and a long one, most micro-batches are narrow.
    """

    def __init__(self, encoded: EncodedExamples, batch_size: int, seed: int):
        if encoded.labels is None:
            raise ValueError("training needs labels")
        self._encoded = encoded
        self._labels = torch.from_numpy(encoded.labels)
        self._lengths = encoded.lengths
        self._batch_size = batch_size
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._permute)  # the epoch that runs and the one that follows

    @property
    def batches_per_epoch(self) -> int:
        """How many batches it takes to see every example once."""
        return -(-len(self._encoded) // self._batch_size)

    def batch(self, cursor: TaskCursor) -> tuple[TaskBatch, TaskCursor]:
        """The batch at `cursor`, and the cursor of the next."""
        order = self._order(cursor.epoch)
        chosen = order[cursor.index * self._batch_size : (cursor.index + 1) * self._batch_size]
        indices = chosen[np.argsort(self._lengths[chosen], kind="stable")].tolist()
        is_last = cursor.index + 1 == self.batches_per_epoch
        following = TaskCursor(cursor.epoch + 1) if is_last else TaskCursor(cursor.epoch, cursor.index + 1)
        return TaskBatch(self._encoded.inputs(indices), self._labels[indices]), following

    def _permute(self, epoch: int) -> npt.NDArray[np.int64]:
        return generator(self._seed, "order", epoch).permutation(len(self._encoded))
