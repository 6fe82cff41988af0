"""The official files: what they hold, and that they score as the predictions in memory do."""

import json

import numpy as np
import pytest

from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.spans.squad_file import Answer, Question, read_questions
from bertsmith.tasks.spans.squad_predictions import write_squad_predictions
from bertsmith.tasks.spans.squad_scores import best_threshold, score_answers
from bertsmith.tasks.spans.task import SPAN_TASKS


def predicted(tokenizer, task, count=30):
    """Questions of which two thirds have answers, and answers of a network that knows something."""
    random = np.random.default_rng(0)
    questions = [
        Question(
            f"q{index}", "the café \ud83d 中 sat", "who", (Answer("café", 4),) if index % 3 else (), index % 3 == 0
        )
        for index in range(count)
    ]
    encoded = task.encode(questions, tokenizer, InputLimits())
    outputs = [random.normal(size=(row.num_tokens, 2)).astype(np.float32) for row in encoded.rows]
    for row, scores in zip(encoded.rows, outputs, strict=True):
        scores[row.label, [0, 1]] += 2
    return questions, task.predictions(outputs, encoded, questions)


@pytest.mark.parametrize("name", SPAN_TASKS)
def test_written_predictions_score_as_those_in_memory(tokenizer, tmp_path, name):
    task = SPAN_TASKS[name]
    questions, predictions = predicted(tokenizer, task)
    write_squad_predictions(tmp_path / "out", questions, predictions)
    texts = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    odds = json.loads((tmp_path / "out" / "null_odds.json").read_text(encoding="utf-8"))
    assert list(texts) == list(odds) == [question.id for question in questions]
    answers = [texts[question.id] for question in questions]
    scores = score_answers(answers, questions, rules=task.scoring, unanswerable=name == "squad-2.0")
    in_memory = task.score(predictions, questions)
    assert (scores.f1.mean(), scores.exact_match.mean()) == (in_memory["f1"], in_memory["exact_match"])
    assert scores.num_missing == 0
    if name == "squad-2.0":
        spans = [prediction.best_text for prediction in predictions]
        known = score_answers(spans, questions, unanswerable=True)
        best = best_threshold(
            known.f1, spans, np.array([odds[question.id] for question in questions]), known.has_answer
        )
        assert (best.score, best.threshold) == (in_memory["best_f1"], in_memory["best_f1_threshold"])


def test_the_candidates_are_written_the_best_first(tokenizer, tmp_path):
    questions, predictions = predicted(tokenizer, SPAN_TASKS["squad-2.0"], count=3)
    write_squad_predictions(tmp_path, questions, predictions)
    n_best = json.loads((tmp_path / "nbest_predictions.json").read_text(encoding="utf-8"))
    for question, prediction in zip(questions, predictions, strict=True):
        rows = n_best[question.id]
        assert len(rows) == len(prediction.n_best)
        assert set(rows[0]) == {"text", "probability", "start_logit", "end_logit"}
        scores = [row["start_logit"] + row["end_logit"] for row in rows]
        assert scores == sorted(scores, reverse=True)
        assert sum(row["probability"] for row in rows) == pytest.approx(1)
        assert "" in [row["text"] for row in rows]


def test_the_files_are_utf_8_and_leave_nothing_beside_them(tokenizer, tmp_path):
    questions, predictions = predicted(tokenizer, SPAN_TASKS["squad"])
    for _ in range(2):  # a second time takes the place of the first
        write_squad_predictions(tmp_path, questions, predictions)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"predictions.json", "nbest_predictions.json", "null_odds.json"}
    content = (tmp_path / "nbest_predictions.json").read_bytes()
    assert "café".encode() in content
    assert "中".encode() in content
    assert rb"\ud83d" in content  # half of a surrogate pair is no UTF-8
    texts = [row["text"] for rows in json.loads(content).values() for row in rows]
    assert any("\ud83d" in text for text in texts)


@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_the_gold_answers_themselves_are_perfect(real_data, version):
    questions = read_questions(real_data / "squad" / f"dev-v{version}.rebuilt.json", "strict").rows
    texts = [question.answers[0].text if question.answers else "" for question in questions]
    scores = score_answers(texts, questions, unanswerable=version == "2.0")
    assert scores.exact_match.mean() == 1
    assert scores.f1.mean() == 1
