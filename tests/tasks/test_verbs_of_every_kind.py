"""`finetune`, `evaluate` and `predict` for every kind of task, on files in its own layout."""

import json

import numpy as np
import pytest
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
)

from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ArtefactExists, ConfigurationError, MismatchedArtefact
from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
from bertsmith.tasks.finetuning import finetune
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.prediction import PredictConfig, predict
from bertsmith.tasks.spans.squad_file import read_questions
from bertsmith.tasks.spans.squad_scores import score_answers
from bertsmith.tasks.tables import BadRows
from bertsmith.tasks.tags.conll_file import read_conll
from bertsmith.tasks.tags.entity_scores import score_entities
from bertsmith.tasks.task_model import TaskModel

FLOAT32 = {"precision": "float32", "threads": 1}
LENGTH = {"max_seq_length": 32}


def learn(pretrained, out, data, kind, epochs, learning_rate=5e-3, **task_data):
    settings = {
        "model": pretrained,
        "out": out,
        "task_data": {"data": data, "kind": kind, **task_data},
        "inputs": LENGTH,
        "training": {"learning_rate": learning_rate, "epochs": epochs, "batch_size": 16},
        "runtime": FLOAT32,
    }
    return finetune(build_settings(FinetuneConfig, settings))


def evaluated(out, data, **settings):
    return evaluate(build_settings(EvaluateConfig, {"model": out, "data": data, "runtime": FLOAT32}, settings)).scores


def predicted(out, path, **settings):
    return list(predict(build_settings(PredictConfig, {"model": out, "input": path, "runtime": FLOAT32}, settings)))


def write_questions(path, count, seed):
    """Which animal? The one in the text; a third of the texts have none."""
    random = np.random.default_rng(seed)
    paragraphs = []
    for index in range(count):
        animal = str(random.choice(["cat", "dog", "man"])) if index % 3 else "mat"
        filler = " ".join(random.choice(["the", "film", "is", "very"], size=random.integers(1, 6)))
        context = f"{filler} {animal} sat on it."
        answers = [{"text": animal, "answer_start": len(filler) + 1}] if index % 3 else []
        question = {"id": f"q{index}", "question": "we saw?", "answers": answers, "is_impossible": not index % 3}
        paragraphs.append({"context": context, "qas": [question]})
    content = {"version": "v2.0", "data": [{"title": "animals", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def answerer(pretrained, tmp_path_factory):
    """The folder of a model that was fine-tuned on questions, what `finetune` returned, and the questions."""
    data = tmp_path_factory.mktemp("animals")
    write_questions(data / "train.json", 300, seed=0)
    write_questions(data / "dev.json", 60, seed=1)
    out = tmp_path_factory.mktemp("spans") / "out"
    return out, learn(pretrained, out, data, "spans", 8), data


def test_spans_are_learnt_and_the_threshold_that_is_best_on_dev_goes_with_the_model(answerer):
    out, result, data = answerer
    scores = result.seeds[0].dev["dev"]
    assert (result.metric, scores["best_f1"] > 0.9) == ("f1", True)
    task = json.loads((out / "model" / "task.json").read_text())["task"]
    assert task["null_threshold"] == scores["best_f1_threshold"]
    assert evaluated(out, data)["f1"] == scores["best_f1"]
    assert evaluated(out, data, task="squad-2.0")["f1"] == scores["best_f1"]
    assert not AutoModelForQuestionAnswering.from_pretrained(out / "model", output_loading_info=True)[1]["missing_keys"]
    assert 'pipeline("question-answering"' in (out / "model" / "README.md").read_text()


def test_the_official_files_of_spans_score_as_evaluate_does(answerer, tmp_path):
    out, _, data = answerer
    rows = predicted(out, data / "dev.json", official=tmp_path / "official")
    answers = json.loads((tmp_path / "official" / "predictions.json").read_text())
    questions = read_questions(data / "dev.json", "strict", labelled=True).rows
    scores = score_answers([answers[question.id] for question in questions], questions, unanswerable=True)
    assert float(scores.f1.mean()) == evaluated(out, data)["f1"]
    assert [row["answer"] for row in rows] == [answers[question.id] for question in questions]
    for row, question in zip(rows, questions, strict=True):
        assert row["start"] is None or question.context[row["start"] : row["end"]] == row["answer"]
    with pytest.raises(ArtefactExists):
        predicted(out, data / "dev.json", official=tmp_path / "official")
    with pytest.raises(ConfigurationError, match="is not read from standard input"):
        predicted(out, "-", official=tmp_path / "other")


def test_a_model_of_one_kind_is_not_scored_on_another(answerer):
    out, _, data = answerer
    with pytest.raises(MismatchedArtefact, match="predicts spans; the task codah asks for choices"):
        evaluated(out, data, task="codah")


def test_tags_are_learnt_and_come_back_as_entities_and_in_columns(pretrained, tmp_path):
    random = np.random.default_rng(0)
    kinds = {"cat": "B-ANIMAL", "dog": "B-ANIMAL", "man": "B-PERSON"}
    for part, count in (("train", 200), ("dev", 50)):
        sentences = []
        for _ in range(count):
            words = [
                "the",
                str(random.choice([*kinds, "film", "mat"])),
                "sat",
                "on",
                "a",
                str(random.choice([*kinds, "mat"])),
            ]
            sentences.append("".join(f"{word} {kinds.get(word, 'O')}\n" for word in words))
        (tmp_path / f"{part}.conll").write_text("-DOCSTART- O\n\n" + "\n".join(sentences))
    out = tmp_path / "out"
    result = learn(pretrained, out, tmp_path, "tags", 4)
    assert result.primary.mean > 0.95
    assert evaluated(out, tmp_path) == result.seeds[0].dev["dev"]
    assert evaluated(out, tmp_path, official=tmp_path / "official") == result.seeds[0].dev["dev"]
    path = tmp_path / "official" / "predictions.conll"
    gold, found = ([row.tags for row in read_conll(path, BadRows(str(path)), tag_column=column)] for column in (1, 2))
    assert score_entities(gold, found).overall.f1 == evaluated(out, tmp_path)["f1"]
    (tmp_path / "new.txt").write_text("The man sat on a mat.\n")
    (row,) = predicted(out, tmp_path / "new.txt")
    ((entity,),) = [row["entities"]]
    assert (entity["type"], entity["text"]) == ("PERSON", "man")
    assert not AutoModelForTokenClassification.from_pretrained(out / "model", output_loading_info=True)[1][
        "missing_keys"
    ]


def test_choices_are_learnt(pretrained, tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", 300), ("dev", 60)):
        rows = []
        for _ in range(count):
            wrong = [
                f"the {animal} is bad" for animal in random.permutation(["cat", "dog", "man"])[: random.integers(1, 4)]
            ]
            label = int(random.integers(0, len(wrong) + 1))
            choices = [*wrong[:label], "it was good", *wrong[label:]]
            rows.append(json.dumps({"context": "we saw a film", "choices": choices, "label": label}))
        (tmp_path / f"{part}.jsonl").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    result = learn(pretrained, out, tmp_path, "choices", 4)
    assert result.primary.mean > 0.95
    assert evaluated(out, tmp_path) == result.seeds[0].dev["dev"]
    (prediction,) = TaskModel.load(out).predict([("we saw a film", ["the dog is bad", "it was good"])])
    assert (prediction.choice, prediction.text) == (1, "it was good")
    predicted(out, tmp_path / "dev.jsonl", official=tmp_path / "official")
    card = (out / "model" / "README.md").read_text()
    assert "pipeline(" not in card and "TaskModel.load" in card  # transformers has no pipeline for choices
    lines = (tmp_path / "official" / "predictions.tsv").read_text().splitlines()
    assert lines[0] == "index\tprediction"
    assert len(lines) == 61
    assert not AutoModelForMultipleChoice.from_pretrained(out / "model", output_loading_info=True)[1]["missing_keys"]


def test_masked_words_are_learnt(pretrained, tmp_path):
    pairs = {"cat": "good", "dog": "bad", "man": "great", "film": "awful"}
    rows = [{"text": f"{animal} [MASK]", "label": word} for animal, word in pairs.items()] * 60
    for part in ("train", "dev"):
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    result = learn(pretrained, out, tmp_path, "masked-words", 10, learning_rate=2e-3)
    assert result.primary.mean > 0.95
    assert evaluated(out, tmp_path) == result.seeds[0].dev["dev"]
    (tmp_path / "new.txt").write_text("dog [MASK]\n")
    (row,) = predicted(out, tmp_path / "new.txt")
    assert row["word"] == "bad"
    assert not AutoModelForMaskedLM.from_pretrained(out / "model", output_loading_info=True)[1]["missing_keys"]


def test_a_prompt_makes_a_classification_without_a_new_layer(pretrained, reviews, tmp_path):
    prompt = {"template": "{text} it was [MASK]", "words": ("good=great", "bad=awful")}
    result = learn(pretrained, tmp_path / "out", reviews, "masked-words", 10, learning_rate=2e-3, **prompt)
    assert (result.metric, result.primary.mean > 0.9) == ("accuracy", True)
    assert evaluated(tmp_path / "out", reviews) == result.seeds[0].dev["dev"]
    (tmp_path / "new.txt").write_text("a very dull film\n")
    (row,) = predicted(tmp_path / "out", tmp_path / "new.txt")
    assert row["label"] == "bad"


@pytest.mark.parametrize(
    ("kind", "task_data", "message"),
    [
        ("sentences", {"template": "{text} [MASK]"}, "are for --kind masked-words, not for sentences"),
        ("masked-words", {"words": ("good",)}, "'good' has no word"),
        ("masked-words", {"words": ("good=great", "bad=unheard")}, "unheard"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused(pretrained, reviews, tmp_path, kind, task_data, message):
    with pytest.raises(ConfigurationError, match=message):
        learn(pretrained, tmp_path / "out", reviews, kind, 1, **{"template": "{text} [MASK]", **task_data})
