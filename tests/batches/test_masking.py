"""Masking: how many, which, and what stands in their place."""

import math

import numpy as np
import pytest
from corpora import FIRST_WORD
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.batches.masking import MaskingRule, mask_tokens

MAX_PREDICTIONS = 20


def make_rule(tokenizer, **changes) -> MaskingRule:
    standard = {"rate": 0.15, "mask_share": 0.8, "random_share": 0.1, "whole_word": False}
    return MaskingRule(**{"max_predictions": MAX_PREDICTIONS, "tokenizer": tokenizer} | standard | changes)


def make_sequences(tokenizer, lengths, seed=0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[CLS], words, [SEP]; `lengths` counts the two."""
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)])
    token_ids = np.random.default_rng(seed).integers(FIRST_WORD, tokenizer.vocabulary_size, size=cu_seqlens[-1])
    is_special = np.zeros(len(token_ids), dtype=bool)
    is_special[cu_seqlens[:-1]] = is_special[cu_seqlens[1:] - 1] = True
    token_ids[cu_seqlens[:-1]], token_ids[cu_seqlens[1:] - 1] = tokenizer.cls_id, tokenizer.sep_id
    return token_ids, cu_seqlens, is_special


def generators(count, seed=0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, number]) for number in range(count)]


def expected_number(length: int, rate: float = 0.15) -> int:
    return min(MAX_PREDICTIONS, max(1, round(rate * length)), length - 2)


lengths_strategy = st.lists(st.integers(3, 160), min_size=1, max_size=8)


@given(lengths_strategy, st.floats(0.01, 0.9), st.integers(0, 99))
def test_each_sequence_has_its_number_of_masks_on_text_only(tokenizer, lengths, rate, seed):
    token_ids, cu_seqlens, is_special = make_sequences(tokenizer, lengths, seed)
    before = token_ids.copy()
    rule = make_rule(tokenizer, rate=rate)
    positions, labels = mask_tokens(token_ids, cu_seqlens, is_special, generators(len(lengths), seed), rule)
    assert np.all(np.diff(positions) > 0)
    counts = np.histogram(positions, bins=cu_seqlens)[0] if len(positions) else np.zeros(len(lengths))
    assert counts.tolist() == [expected_number(length, rate) for length in lengths]
    assert not is_special[positions].any()
    assert np.array_equal(labels, before[positions])
    untouched = np.ones(len(token_ids), dtype=bool)
    untouched[positions] = False
    assert np.array_equal(token_ids[untouched], before[untouched])


@given(lengths_strategy, st.integers(1, 99))
def test_the_masks_of_a_sequence_do_not_depend_on_its_neighbours(tokenizer, lengths, seed):
    token_ids, cu_seqlens, is_special = make_sequences(tokenizer, lengths)
    alone = token_ids[cu_seqlens[-2] :].copy()
    positions, _ = mask_tokens(token_ids, cu_seqlens, is_special, generators(len(lengths), seed), make_rule(tokenizer))
    alone_positions, _ = mask_tokens(
        alone,
        np.array([0, len(alone)]),
        is_special[cu_seqlens[-2] :],
        generators(len(lengths), seed)[-1:],
        make_rule(tokenizer),
    )
    assert np.array_equal(alone, token_ids[cu_seqlens[-2] :])
    assert np.array_equal(alone_positions, positions[positions >= cu_seqlens[-2]] - cu_seqlens[-2])


@pytest.mark.parametrize(("mask_share", "random_share"), [(0.8, 0.1), (1.0, 0.0), (0.0, 1.0), (0.0, 0.2), (0.5, 0.5)])
def test_shares_of_mask_random_and_kept_are_as_set(tokenizer, mask_share, random_share):
    token_ids, cu_seqlens, is_special = make_sequences(tokenizer, [128] * 1500)
    rule = make_rule(tokenizer, mask_share=mask_share, random_share=random_share)
    positions, labels = mask_tokens(token_ids, cu_seqlens, is_special, generators(1500), rule)
    shown = token_ids[positions]
    masked = shown == tokenizer.mask_id
    kept = shown == labels
    observed = {"mask": masked.mean(), "random": (~masked & ~kept).mean(), "kept": kept.mean()}
    wanted = {"mask": mask_share, "random": random_share, "kept": 1 - mask_share - random_share}
    for name, share in wanted.items():
        z = (observed[name] - share) / math.sqrt(max(share * (1 - share), 1e-3) / len(labels))  # random may hit either
        assert abs(z) < 4, (name, observed[name])


def test_every_position_of_the_text_is_equally_likely(tokenizer):
    token_ids, cu_seqlens, is_special = make_sequences(tokenizer, [62] * 4000)
    positions, _ = mask_tokens(token_ids, cu_seqlens, is_special, generators(4000), make_rule(tokenizer))
    counts = np.bincount(positions % 62, minlength=62)[1:-1]
    expected = 4000 * 9 / 60
    statistic = ((counts - expected) ** 2 / (expected * (1 - 9 / 60))).sum()
    assert statistic < 60 + 4 * math.sqrt(120)  # chi-squared, some 60 degrees


def test_random_pieces_are_uniform_over_the_whole_vocabulary(tokenizer):
    token_ids, cu_seqlens, is_special = make_sequences(tokenizer, [128] * 2500)
    rule = make_rule(tokenizer, mask_share=0.0, random_share=1.0)
    positions, _ = mask_tokens(token_ids, cu_seqlens, is_special, generators(2500), rule)
    shown = token_ids[positions]
    counts = np.histogram(shown, bins=20, range=(0, tokenizer.vocabulary_size))[0]
    expected = len(shown) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 19 + 4 * math.sqrt(38)
    assert shown.min() < FIRST_WORD, "the special pieces are of the vocabulary too"


@given(lengths_strategy, st.integers(0, 99))
def test_a_word_is_chosen_whole_or_not_at_all_and_within_the_budget(tokenizer, lengths, seed):
    token_ids, cu_seqlens, is_special = make_sequences(tokenizer, lengths, seed)
    starts = tokenizer.starts_word[token_ids] | is_special
    starts[cu_seqlens[:-1] + 1] = True  # a segment that begins within a word
    word = np.cumsum(starts)
    rule = make_rule(tokenizer, whole_word=True)
    positions, _ = mask_tokens(token_ids, cu_seqlens, is_special, generators(len(lengths), seed), rule)
    assert not is_special[positions].any()
    chosen = np.zeros(len(token_ids), dtype=bool)
    chosen[positions] = True
    for number in np.unique(word[positions]):
        assert chosen[word == number].all()
    sizes = np.bincount(word)[word]  # of each token's word
    for start, end, length in zip(cu_seqlens[:-1], cu_seqlens[1:], lengths, strict=True):
        budget, taken = expected_number(length), chosen[start:end].sum()
        assert taken <= budget
        left_out = ~chosen[start:end] & ~is_special[start:end]
        assert not left_out.any() or sizes[start:end][left_out].min() > budget - taken, "another word would have fitted"


def test_the_pieces_of_a_word_are_replaced_independently(tokenizer):
    word = [FIRST_WORD, FIRST_WORD + 3]  # w0 ##p3
    token_ids = np.array(([tokenizer.cls_id] + word * 30 + [tokenizer.sep_id]) * 2000)
    cu_seqlens = np.arange(2001) * 62
    is_special = (token_ids == tokenizer.cls_id) | (token_ids == tokenizer.sep_id)
    rule = make_rule(tokenizer, whole_word=True, mask_share=0.5, random_share=0.0)
    positions, _ = mask_tokens(token_ids, cu_seqlens, is_special, generators(2000), rule)
    first, second = (token_ids[positions] == tokenizer.mask_id).reshape(-1, 2).T
    both = (first & second).mean()
    assert abs(both - 0.25) < 4 * math.sqrt(0.25 * 0.75 / len(first))
