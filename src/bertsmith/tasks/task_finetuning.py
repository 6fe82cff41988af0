"""Fine-tuning on one task: a pre-trained model in, a task model out, with every score on file (BERT 4, A.3).

What `--out` holds, written whole or not at all:

    model/          the run with the best dev score: a model folder with `task.json`; `evaluate`, `predict` and
                    transformers' AutoModelFor... load it
    results.json    each seed, each epoch, each metric; mean and standard deviation; each cell of a grid
    metrics.jsonl   loss, rate and speed on the way
    README.md       the table
    report.html     all of this to look at, and what the model in `model/` does well and badly on dev
    dev-predictions.jsonl, ...  its predictions for each dev part

Until then runs that are done, and the one that is under way as it was after its last whole epoch, wait in
`OUT.unfinished`: the same command again goes on where a killed one was.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bertsmith.core.artefact import require_free, stage_artefact
from bertsmith.core.console import console
from bertsmith.core.errors import StoppedBySignal
from bertsmith.model.folder import save_model
from bertsmith.model.folder_configuration import load_tokenizer, model_fingerprint, resolve_model_folder
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
from bertsmith.tasks.finetuning_runs import Workshop, log_of, run_cells, weights_of
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.finished_runs import FinishedRuns
from bertsmith.tasks.grid import GridSettings
from bertsmith.tasks.report.finetuning_report import REPORT_FILE, FinetuningReport, write_report
from bertsmith.tasks.seed_run import EncodedPart, predict_part
from bertsmith.tasks.task import require_usable_loss
from bertsmith.tasks.task_data import TaskData, load_task_data
from bertsmith.tasks.task_file import save_task
from bertsmith.training.metrics_log import METRICS_FILE, read_metrics
from bertsmith.training.precision import choose_precision
from bertsmith.training.processes import require_alone

RESULTS_FILE = "results.json"
_REHEARSAL_EXAMPLES = 64


def finetune_task(config: FinetuneConfig) -> FinetuneResult:
    """Fine-tune once with each seed in each cell of the grid; keep the best, write everything down."""
    require_alone("finetune")
    require_free(config.out)
    if config.dry_run:
        return _rehearse(config)
    finished = FinishedRuns(config.out)
    with finished.held():
        try:
            result = _finetune(*_read(config), finished)
        except KeyboardInterrupt:
            if not any(finished.folder.glob("*")):
                raise
            raise StoppedBySignal(
                f"Stopped. Whole runs and epochs are kept in {finished.folder}; the same command goes on after them."
            ) from None
    console.print(
        f"The model of seed {result.best_seed} is in {config.out / 'model'}, the report in {config.out / REPORT_FILE}",
        soft_wrap=True,
    )
    return result


def _read(config: FinetuneConfig) -> tuple[FinetuneConfig, TaskData]:
    """The settings with those that the task recommends, and the data, which go together."""
    data = load_task_data(config.task_data, config.columns, config.seed)
    config = config.with_recommended(data.task)
    require_usable_loss(data.task, config.loss)
    return config, data


def _rehearse(given: FinetuneConfig) -> FinetuneResult:
    """Pass every stage with one short run in a folder that is thrown away."""
    config, data = _read(given)
    with tempfile.TemporaryDirectory(prefix="bertsmith-dry-run-") as folder:
        first_cell = {**config.grid.cells()[0], "epochs": 1, "restarts": 0}
        training = config.training.model_copy(update=first_cell)
        short = {"out": Path(folder) / "finetuned", "seeds": 1, "training": training, "grid": GridSettings()}
        short_config = config.model_copy(update=short)
        finished = FinishedRuns(short_config.out)
        with finished.held():
            result = _finetune(short_config, data.first(_REHEARSAL_EXAMPLES), finished)
    console.print(f"Dry run: every stage passed. {config.out} was not written.", soft_wrap=True)
    return replace(result, out=config.out)


def _finetune(config: FinetuneConfig, data: TaskData, finished: FinishedRuns) -> FinetuneResult:
    """Encode, train with each seed in each cell of the grid, write."""
    source = resolve_model_folder(config.model)
    tokenizer = load_tokenizer(source)
    train, dev = encode_parts(data, tokenizer, source, config.inputs)
    precision = choose_precision(config.runtime.precision, config.runtime.take_device())
    provenance: dict[str, Any] = {
        "command": "finetune",
        "configuration": config.model_dump(mode="json") | {"precision": str(precision).removeprefix("torch.")},
        "made_from": {"model": model_fingerprint(source), **data.files},
    }
    shop = Workshop(
        config=config,
        task=data.task,
        source=source,
        tokenizer=tokenizer,
        train=train,
        dev=dev,
        provenance=provenance,
        finished=finished,
        precision=precision,
        micro_batch_size=config.runtime.examples_at_once(train.encoded),
    )
    cells = run_cells(shop)
    chosen = best_cell(cells, data.task)
    best = best_run(chosen.runs, data.task)
    with stage_artefact(config.out, kind="finetuning", **provenance) as staging:
        result = summarise(config.out, data.task, cells)
        _write_log(staging.folder / METRICS_FILE, shop, cells)
        _write_results(staging.folder, result, {"train": train} | dev)
        network, weights = shop.empty_network(), weights_of(shop, chosen, best)
        network.load_state_dict(dict(weights))
        network.to(config.runtime.take_device(), precision)
        predictions = {name: predict_part(network, data.task, part) for name, part in dev.items()}
        _report(staging.folder, shop, result, predictions)
        with stage_artefact(staging.folder / "model", kind="model", **provenance) as inner:
            inner.facts |= {"seed": best.seed, "cell": dict(chosen.cell)}
            save_model(network, inner.folder, tokenizer, model_card=model_card(result, network), weights=weights)
            first = next(iter(dev))
            tuned = data.task.tuned(predictions[first], dev[first].examples.rows)
            save_task(inner.folder, tuned, config.inputs, seed=best.seed)
    finished.remove()
    return result


def _write_log(path: Path, shop: Workshop, cells: list[CellResult]) -> None:
    """The lines of all runs, cell by cell, those of collapsed runs that were started again among them."""
    with path.open("w", encoding="utf-8") as file:
        for cell in cells:
            for run in cell.runs:
                for seed in (*run.restarted_from, run.seed):
                    for line in log_of(shop, cell.cell, seed):
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


def _report(folder: Path, shop: Workshop, result: FinetuneResult, predictions: Mapping[str, list[Any]]) -> None:
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
