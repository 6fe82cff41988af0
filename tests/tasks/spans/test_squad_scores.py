# ruff: noqa: RUF001 -- Chinese punctuation is the point here
"""Exact match and F1 are the official evaluations'; so is the best threshold."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.tasks.spans.character_scores import longest_common_run, mixed_tokens
from bertsmith.tasks.spans.squad_file import Answer, Question, read_questions
from bertsmith.tasks.spans.squad_scores import best_threshold, exact_match_of, f1_of, normalise, score_answers

PUBLISHED = {
    ("1.1", "dev-v1.1.rebuilt.json"): {
        "BERT_ensemble_Google_AI_Language",
        "Logistic_Regression_Baseline_Stanford_University",
        "Match-LSTM_with_Ans-Ptr_Boundary+Ensemble_Singapore_Management_University",
        "SLQA+_ensemble_Alibaba_iDST_NLP",
        "r-net+_ensemble_Microsoft_Research_Asia",
    },
    ("v2.0", "dev-v2.0.rebuilt.json"): {
        "BERT_single_model_Google_AI_Language",
        "BiDAF_+_Self_Attention_+_ELMo_single_model_Allen_Institute_for_Artificial_Intelligence_modified_by_Stanford",
        "nlnet_single_model_Microsoft_Research_Asia",
    },
}


def question(*answers, name="q"):
    return Question(name, "context", "question", tuple(Answer(text, 0) for text in answers), not answers)


# --- the published predictions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", PUBLISHED)
def test_published_predictions_have_their_published_scores(real_data, version):
    folder, file = version
    expected = json.loads((real_data / "squad" / "EXPECTED_SCORES.json").read_text())[f"v{folder.strip('v')}"]
    assert {name.removesuffix(".json") for name in expected} == PUBLISHED[version]
    questions = read_questions(real_data / "squad" / file, "strict").rows
    for name, figures in expected.items():
        texts = json.loads((real_data / "squad" / "published_dev_predictions" / folder / name).read_text())
        scores = score_answers(
            [texts.get(row.id) for row in questions], questions, unanswerable=file == "dev-v2.0.rebuilt.json"
        )
        ours = {
            "exact_match": scores.exact_match,
            "exact": scores.exact_match,
            "f1": scores.f1,
            "HasAns_exact": scores.exact_match[scores.has_answer],
            "HasAns_f1": scores.f1[scores.has_answer],
            "NoAns_exact": scores.exact_match[~scores.has_answer],
            "NoAns_f1": scores.f1[~scores.has_answer],
        }
        compared = [key for key in figures if key in ours]
        assert len(compared) in (2, 6)
        for key in compared:
            assert 100 * ours[key].mean() == pytest.approx(figures[key], abs=0.01), (name, key)
        assert scores.num_missing == figures.get("missing", 0)


# --- SQuAD's rules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat,\tsat!", "cat sat"),
        ("a an the", ""),
        ("theatre an-thea", "theatre anthea"),
        ("U.S.A.", "usa"),
        ("the.a b", "thea b"),  # punctuation goes first and leaves no gap
        ("L'été — “a”", "lété — “ ”"),  # only ASCII punctuation goes
        ("中的 the中", "中的 the中"),
    ],
)
def test_normalisation(text, normal):
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("text", "gold", "exact", "f1"),
    [
        ("the cat", "Cat.", 1, 1),
        ("black cat", "cat", 0, 2 / 3),
        ("cat cat cat", "cat cat dog", 0, 2 / 3),
        ("dog", "cat", 0, 0),
        ("", "cat", 0, 0),
    ],
)
def test_squad_rules(text, gold, exact, f1):
    for unanswerable in (False, True):
        assert exact_match_of(text, [gold]) == exact
        assert f1_of(text, [gold], unanswerable=unanswerable) == pytest.approx(f1)


def test_the_gold_answer_that_agrees_most_counts():
    scores = score_answers(["black cat"], [question("dog", "cat", "a big black cat")])
    assert scores.exact_match.tolist() == [0]
    assert scores.f1[0] == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))


def test_the_two_scripts_differ_where_a_text_has_no_words():
    one, two = (score_answers(["the"], [question("The")], unanswerable=unanswerable) for unanswerable in (False, True))
    assert (one.exact_match[0], one.f1[0]) == (1, 0)  # the same texts, and not a word in common
    assert (two.exact_match[0], two.f1[0]) == (1, 1)  # "The" is left out, so there is no answer, and "the" is none
    mixed = score_answers([""], [question("The", "cat")], unanswerable=True)
    assert (mixed.exact_match[0], mixed.f1[0]) == (0, 0)


def test_no_answer_is_right_where_there_is_none():
    scores = score_answers(["", "cat", ""], [question(), question(), question("cat")], unanswerable=True)
    assert scores.f1.tolist() == scores.exact_match.tolist() == [1, 0, 0]
    assert scores.has_answer.tolist() == [False, False, True]


def test_a_missing_prediction_counts_nothing_and_is_counted():
    scores = score_answers([None, "cat", None], [question(), question("cat"), question("cat")], unanswerable=True)
    assert scores.exact_match.tolist() == [0, 1, 0]
    assert scores.num_missing == 2


# --- thresholds ---------------------------------------------------------------------------------------------------

judged = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans(), st.integers(-3, 3), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(judged)
def test_the_best_threshold_is_found_as_the_official_script_finds_it(rows):
    scores = [score for score, _, _, _ in rows]
    texts = ["text" if is_text else "" for _, is_text, _, _ in rows]
    odds = [float(value) for _, _, value, _ in rows]
    has_answer = [answer for _, _, _, answer in rows]
    # one question after the other is answered, in the order of their odds
    running = best = float(has_answer.count(False))
    threshold = 0.0
    for index in sorted(range(len(rows)), key=odds.__getitem__):
        if has_answer[index]:
            running += scores[index]
        elif texts[index]:
            running -= 1
        if running > best:
            best, threshold = running, odds[index]
    found = best_threshold(np.array(scores), texts, np.array(odds), np.array(has_answer))
    assert found.score == pytest.approx(best / len(rows))
    assert found.threshold == threshold


@given(judged)
def test_no_threshold_gives_more_than_the_best_one(rows):
    scores = np.array([score for score, _, _, _ in rows])
    odds = np.arange(len(rows)) + np.array([value / 10 for _, _, value, _ in rows])  # without ties
    has_answer = np.array([answer for _, _, _, answer in rows])
    found = best_threshold(scores, ["text"] * len(rows), odds, has_answer)
    means = [np.where(odds > threshold, ~has_answer, has_answer * scores).mean() for threshold in [-1.0, *odds]]
    assert found.score == pytest.approx(max(means))


def test_one_question_at_a_time():
    scores, odds = np.array([1.0, 1.0, 0.0, 1.0]), np.array([-2.0, -1.0, 0.0, 1.0])
    found = best_threshold(scores, ["a", "b", "c", "d"], odds, np.array([True, True, False, True]))
    assert (found.score, found.threshold) == (0.75, -1.0)  # the last one would win again what the third one lost


# --- characters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("《战国无双3》", ["战", "国", "无", "双", "3"]),
        ("由光荣和ω-force开发", ["由", "光", "荣", "和", "ωforce", "开", "发"]),
        ("共 1,024.5 人（约）", ["共", "1,024.5", "人", "约"]),
        ("Henry A. Walsh.", ["henry", "a.", "walsh", "."]),
        (" ，。 ", []),
        ("さくら", ["さくら"]),
    ],
)
def test_mixed_tokens(text, tokens):
    assert mixed_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "gold", "exact", "f1"),
    [
        ("《战国》", "战国", 1, 1),
        ("战国无双", "战国", 0, 2 * 1 * 0.5 / 1.5),
        ("战国无双", "战国的无双", 0, 2 * (2 / 4) * (2 / 5) / (2 / 4 + 2 / 5)),  # the longest run is 战国 or 无双
        ("", "战国", 0, 0),
    ],
)
def test_character_rules(text, gold, exact, f1):
    assert exact_match_of(text, [gold], "characters") == exact
    assert f1_of(text, [gold], "characters") == pytest.approx(f1)
    assert f1_of(text, ["无关", gold], "characters") == pytest.approx(f1)


def test_no_answer_under_character_rules():
    scores = score_answers(["", "战"], [question(), question()], rules="characters", unanswerable=True)
    assert scores.f1.tolist() == [1, 0]


words = st.lists(st.sampled_from("abc"), max_size=10)


@given(words, words)
def test_the_longest_common_run_is_the_longest_common_piece(first, second):
    runs = {tuple(first[begin:end]) for begin in range(len(first) + 1) for end in range(begin, len(first) + 1)}
    others = {tuple(second[begin:end]) for begin in range(len(second) + 1) for end in range(begin, len(second) + 1)}
    assert longest_common_run(first, second) == max(map(len, runs & others))
