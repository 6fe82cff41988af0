"""Running a cell: pre-train a variant to the end, fine-tune it on every task, and write the file that stays of it.

A cell that was interrupted goes on where it stood (`pretrain --resume`), if its settings and its text are the same.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from bertsmith.core.artefact import read_manifest, stage_artefact
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.cooccurrence import DISTANCES
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.study.budget import step_cost
from bertsmith.study.cell import Cell, inputs_of_cell, what_decides, write_cell
from bertsmith.study.other_graphs import STACKED_AT, GraphName
from bertsmith.study.starting_weights import StartName, starting_weights
from bertsmith.study.study_file import Study, Variant
from bertsmith.study.trials import TaskFiles, TaskOutcome, run_trials
from bertsmith.study.yardstick import Outcome, Scores, train_other_graph
from bertsmith.tasks.finished_runs import FinishedRuns
from bertsmith.text.pair_counts import count_text
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import list_checkpoints, read_state
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.machine import MachineSettings
from bertsmith.training.metrics_log import read_metrics, with_minutes
from bertsmith.training.network import new_network
from bertsmith.training.pretraining import pretrain, resume_pretraining
from bertsmith.training.run import RUN_FILE, fingerprints, read_run, require_same_inputs, require_same_settings
from bertsmith.training.starting_point import counts_for

_OF_A_RUN = {"model", "data", "training", "init", "seed"}


def run_cell(
    config: PretrainConfig, study: Study, variant: Variant, task_data: Path | None, files: TaskFiles, path: Path
) -> Cell:
    """Pre-train to the end, fine-tune on every task, write the cell's file, and remove the run.

    task_data  folder of the tasks' folders; needed where there are tasks
    files      of the tasks, as they were found there
    """
    tasks: dict[str, TaskOutcome] = {}
    on_the_way: dict[int, Mapping[str, TaskOutcome]] = {}
    if variant.graph is not None:  # cannot be saved, so it cannot be fine-tuned
        outcome = train_other_graph(config, variant.graph)
    else:
        if variant.untrained:
            model, outcome = _write_start(config, None), Outcome(None, 0, ())
        else:
            outcome = _pretrain_or_go_on(config, variant.start)
            model = config.out / "model"
        for step, folder in states_on_the_way(config, study.checkpoints).items():
            on_the_way[step] = _run_trials(study, variant, config, folder, task_data, files, f"step-{step}")
        tasks = _run_trials(study, variant, config, model, task_data, files, "end")
    cell = Cell(
        variant=variant.name,
        seed=config.seed,
        start=variant.start,
        graph=variant.graph,
        settings=what_decides(config, study, variant),
        precision=outcome.precision,
        threads=torch.get_num_threads(),
        made_from=inputs_of_cell(fingerprints(TokenStore.open(config.store)), files),
        tokens=outcome.tokens,
        flops=_flops(config, variant.graph, outcome.tokens),
        curve=outcome.curve,
        tasks=tasks,
        on_the_way=on_the_way,
    )
    write_cell(cell, path)
    for folder in (config.out, _start_folder(config, variant.start), _tasks_folder(config)):
        shutil.rmtree(folder, ignore_errors=True)
    return cell


def _run_trials(
    study: Study,
    variant: Variant,
    config: PretrainConfig,
    model: Path,
    task_data: Path | None,
    files: TaskFiles,
    name: str,
) -> dict[str, TaskOutcome]:
    """Fine-tune a state of the run on every task."""
    is_ordinary = config.model.initialisation == "normal"
    return run_trials(
        study.tasks,
        model=model,
        # ordinary weights are drawn anew for each seed; others are those of the folder
        initialisation="random" if variant.untrained and is_ordinary else "pretrained",
        pretraining_seed=config.seed,
        own_settings=variant.finetuning,
        task_data=task_data or Path(),
        files=files,
        out=_tasks_folder(config) / name,
        runtime=MachineSettings(**config.runtime.model_dump(include=set(MachineSettings.model_fields))),
    )


def states_on_the_way(config: PretrainConfig, count: int) -> dict[int, Path]:
    """By their steps, the checkpoints nearest to equal shares of the training, whatever others a stop has left."""
    duration, progress = config.training.duration, {}
    for folder in list_checkpoints(config.out / "checkpoints") if count else ():
        position = read_state(folder).position
        progress[folder] = duration.progress(position.steps_done, position.elapsed_seconds)
    on_the_way = [folder for folder in progress if progress[folder] < 1.0]
    shares = [number / (count + 1) for number in range(1, count + 1)] if on_the_way else []
    nearest = {min(on_the_way, key=lambda folder: abs(progress[folder] - share)) for share in shares}
    return {int(folder.name.removeprefix("step-")): folder for folder in sorted(nearest)}


def _flops(config: PretrainConfig, graph: GraphName | None, tokens: int) -> float:
    if not tokens:
        return 0.0
    step = step_cost(config)
    flops = tokens / step.tokens * step.flops
    if graph == "stacked":  # of half the layers for a part of the training
        layers = config.model.bert_config(1, 0).num_hidden_layers
        half = config.model.model_copy(update={"num_hidden_layers": layers // 2})
        small = step_cost(config.model_copy(update={"model": half}))
        flops *= 1 - STACKED_AT * (1 - small.flops / step.flops)
    return flops


def _pretrain_or_go_on(config: PretrainConfig, start: StartName | None) -> Outcome:
    if start is not None:
        config = config.model_copy(update={"init": _start_folder(config, start)})
    if (config.out / RUN_FILE).exists():
        _require_same_run(config)
    else:
        if start is not None:
            _write_start(config, start)
        pretrain(config)
    if not (config.out / "model").exists():
        resume_pretraining(config.out, {})
    run = read_run(config.out, {})
    tokens = read_manifest(run.model, "model").facts["tokens_seen"]
    return Outcome(run.precision, tokens, _curve(config.out))


def _require_same_run(config: PretrainConfig) -> None:
    """Refuse to go on with an unfinished run that was started with other settings, or on another text."""
    run = read_run(config.out, {})
    require_same_inputs(run, TokenStore.open(config.store))
    before, now = (each.model_dump(mode="json", include=_OF_A_RUN) for each in (run.config, config))
    require_same_settings(config.out, before, now)


def _tasks_folder(config: PretrainConfig) -> Path:
    return config.out.with_name(f"{config.out.name}-tasks")


def _start_folder(config: PretrainConfig, name: StartName | None) -> Path:
    """Named after all that its weights depend on, so that those of other settings are not taken for them."""
    decides = config.model_dump(mode="json", include={"model", "seed"}) | {"start": name}
    return config.out.with_name(f"{config.out.name}-start-{FinishedRuns.key(decides)}")


def _write_start(config: PretrainConfig, name: StartName | None) -> Path:
    """A model folder with initial weights that no recipe has, or with those of the cell's settings."""
    folder = _start_folder(config, name)
    if not folder.exists():
        store = TokenStore.open(config.store)
        tokenizer = store.tokenizer
        model = new_network(config, store)
        if name is None:
            scheme = config.model.initialisation
            initialise(model, scheme, config.seed, counts_for(scheme, store))
        else:
            assert isinstance(model, BertForPreTraining)
            needs_pairs = name.startswith("cooccurrence")
            starting_weights(model, name, config.seed, count_text(store, DISTANCES if needs_pairs else 0))
        with stage_artefact(folder, kind="model", command="compare", configuration={"start": name}) as staging:
            save_model(
                model,
                staging.folder,
                tokenizer,
                model_card=f"Initial weights: {name or config.model.initialisation}.\n",
            )
    return folder


def _curve(run: Path) -> tuple[Scores, ...]:
    """Held-out scores of a run over its clock."""
    curve: list[Scores] = []
    for minutes, record in with_minutes(read_metrics(run)):
        if "held_out" in record:
            held_out = record["held_out"]
            loss, accuracy, pairs = held_out["token_loss"], held_out["token_accuracy"], held_out.get("nsp_accuracy")
            curve.append(Scores(record["step"], minutes, loss, accuracy, pairs))
    return tuple(curve)
