"""A paired test is scipy's, and says nothing where there is nothing to say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bertsmith.study.significance import paired_difference

SCORES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8)


@given(SCORES)
def test_it_is_the_paired_t_test(pairs):
    ours, theirs = zip(*pairs, strict=True)
    found = paired_difference(ours, theirs)
    assert found.mean == pytest.approx(sum(ours) / len(ours) - sum(theirs) / len(theirs), abs=1e-9)
    if found.p is not None:
        assert found.p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue, rel=1e-6, abs=1e-12)
        assert found.is_clear == (found.p < 0.05)


def test_what_only_shifts_or_comes_once_has_no_p():
    assert paired_difference([0.5], [0.25]).p is None
    assert paired_difference([0.5, 0.75], [0.25, 0.5]).p is None
    assert not paired_difference([0.5, 0.75], [0.25, 0.5]).is_clear
    with pytest.raises(ValueError, match="2 and 1 scores do not make pairs"):
        paired_difference([0.1, 0.2], [0.1])
