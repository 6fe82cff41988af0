"""Findings on tags: counted as seqeval and scikit-learn count, errors told in words."""

import numpy as np
import pytest
from seqeval.metrics import classification_report
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from bertsmith.tasks.tags.decoding import FoundEntity, TagPrediction
from bertsmith.tasks.tags.findings import NO_ENTITY
from bertsmith.tasks.tags.schemes import entities_of, entity_labels
from bertsmith.tasks.tags.sentence import Sentence
from bertsmith.tasks.tags.task import CLASS_METRICS, TagTask

ENTITIES = TagTask("names", labels=entity_labels(["LOC", "ORG", "PER"]))
CLASSES = TagTask("words", labels=("ADJ", "NOUN", "VERB"), scheme="classes", metrics=CLASS_METRICS)


def sentence(tags, line=1):
    return Sentence(tuple(f"word{index}" for index in range(len(tags.split()))), tuple(tags.split()), line)


def prediction(tags, probability=0.75):
    found = [FoundEntity(one.type, "", one.start, one.end, probability) for one in entities_of(tags.split())]
    return TagPrediction(tuple(tags.split()), tuple(found))


def random_tags(labels, seed):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(labels, size=random.integers(1, 12))) for _ in range(150)]


def figures(table):
    return dict(table.rows)


def test_types_are_scored_as_seqeval_scores_them():
    gold, found = random_tags(ENTITIES.labels, 0), random_tags(ENTITIES.labels, 0)
    found[::3] = [" ".join("O" for _ in tags.split()) for tags in found[::3]]
    findings = ENTITIES.findings([prediction(tags) for tags in found], [sentence(tags) for tags in gold])
    report = classification_report([t.split() for t in gold], [t.split() for t in found], output_dict=True)
    for type_, values in figures(findings.groups[0]).items():
        expected = report[type_]
        assert values[:4] == pytest.approx(
            tuple(expected[name] for name in ("precision", "recall", "f1-score", "support"))
        )


def test_types_are_confused_where_the_words_are_the_same_and_missed_where_nothing_is():
    gold = [sentence("B-PER I-PER O B-LOC", 3), sentence("B-ORG O O", 8)]
    found = [prediction("B-ORG I-ORG O O"), prediction("O O B-LOC", 0.5)]
    findings = ENTITIES.findings(found, gold)
    confusion = findings.confusion
    assert confusion.labels == ("LOC", "ORG", "PER", NO_ENTITY)
    counts = {
        (confusion.labels[row], confusion.labels[column]): count
        for row, counts in enumerate(confusion.counts)
        for column, count in enumerate(counts)
        if count
    }
    assert counts == {("PER", "ORG"): 1, ("LOC", NO_ENTITY): 1, ("ORG", NO_ENTITY): 1, (NO_ENTITY, "LOC"): 1}
    assert [(bin_.count, bin_.share_right) for bin_ in findings.calibration.bins] == [(1, 0.0), (1, 0.0)]


@pytest.mark.parametrize(
    ("gold", "found", "errors"),
    [
        ("B-PER I-PER O", "B-PER I-PER O", []),
        ("B-PER I-PER O", "O O O", ["PER is missed"]),
        ("O O O", "O B-LOC O", ["LOC is found where there is none"]),
        ("B-PER I-PER O", "B-ORG I-ORG O", ["PER is taken for ORG"]),
        ("B-PER I-PER O", "B-PER O O", ["PER with wrong borders"]),
        ("B-PER I-PER O", "B-LOC O O", ["PER is taken for LOC with wrong borders"]),
        ("B-PER B-LOC O", "B-PER I-PER O", ["LOC is missed", "PER with wrong borders"]),
        ("B-PER I-PER O", "B-PER B-PER O", ["PER is found where there is none", "PER with wrong borders"]),
    ],
)
def test_an_error_in_words(gold, found, errors):
    findings = ENTITIES.findings([prediction(found)], [sentence(gold)])
    tables = [table for table in findings.groups if table.title == "The most frequent errors"]
    assert sorted(error for table in tables for error, _ in table.rows) == errors
    assert all(sum(share for _, (_, share) in table.rows) == pytest.approx(1) for table in tables)


def test_the_sentence_with_most_errors_comes_first_with_what_is_missed_and_what_is_too_much():
    gold = [sentence("B-PER O B-LOC", 5), sentence("B-PER I-PER O", 9), sentence("O O", 13)]
    found = [prediction("B-PER O O"), prediction("O B-LOC O"), prediction("O O")]
    mistakes = ENTITIES.findings(found, gold).mistakes
    assert [(mistake.place, mistake.gold, mistake.predicted, mistake.size) for mistake in mistakes.shown] == [
        ("line 9", "word0 word1 (PER)", "word1 (LOC)", 2),
        ("line 5", "word2 (LOC)", "nothing else", 1),
    ]
    assert (mistakes.total, mistakes.shown[0].texts) == (2, ("word0 word1 word2",))


def test_a_sentence_of_plain_text_is_shown_as_it_was():
    gold = Sentence(("Rome", "!"), ("B-LOC", "O"), 2, text="Rome!", offsets=((0, 4), (4, 5)))
    (mistake,) = ENTITIES.findings([prediction("O O")], [gold]).mistakes.shown
    assert mistake.texts == ("Rome!",)


def test_where_nothing_is_found_there_is_nothing_to_be_sure_of():
    findings = ENTITIES.findings([prediction("O O O")], [sentence("B-PER O O")])
    assert findings.calibration is None


def test_classes_of_words_are_counted_as_scikit_learn_does():
    gold, found = random_tags(CLASSES.labels, 1), random_tags(CLASSES.labels, 1)
    found[::2] = [" ".join(sorted(tags.split())) for tags in found[::2]]
    findings = CLASSES.findings([TagPrediction(tuple(tags.split())) for tags in found], [sentence(t) for t in gold])
    words = " ".join(gold).split(), " ".join(found).split()
    assert findings.confusion.counts == tuple(map(tuple, confusion_matrix(*words).tolist()))
    expected = np.array(precision_recall_fscore_support(*words)).T
    np.testing.assert_allclose([values[:4] for _, values in findings.groups[0].rows], expected)
    assert findings.calibration is None
    assert findings.mistakes.total == sum(a != b for a, b in zip(gold, found, strict=True))


def test_a_mistake_in_classes_names_the_words():
    findings = CLASSES.findings([TagPrediction(("NOUN", "VERB", "VERB"))], [sentence("NOUN ADJ NOUN", 4)])
    (mistake,) = findings.mistakes.shown
    assert (mistake.gold, mistake.predicted, mistake.size) == ("word1 ADJ, word2 NOUN", "word1 VERB, word2 VERB", 2)


def test_the_right_answer_as_json():
    assert ENTITIES.gold(sentence("B-PER O")) == ["B-PER", "O"]
