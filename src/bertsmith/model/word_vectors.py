"""Word vectors from counts: what pairs of pieces that stand near each other say, in a few hundred numbers a piece.

For pieces v and w at distance d, seen n_d(v, w) times where chance would have it e_d(v, w) times,

    R_d(v, w) = log (n_d(v, w) + 2) / (e_d(v, w) + 2)

is how much likelier w becomes d places after v: pointwise mutual information (Church and Hanks 1990), pulled towards 0
where there is little evidence. The vectors are the best account of all R_d at once, both ways round, that K numbers a
piece can give, where an error counts as often as chance would have the pair occur (vectors of this family are what
word2vec learns: Levy and Goldberg 2014):

    R_d(v, w)  ~  vectors(v) link_d vectors(w)^T

Legend: V vocabulary size, K size of a vector, L <= K dimensions that the text fills.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bertsmith.text.pair_counts import TextCounts

_PRIOR = 2.0  # pairs that are added to what was seen and to what was expected
_FEWEST = 2  # a pair that was seen less often counts as not seen
_FREQUENT = 2048  # among so many pieces it says something that a pair was not seen
_SPREAD = 0.25  # a dimension is as large as this power of its eigenvalue of squares
_EMPTY = 1e-6  # of the largest eigenvalue: below it a dimension holds nothing but rounding
_ROUNDS, _SPARE = 5, 20  # of the iteration for eigenvectors, and its dimensions beyond those that are kept

_Matrix = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Link:
    """What a vector says of the vectors at a distance: link = before @ after.

    The first r columns of `before` and rows of `after` are the best link of rank r.
    """

    before: _Matrix  # [K, L]
    after: _Matrix  # [L, K]


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors, and what they say of each other.

    vectors  [V, K]  mean square norm over running text 1; zero for a piece that does not occur
    links            links[d - 1] is of distance d
    """

    vectors: _Matrix
    links: Sequence[Link]


def word_vectors(counts: TextCounts, size: int, generator: np.random.Generator) -> WordVectors:
    """The vectors of a text, in coordinates turned at random: all dimensions are alike."""
    weights = np.sqrt(counts.tokens / max(int(counts.tokens.sum()), 1)).astype(np.float32)  # [V]
    by_weight = sparse.diags_array(weights)
    ratios = [(by_weight @ log_ratios(pairs) @ by_weight).tocsr() for pairs in counts.pairs]
    squares, basis = _largest_eigenvectors(ratios, size, generator)  # [L], [V, L]
    sizes = squares**_SPREAD
    sizes /= np.linalg.norm(sizes) if len(sizes) else 1.0  # the mean square norm becomes 1
    turn = np.linalg.qr(generator.standard_normal((size, size)))[0][: len(sizes)].astype(np.float32)  # [L, K]
    inverse_weights = np.divide(1.0, weights, out=np.zeros_like(weights), where=weights > 0)
    links = []
    for ratio in ratios:
        left, strengths, right = np.linalg.svd(basis.T @ (ratio @ basis))  # [L, L], [L], [L, L]
        roots = np.sqrt(strengths)
        before, after = turn.T @ (left * roots / sizes[:, None]), (roots[:, None] * right / sizes) @ turn
        links.append(Link(before.astype(np.float32), after.astype(np.float32)))
    return WordVectors((inverse_weights[:, None] * basis * sizes) @ turn, links)


def log_ratios(pairs: sparse.csr_array) -> sparse.csr_array:
    """R of the module's text: [V, V] counts to [V, V] float32, 0 where there is little evidence."""
    total = max(float(pairs.sum()), 1.0)
    firsts, seconds = np.asarray(pairs.sum(axis=1)).ravel(), np.asarray(pairs.sum(axis=0)).ravel()  # [V] each
    seen = pairs.tocoo()
    enough = seen.data >= _FEWEST
    rows, columns, counts = seen.row[enough], seen.col[enough], seen.data[enough]
    frequent = np.argsort(-firsts, kind="stable")[:_FREQUENT]
    block = pairs[frequent][:, frequent].toarray()
    unseen = np.nonzero((block < _FEWEST) & (np.outer(firsts[frequent], seconds[frequent]) > total * _PRIOR))
    rows = np.concatenate([rows, frequent[unseen[0]]])
    columns = np.concatenate([columns, frequent[unseen[1]]])
    counts = np.concatenate([counts, block[unseen]])
    expected = firsts[rows] * seconds[columns] / total
    ratios = np.log((counts + _PRIOR) / (expected + _PRIOR)).astype(np.float32)
    return sparse.csr_array((ratios, (rows, columns)), shape=pairs.shape)


def _largest_eigenvectors(
    ratios: Sequence[sparse.csr_array], count: int, generator: np.random.Generator
) -> tuple[_Matrix, _Matrix]:
    """Of the sum of R R^T + R^T R: at most `count` eigenvalues in descending order, and their vectors [V, L].

    Subspace iteration (Halko, Martinsson and Tropp 2011).
    """
    both_ways = [(ratio, ratio.T.tocsr()) for ratio in ratios]

    def multiply(vectors: _Matrix) -> _Matrix:
        product = np.zeros_like(vectors)
        for ratio, transposed in both_ways:
            product += ratio @ (transposed @ vectors)
            product += transposed @ (ratio @ vectors)
        return product

    height = ratios[0].shape[0]
    space = generator.standard_normal((height, min(count + _SPARE, height))).astype(np.float32)
    for _ in range(_ROUNDS):
        space = np.linalg.qr(multiply(np.linalg.qr(space)[0]))[0]
    inner = space.T @ multiply(space)
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    order = np.argsort(-values)[:count]
    order = order[values[order] > _EMPTY * max(values.max(), 0.0)]
    return values[order], space @ vectors[:, order]
