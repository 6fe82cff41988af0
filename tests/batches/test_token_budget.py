"""Batches by tokens lose nothing, keep the order, and hold as much as they may."""

from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from bertsmith.batches.token_budget import within_tokens


@given(st.lists(st.text(max_size=20)), st.integers(1, 30))
def test_every_item_is_in_one_batch_in_its_place(items: list[str], batch_tokens: int):
    assert list(chain.from_iterable(within_tokens(items, len, batch_tokens))) == items


@given(st.lists(st.text(max_size=20)), st.integers(1, 30))
def test_a_batch_keeps_to_the_budget_unless_one_item_is_longer(items: list[str], batch_tokens: int):
    for batch in within_tokens(items, len, batch_tokens):
        assert len(batch) == 1 or sum(map(len, batch)) <= batch_tokens


@given(st.lists(st.text(max_size=20)), st.integers(1, 30))
def test_the_first_item_of_a_batch_had_no_room_in_the_one_before(items: list[str], batch_tokens: int):
    for before, after in pairwise(within_tokens(items, len, batch_tokens)):
        assert sum(map(len, before)) + len(after[0]) > batch_tokens


def test_items_are_taken_as_they_are_needed():
    taken: list[str] = []

    def items():
        for item in ("ab", "cd", "ef", "gh"):
            taken.append(item)
            yield item

    batches = within_tokens(items(), len, 4)
    assert next(batches) == ["ab", "cd"]
    assert taken == ["ab", "cd", "ef"]
