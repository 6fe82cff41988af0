"""A paired test is scipy's, and says nothing where there is nothing to say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bertsmith.study.significance import PairedDifference, Pairs, corrected, paired_difference

SCORES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8)


@given(SCORES)
def test_it_is_the_paired_t_test(pairs):
    ours, theirs = zip(*pairs, strict=True)
    found = paired_difference(ours, theirs, Pairs.PRETRAININGS)
    assert found.mean == pytest.approx(sum(ours) / len(ours) - sum(theirs) / len(theirs), abs=1e-9)
    if found.p is not None:
        assert found.p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue, rel=1e-6, abs=1e-12)
        assert found.is_clear == (found.p < 0.05)


def test_what_only_shifts_or_comes_once_has_no_p():
    assert paired_difference([0.5], [0.25], Pairs.FINETUNINGS).p is None
    assert paired_difference([0.5, 0.75], [0.25, 0.5], Pairs.FINETUNINGS).p is None
    assert not paired_difference([0.5, 0.75], [0.25, 0.5], Pairs.FINETUNINGS).is_clear
    with pytest.raises(ValueError, match="2 and 1 scores do not make pairs"):
        paired_difference([0.1, 0.2], [0.1], Pairs.FINETUNINGS)


def test_a_p_is_corrected_for_the_comparisons_of_its_table():
    """Holm's: the smallest p times their number, the next times one less, and never below the one before."""
    before = [PairedDifference(0.1, p, Pairs.FINETUNINGS) for p in (0.04, 0.01, None, 0.03, 0.6)]
    after = corrected([*before, None])
    assert after[5] is None
    assert [found and found.p for found in after[:5]] == pytest.approx([0.09, 0.04, None, 0.09, 0.6])
    assert [found is not None and found.is_clear for found in after] == [False, True, False, False, False, False]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_the_correction_is_that_of_the_definition(values):
    after = corrected([PairedDifference(0.1, p, Pairs.FINETUNINGS) for p in values])
    ranked = sorted(values)
    for p, found in zip(values, after, strict=True):
        steps = [(len(ranked) - rank) * each for rank, each in enumerate(ranked) if each <= p]
        assert found.p == pytest.approx(min(1.0, max(steps)))
