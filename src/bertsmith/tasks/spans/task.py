"""A task of the kind *spans*: a question, a text, and the part of the text that answers it (SQuAD; BERT 4.2, 4.3).

In SQuAD 1.1 every question has an answer. In SQuAD 2.0 a text may not hold it; then "no answer" is the right answer,
and a task says from which null odds on it is given (`decoding`). The paper takes the threshold that is best for F1 on
dev; so does `tuned`. What may be said about such a score:

    f1, exact_match       at the task's own threshold: 0 in training, which nobody chose on these questions. The honest
                          figures, and the primary ones
    best_f1, best_exact   at the threshold that is best on the very questions that are scored: an upper bound. Compare
                          these with dev figures of papers, which are made the same way

After `tuned`, f1 on the dev file that it was tuned on is best_f1; on any other file f1 is honest again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.bert_for_tasks import BertForQuestionAnswering, BertTaskNetwork
from bertsmith.model.task_networks import SpanNetwork, TaskNetwork
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.findings import Findings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.spans.decoding import SpanPrediction, decode_spans
from bertsmith.tasks.spans.findings import span_findings
from bertsmith.tasks.spans.objective import SpanObjective
from bertsmith.tasks.spans.squad_file import Question, question_of_row, read_questions
from bertsmith.tasks.spans.squad_predictions import write_squad_predictions
from bertsmith.tasks.spans.squad_scores import (
    AnswerScores,
    BestThreshold,
    ScoringRules,
    best_threshold,
    score_answers,
)
from bertsmith.tasks.spans.windows import encode_questions
from bertsmith.tasks.tables import OnError, Row
from bertsmith.tasks.task import Blindness, Examples, Outputs
from bertsmith.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class SpanTask:
    """Questions on texts.

    scoring         "squad" compares words between spaces; "characters" is for scripts without them (`squad_scores`)
    null_threshold  null odds above which the answer is "no answer"; None: every question has an answer
    """

    kind: ClassVar[str] = "spans"
    endings: ClassVar[tuple[str, ...]] = (".json",)
    has_header: ClassVar[bool] = True
    outputs: ClassVar[None] = None

    name: str
    scoring: ScoringRules = "squad"
    null_threshold: float | None = None
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of_files(cls, name: str) -> Self:
        """SQuAD's JSON in train.json and dev.json; the training file tells whether there are unanswerable questions."""
        return cls(name)

    @property
    def has_unanswerable(self) -> bool:
        """Whether "no answer" may be the answer."""
        return self.null_threshold is not None

    @property
    def metrics(self) -> tuple[str, ...]:
        """F1 first; with unanswerable questions also what the best threshold would give."""
        return ("f1", "exact_match", *(("best_f1", "best_exact") if self.has_unanswerable else ()))

    @property
    def recommended(self) -> Mapping[str, Mapping[str, Any]]:
        """The paper's settings (4.2, 4.3; the length is the original code's)."""
        training = {"epochs": 3, "learning_rate": 5e-5, "batch_size": 32}
        if self.has_unanswerable:
            training |= {"epochs": 2, "batch_size": 48}
        return {"training": training, "inputs": {"max_seq_length": 384}}

    @property
    def network(self) -> type[BertTaskNetwork]:
        """Two scores for each token."""
        return BertForQuestionAnswering

    def with_columns(self, columns: ColumnSettings) -> Self:
        """The same task: SQuAD's files have names of their own for everything."""
        if columns != ColumnSettings():
            raise ConfigurationError(
                "--text, --text-pair and --label are not for spans: their files are SQuAD's JSON, or rows with "
                "'question' and 'context'."
            )
        return self

    def read(self, path: Path, on_error: OnError, *, labelled: bool = True) -> Examples[Question]:
        """The questions of a file; `skipped` also lists those that are scored and not learnt from (`squad_file`)."""
        return read_questions(path, on_error, labelled=labelled)

    def example_of_row(self, row: Row) -> Question:
        """A row with `question` and `context`, and perhaps an `id`."""
        return question_of_row(row)

    def example_of_line(self, number: int, line: str) -> Question:
        """Question and context with a tab between; its number is its id."""
        parts = line.split("\t")
        if len(parts) != 2:
            raise ValueError(f"a line is a question and a context with a tab between, and here are {len(parts)} parts")
        return question_of_row(Row(number, {"question": parts[0], "context": parts[1]}))

    def example_of(self, value: tuple[str, str]) -> Question:
        """A pair (question, context)."""
        if not (isinstance(value, tuple | list) and len(value) == 2):
            raise InputError(f"The task {self.name} takes a pair (question, context) for each example, not {value!r}.")
        try:
            return question_of_row(Row(0, {"question": value[0], "context": value[1]}))
        except ValueError as error:
            raise InputError(f"The task {self.name} takes a pair (question, context), and {error}.") from None

    def with_labels_of(self, examples: Examples[Question]) -> Self:
        """The same task; if some of the questions have no answer, one that may say so."""
        if self.has_unanswerable or not any(question.is_impossible for question in examples.rows):
            return self
        return replace(self, null_threshold=0.0)

    def encode(
        self, examples: Sequence[Question], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool = True
    ) -> EncodedExamples:
        """One or several windows for each question."""
        return encode_questions(examples, tokenizer, limits, labelled=labelled)

    def objective(self, network: TaskNetwork, train: EncodedExamples, loss: LossSettings) -> SpanObjective:
        """Cross-entropy over the tokens of each window."""
        assert isinstance(network, SpanNetwork)
        return SpanObjective(network, loss)

    def predictions(
        self, outputs: Sequence[Outputs], encoded: EncodedExamples, examples: Sequence[Question]
    ) -> list[SpanPrediction]:
        """The answer to each question, from all its windows."""
        return decode_spans(outputs, encoded, examples, self.null_threshold)

    def score(self, predictions: Sequence[SpanPrediction], examples: Sequence[Question]) -> dict[str, float]:
        """F1 and exact match; with unanswerable questions also of either kind by itself, and at the best threshold."""
        scores = self._answer_scores([prediction.text for prediction in predictions], examples)
        values = {"f1": float(scores.f1.mean()), "exact_match": float(scores.exact_match.mean())}
        if not self.has_unanswerable:
            return values
        f1, exact = self.best_thresholds(predictions, examples)
        values |= {"best_f1": f1.score, "best_exact": exact.score, "best_f1_threshold": f1.threshold}
        if scores.has_answer.any():
            values["has_answer_f1"] = float(scores.f1[scores.has_answer].mean())
            values["has_answer_exact_match"] = float(scores.exact_match[scores.has_answer].mean())
        if not scores.has_answer.all():
            values["no_answer_accuracy"] = float(scores.f1[~scores.has_answer].mean())
        return values

    def entry(self, example: Question, prediction: SpanPrediction) -> dict[str, object]:
        """The question's id, and its answer with its characters in the context ("" and null where there is none)."""
        entry: dict[str, object] = {
            "id": example.id,
            "answer": prediction.text,
            "start": prediction.start,
            "end": prediction.end,
            "probability": prediction.probability,
        }
        return entry | ({"null_odds": prediction.null_odds} if self.has_unanswerable else {})

    def write_predictions(
        self, folder: Path, predictions: Sequence[SpanPrediction], examples: Sequence[Question]
    ) -> None:
        """SQuAD's files: predictions, n-best lists and null odds."""
        write_squad_predictions(folder, examples, predictions)

    def tuned(self, predictions: Sequence[SpanPrediction], examples: Sequence[Question]) -> Self:
        """The task with the threshold that is best for F1 on these questions; the same if all have an answer.

        Where it is best never to answer, the threshold is just below all null odds: the official script has 0 there,
        which is below all probabilities, and null odds may be negative.
        """
        if not self.has_unanswerable:
            return self
        best = self.best_thresholds(predictions, examples)[0]
        if best.num_answers:
            return replace(self, null_threshold=best.threshold)
        lowest = min(prediction.null_odds for prediction in predictions)
        return replace(self, null_threshold=math.nextafter(lowest, -math.inf))

    def blindness(self, predictions: Sequence[SpanPrediction], examples: Sequence[Question]) -> Blindness:
        """Whether all answers are the same, or no better than the whole text, or "no answer", for every question."""
        f1 = self._answer_scores([prediction.text for prediction in predictions], examples).f1.mean()
        blind = [[question.context for question in examples]]
        if self.has_unanswerable:
            blind.append([""] * len(examples))
        no_better = f1 <= max(self._answer_scores(texts, examples).f1.mean() for texts in blind)
        return Blindness(bool(no_better), _constant_answer(predictions, examples))

    def gold(self, example: Question) -> object:
        """The answers that are right; an empty list where there is none."""
        return [answer.text for answer in example.answers]

    def findings(self, predictions: Sequence[SpanPrediction], examples: Sequence[Question]) -> Findings:
        """Questions with and without an answer, question words, short and long answers, calibration, mistakes."""
        scores = self._answer_scores([prediction.text for prediction in predictions], examples)
        return span_findings(predictions, examples, scores, self.scoring)

    def _answer_scores(self, texts: Sequence[str], examples: Sequence[Question]) -> AnswerScores:
        return score_answers(texts, examples, rules=self.scoring, unanswerable=self.has_unanswerable)

    def best_thresholds(
        self, predictions: Sequence[SpanPrediction], examples: Sequence[Question]
    ) -> tuple[BestThreshold, BestThreshold]:
        """Of the null odds, for F1 and for exact match, where every question has its best span for an answer."""
        texts = [prediction.best_text for prediction in predictions]
        odds = np.array([prediction.null_odds for prediction in predictions])
        scores = self._answer_scores(texts, examples)
        f1, exact_match = (
            best_threshold(values, texts, odds, scores.has_answer) for values in (scores.f1, scores.exact_match)
        )
        return f1, exact_match


def _constant_answer(predictions: Sequence[SpanPrediction], examples: Sequence[Question]) -> str | None:
    """In words, what is answered to every question although not all have the same answers; None if it differs."""
    first = predictions[0]
    if len({frozenset(answer.text for answer in question.answers) for question in examples}) == 1:
        return None
    if all(prediction.text == first.text for prediction in predictions):
        return f"'{first.text}'" if first.text else "'no answer'"
    if all((prediction.start, prediction.end) == (first.start, first.end) for prediction in predictions):
        return f"characters {first.start} to {first.end} of the text"
    return None


def _squad(name: str, version: str, null_threshold: float | None) -> SpanTask:
    files = {part: (f"{part}-v{version}.json", f"{part}.json") for part in ("train", "dev")}
    return SpanTask(name, null_threshold=null_threshold, files=files)


_CMRC = SpanTask(  # Cui et al. 2019: Chinese, in SQuAD 1.1's layout, with rules of its own for scoring
    "cmrc2018",
    scoring="characters",
    files={part: (f"cmrc2018_{part}.json", f"{part}.json") for part in ("train", "dev")},
)
SPAN_TASKS: Mapping[str, SpanTask] = {
    task.name: task for task in (_squad("squad", "1.1", None), _squad("squad-2.0", "2.0", 0.0), _CMRC)
}
