"""What the verbs ask of a task, whatever its kind: `finetune`, `evaluate` and `predict` know nothing else of it.

A task is a small description (which files, which columns, which labels, which metrics) of one of five kinds. A kind is
a folder of this room: how its files are read, how an example becomes what the network reads, which network and which
loss, how outputs become predictions, and how these are scored.

    files --read--> Examples --encode--> EncodedExamples --network--> outputs --predictions--> scores, files
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert_for_tasks import BertTaskNetwork
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.task_networks import TaskNetwork
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExamples, TaskBatch
from bertsmith.tasks.findings import Findings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.tables import OnError, Row
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.loop import Objective

ExampleT = TypeVar("ExampleT")
PredictionT = TypeVar("PredictionT")
Outputs = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Examples(Generic[ExampleT]):
    """The usable examples of one file, in order.

    skipped  what could not be used: (line or place, reason)
    groups   of each row, if some belong together (questions on one text, sentences of a document): a part that is held
             out has all of a group or none of it; (): each row stands by itself
    """

    source: Path
    rows: Sequence[ExampleT]
    skipped: Sequence[tuple[int, str]] = ()
    groups: Sequence[Hashable] = ()

    def first(self, count: int) -> Self:
        """The first `count` of them, for a rehearsal."""
        return replace(self, rows=self.rows[:count], groups=self.groups[:count])


@dataclass(frozen=True)
class Blindness:
    """Signs that a network looks at nothing.

    no_better        whether it does no better on dev than an answer that needs no reading
    constant_answer  what it says of every example, in words; None if it says different things
    """

    no_better: bool
    constant_answer: str | None


class Task(Protocol[ExampleT, PredictionT]):
    """A task of some kind: a frozen dataclass whose fields are plain data, which go into task.json."""

    kind: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]  # of its files, where `files` does not name them

    @classmethod
    def of_files(cls, name: str) -> Self:
        """A task whose files are one's own, in the usual layout of its kind."""

    @property
    def recommended(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings of `finetune`, by group, that take the places of its defaults where nothing is said."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of its scores; the first is the primary one, by which the best run is chosen."""

    @property
    def files(self) -> Mapping[str, tuple[str, ...]]:
        """Part ("train", "dev", "test", ...) -> names that its file may have in the task's folder."""

    @property
    def network(self) -> type[BertTaskNetwork]:
        """The class of the network: the encoder and the added layer."""

    @property
    def has_header(self) -> bool:
        """Whether the first line of a table names the columns."""

    @property
    def outputs(self) -> ClassifierLabels | None:
        """What the outputs are called, where there is one for each label."""

    def with_columns(self, columns: ColumnSettings) -> Self:
        """The same task for files with other columns. Raises ConfigurationError for a kind without columns."""

    def read(self, path: Path, on_error: OnError, *, labelled: bool = True) -> Examples[ExampleT]:
        """The examples of a file. Raises InputError by file, line and reason."""

    def example_of_row(self, row: Row) -> ExampleT:
        """An example without a label from a row of a table or a JSON object.

        raises  ValueError with the reason if it is none, KeyError for a column that is not there
        """

    def example_of_line(self, number: int, line: str) -> ExampleT:
        """An example without a label from a plain line of text. Raises ValueError with the reason if it is none."""

    def example_of(self, value: Any) -> ExampleT:  # noqa: ANN401
        """An example without a label from a Python value, as `TaskModel.predict` takes it. Raises InputError."""

    def with_labels_of(self, examples: Examples[ExampleT]) -> Self:
        """The same task where the labels are known already; else with those that occur."""

    def encode(
        self, examples: Sequence[ExampleT], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool = True
    ) -> EncodedExamples:
        """What the network reads of the examples, in order: one input for each, or several windows."""

    def objective(self, network: TaskNetwork, train: EncodedExamples, loss: LossSettings) -> Objective[TaskBatch]:
        """The loss, with the metric `blind_loss`: what guessing without reading costs."""

    def predictions(
        self, outputs: Sequence[Outputs], encoded: EncodedExamples, examples: Sequence[ExampleT]
    ) -> list[PredictionT]:
        """Outputs of the network for each input, as a prediction for each example."""

    def score(self, predictions: Sequence[PredictionT], examples: Sequence[ExampleT]) -> dict[str, float]:
        """The metrics of predictions for labelled examples, as the official evaluation computes them."""

    def entry(self, example: ExampleT, prediction: PredictionT) -> dict[str, object]:
        """A prediction as a line of JSON: where the example stands, and what is said of it."""

    def write_predictions(self, folder: Path, predictions: Sequence[PredictionT], examples: Sequence[ExampleT]) -> None:
        """Write the files that the official evaluation of this kind of task reads into `folder`, which exists."""

    def tuned(self, predictions: Sequence[PredictionT], examples: Sequence[ExampleT]) -> Self:
        """The same task with what is chosen by looking at dev after the training; most kinds choose nothing."""

    def gold(self, example: ExampleT) -> object:
        """The right answer of a labelled example, as JSON."""

    def blindness(self, predictions: Sequence[PredictionT], examples: Sequence[ExampleT]) -> Blindness:
        """Signs that the network behind these predictions looks at nothing."""

    def findings(self, predictions: Sequence[PredictionT], examples: Sequence[ExampleT]) -> Findings:
        """What a person wants to see of predictions for labelled examples."""


def weighs_labels(task: Task[Any, Any]) -> bool:
    """Whether class weights and label smoothing mean something: there is one label for each example, or word."""
    return task.outputs is not None and task.outputs.problem == "classification"


def require_usable_loss(task: Task[Any, Any], loss: LossSettings) -> None:
    """Raises ConfigurationError for class weights or label smoothing where there is not one label for each example."""
    if not (loss.is_plain or weighs_labels(task)):
        raise ConfigurationError(
            f"Class weights and label smoothing are for tasks with one label for each text or word, and {task.name} "
            f"has none. Leave --class-weights and --label-smoothing out."
        )
