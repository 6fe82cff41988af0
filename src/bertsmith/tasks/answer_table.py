"""The file of answers that most evaluations take, as GLUE's leaderboard does: `index<TAB>prediction`, from 0."""

from collections.abc import Iterable
from pathlib import Path

ANSWERS_FILE = "predictions.tsv"
_HEADER = "index\tprediction"


def write_answers(folder: Path, answers: Iterable[str]) -> None:
    """One line for each example, in order."""
    lines = [_HEADER, *(f"{index}\t{answer}" for index, answer in enumerate(answers))]
    (folder / ANSWERS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
