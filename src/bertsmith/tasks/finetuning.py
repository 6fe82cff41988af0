"""The verb `finetune`: a pre-trained model and a task in, a task model out, with every score on file (BERT 4, A.3).

What `--out` holds, written whole or not at all:

    model/          the run with the best dev score: a model folder with `task.json`; `evaluate`, `predict` and
                    transformers' AutoModelForSequenceClassification load it
    results.json    each seed, each epoch, each metric; mean and standard deviation
    metrics.jsonl   loss, rate and speed on the way
    README.md       the table
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from pydantic import Field

from bertsmith.core.artefact import MANIFEST, read_manifest, record_file, require_free, stage_artefact
from bertsmith.core.configuration import Settings
from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert_for_tasks import BertForSequenceClassification, BertForTokenClassification, TaskNetwork
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import load_config, load_model, resolve_model_folder, save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.weight_files import weight_file_names
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.finetuning_result import FinetuneResult, best_run, model_card, results_page, summarise
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.seed_run import EncodedPart, SeedResult, SeedSettings, run_seed
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_data import TaskData, TaskDataSettings, load_task_data
from bertsmith.tasks.task_file import save_task
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.machine import MachineSettings
from bertsmith.training.metrics_log import METRICS_FILE
from bertsmith.training.optimiser import OptimiserSettings
from bertsmith.training.precision import choose_precision

RESULTS_FILE = "results.json"
_REHEARSAL_EXAMPLES = 64


class FinetuneTrainingSettings(OptimiserSettings):
    """The paper's fine-tuning (A.3): Adam as published, with bias correction; 10 % warm-up, then linear decay."""

    learning_rate: float = Field(
        5e-5, gt=0, description="peak learning rate; the paper tries 5e-5, 3e-5, 2e-5; small models want 1e-4 to 3e-4"
    )
    warmup_share: float = Field(0.1, ge=0, lt=1, description="share of the training in which the rate rises from 0")
    bias_correction: bool = Field(
        True,
        description="correct the running means for their start at 0; without it small data sets collapse more often",
    )
    epochs: int = Field(3, ge=1, description="times that every training example is seen")
    batch_size: int = Field(32, ge=1, description="examples per optimiser step")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="dropout everywhere in the network, whatever it was pre-trained with"
    )


class FinetuneRuntimeSettings(MachineSettings):
    """How the machine is used."""

    micro_batch_size: int = Field(32, ge=1, description="sequences of one forward and backward pass (memory)")


class FinetuneConfig(Settings):
    """Fine-tune a pre-trained model on a task."""

    model: Path = Field(description="pre-trained model: a run folder of `pretrain`, a model folder, or Hugging Face's")
    out: Path = Field(description="new folder for the task model, its scores and its log")
    seed: int = Field(0, ge=0, description="first seed: of the added layer, the order of examples and dropout")
    seeds: int = Field(1, ge=1, description="how many runs, with the seeds seed, seed + 1, ...")
    initialisation: Literal["pretrained", "random", "neighbour"] = Field(
        "pretrained",
        description="random, neighbour: the same network untrained, to measure what pre-training is worth",
    )
    dry_run: bool = Field(False, description="pass every stage in seconds, keep nothing")
    task_data: TaskDataSettings = TaskDataSettings()
    columns: ColumnSettings = ColumnSettings()
    inputs: InputLimits = InputLimits()
    training: FinetuneTrainingSettings = FinetuneTrainingSettings()
    loss: LossSettings = LossSettings()
    runtime: FinetuneRuntimeSettings = FinetuneRuntimeSettings()


def finetune(config: FinetuneConfig) -> FinetuneResult:
    """Fine-tune with one added layer (BERT 4): once with each seed; keeps the best, writes everything down."""
    require_free(config.out)
    data = load_task_data(config.task_data, config.columns, config.seed)
    config = with_recommended(config, data.task)
    if not config.dry_run:
        result = _finetune(config, data)
        console.print(f"The model of seed {result.best_seed} is in {config.out / 'model'}", soft_wrap=True)
        return result
    with tempfile.TemporaryDirectory(prefix="bertsmith-dry-run-") as folder:
        training = config.training.model_copy(update={"epochs": 1})
        short = {"out": Path(folder) / "finetuned", "seeds": 1, "training": training}
        result = _finetune(config.model_copy(update=short), data.first(_REHEARSAL_EXAMPLES))
    console.print(f"Dry run: every stage passed. {config.out} was not written.", soft_wrap=True)
    return replace(result, out=config.out)


def with_recommended(config: FinetuneConfig, task: Task[Any, Any]) -> FinetuneConfig:
    """The settings, with those that the task recommends wherever nothing was said."""
    changes: dict[str, Settings] = {}
    for group, values in task.recommended.items():
        settings: Settings = getattr(config, group)
        unsaid = {name: value for name, value in values.items() if name not in settings.model_fields_set}
        changes[group] = settings.model_copy(update=unsaid)
    return config.model_copy(update=changes)


def _finetune(config: FinetuneConfig, data: TaskData) -> FinetuneResult:
    """Encode, train with each seed, write."""
    source = resolve_model_folder(config.model)
    tokenizer = Tokenizer.load(source)
    train, dev = _encode(data, tokenizer, source, config.inputs)
    settings = _seed_settings(config, data.task)
    provenance: dict[str, Any] = {
        "command": "finetune",
        "configuration": config.model_dump(mode="json") | {"precision": str(settings.precision).removeprefix("torch.")},
        "made_from": {"model": model_fingerprint(source), **data.files},
    }
    with stage_artefact(config.out, kind="finetuning", **provenance) as staging:
        runs: list[SeedResult] = []
        with (staging.folder / METRICS_FILE).open("w", encoding="utf-8") as log:
            for seed in range(config.seed, config.seed + config.seeds):
                model = _new_network(config, source, data.task, seed)
                run, weights = run_seed(
                    settings, model, train.encoded, dev, seed, lambda entry: _write_line(log, entry)
                )
                runs.append(run)
                console.print(_sentence(run), soft_wrap=True)
                if best_run(runs, data.task) is run:
                    best_model, best_weights = model, {name: weight.clone() for name, weight in weights.items()}
        result = summarise(config.out, data.task, runs)
        _write_results(staging.folder, result, {"train": train} | dev)
        with stage_artefact(staging.folder / "model", kind="model", **provenance) as inner:
            save_model(best_model, inner.folder, tokenizer, model_card=model_card(result), weights=best_weights)
            save_task(inner.folder, data.task, config.inputs, seed=result.best_seed)
    return result


def model_fingerprint(folder: Path) -> str:
    """The fingerprint in a model folder's manifest; of a folder without one, the SHA-256 of its weight files."""
    if (folder / MANIFEST).is_file():
        return read_manifest(folder, "model", "checkpoint").fingerprint
    digests = [record_file(folder / name).sha256 for name in weight_file_names(folder)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


def _encode(
    data: TaskData, tokenizer: Tokenizer, source: Path, limits: InputLimits
) -> tuple[EncodedPart, dict[str, EncodedPart]]:
    """Encode train and dev; say how many examples there are and how many were cut."""
    positions = load_config(source).max_position_embeddings
    if limits.max_seq_length > positions:
        raise ConfigurationError(
            f"--max-seq-length {limits.max_seq_length} is more than the {positions} positions that {source} has. "
            f"Lower it."
        )
    parts = {}
    for name, examples in {"train": data.train, **data.dev}.items():
        encoded = data.task.encode(examples.rows, tokenizer, limits)
        parts[name] = EncodedPart(examples, encoded)
        windows = f" in {len(encoded):,} windows" if len(encoded) != len(examples.rows) else ""
        cut = f", {encoded.num_cut:,} of them cut to {limits.max_seq_length} tokens" if encoded.num_cut else ""
        console.print(f"{data.task.name} {name}: {len(examples.rows):,} examples{windows}{cut}", soft_wrap=True)
    return parts.pop("train"), parts


def _seed_settings(config: FinetuneConfig, task: Task[Any, Any]) -> SeedSettings:
    device = config.runtime.take_device()
    return SeedSettings(
        task=task,
        optimiser=config.training,
        loss=config.loss,
        epochs=config.training.epochs,
        batch_size=config.training.batch_size,
        micro_batch_size=config.runtime.micro_batch_size,
        device=device,
        precision=choose_precision(config.runtime.precision, device),
    )


def _new_network(config: FinetuneConfig, source: Path, task: Task[Any, Any], seed: int) -> TaskNetwork:
    """The network with a new output layer: on the pre-trained weights, or untrained throughout."""
    rate = config.training.dropout
    rates = {"hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate}
    if config.initialisation == "pretrained":
        network: TaskNetwork = load_model(task.network, source, seed=seed, labels=task.outputs, **rates)  # type: ignore[type-var]
        return network
    shape = load_config(source).model_copy(update=rates)
    network = new_network(task, shape)
    initialise(network, "normal" if config.initialisation == "random" else "neighbour", seed=seed)
    return network


def new_network(task: Task[Any, Any], shape: BertConfig) -> TaskNetwork:
    """The network of a task, with torch's weights."""
    network = task.network
    if issubclass(network, BertForSequenceClassification | BertForTokenClassification):
        assert task.outputs is not None  # what labels a classifier has is a part of its task
        return network(shape, task.outputs)
    return network(shape)


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


def _write_line(log: TextIO, entry: Mapping[str, Any]) -> None:
    log.write(json.dumps(entry) + "\n")
    log.flush()


def _sentence(run: SeedResult) -> str:
    scores = ", ".join(f"{part} {name} {value:.4f}" for part, row in run.dev.items() for name, value in row.items())
    collapse = f"; collapsed: {run.collapse}" if run.collapse else ""
    return f"seed {run.seed}, after epoch {run.epochs[-1].epoch}: {scores}{collapse}"
