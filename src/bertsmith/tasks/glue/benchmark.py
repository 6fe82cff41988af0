"""Fine-tuning on all of GLUE: each task whose files are there, one after the other, with the same settings (BERT 4.1).

What `--out` holds:

    mnli/, sst-2/, ...  what a fine-tuning on that task leaves, each whole or not at all (`task_finetuning`)
    README.md           the table of the paper, the runs behind it, and what is not there
    results.json        the same for programs
    submission.zip      answers to the test sets that are there (`glue_submission`), from `predictions/`

A task that is in the folder already, with the same settings and the same files, is not run again: the same command
goes on where a killed one was.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from bertsmith.core.artefact import MANIFEST, Manifest, require_free, verify_artefact
from bertsmith.core.console import console
from bertsmith.core.errors import ArtefactExists, ConfigurationError, InputError, MismatchedArtefact
from bertsmith.model.folder_configuration import model_fingerprint, resolve_model_folder
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.finetuning_result import FinetuneResult
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.glue.result import GlueResult, LearntTask, glue_page, results_of
from bertsmith.tasks.glue.submission import (
    PREDICTIONS_FOLDER,
    SUBMISSION_FILE,
    FoundFile,
    find_test_files,
    write_submission,
)
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.parts import find_part
from bertsmith.tasks.sentences.glue import GLUE, folder_of
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.tasks.task import weighs_labels
from bertsmith.tasks.task_data import load_task_data
from bertsmith.tasks.task_finetuning import RESULTS_FILE, finetune_task
from bertsmith.training.machine import MachineSettings

_MNLI = "mnli"
_ORDER = (_MNLI, "qqp", "qnli", "sst-2", "cola", "sts-b", "mrpc", "rte", "wnli")  # others may start from the first
_AFTER_MNLI = ("rte", "mrpc", "sts-b")  # the tasks that an MNLI model helps: Phang et al. 2018
_PAGE = "README.md"
_OURS = (_PAGE, RESULTS_FILE, SUBMISSION_FILE, PREDICTIONS_FOLDER, "*.partial", "*.unfinished", ".*.partial-*")
_ELSEWHERE = ("model", "out", "dry_run", "precision", "task_data.data")  # settings that are compared otherwise, or not


@dataclass(frozen=True)
class _Plan:
    """How a task is learnt.

    made_from  role of a file ("train", "dev") -> its SHA-256
    skipped    the same roles -> rows that could not be used
    """

    task: SentenceTask
    config: FinetuneConfig
    made_from: Mapping[str, str]
    train_examples: int
    from_mnli: bool
    skipped: Mapping[str, Sequence[tuple[int, str]]]


def finetune_glue(config: FinetuneConfig) -> GlueResult:
    """Fine-tune on every task of GLUE that is under `--data`; all files are read before anything is trained.

    raises  ConfigurationError for settings that are for one task only, InputError for a folder without any task or a
            row that cannot be used, MismatchedArtefact for a task in `--out` that was learnt otherwise
    """
    data = _data_folder(config)
    _require_ours(config.out)
    resolve_model_folder(config.model)
    absent = {name: reason for name in _ORDER if (reason := _why_absent(name, data))}
    present = [name for name in _ORDER if name not in absent]
    if not present:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in absent.items())
        raise InputError(f"{data} has no task of GLUE. {reasons}. Give --data the folder of the official download.")
    if config.task_data.from_mnli and _MNLI in absent:
        raise ConfigurationError(f"--from-mnli needs MNLI, and {data} does not have it: {absent[_MNLI]}.")
    plans = {name: _plan(config, name, data) for name in present}
    found = find_test_files(data, present)
    done = {name: result for name, plan in plans.items() if (result := _done_before(plan)) is not None}
    learnt = {}
    for name, plan in plans.items():
        result = done.get(name) or finetune_task(plan.config)
        learnt[name] = LearntTask(result, plan.train_examples, plan.from_mnli, plan.skipped)
    if config.dry_run:
        return GlueResult(config.out, learnt, absent, None)
    return _write(GlueResult(config.out, learnt, absent, None), found, config)


def _data_folder(config: FinetuneConfig) -> Path:
    """The folder of all tasks; refuses what can only be said of one task."""
    said = config.task_data
    for_one_task = {
        "--train": said.train is not None,
        "--dev": said.dev is not None,
        "--regression": said.regression,
        "--several-labels": said.several_labels,
        "--text, --text-pair and --label": config.columns != ColumnSettings(),
    }
    wrong = [flag for flag, is_said in for_one_task.items() if is_said]
    if wrong:
        raise ConfigurationError(f"The files of GLUE are known: leave {', '.join(wrong)} out, or name one task.")
    if said.from_mnli and config.initialisation != "pretrained":
        raise ConfigurationError("--from-mnli starts from a fine-tuned model: leave --initialisation out.")
    if said.data is None or not said.data.is_dir():
        raise ConfigurationError("Give --data the folder that holds GLUE's folders: CoLA, MNLI, MRPC, ...")
    return said.data


def _require_ours(out: Path) -> None:
    """Refuse a folder with anything in it that is not a GLUE run's."""
    if not out.is_dir():
        require_free(out)
        return
    strangers = [
        path.name
        for path in sorted(out.iterdir())
        if path.name not in _ORDER and not any(fnmatch(path.name, pattern) for pattern in _OURS)
    ]
    if strangers:
        raise ArtefactExists(
            f"{out} already holds {strangers[0]}, which is no part of a GLUE run. Choose another --out."
        )


def _why_absent(name: str, data: Path) -> str | None:
    """Why a task cannot be learnt, or None."""
    task = GLUE[name]
    folder = folder_of(task, data)
    if folder is None:
        return "there is no folder of this name"
    missing = [part for part in ("train", "dev") if find_part(folder, task, part) is None]
    return f"{folder.name} has no {' and no '.join(task.files[part][0] for part in missing)}" if missing else None


def _plan(config: FinetuneConfig, name: str, data: Path) -> _Plan:
    """The settings of one task, and its files, which are read to the end."""
    task = GLUE[name]
    from_mnli = config.task_data.from_mnli and name in _AFTER_MNLI
    task_data = config.task_data.model_copy(update={"task": name, "data": folder_of(task, data), "from_mnli": False})
    own = config.model_copy(update={"out": config.out / name, "task_data": task_data})
    if not (own.loss.is_plain or weighs_labels(task)):
        plain = own.loss.model_copy(update={"class_weights": "equal", "label_smoothing": 0.0})
        own = own.model_copy(update={"loss": plain})
        console.print(f"{name} has no labels: no class weights and no label smoothing for it.", soft_wrap=True)
    if from_mnli and not config.dry_run:  # a rehearsal leaves no MNLI model to start from
        own = own.model_copy(update={"model": config.out / _MNLI})
    files = load_task_data(task_data, config.columns, config.seed)
    skipped = {part: read.skipped for part, read in {"train": files.train, **files.dev}.items() if read.skipped}
    return _Plan(task, own, files.files, len(files.train.rows), from_mnli, skipped)


def _done_before(plan: _Plan) -> FinetuneResult | None:
    """The result of a task that is in its folder already.

    raises  MismatchedArtefact if its settings or files were others, DamagedArtefact if it was changed
    """
    folder = plan.config.out
    if not (folder / MANIFEST).is_file() or plan.config.dry_run:
        return None
    manifest = verify_artefact(folder, "finetuning")
    differences = list(_differences(manifest, plan))
    if differences:
        raise MismatchedArtefact(
            f"{folder} was made with other settings or files: {'; '.join(differences)}. Give the same ones, choose "
            f"another --out, or remove the folder."
        )
    console.print(f"{plan.task.name}: done before", soft_wrap=True)
    content = json.loads((folder / RESULTS_FILE).read_bytes()) | {"out": folder}
    del content["parts"]
    return TypeAdapter(FinetuneResult).validate_python(content)


def _differences(manifest: Manifest, plan: _Plan) -> Iterator[str]:
    """What a folder was made with and what is asked for now, where that is not the same."""
    wanted = _what_counts(plan.config.with_recommended(plan.task).model_dump(mode="json"))
    recorded = _what_counts(manifest.configuration)
    for name in sorted(wanted.keys() | recorded.keys()):
        before, now = (settings.get(name, "not there") for settings in (recorded, wanted))
        if before != now:
            yield f"{name} was {before} and is {now}"
    precision = plan.config.runtime.precision
    if precision not in ("auto", manifest.configuration["precision"]):
        yield f"precision was {manifest.configuration['precision']} and is {precision}"
    if plan.from_mnli and not plan.config.model.exists():
        yield "the MNLI model that it started from is gone"
        return
    made_from = dict(plan.made_from) | {"model": model_fingerprint(resolve_model_folder(plan.config.model))}
    for role in sorted(made_from.keys() | manifest.made_from.keys()):
        if manifest.made_from.get(role) != made_from.get(role):
            yield f"{role} was another"


def _what_counts(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that determine a result, as {"group.name": value}. Where and how fast it was made does not."""
    flat: dict[str, Any] = {}
    for name, value in configuration.items():
        group = {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, Mapping) else None
        flat |= {name: value} if group is None else group
    return {name: value for name, value in flat.items() if name not in _ELSEWHERE and not name.startswith("runtime.")}


def _write(result: GlueResult, found: list[FoundFile], config: FinetuneConfig) -> GlueResult:
    """Answer the test sets; write the pages, each whole or not at all."""
    if found:
        machine = config.runtime.model_dump(include=set(MachineSettings.model_fields))
        submission = write_submission(config.out, found, InferenceSettings(**machine))
        result = replace(result, submission=submission)
    pages = {
        RESULTS_FILE: json.dumps(results_of(result), indent=2, sort_keys=True) + "\n",
        _PAGE: glue_page(result),
    }
    for name, text in pages.items():
        partial = config.out / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(config.out / name)
    console.print(f"The table is in {config.out / _PAGE}", soft_wrap=True)
    return result
