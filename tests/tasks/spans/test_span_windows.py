"""Questions in windows: what is read, where a token has its maximal context, and which tokens are the answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.tasks.encoded import NO_LABEL
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.spans.squad_file import Answer, Question, read_questions
from bertsmith.tasks.spans.windows import encode_questions, maximal_context, token_span, window_borders
from bertsmith.text.tokenizer import Tokenizer

CONTEXT = "the cat sat on a mat and it was good"


def question(context=CONTEXT, answer=None, asked="who sat", **more):
    answers = () if answer is None else (Answer(answer, context.index(answer)),)
    return Question("q", context, asked, answers, **more)


def encode(tokenizer, *questions, labelled=True, **limits):
    return encode_questions(questions, tokenizer, InputLimits(**limits), labelled=labelled)


def label_text(row, asked):
    """What the label cuts from the context."""
    first, last = row.label - row.origin.begin
    return asked.context[row.origin.offsets[first, 0] : row.origin.offsets[last, 1]]


# --- windows ------------------------------------------------------------------------------------------------------


def test_a_short_context_is_one_sequence(tokenizer):
    asked = question("the cat sat", "cat")
    (row,) = encode(tokenizer, asked, max_seq_length=32).rows
    assert tokenizer.decode(row.token_ids[0]) == "[CLS] [UNK] sat [SEP] the cat sat [SEP]"
    assert row.segment_ids[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert row.origin.begin == 4
    assert row.origin.offsets.tolist() == [[0, 3], [4, 7], [8, 11]]
    assert row.origin.is_maximal.all()
    assert row.label.tolist() == [5, 5]


def test_a_long_context_is_read_in_windows(tokenizer):
    encoded = encode(tokenizer, question("the cat sat on a mat", "sat on"), max_seq_length=9, stride=2)
    assert [tokenizer.decode(row.token_ids[0]) for row in encoded.rows] == [
        "[CLS] [UNK] sat [SEP] the cat sat on [SEP]",
        "[CLS] [UNK] sat [SEP] sat on a mat [SEP]",
    ]
    assert [row.origin.question for row in encoded.rows] == [0, 0]
    assert [row.label.tolist() for row in encoded.rows] == [[6, 7], [4, 5]]
    assert [row.origin.is_maximal.tolist() for row in encoded.rows] == [
        [True, True, True, False],  # "sat" has one token on its shorter side here, none in the other window
        [False, True, True, True],  # and "on" the other way round
    ]


def test_a_window_without_the_whole_answer_points_at_cls(tokenizer):
    encoded = encode(tokenizer, question("the cat sat on a mat", "on a"), max_seq_length=8, stride=3)
    assert [tokenizer.decode(row.token_ids[0][4:-1]) for row in encoded.rows] == ["the cat sat", "on a mat"]
    assert [row.label.tolist() for row in encoded.rows] == [[0, 0], [4, 5]]
    across = encode(tokenizer, question("the cat sat on a mat", "sat on"), max_seq_length=8, stride=3)
    assert [row.label.tolist() for row in across.rows] == [[0, 0], [0, 0]]
    assert (encoded.num_cut, across.num_cut) == (0, 1)


def test_a_question_without_an_answer_points_at_cls(tokenizer):
    (row,) = encode(tokenizer, question(is_impossible=True)).rows
    assert row.label.tolist() == [0, 0]


def test_where_the_answer_is_unknown_nothing_is_learnt(tokenizer):
    asked = Question("q", CONTEXT, "who", (Answer("cat", 5),))
    assert all(row.label.tolist() == [NO_LABEL] * 2 for row in encode(tokenizer, asked, max_seq_length=9).rows)
    (row,) = encode(tokenizer, asked, labelled=False).rows
    assert row.label is None


def test_a_long_question_is_cut_and_counted(tokenizer):
    asked = [question(asked="the " * length) for length in (2, 3, 9)]
    encoded = encode(tokenizer, *asked, labelled=False, max_seq_length=32, max_question_length=3)
    assert [row.origin.begin for row in encoded.rows] == [4, 5, 5]
    assert encoded.num_cut == 1
    narrow = encode(tokenizer, *asked, labelled=False, max_seq_length=8)  # room for 5: the question has 2 of it
    assert {row.origin.begin for row in narrow.rows} == {4}
    assert max(row.num_tokens for row in narrow.rows) == 8
    assert narrow.num_cut == 2


@pytest.mark.parametrize(
    ("context", "asked", "read"),
    [
        ("the cat", "", "[CLS] [SEP] the cat [SEP]"),
        ("\u200b", "the", "[CLS] the [SEP] [SEP]"),
        ("\u200b", "", "[CLS] [SEP] [SEP]"),
    ],
)
def test_what_has_no_tokens_is_read_without_them(tokenizer, context, asked, read):
    (row,) = encode(tokenizer, question(context, asked=asked), labelled=False).rows
    assert tokenizer.decode(row.token_ids[0]) == read
    assert len(row.origin.offsets) == len(row.origin.is_maximal) == row.num_tokens - row.origin.begin - 1


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 30))
def test_windows_begin_where_those_of_the_original_code_begin(num_tokens, size, stride):
    expected, start = [], 0
    while True:
        length = min(num_tokens - start, size)
        expected.append((start, start + length))
        if start + length == num_tokens:
            break
        start += min(length, stride)
    assert window_borders(num_tokens, size, stride) == expected


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 30))
def test_the_maximal_context_is_that_of_the_original_code(num_tokens, size, stride):
    borders = window_borders(num_tokens, size, stride)
    maximal = maximal_context(borders)
    assert maximal.shape == (len(borders), num_tokens)
    for place in range(num_tokens):
        scores = [
            min(place - first, end - 1 - place) + 0.01 * (end - first) if first <= place < end else -1.0
            for first, end in borders
        ]
        assert maximal[:, place].tolist() == [index == scores.index(max(scores)) for index in range(len(borders))]


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "answer", "cut"),
    [
        ("we saw cats in it", "cats", "cats"),  # cat ##s
        ("we saw cats in it", "saw cats", "saw cats"),
        ("we saw cats in it", "cat", "cat"),
        ("it was $5.", "5", "5"),
        ("it was $5.", "$5", "$5"),
        ("in the1990s", "1990", "the1990s"),  # [UNK]: nothing smaller can be pointed at
        ("the caf\u00e9 is", "caf\u00e9", "caf\u00e9"),
        ("the caf\u0065\u0301 is", "cafe\u0301", "cafe\u0301"),  # the accent has no piece, and is not lost
        ("a mat ", " mat ", "mat"),
    ],
)
def test_an_answer_is_the_smallest_run_of_whole_pieces_with_it(tokenizer, context, answer, cut):
    asked = question(context, answer)
    (row,) = encode(tokenizer, asked).rows
    assert label_text(row, asked) == cut


def test_ideographs_are_words_of_their_own():
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"战国无双共"])
    asked = question("共《战国无双3》。", "战国无双", "共")
    (row,) = encode(tokenizer, asked).rows
    assert label_text(row, asked) == "战国无双"


offsets = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=10).map(
    lambda steps: np.array(
        [
            (sum(gap + width for gap, width in steps[:index]) + steps[index][0],) * 2 + np.array([0, steps[index][1]])
            for index in range(len(steps))
        ],
        dtype=np.int32,
    ).reshape(-1, 2)
)


@given(offsets, st.integers(0, 30), st.integers(1, 10))
def test_a_span_is_all_tokens_that_have_a_character_of_it(offsets, begin, length):
    inside = [index for index, (left, right) in enumerate(offsets) if left < begin + length and right > begin]
    assert token_span(offsets, begin, begin + length) == ((inside[0], inside[-1]) if inside else None)


texts = st.lists(
    st.sampled_from(["cat", "cats", "sat", "é", "e\u0301", "中", "\u200b", " ", ",", "xyz"]), min_size=1
).map("".join)


@given(texts, st.data())
def test_the_label_of_any_answer_covers_it_and_no_more_than_its_pieces(tokenizer, context, data):
    begin = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(begin + 1, len(context)))
    asked = Question("q", context, "who", (Answer(context[begin:end], begin),))
    (row,) = encode(tokenizer, asked).rows
    offsets = row.origin.offsets
    touched = [index for index, (left, right) in enumerate(offsets) if left < end and right > begin]
    if not touched:
        assert row.label.tolist() == [NO_LABEL] * 2
    else:
        assert (row.label - row.origin.begin).tolist() == [touched[0], touched[-1]]


@given(st.integers(8, 24), st.integers(1, 24), st.integers(0, 9), st.integers(1, 3))
def test_every_token_of_the_context_is_in_a_window_and_has_its_maximal_context_in_one(
    tokenizer, max_seq_length, stride, first, length
):
    words = CONTEXT.split()
    answer = Answer(" ".join(words[first : first + length]), sum(len(word) + 1 for word in words[:first]))
    asked = Question("q", CONTEXT, "who sat", (answer,))
    rows = encode(tokenizer, asked, max_seq_length=max_seq_length, stride=stride).rows
    seen = [tuple(offset) for row in rows for offset in row.origin.offsets[row.origin.is_maximal].tolist()]
    assert [CONTEXT[begin:end] for begin, end in sorted(seen)] == words
    for row in rows:
        assert row.num_tokens <= max_seq_length
        assert len(row.segment_ids[0]) == row.num_tokens
        begin, end = row.origin.offsets[0, 0], row.origin.offsets[-1, 1]
        assert row.label.any() == (begin <= answer.start and answer.end <= end)
        assert not row.label.any() or label_text(row, asked) == answer.text


@pytest.mark.parametrize("name", ["squad/dev-v1.1.rebuilt.json", "xquad/xquad.zh.json", "xquad/xquad.th.json"])
def test_answers_at_borders_of_pieces_are_hit_to_the_character(real_data, name):
    tokenizer = Tokenizer.load(real_data / "bert_vocab" / "bert-base-multilingual-cased-vocab.txt")
    questions = read_questions(real_data / name, "strict").rows[:1000]
    rows = encode_questions(questions, tokenizer, InputLimits(max_seq_length=1 << 16), labelled=True).rows
    num_exact = 0
    for asked, row in zip(questions, rows, strict=True):
        left, right = row.origin.offsets.T[:, :, None]
        ends = np.array([asked.lesson.start, asked.lesson.end])
        at_borders = not ((left < ends) & (ends < right)).any()
        is_exact = label_text(row, asked) == asked.lesson.text
        num_exact += is_exact
        assert is_exact or not at_borders, asked.id
    assert num_exact / len(questions) > 0.99
