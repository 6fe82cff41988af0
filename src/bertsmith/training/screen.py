"""What a person sees of a training run while it runs."""

import time
from collections import deque
from typing import Any

import torch

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.pretraining import PretrainingBatches
from bertsmith.core.console import console
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.flops import flops_of_step
from bertsmith.training.loop import Step
from bertsmith.training.network import PretrainedNetwork
from bertsmith.training.precision import matmul_peak
from bertsmith.training.run import Run
from bertsmith.training.schedule import Duration

_WINDOW_STEPS = 50
_MANY_RANDOM_PAIRS = 0.6


class Speedometer:
    """Means over the last steps: tokens a second, share of the machine's matmul peak, time left, metrics."""

    def __init__(self, duration: Duration, flops_per_token: float, peak_flops: float):
        self._duration = duration
        self._flops_per_token = flops_per_token
        self._peak_flops = peak_flops
        self._steps: deque[Step[Any]] = deque(maxlen=_WINDOW_STEPS)

    def add(self, step: Step[Any]) -> None:
        """Take in one more step."""
        self._steps.append(step)

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second over the last steps, waiting for data included, evaluation and saving left out."""
        return sum(step.num_tokens for step in self._steps) / sum(step.seconds for step in self._steps)

    @property
    def share_of_peak(self) -> float:
        """Share of the measured matmul peak that the arithmetic of these tokens takes."""
        return self.tokens_per_second * self._flops_per_token / self._peak_flops

    @property
    def seconds_left(self) -> float:
        """Time to the end at the mean speed of the last steps."""
        last = self._steps[-1]
        if self._duration.hours is not None:
            return self._duration.hours * 3600.0 * (1.0 - last.progress)
        assert self._duration.steps is not None
        seconds_per_step = sum(step.seconds for step in self._steps) / len(self._steps)
        return (self._duration.steps - last.position.steps_done) * seconds_per_step

    def status(self) -> str:
        """One line: loss, accuracies, speed, share of peak, time left."""
        metrics = {
            name: sum(step.metrics[name] for step in self._steps) / len(self._steps) for name in self._steps[-1].metrics
        }
        nsp = f"  nsp {metrics['nsp_accuracy']:.0%}" if "nsp_accuracy" in metrics else ""
        left = time.strftime("%H:%M:%S", time.gmtime(self.seconds_left))
        days = int(self.seconds_left // 86400)
        return (
            f"step {self._steps[-1].position.steps_done:,}  loss {metrics['token_loss']:.3f}  "
            f"right {metrics['token_accuracy']:.1%}{nsp}  {self.tokens_per_second:,.0f} tok/s  "
            f"{self.share_of_peak:.0%} of peak  {f'{days}d ' if days else ''}{left} left"
        )


def speedometer(run: Run, model: PretrainedNetwork, batch: PretrainingBatch, device: torch.device) -> Speedometer:
    """For a run whose batches are like this one; what the machine can do is measured and told."""
    peak = matmul_peak(getattr(torch, run.precision), device)
    console.print(
        f"{run.precision} on {device}, {torch.get_num_threads()} threads; this machine multiplies "
        f"{peak / 1e9:,.0f} GFLOP/s; {run.config.training.duration}",
        soft_wrap=True,
    )
    work = flops_of_step(model, batch, run.config.runtime.micro_batch_size)
    return Speedometer(run.config.training.duration, work / batch.num_tokens, peak)


def tell_of_random_pairs(batches: PretrainingBatches, config: PretrainConfig) -> None:
    """Say so if the text gives too few true pairs: the two labels of next sentence prediction should be as frequent."""
    if not config.data.next_sentence or (share := batches.share_of_random_pairs()) < _MANY_RANDOM_PAIRS:
        return
    console.print(
        f"{share:.0%} of the pairs are random instead of half of them: most documents are too short for a sentence to "
        f"be followed by another. Prepare whole documents instead of lines, or train with --no-next-sentence.",
        soft_wrap=True,
    )
