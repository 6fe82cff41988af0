"""Files of one's own: labels found in the data, and a part of train held out where there is no dev."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import ArtefactError, ConfigurationError, InputError
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.parts import hold_out
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.examples import SentenceExample, any_label, infer_labels, label_parser, read_examples
from bertsmith.tasks.sentences.glue import GLUE
from bertsmith.tasks.task import Examples
from bertsmith.tasks.task_file import load_task, save_task

TEXT = Columns("text", label="label")


def labelled(*labels):
    return Examples("FILE", [SentenceExample("a", None, label, line) for line, label in enumerate(labels, start=2)])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "1"], ("1", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["true", "false"], ("false", "true")),
    ],
)
def test_labels_are_sorted_as_numbers_if_they_are_and_else_as_names(labels, expected):
    assert infer_labels(labelled(*labels)) == expected


@given(st.permutations(["c", "a", "b", "a", "d"]))
def test_the_label_set_does_not_depend_on_the_order_of_rows(labels):
    assert infer_labels(labelled(*labels)) == ("a", "b", "c", "d")


def test_one_label_or_scores_are_no_label_set():
    with pytest.raises(InputError, match="every row has the label 'a'"):
        infer_labels(labelled("a", "a"))
    with pytest.raises(InputError, match="If they are scores, use --regression"):
        infer_labels(labelled("0.5", "1.0", "2.5"))


@pytest.mark.parametrize(
    ("row", "label"),
    [({"label": 1}, "1"), ({"label": True}, "true"), ({"label": " x "}, "x"), ({"label": "1.0"}, "1.0")],
)
def test_json_labels_are_names_whole_numbers_or_truth_values(tmp_path, row, label):
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a"} | row))
    (example,) = read_examples(tmp_path / "a.jsonl", TEXT, any_label).rows
    assert example.label == label


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "a", "label": None}, "the label is empty"),
        ({"text": "a", "label": 0.5}, "the label 0.5 is not a name or a whole number"),
        ({"text": None, "label": "x"}, "column 'text' holds None, not a text"),
        ({"text": 3, "label": "x"}, "column 'text' holds 3, not a text"),
        ({"label": "x"}, "there is no 'text' among 'label'"),
    ],
)
def test_a_bad_json_row_is_refused_by_line_or_skipped_and_listed(tmp_path, row, reason):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good", "label": "x"}\n' + json.dumps(row))
    with pytest.raises(InputError, match=f"a.jsonl, line 2: {reason}"):
        read_examples(path, TEXT, any_label)
    examples = read_examples(path, TEXT, any_label, on_error="skip")
    assert [example.text for example in examples.rows] == ["good"]
    assert [line for line, _ in examples.skipped] == [2]


def test_an_empty_text_is_kept_and_reported(tmp_path, capsys):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\na\tx\n\ty\n")
    assert [example.text for example in read_examples(path, TEXT, any_label).rows] == ["a", ""]
    assert "1 of 2 examples have an empty text (the first on line 3)" in " ".join(capsys.readouterr().err.split())


def test_a_regression_reads_any_finite_number():
    parse = label_parser(None)
    assert [parse("-2.5"), parse(3), parse("1e3")] == [-2.5, 3.0, 1000.0]
    for value in ("inf", "", "five", None, True):
        with pytest.raises(ValueError, match="is not a number"):
            parse(value)


@given(st.integers(2, 200), st.floats(0.01, 0.9), st.integers(0, 5))
def test_held_out_rows_are_a_share_disjoint_and_a_function_of_the_seed(total, share, seed):
    examples = labelled(*map(str, range(total)))
    try:
        train, dev = hold_out(examples, share, seed)
    except InputError:
        assert round(share * total) in (total, total - 0)
        return
    assert sorted([*train.rows, *dev.rows], key=lambda row: row.line) == list(examples.rows)
    assert len(dev.rows) == max(1, round(share * total))
    assert hold_out(examples, share, seed) == (train, dev)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": []}\n', [("x", "y"), ()]),
        ("a.csv", 'text,label\na,"x, y"\nb,\nc,z\n', [("x", "y"), (), ("z",)]),
    ],
)
def test_a_text_may_have_several_labels_or_none(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    examples = read_examples(tmp_path / name, TEXT, label_parser((), several=True))
    assert [example.label for example in examples.rows] == expected
    assert infer_labels(examples) == tuple(sorted({label for labels in expected for label in labels}))


@given(st.lists(st.integers(0, 9), min_size=3, max_size=60), st.floats(0.05, 0.6), st.integers(0, 5))
def test_what_belongs_together_is_held_out_together(groups, share, seed):
    examples = replace(labelled(*map(str, range(len(groups)))), groups=groups)
    try:
        train, dev = hold_out(examples, share, seed)
    except InputError:
        return
    group_of = {row.line: group for row, group in zip(examples.rows, groups, strict=True)}
    assert len(set(groups)) == 1 or not {group_of[row.line] for row in train.rows} & {
        group_of[row.line] for row in dev.rows
    }
    assert len(train.rows) + len(dev.rows) == len(groups)
    assert len(dev.rows) >= max(1, round(share * len(groups)))
    assert hold_out(examples, share, seed) == (train, dev)


def test_columns_that_are_given_replace_the_tasks():
    given, cola = ColumnSettings(text="review", label="stars"), GLUE["cola"].columns
    assert Columns("text", None, "label").changed_by(given) == Columns("review", None, "stars")
    assert cola.changed_by(ColumnSettings(text="review")) == Columns("review", None, "label")
    assert cola.changed_by(ColumnSettings()) == cola
    with pytest.raises(ConfigurationError, match="files name no columns, so --text must be given"):
        cola.changed_by(ColumnSettings(label="stars"))


def test_a_task_description_survives_its_file(tmp_path):
    limits = InputLimits(max_seq_length=77, long_texts="max")
    for task in GLUE.values():
        save_task(tmp_path, task, limits, seed=3)
        assert load_task(tmp_path) == (task, limits)
        assert json.loads((tmp_path / "task.json").read_text())["seed"] == 3


def test_a_folder_without_a_task_description_is_no_fine_tuned_model(tmp_path):
    with pytest.raises(ArtefactError, match=r"it has no task\.json"):
        load_task(tmp_path)
    for content in ('{"task": {}}', '{"kind": "riddles", "task": {}, "limits": {}}', "[]"):
        (tmp_path / "task.json").write_text(content)
        with pytest.raises(ArtefactError, match="is not a task description"):
            load_task(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["2.5", "7", "inf"], "If they are scores, use --regression"),
        (["2.5", "2.5"], "every row has the label '2.5'"),
        ([(), ()], "no row has a label"),
    ],
)
def test_labels_that_are_none_are_refused(labels, message):
    examples = Examples(Path("a.csv"), [SentenceExample("text", None, label, 1) for label in labels])
    with pytest.raises(InputError, match=message):
        infer_labels(examples)


def test_names_that_begin_with_a_number_are_names():
    examples = Examples(Path("a.csv"), [SentenceExample("text", None, label, 1) for label in ("A20", "2.5", "x")])
    assert infer_labels(examples) == ("2.5", "A20", "x")
