"""How likely a masked language model finds a sentence: its pseudo-log-likelihood.

The sum over the sentence's tokens of the log probability that the network gives to the token where it is hidden, each
in its turn (Salazar et al. 2020, "Masked Language Model Scoring", section 2). A hidden piece of a word would be given
away by the pieces to its right, so those are hidden with it (Kauf and Ivanova 2023, "A Better Way to Do Masked Language
Model Scoring": PLL-word-l2r).

A sentence of n tokens is n sequences; those of several sentences are one flat batch, and the vocabulary layer sees only
the token that is asked for.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.token_budget import within_tokens
from bertsmith.model.bert import BertForMaskedLM, BertForPreTraining
from bertsmith.model.losses import cross_entropies
from bertsmith.text.tokenizer import Tokenizer


@torch.inference_mode()
def pseudo_log_likelihoods(
    model: BertForPreTraining | BertForMaskedLM,
    tokenizer: Tokenizer,
    sentences: Sequence[NDArray[np.int32]],
    *,
    batch_tokens: int,
    stop: Callable[[], bool] = lambda: False,
) -> list[float] | None:
    """The pseudo-log-likelihood of each sentence, in nats. None if told to stop on the way.

    sentences     ids [n] each, without [CLS] and [SEP]
    batch_tokens  tokens of one forward pass: copies of sentences, of several in one pass, each with a token hidden
    """
    model.eval()
    device = next(model.parameters()).device
    copies = chain.from_iterable(_copies(number, ids, tokenizer) for number, ids in enumerate(sentences))
    terms: list[list[float]] = [[] for _ in sentences]
    for batch in within_tokens(copies, lambda copy: len(copy.token_ids), batch_tokens):
        if stop():
            return None
        inputs = FlatBatch.from_sequences([copy.token_ids for copy in batch], [copy.segment_ids for copy in batch])
        hidden = inputs.cu_seqlens[:-1] + torch.tensor([copy.position for copy in batch])
        labels = torch.tensor([copy.label for copy in batch], device=device)
        logits = model(inputs.to(device), hidden.to(device)).token_logits
        # a model may have more rows than the vocabulary has pieces (padded to a round number): those stand for nothing
        losses = cross_entropies(logits[:, : tokenizer.vocabulary_size], labels)
        for copy, loss in zip(batch, losses.tolist(), strict=True):
            terms[copy.sentence].append(-loss)
    return [math.fsum(of_sentence) for of_sentence in terms]


class _Copy(NamedTuple):
    """A sentence with one of its tokens hidden."""

    sentence: int  # its number
    token_ids: NDArray[np.int32]  # [1 + n + 1] with [CLS] and [SEP]
    segment_ids: NDArray[np.int32]  # [1 + n + 1] all 0
    position: int  # of the hidden token
    label: int  # what stood there


def _copies(sentence: int, ids: NDArray[np.int32], tokenizer: Tokenizer) -> Iterator[_Copy]:
    """One copy for each token; the pieces of its word that follow it are hidden with it."""
    word_of = np.cumsum(tokenizer.starts_word[ids])
    places = np.arange(len(ids))
    for place, label in enumerate(ids.tolist()):
        is_hidden = (places >= place) & (word_of == word_of[place])
        shown = np.where(is_hidden, tokenizer.mask_id, ids)
        token_ids = np.concatenate([[tokenizer.cls_id], shown, [tokenizer.sep_id]])
        yield _Copy(sentence, token_ids, np.zeros_like(token_ids), 1 + place, label)
