"""docs/tasks.md: a new task and a new kind, made as the page says, and used."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.tasks import catalogue
from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
from bertsmith.tasks.finetuning import finetune
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.prediction import PredictConfig, predict
from bertsmith.text.pieces import SPECIAL_PIECES
from bertsmith.text.tokenizer import Tokenizer

PAGE = (Path(__file__).parent.parent / "docs" / "tasks.md").read_text(encoding="utf-8")
FLOAT32 = {"precision": "float32", "threads": 1}


@pytest.fixture
def pretrained(tmp_path):
    """A tiny network with initial values."""
    tokenizer = Tokenizer(
        [
            *SPECIAL_PIECES,
            *["who", "where", "when", "ran", "is", "the", "dog", "it", "good", "bad", "kind", "rude", "answer"],
        ]
    )
    config = BertConfig(
        vocab_size=tokenizer.vocabulary_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32,
    )  # fmt: skip
    model = BertForPreTraining(config)
    initialise(model, "normal", seed=1)
    with stage_artefact(tmp_path / "model", kind="model", command="pretrain", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="")
    return tmp_path / "model"


def names_of(section, number):
    """What the code of the page's section defines."""
    block = re.findall(r"^```python\n(.*?)^```", PAGE.split(f"### {section}")[1], re.DOTALL | re.MULTILINE)[number]
    names = {"__name__": "walk_through"}
    exec(compile(block, "docs/tasks.md", "exec"), names)
    return names


def learn(pretrained, out, task, data):
    settings = {
        "model": pretrained,
        "out": out,
        "task_data": {"task": task, "data": data},
        "inputs": {"max_seq_length": 16},
        "training": {"learning_rate": 5e-3, "epochs": 5, "batch_size": 8},
        "runtime": FLOAT32,
    }
    return finetune(build_settings(FinetuneConfig, settings))


def test_a_row_is_a_task(pretrained, tmp_path, monkeypatch):
    task = names_of("A row", 0)["QUESTION_TYPES"]
    monkeypatch.setattr(catalogue, "TASKS", {**catalogue.TASKS, task.name: task})
    words = {"who": "person", "where": "place", "when": "time"}
    for part in ("train", "dev"):
        rows = [f"{word} ran the dog\t{words[word]}" for word in words] * 60
        (tmp_path / f"{part}.tsv").write_text("\n".join(["question\ttype", *rows]) + "\n")
    result = learn(pretrained, tmp_path / "out", "question-types", tmp_path)
    assert result.primary.mean == 1.0


def test_a_kind_is_one_file(pretrained, tmp_path, monkeypatch):
    kind = names_of("A kind", 0)["PreferenceTask"]
    task = kind("preferences", files={"train": ("train.csv",), "dev": ("dev.csv",)})
    monkeypatch.setattr(catalogue, "TASKS", {**catalogue.TASKS, task.name: task})
    monkeypatch.setattr("bertsmith.tasks.task_file.KINDS", {**catalogue.KINDS, kind.kind: kind})
    random = np.random.default_rng(0)
    for part, count in (("train", 400), ("dev", 100)):
        rows = []
        for _ in range(count):
            kind_one, rude_one = (
                f"the {random.choice(['kind', 'good'])} answer",
                f"it is {random.choice(['rude', 'bad'])}",
            )
            first_is_better = random.random() < 0.5
            texts = (kind_one, rude_one) if first_is_better else (rude_one, kind_one)
            rows.append(f"{texts[0]},{texts[1]},{'first' if first_is_better else 'second'}")
        (tmp_path / f"{part}.csv").write_text("\n".join(["first,second,better", *rows]) + "\n")
    result = learn(pretrained, tmp_path / "out", "preferences", tmp_path)
    assert result.primary.mean > 0.95
    again = evaluate(build_settings(EvaluateConfig, {"model": tmp_path / "out", "data": tmp_path, "runtime": FLOAT32}))
    assert again.scores == result.seeds[0].dev["dev"]
    (tmp_path / "new.jsonl").write_text(json.dumps({"first": "it is bad", "second": "the good answer"}) + "\n")
    settings = {"model": tmp_path / "out", "input": tmp_path / "new.jsonl", "runtime": FLOAT32}
    (row,) = predict(build_settings(PredictConfig, settings))
    assert row["better"] == "second"
    assert row["lead"] < 0
    assert (tmp_path / "out" / "report.html").is_file()
    told = [json.loads(line) for line in (tmp_path / "out" / "dev-predictions.jsonl").read_text().splitlines()]
    assert len(told) == 100
