"""Which word it is, of very many: an adaptive softmax (Grave et al. 2017).

The frequent words have a score each, and so has each *cluster* of rarer ones; within a cluster a narrower layer tells
the word. The probability of a rare word is that of its cluster times that within it, so its loss is a sum of two
cross-entropies. Words of a list stand by frequency, so clusters are ranges of numbers.

Legend: N states, P width of a state, K clusters, F words that are not in one.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from bertsmith.model.encoder import filled_up
from bertsmith.model.losses import correctness, cross_entropies
from bertsmith.model.vocabulary_scores import VocabularyScores

_NARROWER = 4  # by what the width falls from cluster to cluster


class AdaptiveVocabulary(nn.Module):
    """A softmax over `num_words`.

    cutoffs  the number of the first word of each cluster, ascending; (): there is none
    """

    def __init__(self, state_size: int, num_words: int, cutoffs: Sequence[int]):
        super().__init__()
        if list(cutoffs) != sorted(set(cutoffs)) or any(not 0 < cutoff < num_words for cutoff in cutoffs):
            raise ValueError(f"the clusters of {num_words} words cannot begin at {list(cutoffs)}")
        self.borders = [*cutoffs, num_words]
        self.head = nn.Linear(state_size, self.borders[0] + len(cutoffs))
        widths = [max(1, state_size // _NARROWER ** (place + 1)) for place in range(len(cutoffs))]
        sizes = [end - begin for begin, end in pairwise(self.borders)]
        self.narrow = nn.ModuleList(nn.Linear(state_size, width, bias=False) for width in widths)
        self.tails = nn.ModuleList(
            nn.Linear(width, size, bias=False) for width, size in zip(widths, sizes, strict=True)
        )

    def judge(self, states: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of the losses, and whether each word is told right: by the head, and in its cluster if it is in one.

        states   [N, P]
        words    [N]  int64, their numbers
        returns  [], [N] float32; only the loss has a gradient
        """
        rows_of_all = torch.arange(len(words), device=words.device)
        filled = states.index_select(0, filled_up(rows_of_all))
        total, correct = self._scores(self.head, filled, len(words)).judge(self._classes(words))
        for cluster, rows in self._members(words):
            narrow = self.narrow[cluster](states.index_select(0, filled_up(rows)))
            labels = words[rows] - self.borders[cluster]
            loss, told = self._scores(self.tails[cluster], narrow, len(rows)).judge(labels)
            total = total + loss
            correct[rows] *= told
        return total, correct

    @torch.no_grad()
    def guesses(self, states: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each word, and whether it is told right, without a gradient: [N], [N] float32."""
        classes = self._classes(words)
        logits = self.head(states)
        losses, correct = cross_entropies(logits, classes), correctness(logits, classes)
        for cluster, rows in self._members(words):
            logits = self.tails[cluster](self.narrow[cluster](states[rows]))
            labels = words[rows] - self.borders[cluster]
            losses[rows] += cross_entropies(logits, labels)
            correct[rows] *= correctness(logits, labels)
        return losses, correct

    def _classes(self, words: Tensor) -> Tensor:
        """What the head has to tell: the word, or its cluster; [N] to [N]."""
        cutoffs = torch.tensor(self.borders[:-1], device=words.device)
        cluster = torch.bucketize(words, cutoffs, right=True)  # 0: in none
        return torch.where(cluster > 0, self.borders[0] + cluster - 1, words)

    def _members(self, words: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Of each cluster that has some of the words, its number and their places."""
        for cluster, (begin, end) in enumerate(pairwise(self.borders)):
            rows = ((words >= begin) & (words < end)).nonzero().squeeze(1)
            if len(rows):
                yield cluster, rows

    def _scores(self, layer: nn.Module, states: Tensor, count: int) -> VocabularyScores:
        assert isinstance(layer, nn.Linear)
        return VocabularyScores(states, layer.weight, layer.bias, count)
