"""One cell of a study: a variant pre-trained with a seed, and the small JSON file that stays of it.

A cell that was interrupted goes on where it stood (`pretrain --resume`); one that is done is never run again. Any
number of processes may work on the cells of a folder: each takes those that no other one holds.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bertsmith.core.artefact import read_manifest, stage_artefact
from bertsmith.core.errors import MismatchedArtefact
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.cooccurrence import DISTANCES
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.study.budget import step_cost
from bertsmith.study.other_graphs import STACKED_AT, GraphName
from bertsmith.study.starting_weights import StartName, starting_weights
from bertsmith.study.study_file import Study, Variant
from bertsmith.study.trials import TaskOutcome, run_trials, short_hash
from bertsmith.study.yardstick import Outcome, Scores, train_other_graph
from bertsmith.text.pair_counts import count_text
from bertsmith.text.token_store import TokenStore
from bertsmith.training.checkpoint import list_checkpoints, read_state
from bertsmith.training.configuration import DEFAULT_RECIPE, PretrainConfig
from bertsmith.training.machine import MachineSettings
from bertsmith.training.metrics_log import read_metrics, with_minutes
from bertsmith.training.network import new_network
from bertsmith.training.pretraining import pretrain, resume_pretraining
from bertsmith.training.run import RUN_FILE, fingerprints, read_run, require_same_inputs, require_same_settings
from bertsmith.training.starting_point import counts_for

RUNS = "runs"
_OF_A_RUN = {"model", "data", "training", "init", "seed"}
_SPARE_CHECKPOINTS = 10  # besides the states that a study asks for: every signal leaves one


@dataclass(frozen=True)
class Cell:
    """What a run gave.

    start      name of initial weights that no recipe has, if it began from such
    graph      name of a network that is not BERT, if it was one
    settings   groups of settings that decide what is learnt, complete, and the tasks
    precision  of pre-training, and threads: what decided the speed, beside the machine
    made_from  fingerprints of token store and vocabulary
    tokens     seen in training
    flops      of all matrix products of the training
    curve      held-out scores from the first step to the last; none without pre-training
    tasks      what came out on each task of the study
    on_the_way the same of the states on the way, by the step
    """

    variant: str
    seed: int
    start: StartName | None
    graph: GraphName | None
    settings: Mapping[str, Any]
    precision: str | None
    threads: int
    made_from: Mapping[str, str]
    tokens: int
    flops: float
    curve: tuple[Scores, ...]
    tasks: Mapping[str, TaskOutcome]
    on_the_way: Mapping[int, Mapping[str, TaskOutcome]]


def cell_settings(
    study: Study, variant: Variant, seed: int, store: Path, out: Path, runtime: MachineSettings
) -> PretrainConfig:
    """The settings of a cell's run."""
    own = {
        "store": store,
        "out": out / RUNS / cell_name(variant, seed),
        "seed": seed,
        "runtime": runtime.model_dump(exclude_unset=True),
    }
    lowest = {"recipe": DEFAULT_RECIPE}  # a study says what it compares: nothing is planned for it
    layers: list[Mapping[str, Any]] = [lowest, study.settings, variant.settings, own]
    if study.budget is not None:
        any_length = {"training": {"steps": 1}}
        layers.append({"training": study.budget.length(PretrainConfig.from_layers(*layers, any_length))})
    if study.checkpoints:
        layers.append({"runtime": _checkpoints(PretrainConfig.from_layers(*layers), study.checkpoints)})
    return PretrainConfig.from_layers(*layers)


def _checkpoints(config: PretrainConfig, count: int) -> dict[str, Any]:
    """Settings that leave so many states on the way, at equal shares of the training."""
    steps, hours = config.training.steps, config.training.hours
    if hours is not None:
        every: dict[str, Any] = {"checkpoint_minutes": 60 * hours / (count + 1)}
    else:
        assert steps is not None
        every = {"checkpoint_steps": max(1, steps // (count + 1))}
    return every | {"keep_checkpoints": count + _SPARE_CHECKPOINTS}


def cell_name(variant: Variant, seed: int) -> str:
    """Name of a cell, of its run's folder and of its file."""
    return f"{variant.name}-seed{seed}"


def read_cell(path: Path) -> Cell:
    """Read the file of a finished cell."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    curve = tuple(Scores(**scores) for scores in entries.pop("curve"))
    tasks = _outcomes(entries.pop("tasks"))
    on_the_way = {int(step): _outcomes(outcomes) for step, outcomes in entries.pop("on_the_way").items()}
    return Cell(**entries, curve=curve, tasks=tasks, on_the_way=on_the_way)


def _outcomes(entries: Mapping[str, Any]) -> dict[str, TaskOutcome]:
    return {
        task: TaskOutcome(
            {metric: tuple(scores) for metric, scores in outcome["scores"].items()}, tuple(outcome["collapsed"])
        )
        for task, outcome in entries.items()
    }


def run_cell(config: PretrainConfig, study: Study, variant: Variant, task_data: Path | None, path: Path) -> Cell:
    """Pre-train to the end, fine-tune on every task, write the cell's file, and remove the run.

    task_data  folder of the tasks' folders; needed where there are tasks
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
        for step, folder in _states_on_the_way(config, study.checkpoints).items():
            on_the_way[step] = _run_trials(study, variant, config, folder, task_data, f"step-{step}")
        tasks = _run_trials(study, variant, config, model, task_data, "end")
    cell = Cell(
        variant=variant.name,
        seed=config.seed,
        start=variant.start,
        graph=variant.graph,
        settings=_what_decides(config, study, variant),
        precision=outcome.precision,
        threads=torch.get_num_threads(),
        made_from=fingerprints(TokenStore.open(config.store)),
        tokens=outcome.tokens,
        flops=_flops(config, variant.graph, outcome.tokens),
        curve=outcome.curve,
        tasks=tasks,
        on_the_way=on_the_way,
    )
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(cell), indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    for folder in (config.out, _start_folder(config, variant.start), _tasks_folder(config)):
        shutil.rmtree(folder, ignore_errors=True)
    return cell


def _run_trials(
    study: Study, variant: Variant, config: PretrainConfig, model: Path, task_data: Path | None, name: str
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
        out=_tasks_folder(config) / name,
        runtime=MachineSettings(**config.runtime.model_dump(include=set(MachineSettings.model_fields))),
    )


def _states_on_the_way(config: PretrainConfig, count: int) -> dict[int, Path]:
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


def require_same_cell(
    cell: Cell, config: PretrainConfig, study: Study, variant: Variant, made_from: Mapping[str, str], path: Path
) -> None:
    """Refuse a finished cell that was run with other settings than the study has now, or on another text.

    made_from  fingerprints of the token store and of its vocabulary
    """
    before: dict[str, Any] = {"start": cell.start, "graph": cell.graph, "untrained": not cell.curve, **cell.settings}
    before |= {f"the {role.replace('_', ' ')}": fingerprint for role, fingerprint in cell.made_from.items()}
    now: dict[str, Any] = {"start": variant.start, "graph": variant.graph, "untrained": variant.untrained}
    now |= _what_decides(config, study, variant)
    now |= {f"the {role.replace('_', ' ')}": fingerprint for role, fingerprint in made_from.items()}
    if before != now:
        differing = [name for name in now if before.get(name) != now[name]]
        raise MismatchedArtefact(
            f"{path} was run with another value of {', '.join(differing)} than the study has now. Move the file away "
            f"to run the cell again, or give another --out."
        )


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Hold a cell while it runs. Yields False if another process holds it."""
    lock_path = path.with_suffix(".lock")
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
            lock_path.unlink(missing_ok=True)  # who waited for the same file may be here after it is gone
    finally:
        os.close(lock)


def _tasks_folder(config: PretrainConfig) -> Path:
    return config.out.with_name(f"{config.out.name}-tasks")


def _start_folder(config: PretrainConfig, name: StartName | None) -> Path:
    """Named after all that its weights depend on, so that those of other settings are not taken for them."""
    decides = config.model_dump(mode="json", include={"model", "seed"}) | {"start": name}
    return config.out.with_name(f"{config.out.name}-start-{short_hash(decides)}")


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


def _what_decides(config: PretrainConfig, study: Study, variant: Variant) -> dict[str, Any]:
    """The groups of settings that decide what is learnt, and the tasks."""
    settings: dict[str, Any] = config.model_dump(mode="json", include={"model", "data", "training"})
    return settings | {
        "tasks": [trial.model_dump(mode="json") for trial in study.tasks],
        "finetuning": variant.model_dump(mode="json", include={"finetuning"})["finetuning"],
        "checkpoints": study.checkpoints,
    }


def _curve(run: Path) -> tuple[Scores, ...]:
    """Held-out scores of a run over its clock."""
    curve: list[Scores] = []
    for minutes, record in with_minutes(read_metrics(run)):
        if "held_out" in record:
            held_out = record["held_out"]
            loss, accuracy, pairs = held_out["token_loss"], held_out["token_accuracy"], held_out.get("nsp_accuracy")
            curve.append(Scores(record["step"], minutes, loss, accuracy, pairs))
    return tuple(curve)
