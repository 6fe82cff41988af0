"""Dropout keeps the rate, the expectation, and is a function of torch's global seed."""

import pytest
import torch

from bertsmith.model.dropout import dropout, dropout_then_add, keep_mask

dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


@dtypes
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
def test_the_share_of_dropped_elements_is_the_rate(rate, dtype):
    torch.manual_seed(0)
    keep = keep_mask(torch.empty(400_003, dtype=dtype), rate)
    assert keep.dtype == dtype
    assert set(keep.unique().tolist()) == {0.0, 1.0}
    deviation = (rate * (1 - rate) / len(keep)) ** 0.5
    assert abs((keep == 0).double().mean().item() - rate) < 4 * deviation + 2**-16


def test_dropped_elements_are_independent_of_their_neighbours():
    torch.manual_seed(0)
    dropped = keep_mask(torch.empty(1_000_000), 0.1) == 0
    for distance in (1, 2, 3, 4, 5, 256):
        both = (dropped[distance:] & dropped[:-distance]).double().mean().item()
        assert abs(both - 0.01) < 4 * (0.01 * 0.99 / 1e6) ** 0.5 + 1e-4


@dtypes
def test_kept_elements_are_scaled_so_that_the_expectation_stays(dtype):
    torch.manual_seed(0)
    states = torch.full((100, 33), 3.0, dtype=dtype)
    values = set(dropout(states, 0.25).unique().tolist())
    assert values == {0.0, 4.0}
    assert set(dropout_then_add(states, states, 0.25).unique().tolist()) == {3.0, 7.0}


def test_dropout_is_a_function_of_the_global_seed():
    states = torch.randn(7, 5)
    torch.manual_seed(1)
    first, second = dropout(states, 0.5), dropout(states, 0.5)
    torch.manual_seed(1)
    assert torch.equal(dropout(states, 0.5), first)
    assert not torch.equal(first, second)


def test_the_gradient_is_dropped_where_the_state_is():
    torch.manual_seed(0)
    states = torch.ones(1000, requires_grad=True)
    residual = torch.zeros(1000, requires_grad=True)
    output = dropout_then_add(states, residual, 0.5)
    output.sum().backward()
    assert torch.equal(states.grad, output.detach())
    assert torch.equal(residual.grad, torch.ones(1000))


def test_rate_zero_leaves_the_states_alone():
    states = torch.randn(4)
    before = torch.get_rng_state()
    assert dropout(states, 0.0) is states
    assert torch.equal(dropout_then_add(states, states, 0.0), 2 * states)
    assert torch.equal(torch.get_rng_state(), before)
