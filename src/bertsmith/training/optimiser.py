"""The optimiser: AdamW as in the paper and as released, or Muon for the encoder's matrices.

Weights are kept in float32, end to end in one buffer for each rule of update (`flat_weights`): the encoder's matrices
under Muon, all other matrices (weight decay), and biases and LayerNorm (none).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.adamw import adamw

from bertsmith.core.configuration import Settings
from bertsmith.training.flat_weights import FlatWeights
from bertsmith.training.gradient_exchange import added_up_meanwhile, buckets_of
from bertsmith.training.processes import ALONE, Processes

_NORM_PIECE = 1 << 16  # numbers


class OptimiserSettings(Settings):
    """AdamW with clipping; the defaults are the paper's (A.2) and the released code's."""

    optimiser: Literal["adamw", "muon"] = Field(
        "adamw", description="rule of update; muon: the encoder's matrices move in all directions alike, the rest AdamW"
    )
    learning_rate: float = Field(1e-4, gt=0, description="peak learning rate")
    warmup_share: float = Field(0.01, ge=0, lt=1, description="share of the training in which the rate rises from 0")
    weight_decay: float = Field(0.01, ge=0, description="decoupled decay of matrices; never on biases and LayerNorm")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the gradient's running mean")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the squared gradient's running mean")
    epsilon: float = Field(1e-6, gt=0, description="added to the root of the squared gradient's mean")
    bias_correction: bool = Field(False, description="correct the running means for their start at 0 (Adam's paper)")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the whole gradient; longer ones are scaled")


class Optimiser:
    """Updates a model's weights. Puts the model into `compute_dtype` and keeps float32 masters.

    Parameters that ask for no gradient are left alone.

    rate_factor  by what the learning rate of a parameter, known by its name, is multiplied
    """

    def __init__(
        self,
        model: nn.Module,
        settings: OptimiserSettings,
        compute_dtype: torch.dtype,
        rate_factor: Callable[[str], float] = lambda name: 1.0,
    ):
        self.settings = settings
        self.steps_done = 0
        self._nothing_added = True  # since the gradients were forgotten
        groups: dict[tuple[_RuleName, float], list[tuple[str, nn.Parameter]]] = defaultdict(list)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups[_rule_of(name, parameter, settings), rate_factor(name)].append((name, parameter))
        self._rules: list[_AdamW | _Muon] = []
        self._rate_factors: list[float] = []
        for (rule, factor), named in sorted(groups.items()):
            weights = FlatWeights.flatten(named, compute_dtype)
            decay = settings.weight_decay if rule == "2 matrices" else 0.0
            self._rules.append(_Muon(weights, settings) if rule == "1 muon" else _AdamW(weights, settings, decay))
            self._rate_factors.append(factor)
        model.to(compute_dtype)

    def zero_gradients(self) -> None:
        """Forget the gradients added up so far. Call before the first micro-batch of a step."""
        self._nothing_added = True
        for rule in self._rules:
            rule.weights.forget_gradients()

    def add_gradients(self) -> None:
        """Add the gradients of one micro-batch to the float32 sums. Call after a `backward()` that is torch's own."""
        for rule in self._rules:
            rule.weights.add_gradients(first=self._nothing_added)
        self._nothing_added = False

    def backward(self, loss: Tensor, processes: Processes = ALONE) -> None:
        """Compute the gradients of one micro-batch and add them to the float32 sums.

        processes  several of them: this is the last micro-batch of the step, and the sums become those over all
        """
        if processes.count == 1:
            loss.backward()  # type: ignore[no-untyped-call]
            self.add_gradients()
            return
        buckets = buckets_of([rule.weights for rule in self._rules])
        with added_up_meanwhile(buckets, processes, first=self._nothing_added):
            loss.backward()  # type: ignore[no-untyped-call]
        self._nothing_added = False

    def take_from_first(self, processes: Processes) -> None:
        """Give every process the first one's weights."""
        for rule in self._rules:
            processes.take_from_first(rule.weights.master)
            rule.weights.renew_copies()

    def gradient_norm(self) -> float:
        """Euclidean norm of the whole gradient; NaN or infinite if any part of it is.

        Of pieces first: torch adds up a whole buffer in float32, and of 335 million numbers finds 6 % too little.
        """
        pieces = [piece for rule in self._rules for piece in torch.split(rule.weights.gradient, _NORM_PIECE)]
        return float(nn.utils.get_total_norm(pieces))

    def step(self, learning_rate: float, gradient_norm: float) -> None:
        """Clip to `gradient_clip` and update the weights once."""
        self.steps_done += 1
        for rule, factor in zip(self._rules, self._rate_factors, strict=True):
            if gradient_norm > self.settings.gradient_clip:
                rule.weights.gradient.mul_(self.settings.gradient_clip / gradient_norm)
            rule.update(learning_rate * factor, self.steps_done)
            rule.weights.renew_copies()

    def float32_weights(self) -> dict[str, Tensor]:
        """The float32 weights under the model's parameter names: views, so copy what must last."""
        return {name: view for rule in self._rules for name, view in rule.weights.by_name(rule.weights.master).items()}

    def state(self) -> dict[str, Tensor]:
        """Running means under their kind + parameter name (`exp_avg.NAME`), float32; empty before the first step."""
        if not self.steps_done:
            return {}
        return {
            f"{kind}.{name}": view
            for rule in self._rules
            for kind, flat in rule.running_means().items()
            for name, view in rule.weights.by_name(flat).items()
        }

    def load_state(self, entries: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue from the `state()` of an optimiser of the same weights that had taken `steps_done` steps."""
        self.steps_done = steps_done
        if not steps_done:
            return
        for rule in self._rules:
            for kind, flat in rule.running_means().items():
                flat.copy_(torch.cat([entries[f"{kind}.{name}"].flatten() for name in rule.weights.names]))
            rule.resume(steps_done)


_RuleName = Literal["1 muon", "2 matrices", "3 vectors"]  # in the order in which they are updated


def _rule_of(name: str, parameter: nn.Parameter, settings: OptimiserSettings) -> _RuleName:
    if parameter.dim() < 2:
        return "3 vectors"  # biases and LayerNorm
    return "1 muon" if settings.optimiser == "muon" and ".layers." in name else "2 matrices"


class _AdamW:
    """AdamW (Loshchilov and Hutter 2019) on all weights of a buffer at once, by torch's fused kernel.

    As a function, for `torch.optim.AdamW` imports torch's compiler first, which takes as long as importing torch.
    """

    def __init__(self, weights: FlatWeights, settings: OptimiserSettings, weight_decay: float):
        self.weights = weights
        self._settings = settings
        self._weight_decay = weight_decay
        self._means = {"exp_avg": torch.zeros_like(weights.master), "exp_avg_sq": torch.zeros_like(weights.master)}
        self.resume(0)

    def running_means(self) -> Mapping[str, Tensor]:
        """Of the gradient and of its square, [N] each."""
        return self._means

    def resume(self, steps_done: int) -> None:
        """Go on after a number of steps, with the running means as they are."""
        self._steps_done = torch.tensor(float(steps_done), device=self.weights.master.device)  # the kernel counts on

    def update(self, learning_rate: float, step: int) -> None:
        """Step number `step`, counted from 1."""
        learning_rate, epsilon, weight_decay = self._as_torch_takes_them(learning_rate, step)
        adamw(
            [self.weights.master],
            [self.weights.gradient],
            [self._means["exp_avg"]],
            [self._means["exp_avg_sq"]],
            [],
            [self._steps_done],
            fused=True,
            amsgrad=False,
            beta1=self._settings.beta1,
            beta2=self._settings.beta2,
            lr=learning_rate,
            weight_decay=weight_decay,
            eps=epsilon,
            maximize=False,
        )

    def _as_torch_takes_them(self, learning_rate: float, step: int) -> tuple[float, float, float]:
        """Learning rate, epsilon and decay that make this step the released code's: it does not correct the means.

        torch computes p -= lr / c1 * m / (sqrt(v / c2) + eps) after p *= 1 - lr * decay, with c = 1 - beta ** step.
        With lr * c1 / sqrt(c2), eps / sqrt(c2) and decay * sqrt(c2) / c1 in their places, the c cancel out.
        """
        settings = self._settings
        if settings.bias_correction:
            return learning_rate, settings.epsilon, self._weight_decay
        c1 = 1.0 - settings.beta1**step
        root_c2 = math.sqrt(1.0 - settings.beta2**step)
        return learning_rate * c1 / root_c2, settings.epsilon / root_c2, self._weight_decay * root_c2 / c1


class _Muon:
    """Muon (Jordan et al. 2024), torch's: the running mean of a matrix's gradient, made orthogonal, is its step.

    Queries, keys and values are matrices of their own. Steps are as large as AdamW's typical ones (Liu et al. 2025,
    `match_rms_adamw`), so one learning rate serves both rules.
    """

    def __init__(self, weights: FlatWeights, settings: OptimiserSettings):
        self.weights = weights
        self._mean = torch.zeros_like(weights.master)
        matrices: list[Tensor] = []
        means: list[Tensor] = []
        mean_views = weights.by_name(self._mean)
        for name, master, gradient in zip(weights.names, weights.master_views, weights.gradient_views, strict=True):
            parts = 3 if name.endswith("qkv.weight") else 1
            means += mean_views[name].chunk(parts)
            for matrix, its_gradient in zip(master.chunk(parts), gradient.chunk(parts), strict=True):
                matrix.grad = its_gradient
                matrices.append(matrix)
        self._muon = torch.optim.Muon(matrices, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw")
        for matrix, mean in zip(matrices, means, strict=True):
            self._muon.state[matrix] = {"momentum_buffer": mean}

    def running_means(self) -> Mapping[str, Tensor]:
        """Of the gradient, [N]."""
        return {"momentum_buffer": self._mean}

    def resume(self, steps_done: int) -> None:
        """Nothing depends on the number of steps."""

    def update(self, learning_rate: float, step: int) -> None:
        """Step number `step`; all steps are alike."""
        self._muon.param_groups[0]["lr"] = learning_rate
        self._muon.step()  # type: ignore[no-untyped-call]
