"""The files that the leaderboard takes: their form, what is wrong with others, and the real test sets."""

import csv
from functools import lru_cache
from io import StringIO
from zipfile import ZipFile

import pytest

from bertsmith.core.errors import InputError
from bertsmith.tasks.glue.submission import (
    OFFICIAL_FILES,
    as_written,
    check_submission,
    find_test_files,
    write_submission,
)
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.sentences.glue import AX, GLUE
from bertsmith.tasks.sentences.predictions import LabelPrediction, ScorePrediction
from bertsmith.tasks.task_model import TaskModel

FLOAT32 = InferenceSettings(precision="float32", threads=1)
ANSWERS = {
    "CoLA.tsv": "1",
    "SST-2.tsv": "0",
    "MRPC.tsv": "1",
    "STS-B.tsv": "2.500000",
    "QQP.tsv": "0",
    "MNLI-m.tsv": "neutral",
    "MNLI-mm.tsv": "contradiction",
    "QNLI.tsv": "entailment",
    "RTE.tsv": "not_entailment",
    "WNLI.tsv": "0",
    "AX.tsv": "entailment",
}


@lru_cache
def table(name, count):
    return "index\tprediction\n" + "".join(f"{index}\t{ANSWERS[name]}\n" for index in range(count))


def submission(folder, **changes):
    """A submission as the leaderboard takes it, but for the files whose content is given (None: left out)."""
    contents = {official.name: table(official.name, official.rows).encode() for official in OFFICIAL_FILES}
    contents |= {name: text.encode() if isinstance(text, str) else text for name, text in changes.items()}
    with ZipFile(folder / "submission.zip", "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return folder / "submission.zip"


def read_zip(path):
    with ZipFile(path) as archive:
        return {
            name: list(csv.reader(StringIO(archive.read(name).decode()), delimiter="\t")) for name in archive.namelist()
        }


def test_the_official_test_sets_have_these_numbers_of_rows():
    assert {official.name: official.rows for official in OFFICIAL_FILES} == {
        "CoLA.tsv": 1063,
        "SST-2.tsv": 1821,
        "MRPC.tsv": 1725,
        "STS-B.tsv": 1379,
        "QQP.tsv": 390965,
        "MNLI-m.tsv": 9796,
        "MNLI-mm.tsv": 9847,
        "QNLI.tsv": 5463,
        "RTE.tsv": 3000,
        "WNLI.tsv": 146,
        "AX.tsv": 1104,
    }


def test_a_whole_submission_has_no_problem(tmp_path):
    assert check_submission(submission(tmp_path)) == []


ROWS = "".join(f"{index}\t1\n" for index in range(1063))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"CoLA.tsv": None}, "CoLA.tsv is missing, and the leaderboard takes no submission without it."),
        ({"SNLI.tsv": "x"}, "SNLI.tsv is none of the leaderboard's files, which stand in no folder."),
        ({"glue/CoLA.tsv": "x"}, "glue/CoLA.tsv is none of the leaderboard's files, which stand in no folder."),
        (
            {"CoLA.tsv": "id\tlabel\n" + ROWS},
            r"CoLA.tsv, line 1: it is 'id\tlabel', not 'index\tprediction'.",
        ),
        (
            {"CoLA.tsv": "index\tprediction\n" + ROWS.replace("\n7\t", "\n8\t", 1)},
            "CoLA.tsv, line 9: the index is '8', not '7'.",
        ),
        (
            {"CoLA.tsv": "index\tprediction\n" + ROWS.replace("\n7\t1", "\n7\tacceptable")},
            "CoLA.tsv, line 9: the prediction is 'acceptable', not one of 0, 1.",
        ),
        (
            {"CoLA.tsv": "index\tprediction\n" + ROWS.replace("\n", "\r\n")},
            r"CoLA.tsv, line 2: the prediction is '1\r', not one of 0, 1.",
        ),
        (
            {"CoLA.tsv": "index\tprediction\n" + ROWS.replace("\n7\t1", "\n7")},
            "CoLA.tsv, line 9: the prediction is '', not one of 0, 1.",
        ),
        (
            {"RTE.tsv": table("RTE.tsv", 3000).replace("\n0\tnot_entailment", "\n0\tneutral")},
            "RTE.tsv, line 2: the prediction is 'neutral', not one of entailment, not_entailment.",
        ),
        (
            {"MNLI-m.tsv": table("MNLI-m.tsv", 9796).replace("\n0\tneutral", "\n0\t2")},
            "MNLI-m.tsv, line 2: the prediction is '2', not one of contradiction, entailment, neutral.",
        ),
        *(
            (
                {"STS-B.tsv": table("STS-B.tsv", 1379).replace("\n4\t2.500000", f"\n4\t{answer}")},
                f"STS-B.tsv, line 6: the prediction is '{answer}', not a number from 0 to 5.",
            )
            for answer in ("5.01", "-0.1", "nan", "inf", "much")
        ),
        ({"WNLI.tsv": table("WNLI.tsv", 145)}, "WNLI.tsv has 145 rows and not the 146 of the official test set."),
        ({"WNLI.tsv": table("WNLI.tsv", 147)}, "WNLI.tsv has 147 rows and not the 146 of the official test set."),
        ({"WNLI.tsv": b"index\tprediction\n\xff"}, "WNLI.tsv is not UTF-8."),
    ],
)
def test_each_kind_of_problem_is_named(tmp_path, changes, problem):
    assert check_submission(submission(tmp_path, **changes)) == [problem]


def test_a_file_that_is_there_twice_is_named(tmp_path):
    path = submission(tmp_path)
    with ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("WNLI.tsv", table("WNLI.tsv", 146))
    assert check_submission(path) == ["WNLI.tsv is there twice."]


def test_a_damaged_file_is_named(tmp_path):
    path = submission(tmp_path)
    content = path.read_bytes()
    where = content.index(b"0\t0\n1\t0", content.index(b"WNLI.tsv"))
    path.write_bytes(content[:where] + b"7" + content[where + 1 :])
    assert check_submission(path) == ["WNLI.tsv is damaged."]


def test_what_is_no_zip_file_is_said_to_be_none(tmp_path):
    (tmp_path / "submission.zip").write_text("index\tprediction\n")
    assert check_submission(tmp_path / "submission.zip") == ["submission.zip is not a zip file."]
    with pytest.raises(InputError, match=r"nowhere\.zip cannot be read: No such file"):
        check_submission(tmp_path / "nowhere.zip")


def test_every_test_set_that_is_there_is_answered_in_order(glue_run, tiny_glue):
    tables = read_zip(glue_run.out / "submission.zip")
    assert {name: len(rows) - 1 for name, rows in tables.items()} == glue_run.result.submission.files
    assert list(tables) == ["CoLA.tsv", "STS-B.tsv", "MNLI-m.tsv", "RTE.tsv", "AX.tsv"]
    for header, *rows in tables.values():
        assert header == ["index", "prediction"]
        assert [index for index, _ in rows] == list(map(str, range(len(rows))))
    models = {"CoLA.tsv": "cola", "RTE.tsv": "rte", "STS-B.tsv": "sts-b", "MNLI-m.tsv": "mnli", "AX.tsv": "mnli"}
    for file in find_test_files(tiny_glue, glue_run.result.tasks):
        examples = file.official.task.read(file.path, "strict", labelled=False).rows
        model = TaskModel.load(glue_run.out / models[file.official.name], FLOAT32)
        predictions = model.predictions(examples, model.encode(examples))
        assert [answer for _, answer in tables[file.official.name][1:]] == list(map(as_written, predictions))


@pytest.mark.parametrize(
    ("prediction", "written"),
    [
        (LabelPrediction("not_entailment", {"entailment": 0.4, "not_entailment": 0.6}), "not_entailment"),
        (ScorePrediction(2.5), "2.500000"),
        (ScorePrediction(5.25), "5.000000"),
        (ScorePrediction(-0.5), "0.000000"),
    ],
)
def test_a_prediction_is_written_as_the_leaderboard_takes_it(prediction, written):
    assert as_written(prediction) == written


def test_what_is_not_the_official_test_set_is_written_and_said(glue_run):
    problems = glue_run.result.submission.problems
    assert "CoLA.tsv has 7 rows and not the 1,063 of the official test set." in problems
    assert "MNLI-mm.tsv is missing, and the leaderboard takes no submission without it." in problems
    assert len(problems) == len(OFFICIAL_FILES)


def test_equal_answers_give_an_equal_zip_file_and_are_not_given_twice(glue_run, tiny_glue, capsys):
    before = (glue_run.out / "submission.zip").read_bytes()
    found = find_test_files(tiny_glue, glue_run.result.tasks)
    again = write_submission(glue_run.out, found, FLOAT32)
    assert again == glue_run.result.submission
    assert (glue_run.out / "submission.zip").read_bytes() == before
    assert capsys.readouterr().err.count("answered before") == len(found) == 5


def test_a_row_of_a_test_set_that_cannot_be_used_is_refused_for_its_place_counts(tmp_path):
    (tmp_path / "CoLA").mkdir()
    (tmp_path / "CoLA" / "test.tsv").write_text("index\tsentence\n0\tFine.\n1\n")
    with pytest.raises(InputError, match="line 3: it has 1 column"):
        find_test_files(tmp_path, {"cola"})
    assert find_test_files(tmp_path, {"rte"}) == []


def test_the_test_file_of_mrpc_may_be_the_one_with_labels(tmp_path):
    (tmp_path / "MRPC").mkdir()
    content = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t9\t8\tA .\tB .\n0\t7\t6\tC .\tD .\n"
    (tmp_path / "MRPC" / "msr_paraphrase_test.txt").write_text(content, encoding="utf-8")
    (found,) = find_test_files(tmp_path, {"mrpc"})
    assert (found.official.name, found.rows) == ("MRPC.tsv", 2)


def test_the_diagnostic_examples_with_labels_are_read(tmp_path):
    header = ["Lexical Semantics", "Predicate-Argument Structure", "Logic", "Knowledge", "Domain"]
    rows = [[*header, "Premise", "Hypothesis", "Label"], [*"abcde", "It sat.", "It did not sit.", "contradiction"]]
    (tmp_path / "diagnostic-full.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    (row,) = AX.read(tmp_path / "diagnostic-full.tsv", "strict").rows
    assert (*row.texts, row.label) == ("It sat.", "It did not sit.", "contradiction")


def test_the_real_test_sets_are_read_whole_and_have_the_official_numbers_of_rows(real_glue):
    found = find_test_files(real_glue, [*GLUE])
    assert {file.official.name for file in found} >= {
        "SST-2.tsv",
        "MRPC.tsv",
        "STS-B.tsv",
        "QNLI.tsv",
        "WNLI.tsv",
        "AX.tsv",
    }
    assert {file.official.name: file.rows for file in found} == {
        file.official.name: file.official.rows for file in found
    }


def test_the_index_of_a_real_test_set_is_the_place_of_the_row(real_glue):
    for file in find_test_files(real_glue, [*GLUE]):
        with file.path.open(encoding="utf-8-sig") as stream:
            header, *lines = [line.rstrip("\n").split("\t") for line in stream]
        if header[0] in ("index", "id"):
            assert [row[0] for row in lines] == list(map(str, range(file.rows))), file.path
