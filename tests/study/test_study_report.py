"""The page of a study says who is ahead only where somebody is, what its p tests, and what was compared."""

import re
from html import unescape

import pytest

from bertsmith.core.configuration import build_settings
from bertsmith.study.cell import Cell, what_decides
from bertsmith.study.study_file import Study
from bertsmith.study.study_report import write_study_report
from bertsmith.study.trials import TaskOutcome
from bertsmith.study.yardstick import Scores
from bertsmith.training.configuration import PretrainConfig

LOW, HIGH = (0.60, 0.63, 0.64), (0.70, 0.72, 0.74)
ONE_NETWORK = "fine-tunings of one network each: it does not see how much pre-training varies"


def study_of(variants, tasks, **settings):
    return build_settings(
        Study,
        {"question": "Which?", "variants": [{"name": name} for name in variants], "tasks": tasks, **settings},
    )


def trials(*names):
    return [{"task": "mrpc", "name": name, "folder": name, "seeds": 3} for name in names]


def cell_of(study, variant, scores, seed=0, precision="float32", **settings):
    """scores  key of a trial -> a score for each fine-tuning"""
    layers = {"recipe": "tiny", "training": {"steps": 9}}, {"store": "s", "out": "o"}, settings
    config = PretrainConfig.from_layers(*layers)
    described = next(each for each in study.variants if each.name == variant)
    return Cell(
        variant, seed, None, None, what_decides(config, study, described), precision, 1, {}, 10**6, 5e12,
        (Scores(0, 0.0, 9.0, 0.1, None), Scores(9, 3.0, 2.0, 0.5, None)),
        {task: TaskOutcome({"f1": values}, (), {"train": 90, "dev": 10}) for task, values in scores.items()}, {},
    )  # fmt: skip


@pytest.fixture
def page(tmp_path):
    """Writes the page and gives its words; the verdict's box keeps its class."""

    def write(study, cells):
        text = {"text": "novels: 3.0 million tokens", "vocabulary": "8,000 pieces"}
        write_study_report(tmp_path / "r.html", "s", study, cells, 0, text, ["bertsmith", "compare", "s"])
        html = (tmp_path / "r.html").read_text(encoding="utf-8")
        kind = re.search(r'<div class="verdict (\w+)"', html)
        words = unescape(re.sub(r"<[^>]+>", " ", html[html.index("<body") :]))
        return " ".join(words.split()), kind and kind[1]

    return write


def pair(study, ours, theirs, **settings):
    return {
        "a": [cell_of(study, "a", scores, seed) for seed, scores in enumerate(ours)],
        "b": [cell_of(study, "b", scores, seed, **settings) for seed, scores in enumerate(theirs)],
    }


def test_a_row_that_is_clearly_ahead_on_what_decides_is_named_the_best(page):
    study = study_of("ab", trials("x"))
    words, kind = page(study, pair(study, [{"x": HIGH}], [{"x": LOW}]))
    assert "Best: a" in words
    assert "The lead of a over the second is clear on 1 of its 1" in words
    assert kind == "good"


def test_a_clear_lead_of_another_row_does_not_make_the_named_one_the_best(page):
    study = study_of("ab", trials("x", "y", "z"))
    even, uneven = (0.60, 0.70, 0.65), (0.71, 0.60, 0.65)
    ours = [{"x": uneven, "y": uneven, "z": LOW}]
    words, kind = page(study, pair(study, ours, [{"x": even, "y": even, "z": HIGH}]))
    assert "Ahead, not clearly: a" in words
    assert "the highest mean has: a on 2, b on 1. The lead of a over the second is clear on 0 of its 2" in words
    assert kind == "doubt"


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({"x": LOW, "y": HIGH}, "the highest mean has: a on 1, b on 1. 2 of these leads are clear"),
        ({"x": HIGH, "y": LOW}, "the highest mean has: no single row; 2 with two rows level at the top"),
    ],
    ids=["as many tasks each", "the same scores"],
)
def test_of_rows_that_are_level_none_is_the_best(page, theirs, said):
    study = study_of("ab", trials("x", "y"))
    words, kind = page(study, pair(study, [{"x": HIGH, "y": LOW}], [theirs]))
    assert "No row is best" in words
    assert said in words
    assert "Best:" not in words
    assert kind == "doubt"


def test_a_task_that_only_one_way_was_learnt_on_has_a_best_and_no_second(page):
    tasks = [("mrpc", "a"), ("mrpc", "b"), ("sts-b", "a")]
    study = study_of(["one"], [{"task": task, "folder": task, "way": way, "seeds": 3} for task, way in tasks])
    scores = {"mrpc, a": HIGH, "mrpc, b": LOW, "sts-b, a": LOW}
    words, _ = page(study, {"one": [cell_of(study, "one", scores)]})
    assert "the highest mean has: a on 2" in words


def test_one_row_alone_is_not_called_the_best(page):
    study = study_of("a", trials("x"))
    words, kind = page(study, {"a": [cell_of(study, "a", {"x": HIGH})]})
    assert "Scores" in words
    assert kind is None


def test_a_test_over_fine_tunings_says_what_it_does_not_see_wherever_its_p_stands(page):
    paper = {"table": "1", "found": "One wins.", "scores": {"a": {"x": 80.0}, "b": {"x": 81.0}}}
    study = study_of("ab", trials("x"), paper=paper)
    words, _ = page(study, pair(study, [{"x": HIGH}], [{"x": LOW}]))
    assert words.count(ONE_NETWORK) == 3  # the verdict, the differences, the paper's pairs
    assert words.count("corrected for the number of comparisons, here 1 (Holm 1979)") == 2


def test_a_test_over_pre_trainings_is_called_one(page):
    study = study_of("ab", trials("x"), seeds=[0, 1, 2])
    ours = [{"x": tuple(score + 0.01 * seed for score in HIGH)} for seed in range(3)]
    words, _ = page(study, pair(study, ours, [{"x": LOW}] * 3))
    assert ONE_NETWORK not in words
    assert "over the seeds of pre-training, each the mean of its fine-tunings" in words


def test_the_page_tells_what_was_compared_and_where_the_variants_differ(page):
    study = study_of("ab", trials("x"))
    words, _ = page(study, pair(study, [{"x": HIGH}], [{"x": LOW}], precision="bfloat16", data={"batch_size": 64}))
    for said in (
        "network bert, 2 layers of 128 with 2 heads",
        "text novels: 3.0 million tokens",
        "vocabulary 8,000 pieces",
        "length 9 steps, 1.0 million tokens",
        "processor 1 thread, float32 (a); 1 thread, bfloat16 (b)",
        "64 in a batch (b)",
        "x 90 train examples, 10 dev examples, 3 fine-tunings",
        "they may come from several machines",
    ):
        assert said in words


def test_a_curve_is_said_to_be_of_one_seed_and_next_words_are_told_from_hidden_ones(page):
    study = study_of("ab", trials("x"), seeds=[0, 1])
    next_words = {"data": {"objective": "next", "next_sentence": False}}
    words, _ = page(study, pair(study, [{"x": HIGH}] * 2, [{"x": LOW}] * 2, **next_words))
    assert "one pre-training each (seed 0). That of b is of the next word, that of the others of hidden words." in words
