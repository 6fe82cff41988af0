"""How much the text tells about a hidden word: by frequency alone, by the word before, by the words on both sides.

All three are cross-entropies in nats of the very labels that a run on this store is scored on, under counts of the
training text. So they can be compared with a held-out loss and drawn as levels beside it.

unigram   the frequency of the word (`training.evaluation.unigram_loss`)
before    a bigram model: P(w | u) with interpolated absolute discounting (Ney, Essen and Kneser 1994),
              P(w | u) = max(c(u, w) - d, 0) / c(u) + d N(u) / c(u) P(w),     d = n1 / (n1 + 2 n2)
          where N(u) words follow u, n1 pairs occur once and n2 twice, and P(w) is the unigram model
between   what that same bigram model knows of a word between two others: P(w | u) P(v | w), divided by its sum over w

Where a label has no neighbour in the sample (it stands beside [CLS] or [SEP]), that side tells nothing. The network
does not always see the neighbours, because some are hidden too; but it sees all the words beyond them.

Legend: N labels, V vocabulary size, U different pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.diagnosis.finding import Finding, Level
from bertsmith.text.pair_counts import count_pairs
from bertsmith.text.token_store import TokenStore, TokenTable
from bertsmith.training.evaluation import unigram_loss

HARDLY_ANY = 0.05  # of the unigram entropy: neighbours that tell less are a warning
_MAX_BETWEEN = 4096  # labels for which the sum over the vocabulary is taken
_NOTHING = -1  # in the place of a neighbour that is not there
_Ids = NDArray[np.int64]


@dataclass(frozen=True)
class TextEntropy:
    """Nats for each hidden word."""

    unigram: float
    before: float
    between: float
    between_error: float  # standard error of `between`, which is taken over fewer labels
    labels: int
    tokens_counted: int  # of the training text


@dataclass(frozen=True, eq=False)
class BigramModel:
    """Pairs of neighbouring words, and what they tell.

    keys     [U]  left * V + right, ascending
    counts   [U]  how often each pair occurs
    unigram  [V]  probability of each word
    """

    keys: NDArray[np.unsignedinteger]
    counts: _Ids
    unigram: NDArray[np.float64]

    @cached_property
    def discount(self) -> float:
        """What is taken off each count: the estimate of Ney, Essen and Kneser, kept inside (0, 1)."""
        once, twice = int((self.counts == 1).sum()), int((self.counts == 2).sum())
        return min(max(once / max(once + 2 * twice, 1), 0.05), 0.95)

    def after(self, left: int) -> NDArray[np.float64]:
        """Probability of each word after `left`: [V]."""
        if left == _NOTHING or not self._occurrences[left]:
            return self.unigram
        pairs = slice(self._starts[left], self._starts[left + 1])
        probability: NDArray[np.float64] = self._smoothing[left] * self.unigram
        probability[self._right[pairs]] += (self.counts[pairs] - self.discount) / self._occurrences[left]
        return probability

    def before(self, right: int) -> NDArray[np.float64]:
        """Probability of `right` after each word: [V]. Of nothing it is 1."""
        if right == _NOTHING:
            return np.ones_like(self.unigram)
        pairs = self._by_right[self._right_starts[right] : self._right_starts[right + 1]]
        left = self._left[pairs]
        probability: NDArray[np.float64] = self._smoothing * self.unigram[right]
        probability[left] += (self.counts[pairs] - self.discount) / self._occurrences[left]
        return probability

    def probability(self, words: _Ids, left: _Ids) -> NDArray[np.float64]:
        """Probability of each word after its left neighbour, [N] and [N] to [N]."""
        if not len(self.keys):
            return self.unigram[words]
        wanted = (left * len(self.unigram) + words).astype(self.keys.dtype)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        counts = np.where((self.keys[places] == wanted) & (left != _NOTHING), self.counts[places], 0)
        occurrences = np.maximum(self._occurrences[left], 1)
        smoothed = np.where(left == _NOTHING, 1.0, self._smoothing[left]) * self.unigram[words]
        return smoothed + np.maximum(counts - self.discount, 0.0) / occurrences

    def probability_between(self, word: int, left: int, right: int) -> float:
        """Probability of a word between two others."""
        joint = self.after(left) * self.before(right)
        return float(joint[word] / joint.sum())

    @cached_property
    def _left(self) -> _Ids:
        return (self.keys // len(self.unigram)).astype(np.int64)

    @cached_property
    def _right(self) -> _Ids:
        return (self.keys % len(self.unigram)).astype(np.int64)

    @cached_property
    def _occurrences(self) -> NDArray[np.float64]:
        """[V] how often a word is followed by another."""
        return np.bincount(self._left, self.counts, len(self.unigram)).astype(np.float64)

    @cached_property
    def _smoothing(self) -> NDArray[np.float64]:
        """[V] weight of the unigram model after each word."""
        followers = np.bincount(self._left, minlength=len(self.unigram))
        return np.where(self._occurrences > 0, self.discount * followers / np.maximum(self._occurrences, 1.0), 1.0)

    @cached_property
    def _starts(self) -> _Ids:
        """[V+1] the pairs of left word u are _starts[u]:_starts[u+1]."""
        return np.searchsorted(self._left, np.arange(len(self.unigram) + 1))

    @cached_property
    def _by_right(self) -> _Ids:
        return np.argsort(self._right, kind="stable")

    @cached_property
    def _right_starts(self) -> _Ids:
        return np.concatenate([[0], np.cumsum(np.bincount(self._right, minlength=len(self.unigram)))])


def count_bigrams(table: TokenTable, token_counts: _Ids, max_tokens: int) -> BigramModel:
    """Count the neighbouring pairs of a split, of some `max_tokens` of its tokens.

    token_counts  [V]  occurrences of each word
    """
    vocabulary_size = len(token_counts)
    counts = count_pairs(table, 1, vocabulary_size, max_tokens)
    counts.sort_indices()  # so that the keys ascend
    pairs = counts.tocoo()
    keys = pairs.row.astype(np.uint64) * np.uint64(vocabulary_size) + pairs.col.astype(np.uint64)
    unigram = (token_counts + 1.0) / (token_counts.sum() + vocabulary_size)
    return BigramModel(keys, pairs.data.astype(np.int64), unigram)


def measure_entropy(store: TokenStore, batches: Sequence[PretrainingBatch], max_tokens: int) -> TextEntropy:
    """Entropies of the labels of some held-out batches."""
    model = count_bigrams(store.train, store.token_counts, max_tokens)
    delimiters = (store.tokenizer.cls_id, store.tokenizer.sep_id)
    words, left, right = labels_and_neighbours(batches, delimiters)
    some = np.unique(np.linspace(0, len(words) - 1, min(len(words), _MAX_BETWEEN)).round().astype(int))
    between = -np.log([model.probability_between(words[n], left[n], right[n]) for n in some])
    return TextEntropy(
        unigram=unigram_loss(batches, store.token_counts),
        before=float(-np.log(model.probability(words, left)).mean()),
        between=float(between.mean()),
        between_error=float(between.std() / len(between) ** 0.5),
        labels=len(words),
        tokens_counted=int(model.counts.sum()),
    )


def labels_and_neighbours(batches: Sequence[PretrainingBatch], delimiters: tuple[int, ...]) -> tuple[_Ids, _Ids, _Ids]:
    """Each label, the word before it and the word after it, as the text has them (-1 beside a delimiter): [N] each."""
    labels, left, right = [], [], []
    for batch in batches:
        token_ids = batch.inputs.token_ids.numpy().copy()
        positions = batch.masked_positions.numpy()
        token_ids[positions] = batch.masked_labels.numpy()
        labels.append(token_ids[positions])
        left.append(token_ids[positions - 1])  # a sequence begins and ends with a delimiter
        right.append(token_ids[positions + 1])
    beside = [np.concatenate(words) for words in (left, right)]
    for words in beside:
        words[np.isin(words, delimiters)] = _NOTHING
    return np.concatenate(labels), beside[0], beside[1]


def entropy_finding(entropy: TextEntropy) -> Finding:
    """What the text offers to learn."""
    gain = 1.0 - entropy.before / entropy.unigram
    measured = (
        f"A hidden word costs {entropy.unigram:.2f} nats by its frequency, {entropy.before:.2f} by the word before it, "
        f"{entropy.between:.2f} (±{entropy.between_error:.2f}) by the words on both sides; {entropy.labels:,} hidden "
        f"words, {entropy.tokens_counted:,} pairs counted."
    )
    values = {name: float(value) for name, value in vars(entropy).items()}
    if gain < HARDLY_ANY:
        return Finding(
            "entropy of the text",
            Level.WARNING,
            measured,
            "Neighbouring words tell next to nothing about each other, so a masked language model has little to learn.",
            cause="Words in no order (lists, shuffled text, identifiers), or too little text to count pairs in.",
            remedy="Look at the text as `bertsmith pretrain STORE --out RUN --dry-run` shows it, and prepare running "
            "text, more of it.",
            values=values,
        )
    return Finding(
        "entropy of the text",
        Level.GOOD,
        measured,
        "A network that stays near the first number ignores the sentence; to pass the second it has to look at "
        "neighbours; below the third it knows more than pairs of words.",
        values=values,
    )
