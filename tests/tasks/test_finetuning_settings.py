"""How many examples go into one pass."""

import numpy as np
import pytest

from bertsmith.tasks.encoded import EncodedExample, EncodedExamples
from bertsmith.tasks.finetuning_settings import FinetuneRuntimeSettings
from bertsmith.tasks.input_limits import InputLimits


def of_lengths(*lengths):
    rows = [EncodedExample((np.zeros(length, np.int32),), (np.zeros(length, np.int32),), None) for length in lengths]
    return EncodedExamples(rows, InputLimits())


@pytest.mark.parametrize(
    ("lengths", "examples"),
    [
        ([128] * 100, 32),  # 4,096 tokens
        ([384] * 100, 21),  # 8,064
        ([128] * 100 + [2_000] * 3, 32),  # the 32 longest: 9,712
        ([128] * 100 + [8_000] * 4, 10),  # 4 x 8,000 and 6 x 128 are 32,768 to the token
        ([128] * 100 + [8_000] * 4 + [128, 129], 9),
        ([128] * 1000 + [30_000] * 20, 1),  # two of them would be 60,000
        ([128] * 1000 + [40_000], 1),  # by itself more: no example is divided
        ([40_000] * 3, 1),
    ],
)
def test_the_longest_examples_together_stay_within_four_times_the_usual_number_of_tokens(lengths, examples):
    assert FinetuneRuntimeSettings().examples_at_once(of_lengths(*lengths)) == examples


def test_what_was_said_is_done():
    assert FinetuneRuntimeSettings(micro_batch_size=7).examples_at_once(of_lengths(40_000)) == 7
