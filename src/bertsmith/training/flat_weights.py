"""Weights end to end in one float32 buffer, so that whatever is done to all of them is one long vector operation.

In float32 the model's parameters are views of the buffer. In bfloat16 they are views of a rounded copy of it, renewed
after every update; gradients are added up in float32, so accumulation loses nothing.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class FlatWeights:
    """Parameters that are updated by one rule. N = number of weights.

    master          [N]  float32
    rounded         [N]  what the model computes with: the masters in its dtype, in float32 themselves
    gradient        [N]  float32 sum over micro-batches
    master_views    of each parameter, in its shape
    gradient_views  of each parameter, in its shape
    """

    names: list[str]
    parameters: list[nn.Parameter]
    master: Tensor
    rounded: Tensor
    gradient: Tensor
    master_views: list[Tensor]
    gradient_views: list[Tensor]

    @classmethod
    def flatten(cls, named: list[tuple[str, nn.Parameter]], compute_dtype: torch.dtype) -> Self:
        """Lay parameters end to end, and give them `compute_dtype`."""
        names, parameters = [name for name, _ in named], [parameter for _, parameter in named]
        master = torch.cat([parameter.detach().float().flatten() for parameter in parameters])
        rounded, gradient = master.to(compute_dtype), torch.zeros_like(master)
        views = (_views(flat, parameters) for flat in (master, gradient))
        weights = cls(names, parameters, master, rounded, gradient, *views)
        for parameter, view in zip(parameters, _views(rounded, parameters), strict=True):
            parameter.data = view
        return weights

    def forget_gradients(self) -> None:
        """Make ready for the first micro-batch of a step."""
        for parameter, view in zip(self.parameters, self.gradient_views, strict=True):
            if parameter.dtype == torch.float32:
                view.zero_()
                parameter.grad = view
            else:
                parameter.grad = None

    def add_gradients(self, *, first: bool) -> None:
        """Add the gradients of a micro-batch to the float32 sums; those of the first of a step take their place.

        So nobody has to zero the sums before, and a step has two passes over memory less.
        """
        for place in range(len(self.parameters)):
            self.add_gradient(place, first=first)

    def add_gradient(self, place: int, *, first: bool) -> None:
        """`add_gradients` for one of the parameters alone."""
        parameter, view = self.parameters[place], self.gradient_views[place]
        if parameter.dtype == torch.float32:
            return  # its gradient is the view itself
        gradient, parameter.grad = parameter.grad, None
        if gradient is not None:
            view.copy_(gradient) if first else view.add_(gradient)
        elif first:
            view.zero_()

    def renew_copies(self) -> None:
        """Round the masters into the model's weights (in float32 they are the same memory)."""
        if self.rounded is not self.master:
            self.rounded.copy_(self.master)

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of any tensor laid out like these weights, [N], under the parameters' names."""
        return dict(zip(self.names, _views(flat, self.parameters), strict=True))


def _views(flat: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    pieces = torch.split(flat, [parameter.numel() for parameter in parameters])
    return [piece.view(parameter.shape) for piece, parameter in zip(pieces, parameters, strict=True)]
