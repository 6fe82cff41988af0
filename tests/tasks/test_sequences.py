"""How a pair is cut."""

from hypothesis import given
from hypothesis import strategies as st

from bertsmith.tasks.sequences import longest_first


@given(st.integers(0, 600), st.integers(0, 600), st.integers(1, 509))
def test_a_cut_pair_fills_the_limit_and_never_leaves_the_longer_shorter(first, second, limit):
    kept_first, kept_second = longest_first(first, second, limit)
    assert kept_first + kept_second == min(first + second, limit)
    assert 0 <= kept_first <= first
    assert 0 <= kept_second <= second
    if first > second:
        assert kept_first >= kept_second
