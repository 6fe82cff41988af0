"""Held-out text as batches: the same samples with the same masks for every run on a store.

Seed 0 and the standard masking whatever the training uses, so that the figures of runs with different seeds, batch
sizes and masking rates can be compared. Of the training's settings only the length, the kind of samples (pairs, special
pieces) and what is told of them count.
Where the split has a single document, random text for NSP comes from the training split.
"""

from collections.abc import Sequence
from itertools import islice, takewhile

import numpy as np
from numpy.typing import NDArray

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.text.token_store import TokenStore


def held_out_batches(
    store: TokenStore, settings: BatchSettings, *, max_sequences: int, batch_size: int, whole_words: bool = False
) -> list[PretrainingBatch]:
    """The first `max_sequences` samples of the held-out split; none if nothing is held out.

    whole_words  False: the paper's masks (15 % of the tokens, 80/10/10). True: the same samples, in which words are
                 hidden, all pieces of a word or none, and always by [MASK], so that no piece gives the word away
    """
    if not store.held_out.num_blocks:
        return []
    batches = _samples(store, settings, whole_words=whole_words)
    epoch = takewhile(lambda place: place.epoch == 0, batches.places(Cursor()))
    places = list(islice(epoch, max_sequences))
    return [batches.assemble(places[start : start + batch_size]) for start in range(0, len(places), batch_size)]


def label_edge_distances(
    store: TokenStore, settings: BatchSettings, batches: Sequence[PretrainingBatch]
) -> NDArray[np.int64]:
    """How far the labels of some `held_out_batches` are from the nearer edge of their sentence, in tokens.

    batches  of this store with these settings, from the first one on
    returns  [M] over the labels of all batches
    """
    samples = _samples(store, settings)
    places = samples.places(Cursor())
    return np.concatenate(
        [
            samples.edge_distances(list(islice(places, batch.num_sequences)))[batch.masked_positions.numpy()]
            for batch in batches
        ]
    )


def _samples(store: TokenStore, settings: BatchSettings, *, whole_words: bool = False) -> PretrainingBatches:
    what = settings.model_dump(include={"max_seq_length", "next_sentence", "objective", "special_pieces"})
    standard = BatchSettings(**what)
    if whole_words:
        standard = standard.model_copy(update={"whole_word": True, "mask_share": 1.0, "random_share": 0.0})
    random_text = store.held_out if store.held_out.num_documents > 1 else store.train
    return PretrainingBatches(store.held_out, store.tokenizer, standard, seed=0, random_text=random_text)
