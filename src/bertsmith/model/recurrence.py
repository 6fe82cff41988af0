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
        active = gates.float()  # gates before, then after their nonlinearities
        if active is gates:
            active = gates.clone()
        memories = active.new_empty(num_rows, width)
        shown = gates.new_empty(num_rows, width)  # o tanh(c)
        outputs = shown if projection is None else gates.new_empty(num_rows, projection.shape[0])
        memory, output = first_memory.float(), first_output
        for begin, end in _steps(counts):
            memory, output = memory[: end - begin], output[: end - begin]
            step = active[begin:end]
            step += output @ recurrent.mT
            step[:, : 2 * width].sigmoid_()
            step[:, 2 * width : 3 * width].tanh_()
            step[:, 3 * width :].sigmoid_()
            keep, forget, candidate, show = step.chunk(4, dim=1)
            memory = torch.addcmul(keep * candidate, forget, memory, out=memories[begin:end])
            if clips.memory is not None:
                memory.clamp_(-clips.memory, clips.memory)
            torch.mul(show, memory.tanh(), out=shown[begin:end])
            if projection is not None:
                torch.mm(shown[begin:end], projection.mT, out=outputs[begin:end])
            output = outputs[begin:end]
            if clips.output is not None:
                output.clamp_(-clips.output, clips.output)
        last_rows = _last_rows(counts)
        ctx.counts, ctx.clips = counts, clips
        ctx.save_for_backward(
            recurrent, projection, first_memory, first_output, active, memories, None if projection is None else shown,
            outputs,
        )  # fmt: skip
        return outputs, memories[last_rows], outputs[last_rows]

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
        steps, num_rows, width = _steps(ctx.counts), len(active), memories.shape[1]
        # what does not wait for a later step, for all steps at once: the slopes of gates and memory, [T, M] each
        keep, forget, candidate, show = active.chunk(4, dim=1)
        bent = memories.tanh()
        slopes = torch.empty(num_rows, 4, width, device=active.device)
        slopes[:, 0] = candidate * keep * (1 - keep)
        slopes[:, 1] = _of_step_before(first_memory.float(), memories, ctx.counts) * forget * (1 - forget)
        slopes[:, 2] = keep * (1 - candidate * candidate)
        slopes[:, 3] = bent * show * (1 - show)
        of_output = show * (1 - bent * bent)
        memory_passes = None if clips.memory is None else memories.abs() < clips.memory
        output_passes = None if clips.output is None else outputs.abs() < clips.output

        gates_gradient = outputs.new_empty(num_rows, 4, width)
        output_gradients = torch.empty_like(outputs)  # of each step's output, with what later steps say
        memory_gradient, output_gradient = last_memory_gradient.float().clone(), last_output_gradient.clone()
        for begin, end in reversed(steps):
            rows = slice(0, end - begin)
            told = torch.add(outputs_gradient[begin:end], output_gradient[rows], out=output_gradients[begin:end])
            if output_passes is not None:
                told.mul_(output_passes[begin:end])
            of_shown = (told if projection is None else told @ projection).float()  # [B_s, M]
            of_memory = memory_gradient[rows]  # a view: what the step before gets is written here
            of_memory.addcmul_(of_shown, of_output[begin:end])
            if memory_passes is not None:
                of_memory.mul_(memory_passes[begin:end])
            gradient = gates_gradient[begin:end]
            torch.mul(of_memory[:, None], slopes[begin:end, :3], out=gradient[:, :3])
            torch.mul(of_shown, slopes[begin:end, 3], out=gradient[:, 3])
            torch.mm(gradient.flatten(1), recurrent, out=output_gradient[rows])
            of_memory.mul_(forget[begin:end])
        flat_gradient = gates_gradient.flatten(1)  # [T, 4 M]
        recurrent_gradient = flat_gradient.mT @ _of_step_before(first_output, outputs, ctx.counts)
        projection_gradient = None if projection is None else output_gradients.mT @ shown
        return (
            flat_gradient, recurrent_gradient, projection_gradient,
            memory_gradient.to(first_memory.dtype), output_gradient, None, None,
        )  # fmt: skip


def _steps(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Where each step's rows begin and end."""
    return list(pairwise(accumulate(counts, initial=0)))


def _last_rows(counts: Sequence[int]) -> Tensor:
    """The row of each sentence's last step, [B]."""
    steps = _steps(counts)
    going_on = [*counts[1:], 0]
    rows = [0] * counts[0]
    for (begin, end), after in zip(steps, going_on, strict=True):
        for sentence in range(after, end - begin):  # those that end here
            rows[sentence] = begin + sentence
    return torch.tensor(rows)


def _of_step_before(first: Tensor, rows: Tensor, counts: Sequence[int]) -> Tensor:
    """For each row that of its sentence one step before: [B, .] and [T, .] to [T, .]."""
    going_on = zip(_steps(counts), counts[1:], strict=False)
    return torch.cat([first, *(rows[begin : begin + count] for (begin, _), count in going_on)])
