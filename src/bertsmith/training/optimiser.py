"""AdamW as in the paper and as released, over two flat float32 buffers.

All weights live in two buffers, one with weight decay (matrices) and one without (biases and LayerNorm), so an
update is a handful of long vector operations whatever the number of tensors. In float32 the model's parameters are
views of these buffers. In bfloat16 the model holds rounded copies, which every step renews from the float32 masters;
gradients are added up in float32, so accumulation loses nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from bertsmith.core.configuration import Settings


class OptimiserSettings(Settings):
    """AdamW with clipping; the defaults are the paper's (A.2) and the released code's."""

    learning_rate: float = Field(1e-4, gt=0, description="peak learning rate")
    warmup_share: float = Field(0.01, ge=0, lt=1, description="share of the training in which the rate rises from 0")
    weight_decay: float = Field(0.01, ge=0, description="decoupled decay of matrices; never on biases and LayerNorm")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the gradient's running mean")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the squared gradient's running mean")
    epsilon: float = Field(1e-6, gt=0, description="added to the root of the squared gradient's mean")
    bias_correction: bool = Field(False, description="correct the running means for their start at 0 (Adam's paper)")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the whole gradient; longer ones are scaled")


@dataclass
class _FlatGroup:
    """Parameters that share a rate of decay, end to end. N = number of weights in the group."""

    names: list[str]
    parameters: list[nn.Parameter]
    master: Tensor  # [N] float32
    gradient: Tensor  # [N] float32
    master_views: list[Tensor]  # one for each parameter, in its shape
    gradient_views: list[Tensor]


class Optimiser:
    """AdamW over a model's weights. Puts the model into `compute_dtype` and keeps float32 masters."""

    def __init__(self, model: nn.Module, settings: OptimiserSettings, compute_dtype: torch.dtype):
        self.settings = settings
        self.steps_done = 0
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        matrices = [(name, parameter) for name, parameter in named if parameter.dim() >= 2]
        vectors = [(name, parameter) for name, parameter in named if parameter.dim() < 2]
        self._groups = [_flatten(group, compute_dtype) for group in (matrices, vectors) if group]
        model.to(compute_dtype)
        self._adamw = torch.optim.AdamW(
            [
                {"params": [group.master], "decays": group.parameters[0].dim() >= 2}  # 1-D: biases and LayerNorm
                for group in self._groups
            ],
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )

    def zero_gradients(self) -> None:
        """Forget the gradients added up so far."""
        for group in self._groups:
            group.gradient.zero_()
            for parameter, view in zip(group.parameters, group.gradient_views, strict=True):
                parameter.grad = view if parameter.dtype == torch.float32 else None

    def add_gradients(self) -> None:
        """Add the gradients of one micro-batch to the float32 sums. Call after each `backward()`."""
        for group in self._groups:
            for parameter, view in zip(group.parameters, group.gradient_views, strict=True):
                if parameter.dtype != torch.float32 and parameter.grad is not None:
                    view.add_(parameter.grad)
                    parameter.grad = None  # float32 gradients are the views themselves: nothing to do

    def gradient_norm(self) -> float:
        """Euclidean norm of the whole gradient; NaN or infinite if any part of it is."""
        return math.sqrt(sum(float(group.gradient.norm()) ** 2 for group in self._groups))

    def step(self, learning_rate: float, gradient_norm: float) -> None:
        """Clip to `gradient_clip` and update the weights once."""
        self.steps_done += 1
        if gradient_norm > self.settings.gradient_clip:
            for group in self._groups:
                group.gradient.mul_(self.settings.gradient_clip / gradient_norm)
        for options, group in zip(self._adamw.param_groups, self._groups, strict=True):
            group.master.grad = group.gradient
            options.update(self._adamw_options(learning_rate, decays=options["decays"]))
        self._adamw.step()
        for group in self._groups:
            _renew_copies(group)

    def _adamw_options(self, learning_rate: float, *, decays: bool) -> dict[str, float]:
        """Library options that make this step the released code's, which does not correct the running means.

        torch computes p -= lr / c1 * m / (sqrt(v / c2) + eps) after p *= 1 - lr * decay, with c = 1 - beta ** step.
        With lr * c1 / sqrt(c2), eps / sqrt(c2) and decay * sqrt(c2) / c1 in their places, the c cancel out.
        """
        settings = self.settings
        weight_decay = settings.weight_decay if decays else 0.0
        if settings.bias_correction:
            return {"lr": learning_rate, "eps": settings.epsilon, "weight_decay": weight_decay}
        c1 = 1.0 - settings.beta1**self.steps_done
        root_c2 = math.sqrt(1.0 - settings.beta2**self.steps_done)
        return {
            "lr": learning_rate * c1 / root_c2,
            "eps": settings.epsilon / root_c2,
            "weight_decay": weight_decay * root_c2 / c1,
        }

    def float32_weights(self) -> dict[str, Tensor]:
        """The float32 weights under the model's parameter names: views, so copy what must last."""
        return {
            name: view for group in self._groups for name, view in zip(group.names, group.master_views, strict=True)
        }

    def state(self) -> dict[str, Tensor]:
        """Running means under "exp_avg." and "exp_avg_sq." + parameter name, float32; empty before the first step."""
        entries: dict[str, Tensor] = {}
        for group in self._groups:
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in self._adamw.state[group.master]:
                    flat = self._adamw.state[group.master][moment]
                    views = _views(flat, group.parameters)
                    entries |= {f"{moment}.{name}": view for name, view in zip(group.names, views, strict=True)}
        return entries

    def load_state(self, entries: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue from the `state()` of an optimiser of the same weights that had taken `steps_done` steps."""
        self.steps_done = steps_done
        if not steps_done:
            return
        for group in self._groups:
            state = {"step": torch.tensor(float(steps_done))}
            for moment in ("exp_avg", "exp_avg_sq"):
                flat = torch.cat([entries[f"{moment}.{name}"].flatten() for name in group.names])
                state[moment] = flat.to(group.master.device)
            self._adamw.state[group.master] = state


def _flatten(named: list[tuple[str, nn.Parameter]], compute_dtype: torch.dtype) -> _FlatGroup:
    names = [name for name, _ in named]
    parameters = [parameter for _, parameter in named]
    master = torch.cat([parameter.detach().float().flatten() for parameter in parameters])
    gradient = torch.zeros_like(master)
    group = _FlatGroup(names, parameters, master, gradient, _views(master, parameters), _views(gradient, parameters))
    for parameter, view in zip(parameters, group.master_views, strict=True):
        parameter.data = view if compute_dtype == torch.float32 else view.to(compute_dtype)
    return group


def _views(flat: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    pieces = torch.split(flat, [parameter.numel() for parameter in parameters])
    return [piece.view(parameter.shape) for piece, parameter in zip(pieces, parameters, strict=True)]


def _renew_copies(group: _FlatGroup) -> None:
    """Round the masters into the model's weights (in float32 they are the same memory)."""
    for parameter, view in zip(group.parameters, group.master_views, strict=True):
        if parameter.dtype != torch.float32:
            parameter.data.copy_(view)
