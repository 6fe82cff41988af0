"""What a network has learned, and not only how much: the held-out scores by kind of label.

Three questions to the same held-out samples:

- **By frequency.** Rare pieces need context; the commonest can be guessed without. Bands by rank in the training text,
  each with the loss of guessing by frequency alone, so that what context gives can be seen in each band.
- **By distance to the edge of the sentence.** At the first or the last token of a sentence (a full stop, often) the
  words that belong together are on one side only. Counted in tokens to the nearer edge, 0 for the edges themselves.
- **By whole words.** A piece is often guessed from the rest of its word. So, in a pass of its own, words are hidden
  with all their pieces: how many are guessed with all their pieces right?

The bands of the first two partition the labels: their means, weighted by their labels, are the plain held-out scores.
Legend: M labels of all batches, V vocabulary size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Group
from rich.table import Table

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.held_out import held_out_batches, label_edge_distances
from bertsmith.model.bert import BertForMaskedLM, BertForPreTraining
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import Guesses, HeldOutGuesses, guess_held_out, unigram_losses
from bertsmith.training.network import PretrainedNetwork

_LAST_RANKS = (100, 1_000, 10_000)  # of a band each; the pieces after them are the last band
_LAST_DISTANCES = {"0": 0, "1": 1, "2": 2, "3-4": 4, "5-8": 8}
_FURTHER = "9+"
_PIECES = ("1", "2", "3+")


@dataclass(frozen=True)
class Band:
    """Some of the held-out labels: how many, their share of all, and means over them. Losses in nats."""

    name: str
    labels: int
    share: float
    loss: float
    unigram_loss: float  # of guessing by frequency in the training text
    accuracy: float


@dataclass(frozen=True)
class WordBand:
    """Hidden words of so many pieces, and the share of them of which every piece was guessed right."""

    pieces: str
    words: int
    accuracy: float


@dataclass(frozen=True)
class HeldOutBreakdown:
    """The held-out masked-LM scores by kind of label; a band without labels is left out."""

    by_frequency: tuple[Band, ...]
    by_sentence_edge: tuple[Band, ...]
    whole_words: tuple[WordBand, ...]

    def __rich__(self) -> Group:
        """Tables for a terminal."""
        tables = [_table("By frequency of the label in the training text", "ranks", self.by_frequency)]
        if self.by_sentence_edge:
            tables.append(_table("By distance to the nearer edge of the sentence", "tokens", self.by_sentence_edge))
        if self.whole_words:
            words = Table("pieces", "words", "all pieces right", title="Words hidden whole")
            for band in self.whole_words:
                words.add_row(band.pieces, f"{band.words:,}", f"{band.accuracy:.1%}")
            tables.append(words)
        return Group(*tables)


def break_down(
    model: PretrainedNetwork | BertForMaskedLM,
    store: TokenStore,
    settings: BatchSettings,
    batches: Sequence[PretrainingBatch],
    guesses: HeldOutGuesses,
) -> HeldOutBreakdown:
    """The scores by kind of label; costs one more pass over the samples, for the whole words.

    Of a language model from left to right only those by frequency: nothing is hidden there.

    batches  `held_out_batches` of this store with these settings
    guesses  what the network made of them
    """
    frequency = by_frequency(guesses.tokens, store.token_counts)
    if settings.objective == "next":
        return HeldOutBreakdown(frequency, (), ())
    assert isinstance(model, BertForPreTraining | BertForMaskedLM)
    whole_words = held_out_batches(
        store,
        settings,
        max_sequences=sum(batch.num_sequences for batch in batches),
        batch_size=batches[0].num_sequences,
        whole_words=True,
    )
    words = guess_held_out(model, whole_words)
    assert words is not None  # nobody asked to stop
    distances = label_edge_distances(store, settings, batches)
    return HeldOutBreakdown(
        by_frequency=frequency,
        by_sentence_edge=by_sentence_edge(guesses.tokens, distances, store.token_counts),
        whole_words=by_pieces(words.tokens, whole_words, store.tokenizer.starts_word),
    )


def by_frequency(guesses: Guesses, token_counts: npt.NDArray[np.int64]) -> tuple[Band, ...]:
    """Bands of labels by the rank of their frequency: the 100 most frequent pieces, the next 900, ...

    token_counts  [V]  occurrences in the training text; of equally frequent pieces the one with the lower id goes first
    """
    vocabulary_size = len(token_counts)
    lasts = [*(last for last in _LAST_RANKS if last < vocabulary_size), vocabulary_size]
    firsts = [1, *(last + 1 for last in lasts[:-1])]
    ranks = np.empty(vocabulary_size, dtype=np.int64)
    ranks[np.argsort(-token_counts, kind="stable")] = np.arange(1, vocabulary_size + 1)
    names = [f"{first}-{last}" for first, last in zip(firsts, lasts, strict=True)]
    return _bands(names, np.searchsorted(lasts, ranks[guesses.labels]), guesses, token_counts)


def by_sentence_edge(
    guesses: Guesses, distances: npt.NDArray[np.int64], token_counts: npt.NDArray[np.int64]
) -> tuple[Band, ...]:
    """Bands of labels by their distance to the nearer edge of their sentence.

    distances  [M]  in tokens, of `label_edge_distances`
    """
    bands = np.searchsorted(list(_LAST_DISTANCES.values()), distances)
    return _bands([*_LAST_DISTANCES, _FURTHER], bands, guesses, token_counts)


def by_pieces(
    guesses: Guesses, batches: Sequence[PretrainingBatch], starts_word: npt.NDArray[np.bool_]
) -> tuple[WordBand, ...]:
    """How many hidden words were guessed with all their pieces, by the number of pieces.

    guesses      of the labels of `batches`, in which words are hidden whole
    starts_word  [V]  whether a piece starts a word
    """
    follows = np.concatenate([np.diff(batch.masked_positions.numpy(), prepend=-2) == 1 for batch in batches])
    first_pieces = np.flatnonzero(starts_word[guesses.labels] | ~follows)
    sizes = np.diff(first_pieces, append=len(guesses.labels))
    all_right = np.multiply.reduceat(guesses.correct, first_pieces)
    bands = np.minimum(sizes, len(_PIECES)) - 1
    return tuple(
        WordBand(name, int(within.sum()), float(all_right[within].mean()))
        for name, within in ((name, bands == band) for band, name in enumerate(_PIECES))
        if within.any()
    )


def loss_by_band(bands: Sequence[Band]) -> Mapping[str, float]:
    """The loss of each band under its name, as `metrics.jsonl` holds it."""
    return {band.name: band.loss for band in bands}


def _bands(
    names: Sequence[str], band_of_label: npt.NDArray[np.int64], guesses: Guesses, token_counts: npt.NDArray[np.int64]
) -> tuple[Band, ...]:
    """[M] numbers of the labels' bands, as bands with means."""
    unigram = unigram_losses(token_counts)[guesses.labels]
    return tuple(
        Band(
            name=name,
            labels=int(within.sum()),
            share=float(within.mean()),
            loss=float(guesses.losses[within].mean()),
            unigram_loss=float(unigram[within].mean()),
            accuracy=float(guesses.correct[within].mean()),
        )
        for name, within in ((name, band_of_label == band) for band, name in enumerate(names))
        if within.any()
    )


def _table(title: str, column: str, bands: Sequence[Band]) -> Table:
    table = Table(column, "labels", "share", "loss", "loss by frequency alone", "accuracy", title=title)
    for band in bands:
        figures = (f"{band.share:.1%}", f"{band.loss:.3f}", f"{band.unigram_loss:.3f}", f"{band.accuracy:.1%}")
        table.add_row(band.name, f"{band.labels:,}", *figures)
    return table
