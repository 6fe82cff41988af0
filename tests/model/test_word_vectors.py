"""Word vectors say what the counts say, as well as vectors of their size can."""

import numpy as np
import pytest
from scipy import sparse

from bertsmith.model.word_vectors import log_ratios, word_vectors
from bertsmith.text.pair_counts import TextCounts

V = 60


def counts_of(*tables: np.ndarray) -> TextCounts:
    pairs = [sparse.csr_array(table.astype(np.float64)) for table in tables]
    return TextCounts(tables[0].sum(axis=1).astype(np.int64), pairs)


@pytest.fixture(scope="module")
def counts() -> TextCounts:
    """Of pieces as frequent as words, in three classes: after a piece of one class, one of the next is likely."""
    random = np.random.default_rng(0)
    shares = 1.0 / np.arange(1, V + 1)
    follows = np.where((np.arange(V)[:, None] + 1) % 3 == np.arange(V) % 3, 8.0, 1.0)
    expected = 20_000 * np.outer(shares, shares) / shares.sum() ** 2 * follows
    return counts_of(random.poisson(expected), random.poisson(expected @ follows / V))


def test_a_ratio_is_the_log_of_seen_over_expected_with_two_pairs_added_to_both():
    table = np.array([[0, 30, 2], [30, 0, 1], [2, 1, 34]])
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    ratios = log_ratios(sparse.csr_array(table.astype(np.float64))).toarray()
    by_hand = np.log((table + 2) / (expected + 2))
    enough = (table >= 2) | (expected > 2)  # of the rest there is too little evidence
    np.testing.assert_allclose(ratios, np.where(enough, by_hand, 0.0), rtol=1e-5)


def test_vectors_of_full_size_give_the_ratios_back(counts):
    made = word_vectors(counts, V, np.random.default_rng(0))
    for pairs, link in zip(counts.pairs, made.links, strict=True):
        np.testing.assert_allclose(
            made.vectors @ link.before @ link.after @ made.vectors.T, log_ratios(pairs).toarray(), atol=2e-3
        )


def test_few_dimensions_hold_most_of_it(counts):
    made = word_vectors(counts, 8, np.random.default_rng(0))
    shares = counts.tokens / counts.tokens.sum()
    for pairs, link in zip(counts.pairs, made.links, strict=True):
        ratios = log_ratios(pairs).toarray()
        error = made.vectors @ link.before @ link.after @ made.vectors.T - ratios
        weight = np.outer(shares, shares)
        assert (weight * error**2).sum() < 0.1 * (weight * ratios**2).sum()


def test_the_first_columns_of_a_link_are_its_best_part(counts):
    made = word_vectors(counts, 16, np.random.default_rng(0))
    shares = counts.tokens / counts.tokens.sum()
    ratios = log_ratios(counts.pairs[0]).toarray()
    link = made.links[0]
    errors = []
    for rank in (1, 2, 4, 8, 16):
        told = made.vectors @ link.before[:, :rank] @ link.after[:rank] @ made.vectors.T
        errors.append((np.outer(shares, shares) * (told - ratios) ** 2).sum())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * (np.outer(shares, shares) * ratios**2).sum()


def test_vectors_have_norm_one_over_running_text_and_no_dimension_stands_out(counts):
    made = word_vectors(counts, 8, np.random.default_rng(0))
    shares = counts.tokens / counts.tokens.sum()
    assert shares @ np.square(made.vectors).sum(axis=1) == pytest.approx(1.0, rel=1e-4)
    sizes = np.sqrt(shares @ np.square(made.vectors))
    assert sizes.max() < 0.8  # without the turn the first dimension alone would have nearly all


def test_equal_counts_and_an_equal_generator_give_equal_vectors(counts):
    first, again, other = (word_vectors(counts, 8, np.random.default_rng(seed)).vectors for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_does_not_occur_has_no_vector_and_more_dimensions_than_pieces_stay_harmless():
    table = np.zeros((V, V))
    table[:4, :4] = [[0, 9, 0, 9], [9, 0, 9, 0], [0, 9, 0, 9], [9, 0, 9, 0]]
    made = word_vectors(counts_of(table, table), 3 * V, np.random.default_rng(0))
    assert made.vectors.shape == (V, 3 * V)
    assert made.vectors[:4].any(axis=1).all()
    assert not made.vectors[4:].any()
    assert all(np.isfinite(part).all() for link in made.links for part in (link.before, link.after))


def test_a_text_without_pairs_has_vectors_of_zeros():
    nothing = sparse.csr_array((V, V), dtype=np.float64)
    made = word_vectors(TextCounts(np.ones(V, dtype=np.int64), [nothing, nothing]), 8, np.random.default_rng(0))
    assert not made.vectors.any()
