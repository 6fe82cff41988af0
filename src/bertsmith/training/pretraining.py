"""The verb `pretrain`: a token store in, a model folder out (BERT 3.1, A.2)."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bertsmith.batches.pretraining import Cursor, PretrainingBatches, describe
from bertsmith.core.artefact import read_manifest, stage_artefact
from bertsmith.core.console import console, progress_line
from bertsmith.core.errors import ArtefactError, ConfigurationError, StoppedBySignal
from bertsmith.model.folder import save_model
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import (
    CHECKPOINT,
    TrainingState,
    go_back_to,
    newest_intact_checkpoint,
    save_checkpoint,
)
from bertsmith.training.configuration import PLANNED, PretrainConfig
from bertsmith.training.evaluation import HeldOutGuesses, HeldOutScores
from bertsmith.training.loop import Step
from bertsmith.training.metrics_log import MetricsLog, read_metrics
from bertsmith.training.model_card import model_card
from bertsmith.training.network import PretrainedNetwork, with_shape_of_init
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.phases import evaluation_is_due, steps_of_all_phases
from bertsmith.training.planning import planned
from bertsmith.training.plateau import PlateauWatch
from bertsmith.training.precision import choose_precision
from bertsmith.training.pretraining_objective import PretrainingObjective
from bertsmith.training.processes import Processes, joined, launch_name
from bertsmith.training.run import (
    Run,
    only_writer,
    read_run,
    require_same_inputs,
    require_same_settings,
    start_run,
    was_started_by,
    with_defaults,
)
from bertsmith.training.run_evaluation import EVALUATION_BATCH, RunEvaluation
from bertsmith.training.screen import speedometer, tell_of_random_pairs
from bertsmith.training.signals import stop_on_signal
from bertsmith.training.starting_point import load_starting_point, require_starting_point

_REHEARSAL_STEPS = 3


@dataclass(frozen=True)
class PretrainResult:
    """Where the model is, what it cost, and how good it is on held-out text (None where there is none)."""

    model: Path
    steps: int
    tokens: int
    seconds: float
    held_out: HeldOutScores | None

    def __rich__(self) -> str:
        held_out = f"held-out {self.held_out}" if self.held_out else "no held-out text to score it on"
        return (
            f"{self.model}\n{self.steps:,} steps, {self.tokens:,} tokens, {self.seconds / 60:.1f} minutes; {held_out}"
        )


def pretrain(config: PretrainConfig) -> PretrainResult:
    """Pre-train an encoder on a token store; writes a run folder with the model in it.

    Under `torchrun` the processes train together; after a lost one they go on from the newest checkpoint.
    """
    store = TokenStore.open(config.store)
    store.verify()
    device = config.runtime.take_device()
    with joined(device) as processes:
        if processes.of_first(float(was_started_by(config.out, launch_name()))):
            return _go_on(read_run(config.out, {}), config.out, store, device, processes)
        if config.recipe == PLANNED and processes.is_first:
            config = planned(config, store, processes.count)
        config = with_shape_of_init(config)
        return _rehearse(config, store, processes) if config.dry_run else _start(config, store, device, processes)


def _start(config: PretrainConfig, store: TokenStore, device: torch.device, processes: Processes) -> PretrainResult:
    """Make the run folder and train, with settings that are complete (in the first process)."""
    evaluation = RunEvaluation.prepare(config, store)
    if processes.is_first:
        require_starting_point(config, store)
        precision = choose_precision(config.runtime.precision, device)
        run = start_run(config, store, str(precision).removeprefix("torch."), launch_name())
        processes.wait()
    else:
        processes.wait()
        run = read_run(config.out, {})
    with only_writer(run.folder) if processes.is_first else nullcontext():
        return _train(run, store, evaluation, None, device, processes)


def resume_pretraining(folder: Path, changes: Mapping[str, Any]) -> PretrainResult:
    """Go on with a run, bit for bit, from its newest checkpoint.

    folder   a run folder, or one of its checkpoints to go back to; later ones are set aside
    changes  settings given anew; those that would change the numbers are refused by name
    """
    run = read_run(folder.parent.parent if _is_checkpoint(folder) else folder, changes)
    store = TokenStore.open(run.config.store)
    device = run.config.runtime.take_device()
    with joined(device) as processes:
        return _go_on(run, folder, store, device, processes)


def _go_on(run: Run, folder: Path, store: TokenStore, device: torch.device, processes: Processes) -> PretrainResult:
    """Train on from the newest checkpoint of a run, or from `folder` if that is one of its checkpoints."""
    if run.model.exists():
        raise ArtefactError(
            f"{run.folder} is finished: its model is in {run.model}. To train on, start a run with --init."
        )
    require_same_inputs(run, store)
    evaluation = RunEvaluation.prepare(run.config, store)
    with only_writer(run.folder) if processes.is_first else nullcontext():
        checkpoint = None
        if processes.is_first:
            checkpoint = go_back_to(folder) if _is_checkpoint(folder) else newest_intact_checkpoint(run.checkpoints)
        processes.wait()
        if not processes.is_first:
            checkpoint = newest_intact_checkpoint(run.checkpoints)
        if checkpoint is not None:
            recorded = read_manifest(checkpoint, CHECKPOINT).configuration
            require_same_settings(run.folder, with_defaults(recorded), run.configuration)
        return _train(run, store, evaluation, checkpoint, device, processes)


def _is_checkpoint(folder: Path) -> bool:
    return folder.parent.name == "checkpoints"


def _train(
    run: Run,
    store: TokenStore,
    evaluation: RunEvaluation,
    checkpoint: Path | None,
    device: torch.device,
    processes: Processes,
) -> PretrainResult:
    """Train to the end of the run, or until a signal asks to stop."""
    settings = run.config.runtime
    _require_work_for_all(run.config, processes)
    with stop_on_signal() as stop:
        model, optimiser, state = load_starting_point(run, store, checkpoint, device)
        optimiser.take_from_first(processes)
        started = processes.of_first(state.position.elapsed_seconds)  # one clock for all, or rates would differ
        state = replace(state, position=replace(state.position, elapsed_seconds=started))
        objective = PretrainingObjective(model)
        batches = PretrainingBatches(store.train, store.tokenizer, run.config.data, run.config.seed)
        steps = steps_of_all_phases(run.config, objective, batches, optimiser, state.position, device, stop, processes)
        if not processes.is_first:
            return _follow(run, state, steps)
        floor = evaluation.unigram_loss
        first_batch, _ = batches.batch(state.position.cursor)
        console.print(describe(first_batch, store.tokenizer))
        if checkpoint is None:
            tell_of_random_pairs(batches, run.config)
        speed = speedometer(run, model, first_batch, device)

        def save() -> None:
            save_checkpoint(
                run.checkpoints,
                model,
                optimiser,
                state,
                tokenizer=store.tokenizer,
                configuration=run.configuration,
                made_from=run.made_from,
                keep=settings.keep_checkpoints,
            )

        with MetricsLog(run.folder, keep_until_step=state.position.steps_done if checkpoint else -1) as log:
            saved_at, saved_steps = time.monotonic(), state.position.steps_done
            plateau = None
            if floor is not None and run.config.data.objective == "masked":
                plateau = PlateauWatch(run.config, floor, log, read_metrics(run.folder))
            if checkpoint is None:
                evaluation.record(model, log, plateau, state.position, 0.0, stop)
            with progress_line("pretrain", total=1.0) as line:
                for step in steps:
                    state = TrainingState(step.position, state.tokens_seen + step.num_tokens)
                    speed.add(step)
                    line.update(step.progress, speed.status())
                    if step.position.steps_done % settings.log_steps == 0:
                        log.write(step.position.steps_done, "train", step.record())
                    if evaluation_is_due(step, settings.evaluations):
                        evaluation.record(model, log, plateau, step.position, step.progress, stop)
                    if _checkpoint_is_due(run, step, time.monotonic() - saved_at):
                        save()
                        saved_at, saved_steps = time.monotonic(), step.position.steps_done
            is_saved = saved_steps == state.position.steps_done
            if not _is_done(run, state):
                if not is_saved:
                    save()
                raise _stopped(run, state, stop.name)
            if is_saved:  # the run had been cut while its result was written: its last scores are on file
                guesses = evaluation.guess(model)
            else:
                guesses = evaluation.record(model, log, plateau, state.position, 1.0)
                save()
        return _finish(run, store, model, optimiser, state, evaluation, guesses)


def _follow(run: Run, state: TrainingState, steps: Iterator[Step[Cursor]]) -> PretrainResult:
    """Train along with the first process, which does all the rest."""
    for step in steps:
        state = TrainingState(step.position, state.tokens_seen + step.num_tokens)
    if not _is_done(run, state):
        raise _stopped(run, state, None)
    return PretrainResult(run.model, state.position.steps_done, state.tokens_seen, state.position.elapsed_seconds, None)


def _is_done(run: Run, state: TrainingState) -> bool:
    position = state.position
    return run.config.training.duration.progress(position.steps_done, position.elapsed_seconds) >= 1.0


def _stopped(run: Run, state: TrainingState, signal: str | None) -> StoppedBySignal:
    return StoppedBySignal(
        f"Stopped by {signal or 'another process'} after {state.position.steps_done:,} steps; nothing is lost. "
        f"Go on with: bertsmith pretrain --resume {run.folder}"
    )


def _require_work_for_all(config: PretrainConfig, processes: Processes) -> None:
    smallest = min(config.data.batch_size_of(phase) for phase in range(len(config.data.phases)))
    if smallest < processes.count:
        raise ConfigurationError(
            f"Batches of {smallest} sequences cannot be shared by {processes.count} processes. Start fewer, or raise "
            f"--batch-size."
        )


def _checkpoint_is_due(run: Run, step: Step[Cursor], seconds_since_last: float) -> bool:
    """At equal steps or times; the last one is saved after the last evaluation."""
    if step.progress == 1.0:
        return False
    every_steps = run.config.runtime.checkpoint_steps
    if every_steps is not None:
        return step.position.steps_done % every_steps == 0
    return seconds_since_last >= run.config.runtime.checkpoint_minutes * 60.0


def _finish(
    run: Run,
    store: TokenStore,
    model: PretrainedNetwork,
    optimiser: Optimiser,
    state: TrainingState,
    evaluation: RunEvaluation,
    guesses: HeldOutGuesses | None,
) -> PretrainResult:
    """Draw the loss and write the model folder."""
    from bertsmith.training.loss_plot import plot_loss  # noqa: PLC0415 - matplotlib is slow to import

    plot_loss(run.folder, run.folder / "loss.png", evaluation.unigram_loss)
    scores = guesses.scores if guesses is not None else None
    breakdown = evaluation.break_down(model, guesses) if guesses is not None else None
    weights = optimiser.float32_weights()
    card = model_card(run, model.config, store, state, scores, sum(weight.numel() for weight in weights.values()))
    with stage_artefact(
        run.model, kind="model", command="pretrain", configuration=run.configuration, made_from=run.made_from
    ) as staging:
        save_model(model, staging.folder, store.tokenizer, model_card=card, weights=weights)
        staging.facts["steps"] = state.position.steps_done
        staging.facts["tokens_seen"] = state.tokens_seen
        staging.facts["held_out"] = asdict(scores) if scores else None
        staging.facts["held_out_breakdown"] = asdict(breakdown) if breakdown else None
        staging.facts["unigram_loss"] = evaluation.unigram_loss
    return PretrainResult(
        run.model, state.position.steps_done, state.tokens_seen, state.position.elapsed_seconds, scores
    )


def _rehearse(config: PretrainConfig, store: TokenStore, processes: Processes) -> PretrainResult:
    """Pass every stage with a few steps in a folder that is thrown away."""
    if processes.count > 1:
        raise ConfigurationError("A dry run is for one process: leave torchrun away, or --dry-run.")
    with tempfile.TemporaryDirectory(prefix="bertsmith-dry-run-") as folder:
        training = config.training.model_copy(update={"steps": _REHEARSAL_STEPS, "hours": None})
        runtime = config.runtime.model_copy(update={"evaluation_sequences": EVALUATION_BATCH, "checkpoint_steps": 1})
        short = {"training": training, "runtime": runtime, "out": Path(folder) / "run", "dry_run": False}
        result = _start(config.model_copy(update=short), store, config.runtime.take_device(), processes)
        console.print(f"Dry run: every stage passed. {config.out} was not written.", soft_wrap=True)
        return replace(result, model=config.out / "model")
