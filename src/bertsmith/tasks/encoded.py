"""Encoded examples and batches of them, the same for every kind of task.

Most examples are one sequence. Some are several: a question with its choices, a long text in windows. Labels go with
examples (a label, a score, a pair of places) or with tokens (tags).

Legend: E examples of a batch, S sequences, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertsmith.batches.batch_parts import Share
from bertsmith.batches.flat_batch import FlatBatch, moved
from bertsmith.core.randomness import generator
from bertsmith.tasks.input_limits import InputLimits

Ids = npt.NDArray[np.int32]

NO_LABEL = -100  # of a token or a window from which nothing is learned


@dataclass(frozen=True, slots=True, eq=False)
class EncodedExample:
    """What the network reads of an example, or of one window of it.

    token_ids    an array [n] for each of its sequences, special tokens included
    segment_ids  the same for the segments
    label        index or score [], several labels [C], span [2], tags [n], `NO_LABEL` among them; None: unknown
    origin       what the kind of the task needs to read outputs back
    """

    token_ids: tuple[Ids, ...]
    segment_ids: tuple[Ids, ...]
    label: npt.NDArray[np.generic] | None
    origin: Any = None

    @property
    def num_tokens(self) -> int:
        """Of all its sequences."""
        return sum(map(len, self.token_ids))


@dataclass(frozen=True, eq=False)
class EncodedExamples:
    """The encoded examples of a file.

    limits            how long they may be, and what was done with longer ones
    labels_per_token  whether labels go with tokens
    num_cut           how many examples of the file lost tokens
    """

    rows: Sequence[EncodedExample]
    limits: InputLimits
    num_cut: int = 0
    labels_per_token: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """[N] tokens of each."""
        return np.array([row.num_tokens for row in self.rows], dtype=np.int64)

    @property
    def labels(self) -> npt.NDArray[np.generic]:
        """All labels, [N, ...], or of all tokens end to end. Raises ValueError where they are unknown."""
        labels = [row.label for row in self.rows if row.label is not None]
        if len(labels) < len(self.rows):
            raise ValueError("these examples have no labels")
        return np.concatenate(labels) if self.labels_per_token else np.stack(labels)

    def batch(self, indices: Sequence[int]) -> "TaskBatch":
        """The chosen ones as a batch, in the order of `indices`, with their labels if they have some."""
        rows = [self.rows[index] for index in indices]
        inputs = FlatBatch.from_sequences(
            [ids for row in rows for ids in row.token_ids], [ids for row in rows for ids in row.segment_ids]
        )
        borders = tuple(accumulate((len(row.token_ids) for row in rows), initial=0))
        known = [row.label for row in rows if row.label is not None]
        labels = (np.concatenate if self.labels_per_token else np.stack)(known) if known else np.zeros(0)
        return TaskBatch(inputs, torch.from_numpy(labels), borders, self.labels_per_token)


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """A batch of a task.

    inputs            FlatBatch of S sequences
    labels            [E, ...] or, with `labels_per_token`, [T]; empty where they are unknown
    example_borders   [E+1]  example e is the sequences example_borders[e]:example_borders[e+1]
    """

    inputs: FlatBatch
    labels: Tensor
    example_borders: tuple[int, ...]
    labels_per_token: bool = False

    @property
    def num_sequences(self) -> int:
        """E: to the training loop an example is one sequence, whatever it is made of."""
        return len(self.example_borders) - 1

    @property
    def num_tokens(self) -> int:
        """T."""
        return self.inputs.num_tokens

    @property
    def num_followed(self) -> int:
        """Tokens that have one after them in their sequence."""
        return self.inputs.num_followed

    @property
    def num_labels(self) -> int:
        """Labels from which something is learned; several of one example or window count as one."""
        first = self.labels if self.labels.dim() == 1 else self.labels[:, 0]
        return int((first != NO_LABEL).sum())

    def slice(self, start: int, stop: int) -> Self:
        """The examples start:stop with their labels."""
        first, end = self.example_borders[start], self.example_borders[stop]
        borders = self.inputs.borders
        chosen = slice(borders[first], borders[end]) if self.labels_per_token else slice(start, stop)
        return replace(
            self,
            inputs=self.inputs.slice(first, end),
            labels=self.labels[chosen],
            example_borders=tuple(border - first for border in self.example_borders[start : stop + 1]),
        )

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return replace(self, inputs=self.inputs.to(device), labels=moved(self.labels, device))


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
        if any(row.label is None for row in encoded.rows):
            raise ValueError("training needs labels")
        self._encoded = encoded
        self._lengths = encoded.lengths
        self._batch_size = batch_size
        self._seed = seed
        self._order = lru_cache(maxsize=2)(self._permute)  # the epoch that runs and the one that follows

    @property
    def batches_per_epoch(self) -> int:
        """How many batches it takes to see every example once."""
        return -(-len(self._encoded) // self._batch_size)

    def batch(self, cursor: TaskCursor, share: Share = range) -> tuple[TaskBatch, TaskCursor]:
        """The batch at `cursor`, or some of its examples, and the cursor of the next."""
        order = self._order(cursor.epoch)
        chosen = order[cursor.index * self._batch_size : (cursor.index + 1) * self._batch_size]
        own = share(len(chosen))
        indices = chosen[np.argsort(self._lengths[chosen], kind="stable")][own.start : own.stop].tolist()
        is_last = cursor.index + 1 == self.batches_per_epoch
        following = TaskCursor(cursor.epoch + 1) if is_last else TaskCursor(cursor.epoch, cursor.index + 1)
        return self._encoded.batch(indices), following

    def _permute(self, epoch: int) -> npt.NDArray[np.int64]:
        return generator(self._seed, "order", epoch).permutation(len(self._encoded))
