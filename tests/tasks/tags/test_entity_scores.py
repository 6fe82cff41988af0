"""Scores of entities against seqeval, and against conlleval's own way: one pass over all words with a memory of one."""

from collections import Counter

import numpy as np
import pytest
from seqeval.metrics import accuracy_score, classification_report
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import f1_score

from bertsmith.tasks.tags.entity_scores import macro_f1, score_entities, tag_accuracy
from bertsmith.tasks.tags.schemes import entities_of

IOB = ["O", *(f"{letter}-{kind}" for letter in "BI" for kind in ("A", "B", "C-D"))]


def random_tags(seed, count, names=IOB):
    """Sequences of 0 to 12 tags, most of them not well-formed."""
    random = np.random.default_rng(seed)
    share = np.array([0.4] + [0.6 / (len(names) - 1)] * (len(names) - 1))
    return [random.choice(names, size=random.integers(0, 13), p=share).tolist() for _ in range(count)]


def disturbed(sequences, seed):
    """The same with every fifth tag drawn anew."""
    random = np.random.default_rng(seed)
    return [[str(random.choice(IOB)) if random.random() < 0.2 else tag for tag in tags] for tags in sequences]


def conlleval(gold, predicted):
    """Counts (right, predicted, gold) by type and the accuracy, as the Perl script counts them; sentences end in O."""

    def split(tag):
        letter, _, kind = tag.partition("-")
        return letter, kind

    def ends(last, last_kind, letter, kind):
        return (last in "BI" and letter in "BO") or (last != "O" and last_kind != kind)

    def starts(last, last_kind, letter, kind):
        return letter == "B" or (last == "O" and letter == "I") or (letter != "O" and last_kind != kind)

    right, found, wanted = Counter(), Counter(), Counter()
    in_right, words, right_words = False, 0, 0
    last_gold = last_predicted = ("O", "")
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        for gold_tag, predicted_tag in [*zip(gold_tags, predicted_tags, strict=True), (None, None)]:
            now_gold, now_predicted = split(gold_tag or "O"), split(predicted_tag or "O")
            if in_right:
                gold_ends = ends(*last_gold, *now_gold)
                predicted_ends = ends(*last_predicted, *now_predicted)
                if gold_ends and predicted_ends and last_gold[1] == last_predicted[1]:
                    in_right = False
                    right[last_gold[1]] += 1
                elif gold_ends != predicted_ends or now_gold[1] != now_predicted[1]:
                    in_right = False
            gold_starts, predicted_starts = starts(*last_gold, *now_gold), starts(*last_predicted, *now_predicted)
            if gold_starts and predicted_starts and now_gold[1] == now_predicted[1]:
                in_right = True
            wanted[now_gold[1]] += gold_starts
            found[now_predicted[1]] += predicted_starts
            if gold_tag is not None:
                words += 1
                right_words += gold_tag == predicted_tag
            last_gold, last_predicted = now_gold, now_predicted
    kinds = sorted(kind for kind in wanted.keys() | found.keys() if wanted[kind] or found[kind])
    return {kind: (right[kind], found[kind], wanted[kind]) for kind in kinds}, right_words / words


@pytest.mark.parametrize("names", [IOB, ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "AB")]])
def test_the_entities_of_10000_random_sequences_are_those_of_seqeval(names):
    for tags in random_tags(0, 10_000, names):
        theirs = [(kind, start, end + 1) for kind, start, end in get_entities(tags)]
        assert [tuple(entity) for entity in entities_of(tags)] == theirs


@pytest.mark.parametrize("seed", range(10))
def test_scores_of_1000_random_sentences_are_those_of_seqeval(seed):
    gold = random_tags(seed, 1000)
    predicted = disturbed(gold, seed + 100)
    ours = score_entities(gold, predicted)
    theirs = classification_report(gold, predicted, output_dict=True)
    for name, counts in [("micro avg", ours.overall), *ours.by_type.items()]:
        row = theirs[name]
        assert counts.precision == pytest.approx(row["precision"], abs=1e-12)
        assert counts.recall == pytest.approx(row["recall"], abs=1e-12)
        assert counts.f1 == pytest.approx(row["f1-score"], abs=1e-12)
        assert counts.gold == row["support"]
    assert set(ours.by_type) == set(theirs) - {"micro avg", "macro avg", "weighted avg"}
    assert ours.accuracy == pytest.approx(accuracy_score(gold, predicted), abs=1e-12)
    assert 0.1 < ours.overall.f1 < 0.9


@pytest.mark.parametrize("seed", range(10))
def test_counts_of_1000_random_sentences_are_those_of_conlleval(seed):
    gold = random_tags(seed, 1000)
    predicted = disturbed(gold, seed + 100)
    counts, accuracy = conlleval(gold, predicted)
    ours = score_entities(gold, predicted)
    assert {kind: (row.right, row.predicted, row.gold) for kind, row in ours.by_type.items()} == counts
    assert ours.accuracy == accuracy


@pytest.mark.parametrize(
    ("gold", "predicted", "right", "found", "wanted"),
    [
        ("B-A I-A O", "B-A I-A O", 1, 1, 1),
        ("B-A I-A O", "I-A I-A O", 1, 1, 1),
        ("B-A I-A O", "B-A O O", 0, 1, 1),
        ("B-A I-A O", "B-A I-A I-A", 0, 1, 1),
        ("B-A I-A O", "B-B I-B O", 0, 1, 1),
        ("B-A B-A O", "B-A I-A O", 0, 1, 2),
        ("O O O", "O B-A O", 0, 1, 0),
        ("O B-A O", "O O O", 0, 0, 1),
    ],
)
def test_an_entity_is_right_if_type_and_borders_are(gold, predicted, right, found, wanted):
    overall = score_entities([gold.split()], [predicted.split()]).overall
    assert (overall.right, overall.predicted, overall.gold) == (right, found, wanted)
    assert overall.precision == (right / found if found else 0.0)
    assert overall.recall == (right / wanted if wanted else 0.0)


def test_an_entity_does_not_reach_into_the_next_sentence():
    scores = score_entities([["B-A"], ["I-A"]], [["B-A"], ["I-A"]])
    assert scores.overall.right == 2


def test_nothing_to_find_and_nothing_found_scores_0():
    overall = score_entities([["O"]], [["O"]]).overall
    assert (overall.precision, overall.recall, overall.f1) == (0.0, 0.0, 0.0)
    assert tag_accuracy([], []) == macro_f1([], []) == 0.0


def test_macro_f1_of_classes_is_scikit_learns():
    random = np.random.default_rng(0)
    gold = [random.choice(["DET", "NOUN", "VERB", "X"], size=20, p=[0.4, 0.3, 0.29, 0.01]).tolist() for _ in range(9)]
    predicted = [[str(random.choice(["DET", "NOUN", "VERB"])) for _ in tags] for tags in gold]
    theirs = f1_score(np.concatenate(gold), np.concatenate(predicted), average="macro", zero_division=0)
    assert macro_f1(gold, predicted) == pytest.approx(theirs)
