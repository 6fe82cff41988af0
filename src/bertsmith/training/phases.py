"""The steps of a whole pre-training, phase after phase (A.2: 90 % of the training at 128 tokens, the rest at 512)."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.loop import Position, Step, training_steps
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.pretraining_objective import PretrainingObjective
from bertsmith.training.processes import ALONE, Processes

# 29 of 100 steps are 28.999... hundredths of the training as a float. Steps that are no such share are further from one
_ROUNDING = 1e-9


def steps_of_all_phases(
    config: PretrainConfig,
    objective: PretrainingObjective,
    batches: PretrainingBatches,
    optimiser: Optimiser,
    position: Position[Cursor],
    device: torch.device,
    stop: Callable[[], bool] = lambda: False,
    processes: Processes = ALONE,
) -> Iterator[Step[Cursor]]:
    """Train from `position` to the end, yielding after each optimiser step; less if told to stop."""
    for phase, end in enumerate(config.data.phase_ends):
        if position.cursor.phase > phase:
            continue
        if position.cursor.phase < phase:
            position = replace(position, cursor=batches.enter_phase(position.cursor, phase))
        for step in training_steps(
            objective,
            batches,
            optimiser,
            duration=config.training.duration,
            start=position,
            seed=config.seed,
            device=device,
            micro_batch_size=config.runtime.micro_batch_size,
            until=end,
            stop=stop,
            processes=processes,
        ):
            position = step.position
            yield step
        if config.training.duration.progress(position.steps_done, position.elapsed_seconds) < end:
            return  # told to stop


def evaluation_is_due(step: Step[Cursor], evaluations: int) -> bool:
    """At equal shares of the training; the last one is made when training has ended."""
    passed_before, passed = (
        int(progress * evaluations + _ROUNDING) for progress in (step.progress_before, step.progress)
    )
    return passed > passed_before and step.progress < 1.0
