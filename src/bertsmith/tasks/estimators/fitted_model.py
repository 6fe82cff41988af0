"""Fine-tuning on examples in memory, and what comes of it: the same functions as in the verb `finetune`, one seed.

A fitted model keeps its float32 weights on the CPU, so that it can be pickled and saved; for predictions it is put
where and as the settings of the machine say.
"""

import copy
import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning

from bertsmith.core.artefact import read_manifest, stage_artefact
from bertsmith.core.configuration import Settings, build_settings
from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.core.randomness import generator
from bertsmith.model.folder import save_model
from bertsmith.model.folder_configuration import (
    load_any_config,
    load_tokenizer,
    model_fingerprint,
    resolve_model_folder,
)
from bertsmith.tasks.finetuning_settings import FinetuneRuntimeSettings, FinetuneTrainingSettings
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.layer_settings import LayerSettings
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.parts import hold_out
from bertsmith.tasks.reading import encode_for
from bertsmith.tasks.seed_run import EncodedPart, SeedSettings, run_seed
from bertsmith.tasks.task import Examples, Task, require_usable_loss
from bertsmith.tasks.task_card import task_card
from bertsmith.tasks.task_file import save_task
from bertsmith.tasks.task_model import TaskModel
from bertsmith.tasks.task_network import load_network
from bertsmith.training.machine import MachineSettings
from bertsmith.training.precision import PrecisionName, choose_precision

IN_MEMORY = Path("X")  # what stands in messages where a file would have a name

_WATCHED = 64  # training examples that are predicted after each epoch, where nothing is held out
_ON_THE_FOLDER = "`task.json` says what the labels are; `manifest.json` what it was made from, and with which settings."


class FitSettings(Settings):
    """What `FinetuneConfig` has under the same names, but for files, several seeds and grids."""

    model: Path = Field(description="pre-trained model: a run folder of `pretrain`, a model folder, or Hugging Face's")
    seed: int = Field(0, ge=0, description="of the added layer, the order of examples and dropout")
    dev_share: float = Field(0.1, gt=0, lt=1, description="share of the examples that is held out, with patience")
    inputs: InputLimits = InputLimits()
    training: FinetuneTrainingSettings = FinetuneTrainingSettings()
    loss: LossSettings = LossSettings()
    layers: LayerSettings = LayerSettings()
    runtime: FinetuneRuntimeSettings = FinetuneRuntimeSettings()

    @classmethod
    def of(
        cls, parameters: Mapping[str, Any], recommended: Mapping[str, Mapping[str, Any]] | None = None
    ) -> "FitSettings":
        """Settings by their own names, whatever group they are in; other names are passed over.

        recommended  by group: what the task wants where the parameters say nothing
        raises       ConfigurationError for a value that cannot be used
        """
        groups: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            if isinstance(field.default, Settings):
                members = type(field.default).model_fields
                groups[name] = {member: parameters[member] for member in members if member in parameters}
            elif name in parameters:
                groups[name] = parameters[name]
        return build_settings(cls, recommended or {}, groups)


@dataclass(frozen=True)
class FittedModel:
    """A fine-tuned network, in float32 on the CPU, with its tokenizer and its task.

    settings   of the fine-tuning
    made_from  role -> fingerprint: of the pre-trained model, and of the examples
    """

    model: TaskModel
    settings: FitSettings
    made_from: Mapping[str, str]

    def predict(self, values: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        """A prediction of the task for each value, in order: what `TaskModel.predict` takes and gives.

        parameters  of which those of the machine are used: it need not be the one of the fine-tuning
        """
        device, precision = _take(FitSettings.of(parameters).runtime)
        model = self.model
        if (device.type, precision) != ("cpu", torch.float32):
            network = copy.deepcopy(model.network).to(device, precision)
            model = TaskModel(network, model.tokenizer, model.task, model.limits)
        return model.predict(values)

    def save(self, folder: Path, **facts: Any) -> None:  # noqa: ANN401
        """Write a task model folder as `finetune` does, for `evaluate`, `predict` and transformers.

        facts   what the manifest tells besides
        raises  ArtefactExists if the folder is there
        """
        card = task_card(self.model.network, f"Fine-tuned in memory: {self.model.task.name}", _ON_THE_FOLDER)
        configuration = self.settings.model_dump(mode="json")
        with stage_artefact(
            folder, kind="model", command="fit", configuration=configuration, made_from=self.made_from
        ) as staging:
            staging.facts.update(facts)
            save_model(self.model.network, staging.folder, self.model.tokenizer, model_card=card)
            save_task(staging.folder, self.model.task, self.model.limits, seed=self.settings.seed)


def load_fitted(
    folder: Path, estimator_class: Callable[..., object]
) -> tuple[FittedModel, Mapping[str, Any], Mapping[str, Any]]:
    """What `save` or `finetune` wrote.

    returns  the model, those arguments of the estimator's class that the manifest tells, and the manifest's facts
    raises   ArtefactError for a folder that is not a fine-tuned model with a manifest
    """
    folder = resolve_model_folder(folder)
    model = TaskModel.load(folder, InferenceSettings(precision="float32", device="cpu"))
    manifest = read_manifest(folder, "model")
    told = dict(manifest.configuration)
    for group in manifest.configuration.values():
        told |= group if isinstance(group, Mapping) else {}
    told |= manifest.facts.get("cell", {})  # of the run that `finetune` kept, where it tried several settings and seeds
    told["seed"] = manifest.facts.get("seed", told["seed"])
    arguments = {name: told[name] for name in signature(estimator_class).parameters if name in told}
    return FittedModel(model, FitSettings.of(told), manifest.made_from), arguments, manifest.facts


def fit_examples(settings: FitSettings, task: Task[Any, Any], examples: Sequence[Any]) -> FittedModel:
    """Fine-tune a pre-trained model on labelled examples of a task whose labels are known.

    Without patience all examples are learnt from, as `finetune` does with a training file that has a dev file.
    A run that learns nothing is told of by scikit-learn's ConvergenceWarning.
    """
    require_usable_loss(task, settings.loss)
    source = resolve_model_folder(settings.model)
    shape = load_any_config(source)
    positions = shape.max_position_embeddings
    if settings.inputs.max_seq_length > positions:
        raise ConfigurationError(
            f"max_seq_length {settings.inputs.max_seq_length} is more than the {positions} positions that {source} "
            f"has. Lower it."
        )
    tokenizer = load_tokenizer(source)
    rows, parts = _parts(settings, examples)
    train = encode_for(shape, task, rows, tokenizer, settings.inputs)
    if train.num_cut:
        cut = f"{train.num_cut:,} of {len(rows):,} examples"
        console.print(f"{cut} are cut to {settings.inputs.max_seq_length} tokens.", soft_wrap=True)
    dev = {
        name: EncodedPart(Examples(IN_MEMORY, part), encode_for(shape, task, part, tokenizer, settings.inputs))
        for name, part in parts.items()
    }
    network = load_network(task, source, tokenizer, seed=settings.seed, dropout=settings.training.dropout)
    device, precision = _take(settings.runtime)
    seed_settings = SeedSettings(
        task=task,
        optimiser=settings.training,
        loss=settings.loss,
        layers=settings.layers,
        epochs=settings.training.epochs,
        batch_size=settings.training.batch_size,
        micro_batch_size=settings.runtime.examples_at_once(train),
        machine=settings.runtime,
        patience=settings.training.patience,
        device=device,
        precision=precision,
    )
    result, weights = run_seed(seed_settings, network, train, dev, settings.seed, record=lambda line: None)
    # copies, each with a storage of its own: pickle would write the optimiser's whole buffer for each view of it
    network.load_state_dict({name: weight.cpu().clone() for name, weight in weights.items()}, assign=True)
    if result.collapse is not None:
        warnings.warn(f"The network has learnt nothing: {result.collapse}.", ConvergenceWarning, stacklevel=3)
    made_from = {"model": model_fingerprint(source), "train": _fingerprint(examples)}
    return FittedModel(TaskModel(network, tokenizer, task, settings.inputs), settings, made_from)


def _parts(settings: FitSettings, examples: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Sequence[Any]]]:
    """The examples to learn from, and those that are predicted after each epoch.

    With patience these are held out, by the name of "dev". Without, they are some of those that are learnt from: enough
    to see a network that gives all of them the same answer.
    """
    if settings.training.patience is None:
        chosen = generator(settings.seed, "watched").permutation(len(examples))[:_WATCHED]
        return examples, {"train": [examples[index] for index in chosen.tolist()]}
    try:
        train, dev = hold_out(Examples(IN_MEMORY, examples), settings.dev_share, settings.seed)
    except InputError:
        raise InputError(
            f"X has {len(examples)} examples, too few to hold out a share of {settings.dev_share:g}. Give more, or "
            f"leave patience out."
        ) from None
    return train.rows, {"dev": dev.rows}


def _take(machine: MachineSettings) -> tuple[torch.device, torch.dtype]:
    """Set the number of threads; the device, and the number format of its matrix products."""
    device = machine.take_device()
    return device, _precision(machine.precision, device)


@cache
def _precision(name: PrecisionName, device: torch.device) -> torch.dtype:
    """Measured once: a prediction may take less time than the measurement."""
    return choose_precision(name, device)


def _fingerprint(examples: Sequence[Any]) -> str:
    """SHA-256 of the examples: plain data, whose representations tell all of it."""
    return hashlib.sha256("\n".join(map(repr, examples)).encode("utf-8", "surrogatepass")).hexdigest()
