"""The folder of a quickstart: what is there of one that was stopped is taken, and nothing else is mixed with it."""

import filecmp
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bertsmith.core.artefact import require_free
from bertsmith.core.errors import MismatchedArtefact
from bertsmith.study.documentation_data import QuickstartData, write_quickstart_data
from bertsmith.study.trials import read_outcome
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.task_finetuning import RESULTS_FILE, finetune_task
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.pretraining import pretrain, resume_pretraining
from bertsmith.training.run import RUN_FILE, Run, read_run, require_same_settings

_SETTINGS = "quickstart.json"  # by this file a quickstart is known


def take_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder of a quickstart, or find the same one in it.

    settings  JSON-able
    raises    ArtefactExists for a folder with anything else, MismatchedArtefact for a quickstart of other settings
    """
    path = folder / _SETTINGS
    if path.is_file():
        require_same_settings(folder, json.loads(path.read_text(encoding="utf-8")), settings)
        return
    require_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(settings, indent=2) + "\n")


def collected(folder: Path, seed: int) -> QuickstartData:
    """The text and the task, which are written into `folder` unless they are there.

    raises  MismatchedArtefact where what Python ships with has changed since
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    data = write_quickstart_data(partial, seed)
    if folder.exists():
        names = [str(path.relative_to(partial)) for path in partial.rglob("*.jsonl")]
        if filecmp.cmpfiles(partial, folder, names, shallow=False)[0] != names:
            raise MismatchedArtefact(
                f"{folder} was written by another version of Python, or with other libraries than there are now. "
                f"Choose another --out, or remove {folder.parent}."
            )
        shutil.rmtree(partial)
    else:
        partial.rename(folder)
    return replace(data, text=folder / data.text.name, task=folder / data.task.name)


def pretrained(config: PretrainConfig) -> Run:
    """The run of pre-training, at its end: it is started, goes on, or is there."""
    if not (config.out / RUN_FILE).exists():
        pretrain(config)
    run = read_run(config.out, {})
    if not run.model.exists():
        resume_pretraining(config.out, {"store": config.store})
    return run


def accuracies(config: FinetuneConfig) -> list[float]:
    """Dev accuracy of each seed of a fine-tuning, which is run unless it is there."""
    if not config.out.exists():
        finetune_task(config)
    return list(read_outcome(config.out / RESULTS_FILE).scores["accuracy"])


def write_whole(path: Path, content: str) -> None:
    """Write a file that appears whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)
