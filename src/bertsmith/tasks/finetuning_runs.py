"""The runs of a fine-tuning: every seed in every cell of the grid, each made once, and again if it collapses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertsmith.core.console import console
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.folder_configuration import load_any_config
from bertsmith.model.initialisation import initialise
from bertsmith.model.task_networks import TaskNetwork
from bertsmith.tasks.finetuning_result import CellResult, best_cell, best_run
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.finished_runs import FinishedRun, FinishedRuns, StartedRun
from bertsmith.tasks.seed_run import EncodedPart, RunState, SeedResult, SeedSettings, run_seed
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_network import load_network, new_network
from bertsmith.text.tokenizer import Tokenizer

_RESTART_SEEDS = 1000  # a run that takes the place of a collapsed one has its seed + 1000, + 2000, ...


@dataclass(frozen=True)
class Workshop:
    """What all runs of a fine-tuning share."""

    config: FinetuneConfig
    task: Task[Any, Any]
    source: Path  # the pre-trained model's folder
    tokenizer: Tokenizer
    train: EncodedPart
    dev: Mapping[str, EncodedPart]
    provenance: Mapping[str, Any]
    finished: FinishedRuns
    precision: torch.dtype  # measured once, so that all runs and the predictions have the same
    micro_batch_size: int

    @cached_property
    def shape(self) -> EncoderConfig:
        """The configuration of the pre-trained network with the fine-tuning's dropout."""
        return load_any_config(self.source).with_dropout(self.config.training.dropout)

    @property
    def bilstm(self) -> BiLstmConfig | None:
        """The BiLSTM between network and output layer, if one is asked for."""
        return self.config.strategy.bilstm(self.shape, self.config.training.dropout)

    def empty_network(self) -> TaskNetwork:
        """The network with its output layer, and torch's own initial weights."""
        return new_network(self.task, self.shape, self.tokenizer, self.bilstm)


def run_cells(shop: Workshop) -> list[CellResult]:
    """Run every seed in every cell; keep the weights of those runs that may become the model."""
    config = shop.config
    cells: list[CellResult] = []
    for cell in config.grid.cells():
        runs: list[SeedResult] = []
        for seed in range(config.seed, config.seed + config.seeds):
            run = _run(shop, cell, seed)
            runs.append(run)
            contenders = [(cell, best_run(runs, shop.task))]
            if cells:
                winner = best_cell(cells, shop.task)
                contenders.append((winner.cell, best_run(winner.runs, shop.task)))
            shop.finished.keep_weights_of({_key(shop, its_cell, its_run.seed) for its_cell, its_run in contenders})
        cells.append(CellResult(cell, tuple(runs)))
    return cells


def _run(shop: Workshop, cell: Mapping[str, float], seed: int) -> SeedResult:
    """The run of a seed in a cell; of those that collapse and are started again, the last one."""
    collapsed: list[int] = []
    while True:
        run = _run_once(shop, cell, seed + _RESTART_SEEDS * len(collapsed)).result
        if run.collapse is None or len(collapsed) == shop.config.training.restarts:
            return replace(run, restarted_from=tuple(collapsed))
        console.print("It is started again from another seed.", soft_wrap=True)
        collapsed.append(run.seed)


def _run_once(shop: Workshop, cell: Mapping[str, float], seed: int) -> FinishedRun:
    """One run: taken from those that are done, or made."""
    key = _key(shop, cell, seed)
    done = shop.finished.find(key)
    if done is not None:
        console.print(f"{_sentence(cell, done.result)} (done before)", soft_wrap=True)
        return done
    run, weights = _train(shop, cell, seed)
    shop.finished.add(key, run, weights)
    console.print(_sentence(cell, run.result), soft_wrap=True)
    return run


def log_of(shop: Workshop, cell: Mapping[str, float], seed: int) -> tuple[Mapping[str, Any], ...]:
    """The lines of a run that is done."""
    done = shop.finished.find(_key(shop, cell, seed))
    return done.log if done is not None else ()


def _key(shop: Workshop, cell: Mapping[str, float], seed: int) -> str:
    """The name of a run among those that are done: a hash of what determines it."""
    configuration = {
        name: value
        for name, value in shop.provenance["configuration"].items()
        if name not in ("out", "seeds", "grid", "dry_run", "runtime")
    }
    return FinishedRuns.key(
        {
            "configuration": configuration,
            "made_from": shop.provenance["made_from"],
            "micro_batch_size": shop.micro_batch_size,
            "cell": cell,
            "seed": seed,
        }
    )


def weights_of(shop: Workshop, chosen: CellResult, best: SeedResult) -> Mapping[str, Tensor]:
    """The float32 weights of a run that is done; if they are gone, the run is made again, which gives the same."""
    key = _key(shop, chosen.cell, best.seed)
    weights = shop.finished.weights(key)
    return _train(shop, chosen.cell, best.seed)[1] if weights is None else weights


def _train(shop: Workshop, cell: Mapping[str, float], seed: int) -> tuple[FinishedRun, Mapping[str, Tensor]]:
    """Make a run, or go on with it after its last whole epoch. Returns it, and its best weights in float32."""
    config = shop.config.with_cell(cell)
    settings = SeedSettings(
        task=shop.task,
        optimiser=config.training,
        loss=config.loss,
        layers=config.layers,
        epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        micro_batch_size=shop.micro_batch_size,
        patience=config.training.patience,
        machine=config.runtime,
        device=config.runtime.take_device(),
        precision=shop.precision,
    )
    key, log = _key(shop, cell, seed), list[Mapping[str, Any]]()
    before = None
    if (started := shop.finished.find_started(key)) is not None:
        run, tensors = started
        before = run.state, tensors
        log.extend(run.log)
        console.print(f"{_settings(cell, seed)} goes on after epoch {len(run.state.epochs)}", soft_wrap=True)

    def keep(state: RunState, tensors: Mapping[str, Tensor]) -> None:
        shop.finished.add_epoch(key, StartedRun(state, tuple(log)), tensors)

    result, weights = run_seed(
        settings,
        _new_network(shop, seed),
        shop.train.encoded,
        shop.dev,
        seed,
        log.append,
        before=before,
        keep=keep,
    )
    return FinishedRun(result, tuple(log)), weights


def _new_network(shop: Workshop, seed: int) -> TaskNetwork:
    """The network with a new output layer: on the pre-trained weights, or untrained throughout."""
    initialisation, rate = shop.config.initialisation, shop.config.training.dropout
    if initialisation == "pretrained":
        return load_network(shop.task, shop.source, shop.tokenizer, seed=seed, dropout=rate, bilstm=shop.bilstm)
    network = shop.empty_network()
    initialise(network, "normal" if initialisation == "random" else "neighbour", seed=seed)
    return network


def _sentence(cell: Mapping[str, float], run: SeedResult) -> str:
    scores = ", ".join(f"{part} {name} {value:.4f}" for part, row in run.dev.items() for name, value in row.items())
    collapse = f"; collapsed: {run.collapse}" if run.collapse else ""
    return f"{_settings(cell, run.seed)}, after epoch {run.kept_epoch}: {scores}{collapse}"


def _settings(cell: Mapping[str, float], seed: int) -> str:
    return "".join(f"{name} {value:g}, " for name, value in cell.items()) + f"seed {seed}"
