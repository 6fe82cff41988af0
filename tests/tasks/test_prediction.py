"""The verb `predict`, and `TaskModel` in Python: what is told, kept and refused; a pipe is answered line by line."""

import json
import subprocess
import sys
from dataclasses import replace
from threading import Timer

import numpy as np
import pytest

from bertsmith.cli import main
from bertsmith.core.artefact import stage_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import InputError
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.prediction import PredictConfig, predict
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.glue import GLUE
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.tasks.tags.named import TAG_TASKS
from bertsmith.tasks.tags.task import TagTask
from bertsmith.tasks.task_file import save_task
from bertsmith.tasks.task_model import TaskModel

FLOAT32 = {"precision": "float32", "threads": 1}
LIMITS = InputLimits(max_seq_length=16)
CONLL = "-DOCSTART- -X- O O\n\nthe DT B-NP O\ncat NN I-NP B-PER\n\na DT B-NP O\ndog NN I-NP B-PER\nran VB O O\n"
REVIEWS = SentenceTask("reviews", Columns("text", label="label"), ("bad", "good"), ("accuracy",))


@pytest.fixture(scope="module")
def folder_of(tokenizer, tiny_config, tmp_path_factory):
    """Makes the folder of a model of a task, with initial weights."""

    def make(task):
        config = tiny_config(tokenizer)
        network = task.network(config) if task.outputs is None else task.network(config, task.outputs)
        initialise(network, "normal", seed=1)
        folder = tmp_path_factory.mktemp("models") / task.name
        with stage_artefact(folder, kind="model", command="finetune", configuration={}) as staging:
            save_model(network, staging.folder, tokenizer, model_card="# tiny\n")
            save_task(staging.folder, task, LIMITS, seed=0)
        return folder

    return make


@pytest.fixture(scope="module")
def reviewer(folder_of):
    return folder_of(REVIEWS)


@pytest.fixture(scope="module")
def reviewing(reviewer):
    return TaskModel.load(reviewer, InferenceSettings(**FLOAT32))


@pytest.fixture(scope="module")
def pairs(folder_of):
    return TaskModel.load(folder_of(GLUE["mrpc"]), InferenceSettings(**FLOAT32))


@pytest.fixture(scope="module")
def tagger(folder_of):
    return folder_of(TAG_TASKS["conll2003"])


def predicted(folder, path, **settings):
    given = {"model": folder, "input": path, "runtime": FLOAT32}
    return list(predict(build_settings(PredictConfig, given, settings)))


def test_it_is_told_how_many_inputs_were_cut(reviewer, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("the cat\n" + "the cat sat on the mat " * 3 + "\na dog\n")
    assert len(predicted(reviewer, tmp_path / "a.txt")) == 3
    assert capsys.readouterr().err == "1 of 3 inputs were cut to 16 tokens.\n"
    predicted(reviewer, tmp_path / "a.txt", max_seq_length=40)
    assert capsys.readouterr().err == ""


def test_cuts_in_all_windows_are_told_in_one_line(reviewer, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bertsmith.tasks.prediction._WINDOW", 2)
    (tmp_path / "a.txt").write_text(("a film\n" + "the film " * 20 + "\n") * 3)
    predicted(reviewer, tmp_path / "a.txt")
    assert capsys.readouterr().err == "3 of 6 inputs were cut to 16 tokens.\n"


def test_in_python_cuts_are_told_once_a_call(reviewing, capsys):
    reviewing.predict(["the cat " * 20] * 3 + ["a dog"])
    assert capsys.readouterr().err == "3 of 4 inputs were cut to 16 tokens.\n"
    reviewing.predict(["a dog"])
    assert capsys.readouterr().err == ""


def test_good_rows_before_a_bad_one_are_predicted(reviewer, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": "bad"}\n{"text": 3}\n{"text": "good"}\n')
    rows = predict(
        build_settings(PredictConfig, {"model": reviewer, "input": tmp_path / "a.jsonl", "runtime": FLOAT32})
    )
    assert [next(rows)["line"], next(rows)["line"]] == [1, 2]
    with pytest.raises(InputError, match=r"a\.jsonl, line 3: column 'text' holds 3"):
        next(rows)


def test_a_program_that_waits_for_each_answer_gets_it(reviewer):
    command = [sys.executable, "-m", "bertsmith", "predict", str(reviewer), "-", "--precision", "float32"]
    command += ["--threads", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        alarm = Timer(120, child.kill)  # rather than a test that hangs
        alarm.start()
        for number in (1, 2):
            child.stdin.write(b'{"text": "a good film"}\n')
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["line"] == number
        child.stdin.write(b'{"text": "a cat"}\n{"text": 3}\n')
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["line"] == 3
        assert child.wait() == 2  # though its standard input is still open
        assert b"standard input, line 4: column 'text' holds 3" in child.stderr.read()
        alarm.cancel()


def test_half_a_surrogate_pair_and_deep_nesting_are_no_defects(folder_of, tmp_path, capsys):
    tagger = folder_of(TagTask("names", ("O", "B-PER", "I-PER")))
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "Ada \\ud83d lives"}\n' + '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    assert main(["predict", str(tagger), str(path), "--precision", "float32", "--on-error", "skip"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["text"] == "Ada \ud83d lives"
    assert "1 row skipped. line 2: its JSON is nested too deeply." in err


@pytest.mark.parametrize("values", ["a charming film", b"a charming film"])
def test_one_text_is_not_taken_for_a_list_of_letters(reviewing, values):
    with pytest.raises(InputError, match=r"takes a list of examples, not .*a charming film"):
        reviewing.predict(values)


def test_of_nothing_there_are_no_predictions(reviewing, pairs):
    assert reviewing.predict([]) == pairs.predict([]) == []


@pytest.mark.parametrize(
    "value", [("a", "b", "c"), ("a",), 3, (1, 2), ("a", None), None, "a", b"ab", {"a": "b", "c": "d"}, {"a", "b"}]
)
def test_what_is_no_pair_of_texts_is_refused(pairs, value):
    with pytest.raises(InputError, match=r"The task mrpc takes a pair \(text, text\) for each example, not "):
        pairs.predict([value])


def test_pairs_are_tuples_lists_or_rows_of_an_array(pairs):
    given = [("a cat", "a dog"), ["a cat", "a dog"], np.array(["a cat", "a dog"], dtype=object)]
    assert len({prediction.label for prediction in pairs.predict(given)}) == 1


@pytest.mark.parametrize("value", [("a", "b"), ["a"], 3, None, b"a"])
def test_what_is_no_text_is_refused(reviewing, value):
    with pytest.raises(InputError, match="The task reviews takes one text for each example, not "):
        reviewing.predict([value])


def test_a_row_keeps_its_id(reviewer, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "x-1", "text": "good"}\n{"text": "bad", "id": 7}\n{"text": "a cat"}\n')
    rows = predicted(reviewer, tmp_path / "a.jsonl")
    assert [row.get("id") for row in rows] == ["x-1", 7, None]
    assert [list(row) for row in rows] == [["line", "id", "label", "probabilities"]] * 2 + [
        ["line", "label", "probabilities"]
    ]
    (tmp_path / "a.csv").write_text("text,id\ngood,x-1\n")
    assert predicted(reviewer, tmp_path / "a.csv")[0]["id"] == "x-1"


def test_what_is_no_text_or_number_is_no_id(reviewer, tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"id": null, "text": "good"}\n{"id": [1], "text": "a"}\n{"id": true, "text": "a"}\n'
    )
    assert all("id" not in row for row in predicted(reviewer, tmp_path / "a.jsonl"))


def test_texts_with_a_mask_keep_their_ids_too(tokenizer, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "x-1", "text": "a [MASK]"}\n')
    task = MaskedWordTask.of_files("cloze")
    (example,) = task.read(tmp_path / "a.jsonl", "strict", labelled=False).rows
    assert example.place == {"line": 1, "id": "x-1"}


@pytest.mark.parametrize("name", ["eng.testa", "eng.testb", "eng.train"])
def test_a_file_that_is_called_like_one_of_the_tasks_is_read_in_its_layout(tagger, tmp_path, name):
    (tmp_path / name).write_text(CONLL)
    rows = predicted(tagger, tmp_path / name)
    assert [row["words"] for row in rows] == [["the", "cat"], ["a", "dog", "ran"]]
    assert rows == predicted(tagger, tmp_path / name, format="task")


def test_columns_without_tags_are_read_as_well(tagger, tmp_path):
    (tmp_path / "eng.testb").write_text("the\ncat\n\na\ndog\n")
    assert [row["line"] for row in predicted(tagger, tmp_path / "eng.testb")] == [1, 4]


def test_the_published_test_file_of_mrpc_is_read_by_its_name(folder_of, tmp_path):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    (tmp_path / "msr_paraphrase_test.txt").write_text(header + '1\t12\t34\tHe said " no .\tHe refused .\n')
    (row,) = predicted(folder_of(GLUE["mrpc"]), tmp_path / "msr_paraphrase_test.txt")
    assert row["line"] == 2


def test_columns_are_not_taken_for_sentences(tagger, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(CONLL)
    with pytest.raises(InputError, match=r"mine\.txt begins like a file in CoNLL's columns.*--format task"):
        predicted(tagger, path)
    assert len(predicted(tagger, path, format="task")) == 2
    assert len(predicted(tagger, path, format="lines")) == 8
    path.write_text("the\ncat\nran\n\na\ndog\nran\n")
    with pytest.raises(InputError, match="--format task"):
        predicted(tagger, path)
    path.write_text("The cat ran.\nA dog sat.\n\nIt ran.\n")
    assert len(predicted(tagger, path)) == 4


def test_the_sentences_of_a_document_are_read_together(folder_of, tmp_path, monkeypatch):
    task = TAG_TASKS["conll2003"]
    folder = folder_of(task)
    sentences = "".join("the O O\n" * (1 + index % 5) + "cat O O\n\n" for index in range(20))
    (tmp_path / "a.conll").write_text(f"-DOCSTART- O O\n\n{sentences}" * 2)
    whole = predicted(folder, tmp_path / "a.conll")
    monkeypatch.setattr("bertsmith.tasks.prediction._WINDOW", 3)
    parts = predicted(folder, tmp_path / "a.conll")
    assert [row["line"] for row in parts] == [row["line"] for row in whole]
    assert [row["tags"] for row in parts] == [row["tags"] for row in whole]
    alone = folder_of(replace(task, name="alone", context="sentence"))
    assert len(predicted(alone, tmp_path / "a.conll")) == 40
