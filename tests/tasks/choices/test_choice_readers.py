"""Files of choices: SWAG's, CODAH's and DREAM's layouts written out small, one's own JSON lines, and the real files."""

import json
import os
from pathlib import Path

import pytest

from bertsmith.core.errors import InputError
from bertsmith.tasks.choices.named import CHOICE_TASKS
from bertsmith.tasks.choices.readers import read_choices
from bertsmith.tasks.parts import find_part, require_part

SWAG_HEADER = ",video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label\n"

# task, file, content in the official layout, and the examples in it as (context, question, choices, label, line, id)
LAYOUTS = {
    "swag": (
        "swag",
        "val.csv",
        SWAG_HEADER + '0,anetv_1,4,"A cat sat. It",A cat sat.,It,gold,ran,"sat, again",is,was,1\n',
        [("A cat sat.", "It", ("ran", "sat, again", "is", "was"), 1, 2, None)],
    ),
    "no sentence is given": (
        "turkish-plu-goal-inference",
        "goal-inference-val.csv",
        SWAG_HEADER + "7,xxx,7,xxx,xxx,Önce,xxx,a,b,c,d,3\n",
        [("", "Önce", ("a", "b", "c", "d"), 3, 2, None)],
    ),
    "two endings, columns more": (
        "turkish-plu-step-ordering",
        "step-ordering-test.csv",
        ",Unnamed: 0.1,Unnamed: 0,video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,"
        "ending3,label,annotations\n0,4,4,xxx,5,xxx,xxx,Amaç,xxx,önce,sonra,xxx,xxx,1,1\n",
        [("", "Amaç", ("önce", "sonra"), 1, 2, None)],
    ),
    "numbers of endings that differ": (
        "swag",
        "train.csv",
        "sent1,sent2,ending0,ending1,ending2,label\nA.,B,x,y,,0\nA.,,x,y,z,2\n",
        [("A.", "B", ("x", "y"), 0, 2, None), ("A.", "", ("x", "y", "z"), 2, 3, None)],
    ),
    "codah": (
        "codah",
        "train.tsv",
        'o\tI am "hungry". I\tsleep.\teat.\tsing.\trun.\t1\n\tThe cat\ta\tb\tc\td\t0\n',
        [
            ('I am "hungry". I', "", ("sleep.", "eat.", "sing.", "run."), 1, 1, None),
            ("The cat", "", ("a", "b", "c", "d"), 0, 2, None),
        ],
    ),
    "dream": (
        "dream",
        "dev.json",
        '\ufeff[\n  [["W: Hi, [you]!", "M: Hello."],\n   [{"question": "Who?", "choice": ["He.", "She."], '
        '"answer": "She."},\n    {"question": "What?", "choice": ["A", "B", "C"], "answer": "A"}], "14-3"],\n\n'
        '  [["W: No."], [{"question": "Why?", "choice": ["x", "y"], "answer": "y"}], "2-1"]\n]\n',
        [
            ("W: Hi, [you]!\nM: Hello.", "Who?", ("He.", "She."), 1, 2, "14-3/1"),
            ("W: Hi, [you]!\nM: Hello.", "What?", ("A", "B", "C"), 0, 2, "14-3/2"),
            ("W: No.", "Why?", ("x", "y"), 1, 6, "2-1/1"),
        ],
    ),
    "one's own": (
        None,
        "train.jsonl",
        '{"context": "c", "question": "q", "choices": ["a", "b", "d"], "label": 2, "id": 17}\n\n'
        '{"context": null, "choices": ["a", "b"], "label": "a", "more": 1}\n',
        [("c", "q", ("a", "b", "d"), 2, 1, "17"), ("", "", ("a", "b"), 0, 3, None)],
    ),
    "one's own in SWAG's columns": (
        None,
        "train.csv",
        "sent1,sent2,ending0,ending1,label\nA.,B,x,y,1\n",
        [("A.", "B", ("x", "y"), 1, 2, None)],
    ),
}


def read(name, path, **settings):
    layout = "jsonl" if name is None else CHOICE_TASKS[name].layout
    return read_choices(path, layout, settings.pop("on_error", "strict"), **settings)


def as_tuple(example):
    return example.context, example.question, example.choices, example.label, example.line, example.id


@pytest.mark.parametrize(("name", "file", "content", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_is_read_with_and_without_labels(tmp_path, name, file, content, expected):
    (tmp_path / file).write_text(content, encoding="utf-8")
    assert [as_tuple(example) for example in read(name, tmp_path / file).rows] == expected
    unlabelled = [(*example[:3], None, *example[4:]) for example in expected]
    assert [as_tuple(example) for example in read(name, tmp_path / file, labelled=False).rows] == unlabelled


def test_swags_test_file_has_no_labels(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("sent1,sent2,ending0,ending1\nA.,B,x,y\n")
    (example,) = read("swag", path, labelled=False).rows
    assert (example.choices, example.label) == (("x", "y"), None)
    with pytest.raises(InputError, match=r"test\.csv has no column 'label'\. It has 'sent1', 'sent2', 'ending0'"):
        read("swag", path)


GOOD_SWAG = "A.,B,x,y,z,0"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A.,B,x,xxx,xxx,0", "it has 1 choice, and a question needs two at least"),
        ("A.,B,xxx,xxx,xxx,0", "it has no choices"),
        ("A.,B,x,,z,0", "ending1 is empty, and a later one is not"),
        ("A.,B,x,y,xxx,2", "the label 2 is not the number of a choice, 0 to 1"),
        ("A.,B,x,y,z,3", "the label 3 is not the number of a choice, 0 to 2"),
        ("A.,B,x,y,z,-1", "the label '-1' is not the number of a choice"),
        ("A.,B,x,y,z,x", "the label 'x' is not the number of a choice"),
        ("A.,B,x,y,z,", "the label '' is not the number of a choice"),
        ("A.,B,x,y,0", "it has 5 columns where the first line has 6"),
    ],
)
def test_a_bad_row_of_a_table_is_refused_by_line_or_skipped_and_listed(tmp_path, row, reason):
    path = tmp_path / "train.csv"
    path.write_text(f"sent1,sent2,ending0,ending1,ending2,label\n{GOOD_SWAG}\n{row}\n")
    with pytest.raises(InputError, match=f"train.csv, line 3: {reason}"):
        read("swag", path)
    examples = read("swag", path, on_error="skip")
    assert len(examples.rows) == 1
    assert [line for line, _ in examples.skipped] == [3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"choices": ["a"], "label": 0}, "it has 1 choice"),
        ({"choices": "ab", "label": 0}, "'choices' is not a list of texts"),
        ({"choices": ["a", 1], "label": 0}, "'choices' is not a list of texts"),
        ({"choices": ["a", "b"], "label": 2}, "the label 2 is not the number of a choice, 0 to 1"),
        ({"choices": ["a", "b"], "label": True}, "the label True is not the number of a choice"),
        ({"choices": ["a", "b"], "label": None}, "the label None is not the number of a choice"),
        ({"choices": ["a", "b"], "label": "c"}, "the right answer 'c' is none of the choices"),
        ({"choices": ["a", "a"], "label": "a"}, "the right answer 'a' is 2 of the choices"),
        ({"choices": ["a", "b"]}, "there is no 'label' among 'choices'"),
        ({"context": "c", "label": 0}, "there is no 'choices' among 'context', 'label'"),
        ({"context": 3, "choices": ["a", "b"], "label": 0}, "column 'context' holds 3, not a text"),
    ],
)
def test_a_bad_json_line_is_refused_by_line_or_skipped_and_listed(tmp_path, row, reason):
    path = tmp_path / "a.jsonl"
    path.write_text('{"context": "c", "choices": ["a", "b"], "label": 0}\n' + json.dumps(row))
    with pytest.raises(InputError, match=f"a.jsonl, line 2: {reason}"):
        read(None, path)
    assert [line for line, _ in read(None, path, on_error="skip").skipped] == [2]


QUESTION = '{"question": "q", "choice": ["a", "b"], "answer": "a"}'


@pytest.mark.parametrize(
    ("dialogue", "reason"),
    [
        ("{}", "a dialogue is a list of three"),
        ('[["t"], []]', "a dialogue is a list of three"),
        ('["t", [], "1"]', "the turns of the dialogue are not a list of texts"),
        ('[["t"], {}, "1"]', "the questions of the dialogue are not a list"),
        ('[["t"], ["q"], "1"]', "question 1 of dialogue 1: it is no JSON object"),
        ('[["t"], [{"question": "q", "choice": ["a", "b"]}], "1"]', "question 1 of dialogue 1: it has no 'answer'"),
        (
            '[["t"], [{"question": "q", "choice": ["a", "b"], "answer": "c"}], "1"]',
            "question 1 of dialogue 1: the right answer 'c' is none of the choices",
        ),
        (
            '[["t"], [{"question": "q", "choice": ["a"], "answer": "a"}], "1"]',
            "question 1 of dialogue 1: it has 1 choice",
        ),
    ],
)
def test_a_bad_dialogue_is_refused_by_its_first_line_or_skipped_and_listed(tmp_path, dialogue, reason):
    path = tmp_path / "dev.json"
    path.write_text(f'[[["t"], [{QUESTION}], "0"],\n\n {dialogue}, [["t"],\n [{QUESTION}], "2"]]')
    with pytest.raises(InputError, match=rf"dev\.json, line 3: {reason}"):
        read("dream", path)
    examples = read("dream", path, on_error="skip")
    assert [example.id for example in examples.rows] == ["0/1", "2/1"]
    assert [line for line, _ in examples.skipped] == [3]


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("dream", "dev.json", b"[\n[1,\n", r"dev\.json is not JSON: line 3: Expecting value"),
        ("dream", "dev.json", b'{"data": []}', "is no JSON array of dialogues"),
        ("dream", "dev.json", b"[]", "holds no usable question"),
        ("dream", "dev.json", b"\xff", "byte 0 is not UTF-8"),
        ("dream", "nowhere.json", None, "cannot be read: No such file"),
        ("swag", "train.csv", b"sent1,ending0,ending1,label\n", "holds no usable question"),
        ("swag", "train.csv", b"sent1,ending0,ending1,label\na,b,c,0\n", "has no column 'sent2'"),
        ("codah", "train.tsv", b"o\ta\tb\tc\t0\n", "has no column '5'"),
        (None, "train.csv", b"text,label\na,0\n", "has no column 'choices'. It has 'text', 'label'"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, name, file, content, message):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(name, tmp_path / file)


def test_choices_without_anything_given_are_kept_and_reported(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"contxt": "c", "choices": ["a", "b"], "label": 0}\n{"question": "q", "choices": ["a", "b"], "label": 0}\n'
    )
    assert len(read(None, path).rows) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 examples have neither context nor question (the first on line 1)" in shown


@pytest.fixture
def real():
    def folder(name):
        path = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache/bertsmith-data")) / name
        if not path.is_dir():
            pytest.skip(f"the real files are not here: {path} (set BERTSMITH_DATA)")
        return path

    return folder


def test_the_real_files_of_codah_are_read_whole(real):
    folder = real("codah")
    task = CHOICE_TASKS["codah"]
    assert len(task.read(folder / "full_data.tsv", "strict").rows) == 2776
    for fold in range(5):
        counts = {
            part: len(task.read(require_part(folder / "cv_split" / f"fold_{fold}", task, part), "strict").rows)
            for part in task.files
        }
        assert counts["train"] == 1665
        assert sum(counts.values()) == 2776
    assert find_part(folder, task, "dev") == folder / "cv_split" / "fold_0" / "dev.tsv"


def test_the_real_files_of_dream_are_read_whole(real):
    folder = real("dream")
    task = CHOICE_TASKS["dream"]
    examples = {part: task.read(require_part(folder, task, part), "strict").rows for part in task.files}
    assert {part: len(rows) for part, rows in examples.items()} == {"train": 6116, "dev": 2040, "test": 2041}
    first = examples["dev"][0]
    assert (first.id, first.line, first.choices[first.label]) == ("14-349/1", 2, "To change her job.")
    assert {len(example.choices) for rows in examples.values() for example in rows} == {3}


@pytest.mark.parametrize(
    ("subset", "counts", "choices"),
    [
        ("goal-inference", (5000, 837), 4),
        ("step-inference", (5000, 612), 4),
        ("next-event-prediction", (5000, 655), 4),
        ("step-ordering", (10000, 1021), 2),
    ],
)
def test_the_real_files_of_turkish_plu_are_read_whole(real, subset, counts, choices):
    folder = real("turkish_plu_swag_format")
    task = CHOICE_TASKS[f"turkish-plu-{subset}"]
    for part, count in zip(("dev", "test"), counts, strict=True):
        rows = task.read(require_part(folder, task, part), "strict").rows
        assert len(rows) == count
        assert {len(row.choices) for row in rows} == {choices}
        assert not any("xxx" in (row.context, row.question, *row.choices) for row in rows)
        assert all(bool(row.context) == (subset == "next-event-prediction") for row in rows)
