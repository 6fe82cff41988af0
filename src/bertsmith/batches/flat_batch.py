"""Batches without padding: sequences end to end, and where they begin.

Legend: B sequences, T tokens of all sequences together, M tokens that carry a label.

A linear layer, LayerNorm or GELU sees T real tokens and nothing else. Attention is the one place that has to know
where a sequence ends; it reads `cu_seqlens`, the name and layout that the variable-length attention kernels use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IdSequence = Sequence[int] | npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class FlatBatch:
    """What an encoder reads (BERT 3, figure 2: token, segment and position of every input).

    token_ids    [T]    int64
    segment_ids  [T]    int64, 0 for `[CLS] A [SEP]`, 1 for `B [SEP]`
    positions    [T]    int64, counts from 0 in each sequence
    cu_seqlens   [B+1]  int32, sequence b is tokens cu_seqlens[b]:cu_seqlens[b+1]
    max_seqlen   length of the longest sequence
    """

    token_ids: Tensor
    segment_ids: Tensor
    positions: Tensor
    cu_seqlens: Tensor
    max_seqlen: int

    @classmethod
    def from_sequences(cls, token_ids: Sequence[IdSequence], segment_ids: Sequence[IdSequence]) -> Self:
        """Put sequences end to end. Both arguments hold one entry of equal length for each sequence; none is empty."""
        lengths = np.array([len(ids) for ids in token_ids], dtype=np.int64)
        if not len(lengths) or not lengths.all():
            raise ValueError("a batch needs at least one sequence, and a sequence at least one token")
        if [len(ids) for ids in segment_ids] != lengths.tolist():
            raise ValueError("token_ids and segment_ids differ in length")
        cu_seqlens = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.arange(cu_seqlens[-1]) - np.repeat(cu_seqlens[:-1], lengths)
        return cls(
            token_ids=torch.from_numpy(np.concatenate(token_ids).astype(np.int64)),
            segment_ids=torch.from_numpy(np.concatenate(segment_ids).astype(np.int64)),
            positions=torch.from_numpy(positions),
            cu_seqlens=torch.from_numpy(cu_seqlens.astype(np.int32)),
            max_seqlen=int(lengths.max()),
        )

    @property
    def num_sequences(self) -> int:
        """B."""
        return len(self.cu_seqlens) - 1

    @property
    def num_tokens(self) -> int:
        """T."""
        return len(self.token_ids)

    @property
    def num_followed(self) -> int:
        """Tokens that have one after them in their sequence."""
        return self.num_tokens - self.num_sequences

    @property
    def first_tokens(self) -> Tensor:
        """Where each sequence begins, [B] int64 indices into T: the place of its [CLS]."""
        return self.cu_seqlens[:-1].long()

    @property
    def last_tokens(self) -> Tensor:
        """Where each sequence ends, [B] int64 indices into T: the place of its last token."""
        return self.cu_seqlens[1:].long() - 1

    @cached_property
    def borders(self) -> list[int]:
        """`cu_seqlens` as Python integers."""
        return [int(border) for border in self.cu_seqlens.tolist()]

    def slice(self, start: int, stop: int) -> Self:
        """The sequences start:stop, as views where possible."""
        borders = self.borders[start : stop + 1]
        tokens = slice(borders[0], borders[-1])
        return replace(
            self,
            token_ids=self.token_ids[tokens],
            segment_ids=self.segment_ids[tokens],
            positions=self.positions[tokens],
            cu_seqlens=self.cu_seqlens[start : stop + 1] - borders[0],
            max_seqlen=max(end - begin for begin, end in pairwise(borders)),
        )

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return replace(
            self,
            token_ids=moved(self.token_ids, device),
            segment_ids=moved(self.segment_ids, device),
            positions=moved(self.positions, device),
            cu_seqlens=moved(self.cu_seqlens, device),
        )


@dataclass(frozen=True, eq=False)
class PretrainingBatch:
    """A batch with the labels of both pre-training tasks (BERT 3.1), or of a language model from left to right.

    inputs            FlatBatch after masking; from left to right, of the text as it is
    masked_positions  [M]  int64 indices into T, ascending; from left to right, of every token that has one after it
    masked_labels     [M]  int64, the tokens that stood there; from left to right, the tokens after those
    not_next          [B]  int64, 0 = B follows A, 1 = B comes from another document; None without NSP
    """

    inputs: FlatBatch
    masked_positions: Tensor
    masked_labels: Tensor
    not_next: Tensor | None

    @property
    def num_sequences(self) -> int:
        """B."""
        return self.inputs.num_sequences

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
        """M."""
        return len(self.masked_labels)

    def slice(self, start: int, stop: int) -> Self:
        """The sequences start:stop with their labels."""
        first_token, end_token = self.inputs.borders[start], self.inputs.borders[stop]
        window = torch.tensor([first_token, end_token], device=self.masked_positions.device)
        first, end = torch.searchsorted(self.masked_positions, window).tolist()
        return replace(
            self,
            inputs=self.inputs.slice(start, stop),
            masked_positions=self.masked_positions[first:end] - first_token,
            masked_labels=self.masked_labels[first:end],
            not_next=None if self.not_next is None else self.not_next[start:stop],
        )

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return replace(
            self,
            inputs=self.inputs.to(device),
            masked_positions=moved(self.masked_positions, device),
            masked_labels=moved(self.masked_labels, device),
            not_next=None if self.not_next is None else moved(self.not_next, device),
        )


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The same tensor on another device.

    To a GPU from pinned memory: what comes from other memory waits until the GPU has done all that it was told before.
    """
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
