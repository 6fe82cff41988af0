"""The labels of a language model from left to right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.next_tokens import next_tokens
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ConfigurationError


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_every_token_but_the_last_of_its_sequence_has_the_one_after_it(lengths):
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)])
    token_ids = np.arange(100, 100 + cu_seqlens[-1])
    positions, labels = next_tokens(token_ids, cu_seqlens)
    expected = [
        place for begin, length in zip(cu_seqlens, lengths, strict=False) for place in range(begin, begin + length - 1)
    ]
    assert positions.tolist() == expected
    assert labels.tolist() == [token_ids[place + 1] for place in expected]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "next"}, "set next_sentence = false"),
        ({"special_pieces": False, "next_sentence": False}, "special_pieces = false is for objective = next"),
        ({"special_pieces": False}, "special_pieces = false is for objective = next"),
    ],
)
def test_what_goes_not_together_is_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        build_settings(BatchSettings, settings)
