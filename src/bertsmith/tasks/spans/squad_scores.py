"""Exact match and F1 of answers, as evaluate-v1.1.py, evaluate-v2.0.py and CMRC 2018's evaluation define them.

An answer counts as much as it agrees with the gold answer that it agrees with most. All figures are shares, 0 to 1; the
official scripts print 100 times as much.

| rules | texts are compared | F1 is over |
|---|---|---|
| squad | in lower case, without ASCII punctuation, without a, an, the, white space as single blanks | words |
| characters | in lower case, without CMRC's list of punctuation | the longest run of characters that is in both |

The two SQuAD scripts differ where a text has no words left ("The"): 1.1 gives it an F1 of 0, 2.0 an F1 of 1 if neither
text has any; 2.0 does not look at gold answers without words. 2.0's rules hold for tasks with unanswerable questions,
to which "" is the answer.

Legend: N questions.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bertsmith.tasks.spans.character_scores import longest_common_run, mixed_tokens, without_punctuation
from bertsmith.tasks.spans.squad_file import Question

ScoringRules = Literal["squad", "characters"]
Scores = npt.NDArray[np.float64]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, eq=False)
class AnswerScores:
    """What each question's answer is worth.

    exact_match   [N]  0 or 1
    f1            [N]  0 to 1
    has_answer    [N]  bool, whether there is a gold answer
    num_missing   questions without a prediction, which counts 0
    """

    exact_match: Scores
    f1: Scores
    has_answer: npt.NDArray[np.bool_]
    num_missing: int


@dataclass(frozen=True)
class BestThreshold:
    """The highest mean that any threshold of the null odds gives, that threshold, and how many questions it answers."""

    score: float
    threshold: float
    num_answers: int


def score_answers(
    texts: Sequence[str | None],
    questions: Sequence[Question],
    *,
    rules: ScoringRules = "squad",
    unanswerable: bool = False,
) -> AnswerScores:
    """Exact match and F1 of the answer to each question.

    texts         [N]  predicted answers; "": there is none; None: nothing was predicted
    unanswerable  whether questions may be without an answer: SQuAD 2.0's rules instead of 1.1's
    """
    exact_match, f1 = np.zeros(len(questions)), np.zeros(len(questions))
    for index, (text, question) in enumerate(zip(texts, questions, strict=True)):
        if text is not None:
            gold = _gold_answers(question, unanswerable=unanswerable)
            exact_match[index] = exact_match_of(text, gold, rules)
            f1[index] = f1_of(text, gold, rules, unanswerable=unanswerable)
    has_answer = np.array([bool(question.answers) for question in questions], dtype=np.bool_)
    return AnswerScores(exact_match, f1, has_answer, num_missing=sum(text is None for text in texts))


def exact_match_of(text: str, gold: Sequence[str], rules: ScoringRules = "squad") -> float:
    """1 if an answer is the same as one of the gold answers after normalisation, else 0."""
    normalised = without_punctuation if rules == "characters" else normalise
    return float(normalised(text) in map(normalised, gold))


def f1_of(text: str, gold: Sequence[str], rules: ScoringRules = "squad", *, unanswerable: bool = False) -> float:
    """Harmonic mean of precision and recall of an answer's tokens, for the gold answer that gives it the most."""
    cut, count_common = _TOKENS[rules]
    tokens, best = cut(text), 0.0
    for gold_tokens in map(cut, gold):
        if unanswerable and not (tokens and gold_tokens):
            best = max(best, float(tokens == gold_tokens))
        elif num_common := count_common(tokens, gold_tokens):
            precision, recall = num_common / len(tokens), num_common / len(gold_tokens)
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def normalise(text: str) -> str:
    """SQuAD's normalisation: lower case, no ASCII punctuation, no articles, single blanks between words."""
    lower = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lower).split())


def _words(text: str) -> list[str]:
    return normalise(text).split()


def _count_common_words(words: Sequence[str], gold_words: Sequence[str]) -> int:
    """How many words the two have in common, each as often as both have it."""
    return (Counter(words) & Counter(gold_words)).total()


# How an answer is cut into tokens, and how many tokens two answers have in common.
_TOKENS: Mapping[ScoringRules, tuple[Callable[[str], list[str]], Callable[[Sequence[str], Sequence[str]], int]]] = {
    "squad": (_words, _count_common_words),
    "characters": (mixed_tokens, longest_common_run),
}


def best_threshold(
    scores: Scores, texts: Sequence[str], null_odds: Scores, has_answer: npt.NDArray[np.bool_]
) -> BestThreshold:
    """The threshold that is best on these questions: those whose null odds are above it are given no answer.

    As find_best_thresh of evaluate-v2.0.py: questions are answered one after the other, the one with the lowest odds
    first; one that has an answer brings its score, one that has none costs 1 if its text is not "". The threshold is
    the odds of the last question that made the sum higher than ever, and 0 if none did.

    scores  [N]  what each answer is worth where it is given
    texts   [N]  the answers
    """
    order = np.argsort(null_odds, kind="stable")
    is_text = np.array([bool(text) for text in texts], dtype=np.bool_)
    changes = np.where(has_answer, scores, -1.0 * is_text)
    sums = np.cumsum([np.count_nonzero(~has_answer), *changes[order]])
    best = int(sums.argmax())  # the first of equals
    threshold = float(null_odds[order[best - 1]]) if best else 0.0
    return BestThreshold(float(sums[best]) / len(scores), threshold, best)


def _gold_answers(question: Question, *, unanswerable: bool) -> list[str]:
    texts = [answer.text for answer in question.answers]
    if unanswerable:
        texts = [text for text in texts if normalise(text)]
    return texts or [""]
