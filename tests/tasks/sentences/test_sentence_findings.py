"""Findings on labels, several labels and scores of texts, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.sentences.predictions import predictions_of
from bertsmith.tasks.sentences.task import SentenceTask

LABELS = ("bad", "fine", "good")
ONE = SentenceTask("one", Columns("text", label="label"), labels=LABELS, metrics=("accuracy",))
SEVERAL = SentenceTask("several", Columns("text", label="label"), labels=LABELS, metrics=("micro_f1",), several=True)
SCORE = SentenceTask("score", Columns("a", "b", "label"), labels=None, metrics=("pearson",))


def example(label, line, text="the film", text_pair=None):
    return SentenceExample(text, text_pair, label, line)


def figures(table):
    return np.array([values for _, values in table.rows])


def test_random_labels_are_counted_as_scikit_learn_does():
    random = np.random.default_rng(0)
    gold, logits = random.integers(3, size=500), random.normal(size=(500, 3)).astype(np.float32)
    examples = [example(LABELS[label], line, "x" * random.integers(1, 99)) for line, label in enumerate(gold, start=2)]
    predictions = predictions_of(logits, LABELS, several=False)
    findings = ONE.findings(predictions, examples)
    predicted = logits.argmax(axis=1)
    assert findings.num_examples == 500
    assert findings.confusion.labels == LABELS
    assert findings.confusion.counts == tuple(map(tuple, confusion_matrix(gold, predicted).tolist()))
    precision, recall, f1, support = precision_recall_fscore_support(gold, predicted)
    by_label, by_length = findings.groups
    np.testing.assert_allclose(figures(by_label)[:, :4], np.array([precision, recall, f1, support]).T)
    np.testing.assert_array_equal(figures(by_label)[:, 4], np.bincount(predicted))
    counts, accuracies = figures(by_length).T
    assert counts @ accuracies / 500 == pytest.approx(accuracy_score(gold, predicted))
    assert findings.mistakes.total == (gold != predicted).sum()
    worst = findings.mistakes.shown[0]
    surest = max(
        (max(p.probabilities.values()) for p, g in zip(predictions, gold, strict=True) if p.label != LABELS[g])
    )
    assert worst.size == surest
    line = int(worst.place.removeprefix("line "))
    assert (worst.gold, worst.predicted) == (LABELS[gold[line - 2]], LABELS[predicted[line - 2]])
    assert worst.texts == (examples[line - 2].text,)


def test_the_confidence_is_that_of_the_predicted_label():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.45, 0.45]], dtype=np.float32))
    findings = ONE.findings(predictions_of(logits, LABELS, several=False), [example("bad", 2), example("good", 3)])
    assert [(bin_.count, bin_.share_right) for bin_ in findings.calibration.bins] == [(1, 0.0), (1, 1.0)]
    assert [bin_.confidence for bin_ in findings.calibration.bins] == pytest.approx([0.45, 0.7])


def test_several_labels_are_each_an_answer():
    random = np.random.default_rng(1)
    gold, logits = random.integers(2, size=(200, 3)).astype(bool), random.normal(size=(200, 3)).astype(np.float32)
    examples = [
        example(tuple(label for label, is_there in zip(LABELS, row, strict=True) if is_there), line)
        for line, row in enumerate(gold, start=2)
    ]
    findings = SEVERAL.findings(predictions_of(logits, LABELS, several=True), examples)
    precision, recall, f1, support = precision_recall_fscore_support(gold, logits > 0)
    np.testing.assert_allclose(figures(findings.groups[0])[:, :4], np.array([precision, recall, f1, support]).T)
    assert findings.confusion is None
    assert sum(bin_.count for bin_ in findings.calibration.bins) == gold.size
    assert sum(bin_.count * bin_.share_right for bin_ in findings.calibration.bins) == pytest.approx(gold.sum())
    assert findings.mistakes.total == (gold != (logits > 0)).any(axis=1).sum()


def test_the_worst_of_several_labels_is_the_surest_wrong_yes_or_no():
    likely = np.array([[0.9, 0.2, 0.2], [0.6, 0.03, 0.2], [0.8, 0.2, 0.1]])
    logits = np.log(likely / (1 - likely)).astype(np.float32)
    examples = [example((), 2), example(("bad", "fine"), 3), example(("bad",), 4)]
    mistakes = SEVERAL.findings(predictions_of(logits, LABELS, several=True), examples).mistakes
    assert [(mistake.place, mistake.gold, mistake.predicted) for mistake in mistakes.shown] == [
        ("line 3", "bad, fine", "bad"),
        ("line 2", "none", "bad"),
    ]
    assert [mistake.size for mistake in mistakes.shown] == pytest.approx([0.97, 0.9])


def test_scores_stand_beside_the_right_ones_and_the_largest_difference_comes_first():
    examples = [example(1.0, 2, "a", "b"), example(4.5, 3, "c", "d"), example(3.0, 4, "e", "f")]
    outputs = np.array([[1.25], [1.5], [3.0]], dtype=np.float32)
    findings = SCORE.findings(predictions_of(outputs, None, several=False), examples)
    assert findings.comparison.gold == (1.0, 4.5, 3.0)
    assert findings.comparison.predicted == (1.25, 1.5, 3.0)
    assert findings.comparison.mean_error == pytest.approx(3.25 / 3)
    assert findings.confusion is None and findings.calibration is None
    assert [(mistake.texts, mistake.gold, mistake.predicted) for mistake in findings.mistakes.shown] == [
        (("c", "d"), "4.5", "1.50"),
        (("a", "b"), "1", "1.25"),
    ]
    assert [mistake.size for mistake in findings.mistakes.shown] == [3.0, 0.25]
    assert findings.groups[0].columns == ("score", "examples", "mean prediction", "mean difference")


@pytest.mark.parametrize(
    ("task", "label", "gold"), [(ONE, "bad", "bad"), (SEVERAL, ("bad", "good"), ["bad", "good"]), (SCORE, 2.5, 2.5)]
)
def test_the_right_answer_as_json(task, label, gold):
    assert task.gold(example(label, 2)) == gold
