"""SQuAD's JSON in its several layouts, and questions by row: what is read, what is refused, what is not learnt from."""

import json

import pytest

from bertsmith.core.errors import InputError
from bertsmith.tasks.spans.squad_file import Answer, Question, question_of_row, read_questions
from bertsmith.tasks.tables import Row

CONTEXT = "The cat sat on the mat."


def question(name="q", answers=(("cat", 4),), **more):
    return {
        "id": name,
        "question": "Who sat?",
        "answers": [{"text": text, "answer_start": start} for text, start in answers],
    } | more


def file_of(folder, *questions, **more):
    path = folder / "train.json"
    article = {"title": "Cats", "paragraphs": [{"context": CONTEXT, "qas": list(questions)}]}
    path.write_text(json.dumps({"data": [article], **more}))
    return path


def test_squad_1_1(tmp_path):
    examples = read_questions(file_of(tmp_path, question(), question("r", [("mat", 19), ("the mat", 15)])), "strict")
    assert examples.rows == [
        Question("q", CONTEXT, "Who sat?", (Answer("cat", 4),), title="Cats"),
        Question("r", CONTEXT, "Who sat?", (Answer("mat", 19), Answer("the mat", 15)), title="Cats"),
    ]
    assert examples.skipped == []


def test_squad_2_0(tmp_path):
    plausible = {"plausible_answers": [{"text": "cat", "answer_start": 4}]}
    path = file_of(
        tmp_path, question(is_impossible=False), question("n", (), is_impossible=True, **plausible), version="v2.0"
    )
    answerable, impossible = read_questions(path, "strict").rows
    assert (answerable.is_impossible, len(answerable.answers)) == (False, 1)
    assert (impossible.is_impossible, impossible.answers, impossible.lesson) == (True, (), None)


def test_ids_may_be_numbers_and_offsets_strings_as_in_tquad(tmp_path):
    path = file_of(tmp_path, question(959, [("cat", "4")]))
    (row,) = read_questions(path, "strict").rows
    assert (row.id, row.answers) == ("959", (Answer("cat", 4),))


def test_more_keys_and_no_title_as_in_cmrc2018(tmp_path):
    path = tmp_path / "dev.json"
    paragraph = {"id": "DEV_0", "context": CONTEXT, "qas": [question("DEV_0_QUERY_0")]}
    path.write_text(json.dumps({"version": "v1.0", "data": [{"id": "DEV_0", "title": 3, "paragraphs": [paragraph]}]}))
    (row,) = read_questions(path, "strict").rows
    assert (row.id, row.title) == ("DEV_0_QUERY_0", None)


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = file_of(tmp_path, question())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_questions(path, "strict").rows) == 1


@pytest.mark.parametrize("start", [3, 5, -3, 100])
def test_a_question_whose_answer_stands_elsewhere_is_kept_and_listed(tmp_path, capsys, start):
    path = file_of(tmp_path, question("good"), question("bad", [("cat", start)]))
    examples = read_questions(path, "strict")
    assert [row.id for row in examples.rows] == ["good", "bad"]
    assert [row.lesson for row in examples.rows] == [Answer("cat", 4), None]
    ((number, reason),) = examples.skipped
    assert number == 2
    assert reason.startswith(f"question bad: 'cat' does not stand at character {start} of its context")
    assert "1 question not learnt from" in " ".join(capsys.readouterr().err.split())


def test_one_answer_that_stands_at_its_place_is_enough_to_learn_from(tmp_path):
    examples = read_questions(file_of(tmp_path, question("q", [("cat", 9), ("mat", 19), ("cat", 4)])), "strict")
    assert examples.rows[0].lesson == Answer("mat", 19)
    assert not examples.skipped


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("text", "it is not an object"),
        (question(answers=[("cat", "four")]), "'answer_start' is 'four', not a whole number"),
        (question(answers=[("cat", None)]), "'answer_start' is None, not a whole number"),
        (question(answers=[("cat", True)]), "'answer_start' is True, not a whole number"),
        (question(answers=[("cat", 4.0)]), "'answer_start' is 4.0, not a whole number"),
        (question(answers=[(" ", 3)]), "'text' is empty"),
        (question(answers=[(7, 3)]), "'text' is 7, not a text"),
        (question(answers=()), "it has no answers"),
        (question(is_impossible=True), "it is impossible, and has answers"),
        (question(is_impossible="no"), "'is_impossible' is 'no', not true or false"),
        (question() | {"answers": {"text": ["cat"]}}, "'answers' is not a list of objects"),
        (question() | {"answers": ["cat"]}, "'answers' is not a list of objects"),
        (question(None), "'id' is None, not a name or a whole number"),
        (question(""), "'id' is '', not a name or a whole number"),
        (question() | {"question": None}, "'question' is None, not a text"),
        (question("first"), "an earlier question has the same id, 'first'"),
    ],
)
def test_a_question_that_cannot_be_used_is_refused_by_its_place_or_skipped(tmp_path, entry, reason):
    path = file_of(tmp_path, question("first"), entry, question("last"))
    with pytest.raises(InputError) as raised:
        read_questions(path, "strict")
    assert str(raised.value).startswith(f"{path}, data[0].paragraphs[0].qas[1]: {reason}. Mend the file")
    examples = read_questions(path, "skip")
    assert [row.id for row in examples.rows] == ["first", "last"]
    assert examples.skipped == [(2, f"data[0].paragraphs[0].qas[1]: {reason}")]


def test_an_empty_context_is_refused_and_an_empty_question_is_not(tmp_path):
    path = tmp_path / "dev.json"
    for context, asked in ((" ", "Who?"), (CONTEXT, "")):
        content = {"data": [{"paragraphs": [{"context": context, "qas": [question(question=asked)]}]}]}
        path.write_text(json.dumps(content))
        if context == " ":
            with pytest.raises(InputError, match="'context' is empty"):
                read_questions(path, "strict")
        else:
            assert read_questions(path, "strict").rows[0].question == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON: Expecting property name"),
        (b"\xff", "is not JSON: 'utf-8' codec can't decode"),
        ("[]", "is not SQuAD's JSON: the whole is not an object with a list 'data'"),
        ('{"data": [{}]}', r"data\[0\] is not an object with a list 'paragraphs'"),
        (
            '{"data": [{"paragraphs": [{"qas": []}, 7]}]}',
            r"data\[0\].paragraphs\[1\] is not an object with a list 'qas'",
        ),
        ('{"data": []}', "holds no usable question"),
    ],
)
@pytest.mark.parametrize("on_error", ["strict", "skip"])
def test_a_file_that_is_none_is_refused(tmp_path, content, message, on_error):
    path = tmp_path / "train.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_questions(path, on_error)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json cannot be read: No such file"):
        read_questions(tmp_path / "none.json", "strict")


def test_without_labels_answers_are_not_looked_at(tmp_path):
    path = file_of(tmp_path, question("q", ()), {"id": "r", "question": "Why?"}, question("s", [("dog", 4)]))
    examples = read_questions(path, "strict", labelled=False)
    assert [row.id for row in examples.rows] == ["q", "r", "s"]
    assert all(row.answers == () for row in examples.rows)
    assert not examples.skipped


def test_questions_by_line(tmp_path):
    path = tmp_path / "questions.jsonl"
    rows = [{"id": 7, "question": "Who?", "context": CONTEXT}, {"question": "Where?", "context": CONTEXT, "more": 1}]
    path.write_text("\n\n".join(map(json.dumps, rows)))
    examples = read_questions(path, "strict", labelled=False)
    assert [(row.id, row.question) for row in examples.rows] == [("7", "Who?"), ("3", "Where?")]
    with pytest.raises(InputError, match=r"is not a \.json file"):
        read_questions(path, "strict")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"question": "Who?"}', "there is no 'context'"),
        ('{"question": null, "context": "a"}', "'question' is None, not a text"),
        ('{"question": "Who?", "context": "  "}', "'context' is empty"),
        ("{", "not JSON"),
    ],
)
def test_a_line_that_is_no_question_is_refused_by_number_or_skipped(tmp_path, line, reason):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps({"question": "Who?", "context": CONTEXT}) + "\n" + line + "\n")
    with pytest.raises(InputError, match=f"line 2: {reason}"):
        read_questions(path, "strict", labelled=False)
    examples = read_questions(path, "skip", labelled=False)
    assert (len(examples.rows), len(examples.skipped)) == (1, 1)
    path.write_text(line + "\n")
    with pytest.raises(InputError, match="holds no usable row"):
        read_questions(path, "skip", labelled=False)


def test_a_row_lacks_a_column():
    with pytest.raises(KeyError, match="context"):
        question_of_row(Row(1, {"question": "Who?"}))
