"""What an LSTM does step by step, forward and back, as one operation (Hochreiter and Schmidhuber 1997).

Only what really waits for the step before is done step by step. What the inputs say to the gates comes in ready, for
all steps at once, and the gradients of the weights are one product each over all steps. (torch's own backward pass adds
up the weights' gradients after every step, which costs several times the work of the steps.)

Rows are laid out step by step, longest sentence first (`lstm.Steps`). The memory is float32 whatever the
dtype of the weights.

Legend: T rows, B sentences, B_s of them at step s, S steps, M width of the memory, P of the output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class LstmState(NamedTuple):
    """What a sentence leaves behind: memory [B, M] and output [B, P] after its last step."""

    memory: Tensor
    output: Tensor


@dataclass(frozen=True)
class Clips:
    """Largest absolute values of the memory and of the output; None: any."""

    memory: float | None = None
    output: float | None = None


def recur(
    gates: Tensor,
    counts: Sequence[int],
    recurrent: Tensor,
    projection: Tensor | None,
    state: LstmState,
    clips: Clips,
) -> tuple[Tensor, LstmState]:
    """The outputs of all steps, [T, P], and what is left.

    gates       [T, 4 M]  what the inputs say, biases included: input, forget, candidate, output
    counts      rows of each step, S numbers that never rise
    recurrent   [4 M, P]  what the output of the step before says
    projection  [P, M]    of the memory as it is shown; None: it is the output, P = M
    state       what the sentences begin with
    """
    outputs, memory, output = _Recurrence.apply(  # type: ignore[no-untyped-call]
        gates, recurrent, projection, state.memory, state.output, tuple(counts), clips
    )
    return outputs, LstmState(memory, output)


class _Recurrence(torch.autograd.Function):
    """With memory c and output h: c = f c' + i g, h = W (o tanh(c)), each clipped; i, f, o sigmoids, g a tanh."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        gates: Tensor,
        recurrent: Tensor,
        projection: Tensor | None,
        first_memory: Tensor,
        first_output: Tensor,
        counts: tuple[int, ...],
        clips: Clips,
    ) -> tuple[Tensor, Tensor, Tensor]:
        num_rows, width = len(gates), recurrent.shape[0] // 4
        active = torch.empty_like(gates)  # gates after their nonlinearities
        memories = gates.new_empty((num_rows, width), dtype=torch.float32)
        shown = gates.new_empty(num_rows, width)  # o tanh(c)
        outputs = shown if projection is None else gates.new_empty(num_rows, projection.shape[0])
        last_memory, last_output = first_memory.float().clone(), first_output.clone()
        memory, output = last_memory, first_output
        for begin, end in _steps(counts):
            memory, output = memory[: end - begin], output[: end - begin]
            step = torch.addmm(gates[begin:end], output, recurrent.mT).float()
            _activate(step, width)
            active[begin:end] = step
            keep, forget, candidate, show = step.chunk(4, dim=1)
            memory = torch.addcmul(keep * candidate, forget, memory, out=memories[begin:end])
            if clips.memory is not None:
                memory.clamp_(-clips.memory, clips.memory)
            shown[begin:end] = show.mul_(memory.tanh())
            if projection is not None:
                torch.mm(shown[begin:end], projection.mT, out=outputs[begin:end])
            output = outputs[begin:end]
            if clips.output is not None:
                output.clamp_(-clips.output, clips.output)
            last_memory[: end - begin], last_output[: end - begin] = memory, output
        ctx.counts, ctx.clips, ctx.shows_all = counts, clips, projection is None
        ctx.save_for_backward(
            recurrent, projection, first_memory, first_output, active, memories, None if projection is None else shown,
            outputs,
        )  # fmt: skip
        return outputs, last_memory, last_output

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        outputs_gradient: Tensor,
        last_memory_gradient: Tensor,
        last_output_gradient: Tensor,
    ) -> tuple[Tensor | None, ...]:
        recurrent, projection, first_memory, first_output, active, memories, shown, outputs = ctx.saved_tensors
        clips: Clips = ctx.clips
        gates_gradient = torch.empty_like(active)
        output_gradients = torch.empty_like(outputs)  # of each step's output, with what later steps say
        memory_gradient, output_gradient = last_memory_gradient.float().clone(), last_output_gradient.clone()
        steps = list(_steps(ctx.counts))
        for number in reversed(range(len(steps))):
            begin, end = steps[number]
            rows = slice(0, end - begin)
            ends_here = torch.add(outputs_gradient[begin:end], output_gradient[rows], out=output_gradients[begin:end])
            if clips.output is not None:
                ends_here.mul_(outputs[begin:end].abs() < clips.output)
            of_shown = (ends_here if projection is None else ends_here @ projection).float()  # [B_s, M]
            keep, forget, candidate, show = active[begin:end].float().chunk(4, dim=1)
            bent = memories[begin:end].tanh()
            of_memory = memory_gradient[rows]  # a view: what the step before gets is written here
            of_memory += of_shown * show * (1 - bent * bent)
            if clips.memory is not None:
                of_memory.mul_(memories[begin:end].abs() < clips.memory)
            earlier = memories[slice(*steps[number - 1])][rows] if number else first_memory.float()[rows]
            parts = (
                of_memory * candidate * keep * (1 - keep),
                of_memory * earlier * forget * (1 - forget),
                of_memory * keep * (1 - candidate * candidate),
                of_shown * bent * show * (1 - show),
            )
            gradient = torch.cat(parts, dim=1).to(active.dtype)
            gates_gradient[begin:end] = gradient
            torch.mm(gradient, recurrent, out=output_gradient[rows])
            of_memory.mul_(forget)
        going_on = zip(steps, ctx.counts[1:], strict=False)
        before = torch.cat(
            [first_output, *(outputs[begin : begin + count] for (begin, _), count in going_on)]
        )  # [T, P]
        recurrent_gradient = gates_gradient.mT @ before
        projection_gradient = None if projection is None else output_gradients.mT @ shown
        return (
            gates_gradient, recurrent_gradient, projection_gradient,
            memory_gradient.to(first_memory.dtype), output_gradient, None, None,
        )  # fmt: skip


def _steps(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Where each step's rows begin and end."""
    return list(pairwise(accumulate(counts, initial=0)))


def _activate(gates: Tensor, width: int) -> None:
    """Sigmoids of input, forget and output gates, and the candidate's tanh, in place: [B_s, 4 M]."""
    gates[:, : 2 * width].sigmoid_()
    gates[:, 2 * width : 3 * width].tanh_()
    gates[:, 3 * width :].sigmoid_()
