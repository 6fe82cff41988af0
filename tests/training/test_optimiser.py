"""AdamW as released, against a float64 transcript of the released code and against torch's; Muon against torch's."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from bertsmith.training.optimiser import Optimiser, OptimiserSettings


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 3))


def backward(model: nn.Module, index: int) -> None:
    torch.manual_seed(100 + index)
    inputs = torch.randn(4, 5, dtype=next(model.parameters()).dtype)
    model(inputs).pow(2).sum().backward()


def take_step(model: nn.Module, optimiser: Optimiser, index: int, learning_rate: float = 1e-2) -> None:
    optimiser.zero_gradients()
    backward(model, index)
    optimiser.add_gradients()
    optimiser.step(learning_rate, optimiser.gradient_norm())


def released_adam(weights, gradients, means, squares, *, learning_rate, decay):
    """optimization.py of google-research/bert: no bias correction, decay added to the update."""
    means[:] = 0.9 * means + 0.1 * gradients
    squares[:] = 0.999 * squares + 0.001 * gradients**2
    update = means / (np.sqrt(squares) + 1e-6) + decay * weights
    return weights - learning_rate * update


def test_updates_are_those_of_the_released_code_without_bias_correction():
    model = network()
    reference = {name: p.detach().double().numpy().copy() for name, p in model.named_parameters()}
    moments = {name: (np.zeros_like(w), np.zeros_like(w)) for name, w in reference.items()}
    optimiser = Optimiser(model, OptimiserSettings(gradient_clip=1.0), torch.float32)
    for index in range(20):
        optimiser.zero_gradients()
        backward(model, index)
        gradients = {name: p.grad.double().numpy().copy() for name, p in model.named_parameters()}
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        optimiser.add_gradients()
        assert optimiser.gradient_norm() == pytest.approx(norm, rel=1e-5)
        optimiser.step(1e-2, optimiser.gradient_norm())
        for name, gradient in gradients.items():
            clipped = gradient * min(1.0, 1.0 / norm)
            decay = 0.01 if reference[name].ndim >= 2 else 0.0
            reference[name] = released_adam(reference[name], clipped, *moments[name], learning_rate=1e-2, decay=decay)
    for name, parameter in model.named_parameters():
        # the same numbers, (1 - lr decay) p - lr m / (sqrt(v) + eps), in another order: float32 and float64 round apart
        np.testing.assert_allclose(parameter.detach().numpy(), reference[name], atol=2e-6)


def test_with_bias_correction_updates_are_those_of_torch():
    model = network()
    theirs = copy.deepcopy(model)
    ours = Optimiser(model, OptimiserSettings(bias_correction=True, gradient_clip=1.0), torch.float32)
    matrices = [p for p in theirs.parameters() if p.dim() >= 2]
    vectors = [p for p in theirs.parameters() if p.dim() < 2]
    adamw = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}], lr=1e-2, eps=1e-6
    )
    for index in range(20):
        take_step(model, ours, index)
        adamw.zero_grad()
        backward(theirs, index)
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        adamw.step()
    for mine, other in zip(model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)


def test_biases_and_layernorm_do_not_decay():
    model = network()
    optimiser = Optimiser(model, OptimiserSettings(weight_decay=0.5), torch.float32)
    before = copy.deepcopy(model.state_dict())
    optimiser.zero_gradients()
    optimiser.step(0.1, 0.0)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]) == (weight.dim() < 2), name


def test_a_bfloat16_model_holds_the_rounded_float32_masters():
    model = network()
    optimiser = Optimiser(model, OptimiserSettings(), torch.bfloat16)
    for index in range(5):
        take_step(model, optimiser, index)
        for name, parameter in model.named_parameters():
            assert parameter.dtype == torch.bfloat16
            assert torch.equal(parameter, optimiser.float32_weights()[name].bfloat16())


def test_the_norm_of_a_large_gradient_is_exact():
    model = nn.Linear(5_000, 5_000, bias=False)
    optimiser = Optimiser(model, OptimiserSettings(), torch.float32)
    optimiser.zero_gradients()
    gradient = model.weight.grad.normal_(generator=torch.Generator().manual_seed(0))
    exact = float(np.linalg.norm(gradient.numpy().astype(np.float64)))
    assert optimiser.gradient_norm() == pytest.approx(exact, rel=1e-6)


def test_small_updates_are_not_lost_in_bfloat16():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    optimiser = Optimiser(model, OptimiserSettings(weight_decay=0.0, bias_correction=True), torch.bfloat16)
    for _ in range(200):  # each update is far below bfloat16's spacing of 1/128 at 1.0
        optimiser.zero_gradients()
        model(torch.ones(1, 1, dtype=torch.bfloat16)).sum().backward()
        optimiser.add_gradients()
        optimiser.step(1e-4, optimiser.gradient_norm())
    assert optimiser.float32_weights()["weight"].item() == pytest.approx(1.0 - 200 * 1e-4, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_of_micro_batches_add_up_in_float32(dtype):
    model = network()
    optimiser = Optimiser(model, OptimiserSettings(), dtype)
    sums = {name: torch.zeros(p.shape) for name, p in model.named_parameters()}
    optimiser.zero_gradients()
    for index in range(3):
        single = copy.deepcopy(model)
        single.zero_grad(set_to_none=True)
        backward(single, index)
        for name, parameter in single.named_parameters():
            sums[name] += parameter.grad.float()
        backward(model, index)
        optimiser.add_gradients()
    expected = sum(float(gradient.norm()) ** 2 for gradient in sums.values()) ** 0.5
    assert optimiser.gradient_norm() == pytest.approx(expected, rel=1e-5)


def layers() -> nn.Module:
    """Names as the encoder's: queries, keys and values in one matrix of a layer, an output layer that is no layer."""
    torch.manual_seed(0)
    layer = nn.ModuleDict({"qkv": nn.Linear(5, 15), "output": nn.Linear(15, 4)})
    return nn.ModuleDict({"encoder": nn.ModuleDict({"layers": nn.ModuleList([layer])}), "head": nn.Linear(4, 3)})


def backward_through(model: nn.Module, index: int) -> None:
    torch.manual_seed(100 + index)
    inputs = torch.randn(4, 5, dtype=next(model.parameters()).dtype)
    layer = model["encoder"]["layers"][0]
    model["head"](layer["output"](layer["qkv"](inputs).tanh())).pow(2).sum().backward()


def test_muon_moves_the_matrices_of_layers_as_torch_does_queries_keys_and_values_apart():
    model = layers()
    theirs = copy.deepcopy(model)
    ours = Optimiser(model, OptimiserSettings(optimiser="muon", bias_correction=True, gradient_clip=1e9), torch.float32)
    layer = theirs["encoder"]["layers"][0]
    parts = [nn.Parameter(part.clone()) for part in layer["qkv"].weight.detach().chunk(3)]
    muon = torch.optim.Muon([*parts, layer["output"].weight], weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    vectors = [p for p in theirs.parameters() if p.dim() < 2]
    adamw = torch.optim.AdamW(
        [{"params": [theirs["head"].weight], "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}], eps=1e-6
    )
    for index in range(10):
        ours.zero_gradients()
        backward_through(model, index)
        ours.add_gradients()
        ours.step(1e-2, ours.gradient_norm())
        theirs.zero_grad()
        backward_through(theirs, index)
        for part, gradient in zip(parts, layer["qkv"].weight.grad.chunk(3), strict=True):
            part.grad = gradient
        for group in (*muon.param_groups, *adamw.param_groups):
            group["lr"] = 1e-2
        muon.step()
        adamw.step()
        layer["qkv"].weight.data.copy_(torch.cat([part.detach() for part in parts]))
    for mine, other in zip(model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_muon_restored_from_its_state_goes_on_bit_for_bit(dtype):
    settings = OptimiserSettings(optimiser="muon")

    def step(model: nn.Module, optimiser: Optimiser, index: int) -> None:
        optimiser.zero_gradients()
        backward_through(model, index)
        optimiser.add_gradients()
        optimiser.step(1e-2, optimiser.gradient_norm())

    model = layers()
    optimiser = Optimiser(model, settings, dtype)
    for index in range(3):
        step(model, optimiser, index)
    twin = layers()
    twin.load_state_dict({name: weight.clone() for name, weight in optimiser.float32_weights().items()})
    restored = Optimiser(twin, settings, dtype)
    restored.load_state({name: value.clone() for name, value in optimiser.state().items()}, steps_done=3)
    for index in range(3, 6):
        step(model, optimiser, index)
        step(twin, restored, index)
    for name, weight in optimiser.float32_weights().items():
        assert torch.equal(weight, restored.float32_weights()[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_optimiser_restored_from_its_state_goes_on_bit_for_bit(dtype):
    model = network()
    optimiser = Optimiser(model, OptimiserSettings(), dtype)
    for index in range(3):
        take_step(model, optimiser, index)
    weights = {name: weight.clone() for name, weight in optimiser.float32_weights().items()}
    state = {name: value.clone() for name, value in optimiser.state().items()}

    twin = network()
    twin.load_state_dict(weights)
    restored = Optimiser(twin, OptimiserSettings(), dtype)
    restored.load_state(state, steps_done=3)
    for index in range(3, 6):
        take_step(model, optimiser, index)
        take_step(twin, restored, index)
    for name, weight in optimiser.float32_weights().items():
        assert torch.equal(weight, restored.float32_weights()[name])


def test_a_step_of_adamw_does_not_load_torchs_compiler_which_takes_as_long_as_torch():
    steps = """
import sys, torch
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
optimiser = Optimiser(torch.nn.Linear(2, 2), OptimiserSettings(), torch.float32)
optimiser.step(1e-3, optimiser.gradient_norm())
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", steps], check=False).returncode == 0
