"""Scores of tokens become answers as a search through all pairs of tokens finds them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.spans.decoding import NUM_CANDIDATES, best_pairs, decode_spans
from bertsmith.tasks.spans.squad_file import Answer, Question
from bertsmith.tasks.spans.windows import encode_questions

CONTEXT = "the cat sat on a mat and it was good"
LIMITS = InputLimits(max_seq_length=12, stride=3, max_answer_length=4)


def encoded(tokenizer, *contexts, limits=LIMITS):
    questions = [Question(str(index), context, "who sat") for index, context in enumerate(contexts)]
    return questions, encode_questions(questions, tokenizer, limits, labelled=False)


def flat(rows, value=0.0):
    """The same score for every token of every window."""
    return [np.full((row.num_tokens, 2), value, dtype=np.float32) for row in rows.rows]


def random_outputs(rows, seed):
    random = np.random.default_rng(seed)
    return [random.normal(size=(row.num_tokens, 2)).astype(np.float32) for row in rows.rows]


def all_spans(question, rows, outputs):
    """(score, begin, end) of every span that may be an answer, the best first: no numpy, no shortcuts."""
    spans = []
    for row, scores in zip(rows.rows, outputs, strict=True):
        window = row.origin
        if window.question != int(question.id):
            continue
        for first in range(len(window.offsets)):
            for last in range(first, min(first + rows.limits.max_answer_length, len(window.offsets))):
                if window.is_maximal[first]:
                    score = float(scores[window.begin + first, 0]) + float(scores[window.begin + last, 1])
                    spans.append((score, int(window.offsets[first, 0]), int(window.offsets[last, 1])))
    return sorted(spans, key=lambda span: -span[0])


@pytest.mark.parametrize("null_threshold", [None, 0.0])
@given(
    seed=st.integers(0, 1000), max_seq_length=st.integers(8, 20), stride=st.integers(1, 9), longest=st.integers(1, 9)
)
def test_the_candidates_are_those_of_a_search_through_all_pairs(
    tokenizer, null_threshold, seed, max_seq_length, stride, longest
):
    limits = InputLimits(max_seq_length=max_seq_length, stride=stride, max_answer_length=longest)
    questions, rows = encoded(tokenizer, CONTEXT, "the cat", CONTEXT + " .", limits=limits)
    outputs = random_outputs(rows, seed)
    predictions = decode_spans(outputs, rows, questions, null_threshold)
    for question, prediction in zip(questions, predictions, strict=True):
        spans = all_spans(question, rows, outputs)
        null = min(
            float(scores[0, 0]) + float(scores[0, 1])
            for row, scores in zip(rows.rows, outputs, strict=True)
            if row.origin.question == int(question.id)
        )
        assert prediction.null_odds == pytest.approx(null - spans[0][0])
        expected = [(score, begin, end) for score, begin, end in spans[:NUM_CANDIDATES]]
        if null_threshold is not None:
            expected = sorted([*expected, (null, None, None)], key=lambda span: -span[0])
        found = [
            (candidate.start_score + candidate.end_score, candidate.start, candidate.end)
            for candidate in prediction.n_best
        ]
        assert [span[1:] for span in found] == [span[1:] for span in expected]
        assert [span[0] for span in found] == pytest.approx([span[0] for span in expected])
        total = sum(math.exp(score) for score, _, _ in expected)
        shares = [math.exp(score) / total for score, _, _ in expected]
        assert [candidate.probability for candidate in prediction.n_best] == pytest.approx(shares)
        for candidate in prediction.n_best:
            text = "" if candidate.start is None else question.context[candidate.start : candidate.end]
            assert candidate.text == text


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 40), st.integers(0, 2))
def test_the_best_pairs_of_a_window(seed, num_tokens, longest, decimals):
    random = np.random.default_rng(seed)
    start_scores, end_scores = random.normal(size=(2, num_tokens)).round(decimals)  # with ties
    may_start = random.random(num_tokens) < 0.7
    scores = sorted(
        (
            start_scores[first] + end_scores[last]
            for first in np.flatnonzero(may_start)
            for last in range(first, min(first + longest, num_tokens))
        ),
        reverse=True,
    )
    first, last = best_pairs(start_scores, end_scores, may_start, longest)
    assert (start_scores[first] + end_scores[last]).tolist() == pytest.approx(scores[:NUM_CANDIDATES])
    assert len({*zip(first.tolist(), last.tolist(), strict=True)}) == len(first)
    assert may_start[first].all()
    assert ((first <= last) & (last < np.minimum(first + longest, num_tokens))).all()


def test_an_answer_is_not_longer_than_allowed_and_does_not_end_before_it_begins(tokenizer):
    questions, rows = encoded(tokenizer, "the cat sat on a mat", limits=InputLimits(max_answer_length=2))
    (scores,) = flat(rows)
    begin = rows.rows[0].origin.begin
    scores[begin + 1, 0] = 9  # cat ...
    scores[begin + 4, 1] = 9  # ... a: too long
    scores[begin + 2, 1] = 1  # ... sat
    scores[begin, 1] = 5  # the: ends before it begins
    (prediction,) = decode_spans([scores], rows, questions, None)
    assert (prediction.text, prediction.start, prediction.end) == ("cat sat", 4, 11)


def test_question_and_special_tokens_are_no_answers(tokenizer):
    questions, rows = encoded(tokenizer, "the cat")
    (scores,) = flat(rows)
    scores[: rows.rows[0].origin.begin] = 99
    scores[-1] = 99
    scores[rows.rows[0].origin.begin + 1] = 1
    (prediction,) = decode_spans([scores], rows, questions, None)
    assert prediction.text == "cat"
    assert prediction.null_odds == 196


def test_a_token_begins_an_answer_only_where_it_has_its_maximal_context(tokenizer):
    questions, rows = encoded(tokenizer, CONTEXT)
    outputs = flat(rows)
    first, second = (row.origin for row in rows.rows[:2])
    place = next(index for index in range(len(first.offsets)) if not first.is_maximal[index])
    outputs[0][first.begin + place] = 9
    (prediction,) = decode_spans(outputs, rows, questions, None)
    assert prediction.n_best[0].start_score + prediction.n_best[0].end_score == 9  # as the end of another's answer
    outputs[1][second.begin + place - 3] = 5
    (prediction,) = decode_spans(outputs, rows, questions, None)
    assert prediction.text == CONTEXT[slice(*first.offsets[place])]


def test_no_answer_is_given_above_the_threshold_and_not_at_it(tokenizer):
    questions, rows = encoded(tokenizer, "the cat sat")
    (scores,) = flat(rows)
    scores[0] = 1.5
    scores[rows.rows[0].origin.begin + 1] = 1.0
    odds = {threshold: decode_spans([scores], rows, questions, threshold)[0] for threshold in (None, 0.5, 1.0, 1.5)}
    assert {threshold: prediction.text for threshold, prediction in odds.items()} == {
        None: "cat",
        0.5: "",
        1.0: "cat",
        1.5: "cat",
    }
    assert {prediction.null_odds for prediction in odds.values()} == {1.0}
    assert (odds[0.5].start, odds[0.5].end) == (None, None)
    assert odds[0.5].best_text == odds[1.0].best_text == "cat"
    assert odds[0.5].probability > odds[1.0].probability
    assert [candidate.text for candidate in odds[1.0].n_best[:2]] == ["", "cat"]
    assert sum(candidate.probability for candidate in odds[1.0].n_best) == pytest.approx(1)
    assert all(candidate.start is not None for candidate in odds[None].n_best)


def test_the_window_that_says_it_least_decides_that_there_is_no_answer(tokenizer):
    questions, rows = encoded(tokenizer, CONTEXT)
    outputs = flat(rows)
    for index, scores in enumerate(outputs):
        scores[0] = (1.0, 2.0 - index)
    (prediction,) = decode_spans(outputs, rows, questions, None)
    assert prediction.null_odds == 1.0 + 2.0 - (len(outputs) - 1)


@pytest.mark.parametrize("null_threshold", [None, 0.0])
def test_a_context_without_tokens_has_no_answer(tokenizer, null_threshold):
    questions, rows = encoded(tokenizer, "\u200b")
    (prediction,) = decode_spans(flat(rows), rows, questions, null_threshold)
    assert (prediction.text, prediction.start, prediction.end) == ("", None, None)
    assert prediction.probability == 1
    assert 1e38 < prediction.null_odds < math.inf
    assert prediction.best_text == ""


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("Caf\u00e9 Cats\u200b, 5.5!", "Cats"),
        ("the  CAT\tsat", "CAT\tsat"),
        ("a\u0301 cat", "a\u0301"),
        ("$5.5 a", "5.5"),
    ],
)
def test_the_text_is_the_contexts_own(tokenizer, context, answer):
    asked = Question("q", context, "who", (Answer(answer, context.index(answer)),))
    rows = encode_questions([asked], tokenizer, LIMITS, labelled=True)
    (scores,) = flat(rows)
    scores[rows.rows[0].label, [0, 1]] = 9
    (prediction,) = decode_spans([scores], rows, [asked], None)
    assert (prediction.text, prediction.start) == (answer, context.index(answer))


@given(st.integers(0, 16), st.integers(1, 4), st.integers(17, 24), st.integers(1, 4))
def test_a_network_that_has_learnt_everything_gives_every_answer(tokenizer, first, length, max_seq_length, stride):
    """Windows overlap by more than an answer is long, as they do with the paper's settings."""
    context = f"{CONTEXT} {CONTEXT}"
    words = context.split()
    answer = Answer(" ".join(words[first : first + length]), sum(len(word) + 1 for word in words[:first]))
    asked = Question("q", context, "who sat", (answer,))
    limits = InputLimits(max_seq_length=max_seq_length, stride=stride, max_answer_length=4)
    rows = encode_questions([asked], tokenizer, limits, labelled=True)
    outputs = flat(rows)
    for row, scores in zip(rows.rows, outputs, strict=True):
        scores[row.label, [0, 1]] = 9
    (prediction,) = decode_spans(outputs, rows, [asked], 0.0)
    assert (prediction.text, prediction.start, prediction.end) == (answer.text, answer.start, answer.end)
