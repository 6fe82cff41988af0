"""The files that the leaderboard of GLUE takes: a table of answers for each test set, in one zip file.

| file | answers |
|---|---|
| `CoLA.tsv`, `SST-2.tsv`, `MRPC.tsv`, `QQP.tsv`, `WNLI.tsv` | 0 or 1 |
| `MNLI-m.tsv`, `MNLI-mm.tsv`, `AX.tsv` | contradiction, entailment, neutral; all three by the MNLI model |
| `QNLI.tsv`, `RTE.tsv` | entailment, not_entailment |
| `STS-B.tsv` | a number from 0 to 5 |

Each starts with a line `index<TAB>prediction`; the index is the place of the example in its file, from 0. Answers that
are done wait in `OUT/predictions`, under the name of what they were made from, so that none is given twice.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from bertsmith.core.artefact import read_manifest, record_file
from bertsmith.core.console import console, progress_line
from bertsmith.core.errors import InputError
from bertsmith.model.folder_configuration import model_fingerprint, resolve_model_folder
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.parts import find_part
from bertsmith.tasks.sentences.glue import AX, GLUE, folder_of
from bertsmith.tasks.sentences.predictions import LabelPrediction, Prediction, ScorePrediction
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.tasks.task_model import TaskModel, report_cuts

SUBMISSION_FILE = "submission.zip"
PREDICTIONS_FOLDER = "predictions"
_HEADER = "index\tprediction"
_WINDOW = 4096  # examples that are answered at a time
_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can hold: equal answers give equal files
_READABLE = 0o644 << 16


@dataclass(frozen=True)
class OfficialFile:
    """One file of a submission.

    name   in the zip file
    task   how its examples are read, and what the answers are
    part   of the task's files, which it answers
    rows   how many examples the official test set has
    """

    name: str
    task: SentenceTask
    part: str
    rows: int

    @property
    def answered_by(self) -> str:
        """The task whose model gives the answers."""
        return "mnli" if self.task == AX else self.task.name


OFFICIAL_FILES: Sequence[OfficialFile] = (
    OfficialFile("CoLA.tsv", GLUE["cola"], "test", 1_063),
    OfficialFile("SST-2.tsv", GLUE["sst-2"], "test", 1_821),
    OfficialFile("MRPC.tsv", GLUE["mrpc"], "test", 1_725),
    OfficialFile("STS-B.tsv", GLUE["sts-b"], "test", 1_379),
    OfficialFile("QQP.tsv", GLUE["qqp"], "test", 390_965),
    OfficialFile("MNLI-m.tsv", GLUE["mnli"], "test", 9_796),
    OfficialFile("MNLI-mm.tsv", GLUE["mnli"], "test_mismatched", 9_847),
    OfficialFile("QNLI.tsv", GLUE["qnli"], "test", 5_463),
    OfficialFile("RTE.tsv", GLUE["rte"], "test", 3_000),
    OfficialFile("WNLI.tsv", GLUE["wnli"], "test", 146),
    OfficialFile("AX.tsv", AX, "test", 1_104),
)


@dataclass(frozen=True)
class FoundFile:
    """A test set that is there, and its number of examples."""

    official: OfficialFile
    path: Path
    rows: int


@dataclass(frozen=True)
class Submission:
    """What was written: name of each file -> rows, and why the leaderboard would not take it as it is."""

    path: Path
    files: Mapping[str, int]
    problems: tuple[str, ...]


def find_test_files(data: Path, tasks: Collection[str]) -> list[FoundFile]:
    """The test sets under `data` that the models of these tasks can answer; each is read to the end.

    raises  InputError for a row that cannot be used: answers are told apart by their place, so none may be left out
    """
    found = []
    for official in OFFICIAL_FILES:
        folder = folder_of(official.task, data) if official.answered_by in tasks else None
        path = None if folder is None else find_part(folder, official.task, official.part)
        if path is not None:
            rows = len(official.task.read(path, "strict", labelled=False).rows)
            found.append(FoundFile(official, path, rows))
    return found


def write_submission(out: Path, found: Sequence[FoundFile], settings: InferenceSettings) -> Submission:
    """Answer the test sets with the models in `out`, one folder for each task; zip the answers, check the zip."""
    answers = {file.official.name: _answers(out, file, settings) for file in found}
    path = out / SUBMISSION_FILE
    partial = path.with_name(f"{path.name}.partial")
    with ZipFile(partial, "w") as archive:
        for name, table in answers.items():
            entry = ZipInfo(name, _NO_DATE)
            entry.create_system, entry.external_attr = 3, _READABLE  # Unix, wherever it is written
            archive.writestr(entry, table.read_bytes(), ZIP_DEFLATED)
    partial.replace(path)
    return Submission(path, {file.official.name: file.rows for file in found}, tuple(check_submission(path)))


def _answers(out: Path, found: FoundFile, settings: InferenceSettings) -> Path:
    """The table of answers to a test set: taken from those that are done, or made, whole or not at all.

    They are given in the number format that the model was fine-tuned in, as its dev scores were.
    """
    learnt = out / found.official.answered_by
    precision = read_manifest(learnt, "finetuning").configuration["precision"]
    settings = settings.model_copy(update={"precision": precision})
    folder = resolve_model_folder(learnt)
    made_from = [model_fingerprint(folder), record_file(found.path).sha256, precision]
    key = hashlib.sha256(json.dumps(made_from).encode("ascii")).hexdigest()[:16]
    name = Path(found.official.name)
    path = out / PREDICTIONS_FOLDER / f"{name.stem}.{key}{name.suffix}"
    if path.is_file():
        console.print(f"{name}: answered before", soft_wrap=True)
        return path
    path.parent.mkdir(exist_ok=True)
    for outdated in path.parent.glob(f"{name.stem}.*"):
        outdated.unlink()
    partial = path.with_name(f"{name.stem}.partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{_HEADER}\n")
        for index, prediction in enumerate(
            _predictions(TaskModel.load(folder, settings), found, settings.batch_tokens)
        ):
            file.write(f"{index}\t{as_written(prediction)}\n")
    partial.replace(path)
    console.print(f"{name}: {found.rows:,} examples answered", soft_wrap=True)
    return path


def _predictions(model: TaskModel, found: FoundFile, batch_tokens: int) -> Iterator[Prediction]:
    examples = found.official.task.read(found.path, "strict", labelled=False).rows
    with progress_line(found.official.name, total=len(examples)) as line:
        num_cut = 0
        for start in range(0, len(examples), _WINDOW):
            window = examples[start : start + _WINDOW]
            encoded = model.encode(window)
            num_cut += encoded.num_cut
            yield from model.predictions(window, encoded, batch_tokens)
            line.update(start + len(window))
    report_cuts(num_cut, len(examples), model.limits)


def as_written(prediction: Prediction) -> str:
    """A prediction as the leaderboard takes it: the label, or the score, brought to between 0 and 5."""
    if isinstance(prediction, ScorePrediction):
        return f"{min(max(prediction.score, 0.0), 5.0):.6f}"
    assert isinstance(prediction, LabelPrediction)
    return prediction.label


def check_submission(path: Path) -> list[str]:
    """What the leaderboard would refuse or not count, a sentence for each file and kind of problem; [] if nothing.

    raises  InputError for a file that cannot be read
    """
    try:
        archive = ZipFile(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except BadZipFile:
        return [f"{path.name} is not a zip file."]
    with archive:
        names = archive.namelist()
        problems = [f"{name} is there twice." for name in dict.fromkeys(names) if names.count(name) > 1]
        known = {official.name for official in OFFICIAL_FILES}
        for name in dict.fromkeys(names):
            if name not in known:
                problems.append(f"{name} is none of the leaderboard's files, which stand in no folder.")
        for official in OFFICIAL_FILES:
            if official.name in names:
                problems += _problems_of(official, archive)
            else:
                problems.append(f"{official.name} is missing, and the leaderboard takes no submission without it.")
    return problems


def _problems_of(official: OfficialFile, archive: ZipFile) -> Iterator[str]:
    """The first problem of each kind in one file."""
    name = official.name
    try:
        header, *lines = archive.read(name).decode("utf-8").removesuffix("\n").split("\n")
    except (BadZipFile, zlib.error):
        yield f"{name} is damaged."
        return
    except UnicodeDecodeError:
        yield f"{name} is not UTF-8."
        return
    if header != _HEADER:
        yield f"{name}, line 1: it is {header!r}, not {_HEADER!r}."
    rows = [line.partition("\t") for line in lines]
    for place, (index, _, _) in enumerate(rows):
        if index != str(place):
            yield f"{name}, line {place + 2}: the index is {index!r}, not '{place}'."
            break
    for place, (_, _, answer) in enumerate(rows):
        if not _is_answer(answer, official.task):
            wanted = f"one of {', '.join(official.task.labels)}" if official.task.labels else "a number from 0 to 5"
            yield f"{name}, line {place + 2}: the prediction is {answer!r}, not {wanted}."
            break
    if len(rows) != official.rows:
        yield f"{name} has {len(rows):,} rows and not the {official.rows:,} of the official test set."


def _is_answer(answer: str, task: SentenceTask) -> bool:
    if task.labels is not None:
        return answer in task.labels
    try:
        score = float(answer)
    except ValueError:
        return False
    return math.isfinite(score) and 0.0 <= score <= 5.0
