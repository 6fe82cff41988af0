import threading

import pytest

from bertsmith.training.prefetch import Prefetch


def count(cursor: int) -> tuple[str, int]:
    return f"batch {cursor}", cursor + 1


def test_batches_come_in_order_from_the_first_cursor():
    with Prefetch(count, 7) as prefetched:
        assert [prefetched.next() for _ in range(50)] == [(f"batch {n}", n + 1) for n in range(7, 57)]


def test_an_error_in_the_background_is_raised_where_the_batch_is_asked_for():
    def fail(cursor: int) -> tuple[str, int]:
        if cursor == 2:
            raise ValueError("no such batch")
        return count(cursor)

    with Prefetch(fail, 0) as prefetched:
        prefetched.next(), prefetched.next()
        with pytest.raises(ValueError, match="no such batch"):
            prefetched.next()


def test_leaving_the_block_ends_the_thread():
    before = threading.active_count()
    with Prefetch(count, 0) as prefetched:
        prefetched.next()
    assert threading.active_count() == before
