"""What is in a batch: its tensors, and its samples as places in the corpus."""

import numpy as np
import torch
from corpora import FIRST_WORD

from bertsmith.batches.flat_batch import PretrainingBatch


def tensors(batch: PretrainingBatch) -> list[torch.Tensor | None]:
    inputs = batch.inputs
    layout = [inputs.token_ids, inputs.segment_ids, inputs.positions, inputs.cu_seqlens]
    return [*layout, batch.masked_positions, batch.masked_labels, batch.not_next]


def same(left: PretrainingBatch, right: PretrainingBatch) -> bool:
    pairs = zip(tensors(left), tensors(right), strict=True)
    return (
        all(a is b is None or torch.equal(a, b) for a, b in pairs) and left.inputs.max_seqlen == right.inputs.max_seqlen
    )


def segments(batch: PretrainingBatch) -> list[tuple[np.ndarray, np.ndarray, int | None]]:
    """A, B and the label of each sample, masks undone, as places in the corpus."""
    token_ids = batch.inputs.token_ids.clone()
    token_ids[batch.masked_positions] = batch.masked_labels
    samples = []
    for number, (start, end) in enumerate(zip(batch.inputs.borders[:-1], batch.inputs.borders[1:], strict=True)):
        ids, segment_ids = token_ids[start:end].numpy(), batch.inputs.segment_ids[start:end].numpy()
        label = None if batch.not_next is None else int(batch.not_next[number])
        a, b = ids[segment_ids == 0][1:-1], ids[segment_ids == 1][:-1]
        samples.append((a - FIRST_WORD, b - FIRST_WORD, label))
    return samples
