"""Fine-tuning on one task: a pre-trained model in, a task model out, with every score on file (BERT 4, A.3).

What `--out` holds, written whole or not at all:

    model/          the run with the best dev score: a model folder with `task.json`; `evaluate`, `predict` and
                    transformers' AutoModelFor... load it
    results.json    each seed, each epoch, each metric; mean and standard deviation; each cell of a grid
    metrics.jsonl   loss, rate and speed on the way
    README.md       the table
    report.html     all of this to look at, and what the model in `model/` does well and badly on dev
    dev-predictions.jsonl, ...  its predictions for each dev part

Runs that are done wait in `OUT.unfinished` until all are: the same command again goes on where a killed one was.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertsmith.core.artefact import require_free, stage_artefact
from bertsmith.core.console import console
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.folder import load_any_config, model_fingerprint, resolve_model_folder, save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.task_networks import TaskNetwork
from bertsmith.tasks.dev_predictions import write_predictions
from bertsmith.tasks.encoded_parts import encode_parts
from bertsmith.tasks.finetuning_result import (
    CellResult,
    FinetuneResult,
    best_cell,
    best_run,
    model_card,
    results_page,
    summarise,
)
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.finished_runs import FinishedRun, FinishedRuns
from bertsmith.tasks.report.finetuning_report import REPORT_FILE, FinetuningReport, write_report
from bertsmith.tasks.seed_run import EncodedPart, SeedResult, SeedSettings, predict_part, run_seed
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_data import TaskData, load_task_data
from bertsmith.tasks.task_file import save_task
from bertsmith.tasks.task_network import load_network, new_network
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.metrics_log import METRICS_FILE, read_metrics
from bertsmith.training.precision import choose_precision
from bertsmith.training.processes import require_alone

RESULTS_FILE = "results.json"
_REHEARSAL_EXAMPLES = 64
_RESTART_SEEDS = 1000  # a run that takes the place of a collapsed one has its seed + 1000, + 2000, ...


def finetune_task(config: FinetuneConfig) -> FinetuneResult:
    """Fine-tune once with each seed in each cell of the grid; keep the best, write everything down."""
    require_alone("finetune")
    require_free(config.out)
    data = load_task_data(config.task_data, config.columns, config.seed)
    config = config.with_recommended(data.task)
    if not config.dry_run:
        result = _finetune(config, data)
        console.print(
            f"The model of seed {result.best_seed} is in {config.out / 'model'}, the report in "
            f"{config.out / REPORT_FILE}",
            soft_wrap=True,
        )
        return result
    with tempfile.TemporaryDirectory(prefix="bertsmith-dry-run-") as folder:
        training = config.training.model_copy(update={"epochs": 1})
        short = {"out": Path(folder) / "finetuned", "seeds": 1, "training": training}
        result = _finetune(config.model_copy(update=short), data.first(_REHEARSAL_EXAMPLES))
    console.print(f"Dry run: every stage passed. {config.out} was not written.", soft_wrap=True)
    return replace(result, out=config.out)


@dataclass(frozen=True)
class _Workshop:
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


def _finetune(config: FinetuneConfig, data: TaskData) -> FinetuneResult:
    """Encode, train with each seed in each cell of the grid, write."""
    source = resolve_model_folder(config.model)
    tokenizer = Tokenizer.load(source)
    train, dev = encode_parts(data, tokenizer, source, config.inputs)
    precision = choose_precision(config.runtime.precision, config.runtime.take_device())
    provenance: dict[str, Any] = {
        "command": "finetune",
        "configuration": config.model_dump(mode="json") | {"precision": str(precision).removeprefix("torch.")},
        "made_from": {"model": model_fingerprint(source), **data.files},
    }
    shop = _Workshop(
        config=config,
        task=data.task,
        source=source,
        tokenizer=tokenizer,
        train=train,
        dev=dev,
        provenance=provenance,
        finished=FinishedRuns(config.out),
        precision=precision,
        micro_batch_size=config.runtime.examples_at_once(train.encoded),
    )
    cells = _run_cells(shop)
    chosen = best_cell(cells, data.task)
    best = best_run(chosen.runs, data.task)
    with stage_artefact(config.out, kind="finetuning", **provenance) as staging:
        result = summarise(config.out, data.task, cells)
        _write_log(staging.folder / METRICS_FILE, shop, cells)
        _write_results(staging.folder, result, {"train": train} | dev)
        network, weights = new_network(data.task, _shape(shop), tokenizer, _bilstm(shop)), _weights(shop, chosen, best)
        network.load_state_dict(dict(weights))
        network.to(config.runtime.take_device(), precision)
        predictions = {name: predict_part(network, data.task, part) for name, part in dev.items()}
        _report(staging.folder, shop, result, predictions)
        with stage_artefact(staging.folder / "model", kind="model", **provenance) as inner:
            save_model(network, inner.folder, tokenizer, model_card=model_card(result), weights=weights)
            first = next(iter(dev))
            tuned = data.task.tuned(predictions[first], dev[first].examples.rows)
            save_task(inner.folder, tuned, config.inputs, seed=best.seed)
    shop.finished.remove()
    return result


def _run_cells(shop: _Workshop) -> list[CellResult]:
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


def _run(shop: _Workshop, cell: Mapping[str, float], seed: int) -> SeedResult:
    """The run of a seed in a cell; of those that collapse and are started again, the last one."""
    collapsed: list[int] = []
    while True:
        run = _run_once(shop, cell, seed + _RESTART_SEEDS * len(collapsed)).result
        if run.collapse is None or len(collapsed) == shop.config.training.restarts:
            return replace(run, restarted_from=tuple(collapsed))
        console.print("It is started again from another seed.", soft_wrap=True)
        collapsed.append(run.seed)


def _run_once(shop: _Workshop, cell: Mapping[str, float], seed: int) -> FinishedRun:
    """One run: taken from those that are done, or made."""
    key = _key(shop, cell, seed)
    done = shop.finished.find(key)
    if done is not None:
        console.print(f"{_sentence(cell, done.result)} (done before)", soft_wrap=True)
        return done
    log: list[Mapping[str, Any]] = []
    network = _new_network(shop, seed)
    settings = _seed_settings(shop, cell)
    result, weights = run_seed(settings, network, shop.train.encoded, shop.dev, seed, log.append)
    run = FinishedRun(result, tuple(log))
    shop.finished.add(key, run, weights)
    console.print(_sentence(cell, result), soft_wrap=True)
    return run


def _key(shop: _Workshop, cell: Mapping[str, float], seed: int) -> str:
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


def _weights(shop: _Workshop, chosen: CellResult, best: SeedResult) -> Mapping[str, Tensor]:
    """The float32 weights of a run that is done; if they are gone, the run is made again, which gives the same."""
    key = _key(shop, chosen.cell, best.seed)
    weights = shop.finished.weights(key)
    if weights is None:
        network = _new_network(shop, best.seed)
        settings = _seed_settings(shop, chosen.cell)
        _, made = run_seed(settings, network, shop.train.encoded, shop.dev, best.seed, lambda entry: None)
        return made
    return weights


def _seed_settings(shop: _Workshop, cell: Mapping[str, float]) -> SeedSettings:
    config = shop.config.with_cell(cell)
    return SeedSettings(
        task=shop.task,
        optimiser=config.training,
        loss=config.loss,
        layers=config.layers,
        epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        micro_batch_size=shop.micro_batch_size,
        patience=config.training.patience,
        device=config.runtime.take_device(),
        precision=shop.precision,
    )


def _new_network(shop: _Workshop, seed: int) -> TaskNetwork:
    """The network with a new output layer: on the pre-trained weights, or untrained throughout."""
    initialisation, rate = shop.config.initialisation, shop.config.training.dropout
    if initialisation == "pretrained":
        return load_network(shop.task, shop.source, shop.tokenizer, seed=seed, dropout=rate, bilstm=_bilstm(shop))
    network = new_network(shop.task, _shape(shop), shop.tokenizer, _bilstm(shop))
    initialise(network, "normal" if initialisation == "random" else "neighbour", seed=seed)
    return network


def _shape(shop: _Workshop) -> EncoderConfig:
    """The configuration of the pre-trained network with the fine-tuning's dropout."""
    return load_any_config(shop.source).with_dropout(shop.config.training.dropout)


def _bilstm(shop: _Workshop) -> BiLstmConfig | None:
    return shop.config.strategy.bilstm(_shape(shop), shop.config.training.dropout)


def _write_log(path: Path, shop: _Workshop, cells: list[CellResult]) -> None:
    """The lines of all runs, cell by cell, those of collapsed runs that were started again among them."""
    with path.open("w", encoding="utf-8") as file:
        for cell in cells:
            for run in cell.runs:
                for seed in (*run.restarted_from, run.seed):
                    done = shop.finished.find(_key(shop, cell.cell, seed))
                    for line in done.log if done is not None else ():
                        file.write(json.dumps(dict(cell.cell) | dict(line)) + "\n")


def _write_results(folder: Path, result: FinetuneResult, encoded: Mapping[str, EncodedPart]) -> None:
    parts = {
        name: {
            "file": str(part.examples.source),
            "examples": len(part.examples.rows),
            "cut": part.encoded.num_cut,
            "skipped": [{"line": line, "reason": reason} for line, reason in part.examples.skipped],
        }
        for name, part in encoded.items()
    }
    content = asdict(result) | {"parts": parts}
    del content["out"]
    (folder / RESULTS_FILE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(results_page(result), encoding="utf-8")


def _report(folder: Path, shop: _Workshop, result: FinetuneResult, predictions: Mapping[str, list[Any]]) -> None:
    """Write the predictions of the kept network for dev, and the page on those for the first part."""
    for name, part in shop.dev.items():
        write_predictions(folder / f"{name}-predictions.jsonl", shop.task, predictions[name], part.examples.rows)
    first = next(iter(shop.dev))
    report = FinetuningReport(
        task=shop.task,
        result=result,
        settings=shop.config,
        precision=str(shop.precision).removeprefix("torch."),
        model=shop.source,
        parts={"train": shop.train, **shop.dev},
        log=read_metrics(folder),
        findings=shop.task.findings(predictions[first], shop.dev[first].examples.rows),
        blindness=shop.task.blindness(predictions[first], shop.dev[first].examples.rows),
    )
    write_report(folder / REPORT_FILE, report)


def _sentence(cell: Mapping[str, float], run: SeedResult) -> str:
    scores = ", ".join(f"{part} {name} {value:.4f}" for part, row in run.dev.items() for name, value in row.items())
    collapse = f"; collapsed: {run.collapse}" if run.collapse else ""
    settings = "".join(f"{name} {value:g}, " for name, value in cell.items())
    return f"{settings}seed {run.seed}, after epoch {run.kept_epoch}: {scores}{collapse}"
