"""Predictions as the files that SQuAD's official evaluation reads.

    predictions.json        id -> answer, "" for none
    nbest_predictions.json  id -> [{"text", "probability", "start_logit", "end_logit"}, ...], the best first
    null_odds.json          id -> how much higher "no answer" scores than the best span

Plain JSON in UTF-8. Each file appears whole or not at all, and takes the place of one of the same name.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bertsmith.tasks.spans.decoding import SpanPrediction
from bertsmith.tasks.spans.squad_file import Question

PREDICTIONS_FILE = "predictions.json"
N_BEST_FILE = "nbest_predictions.json"
NULL_ODDS_FILE = "null_odds.json"


def write_squad_predictions(folder: Path, questions: Sequence[Question], predictions: Sequence[SpanPrediction]) -> None:
    """Write the three files into `folder`, which is created if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    by_id = {question.id: prediction for question, prediction in zip(questions, predictions, strict=True)}
    n_best = {
        name: [
            {
                "text": candidate.text,
                "probability": candidate.probability,
                "start_logit": candidate.start_score,
                "end_logit": candidate.end_score,
            }
            for candidate in prediction.n_best
        ]
        for name, prediction in by_id.items()
    }
    _write(folder / PREDICTIONS_FILE, {name: prediction.text for name, prediction in by_id.items()})
    _write(folder / N_BEST_FILE, n_best)
    _write(folder / NULL_ODDS_FILE, {name: prediction.null_odds for name, prediction in by_id.items()})


def _write(path: Path, content: Mapping[str, object]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    # UTF-8 has no half of a surrogate pair; as an escape of JSON it can be written
    partial.write_bytes(text.encode("utf-8", errors="backslashreplace"))
    partial.replace(path)
