"""The tables of a study show what its cells hold, and hold it against the paper."""

from dataclasses import replace

import pytest

from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.study.cell import Cell
from bertsmith.study.significance import Pairs
from bertsmith.study.study_file import Study, load_study, study_names
from bertsmith.study.study_tables import (
    cost_table,
    difference,
    difference_table,
    differences,
    paper_pairs,
    score_table,
    study_rows,
)
from bertsmith.study.trials import TaskOutcome
from bertsmith.study.yardstick import Scores
from bertsmith.tasks.catalogue import TASKS
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.training.configuration import PretrainConfig

QUICK = ("masking", "pretraining-tasks", "size", "steps", "three-systems", "two-strategies")
STUDY = build_settings(
    Study,
    {
        "question": "Which?",
        "variants": [{"name": name, "columns": {"masked": share}} for name, share in (("one", "80 %"), ("two", "0 %"))],
        "tasks": [{"task": "mrpc", "folder": "mrpc", "seeds": 3}],
        "seeds": (0, 1),
        "paper": {"table": "1", "found": "Two wins.", "scores": {"one": {"mrpc": 80.0}, "two": {"mrpc": 81.5}}},
    },
)


def cell(variant, seed, scores, loss=2.0):
    return Cell(
        variant, seed, None, None, {}, "float32", 2, {}, 10**6, 5e12, (Scores(9, 3.0, loss, 0.5, None),),
        {"mrpc": TaskOutcome({"f1": scores, "accuracy": (0.0,) * 3}, (1,), {"train": 90, "dev": 10})}, {},
    )  # fmt: skip


CELLS = {
    "one": [cell("one", 0, (0.70, 0.72, 0.74)), cell("one", 1, (0.71, 0.73, 0.75))],
    "two": [cell("two", 0, (0.60, 0.63, 0.64)), cell("two", 1, (0.60, 0.62, 0.66))],
}


def test_a_row_has_the_runs_of_all_seeds_and_the_best_of_a_column_is_bold():
    rows = study_rows(STUDY, CELLS)
    assert rows[0].scores == {"mrpc, f1": [0.70, 0.72, 0.74, 0.71, 0.73, 0.75]}
    assert rows[0].collapsed == 2
    table = score_table(rows)
    assert table.header == ["", "masked", "perplexity", "mrpc, f1"]
    assert table.names == 2
    assert table.rows == [
        ["one", "80 %", "7.4 ± 0.0", "**72.5 ± 1.9**"],
        ["two", "0 %", "7.4 ± 0.0", "62.5 ± 2.3"],
    ]


def test_cost_and_differences():
    rows = study_rows(STUDY, CELLS)
    assert cost_table(rows).rows[0] == ["one", "2", "3.0 ± 0.0", "1.0 M", "5", "2 threads, float32"]
    (line,) = difference_table(rows, rows[0]).rows
    assert line[0] == "two"
    assert line[1].startswith("-10.0 (p ")


def test_a_p_is_corrected_for_the_comparisons_of_its_table():
    rows = study_rows(STUDY, CELLS | {"one": CELLS["one"][:1], "two": CELLS["two"][:1]})
    alone = difference(rows[1], rows[0], "mrpc, f1")
    assert differences(rows, rows[0]) == {("two", "mrpc, f1"): alone}
    third = replace(rows[1], name="three")
    found = differences([*rows, third], rows[0])
    assert [each.p for each in found.values()] == pytest.approx([2 * alone.p] * 2)


def test_a_p_tells_what_its_pairs_are_row_by_row():
    """A row that is half done has one network in common with the others: its pairs are fine-tunings."""
    study = build_settings(
        Study, STUDY.model_dump(exclude={"paper", "variants"}) | {"variants": [{"name": name} for name in "abc"]}
    )
    cells = {"a": CELLS["one"], "b": CELLS["two"], "c": CELLS["two"][:1]}
    rows = study_rows(study, cells)
    assert [each.pairs for each in differences(rows, rows[0]).values()] == [Pairs.PRETRAININGS, Pairs.FINETUNINGS]
    whole, half = difference_table(rows, rows[0]).rows
    assert not whole[1].endswith(" f)")
    assert half[1].endswith(" f)")
    (alone,) = difference_table([rows[0], rows[2]], rows[0]).rows
    assert not alone[1].endswith(" f)")  # all are of one kind


def test_all_rows_that_are_level_at_the_top_are_bold():
    rows = study_rows(STUDY, {name: [cell(name, 0, (0.7, 0.8, 0.9))] for name in ("one", "two")})
    assert [line[-1] for line in score_table(rows).rows] == ["**80.0 ± 10.0**"] * 2


def test_an_order_that_is_turned_round_is_told():
    (pair,) = paper_pairs(study_rows(STUDY, CELLS), STUDY.paper)
    assert (pair.better, pair.worse, pair.papers, pair.verdict) == ("two", "one", 1.5, "the other way round")


def test_variants_that_are_not_done_have_no_row():
    assert [row.name for row in study_rows(STUDY, CELLS | {"one": []})] == ["two"]


@pytest.mark.parametrize("name", study_names())
def test_every_study_that_we_bring_holds_together(name):
    """Its settings are settings of `pretrain`, its tasks' those of `finetune`, and the paper's rows are its own."""
    _, study = load_study(name)
    versions = [study] if name not in QUICK else [study, load_study(name, quick=True)[1]]
    for version in versions:
        for variant in version.variants:
            common = {"store": "s", "out": "o", "training": {"steps": 1}}
            PretrainConfig.from_layers(version.settings, variant.settings, common)
            for trial in version.tasks:
                build_settings(FinetuneConfig, {"model": "m", "out": "o"}, trial.settings, variant.finetuning)
                assert trial.task in TASKS
    if study.paper is not None:
        ways = {trial.way for trial in study.tasks}
        rows = {variant.name for variant in study.variants} if ways == {None} else ways
        assert set(study.paper.scores) <= rows
        assert {task for scores in study.paper.scores.values() for task in scores} <= {
            trial.column for trial in study.tasks
        }


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ("scores.ones = { mrpc = 1.0 }", "scores of the paper for 'ones', which it does not compare. Its rows are one"),
        (
            "scores.one = { mrcp = 1.0 }",
            "scores of the paper for 'mrcp', which it does not compare. Its tasks are mrpc",
        ),
    ],
    ids=["row", "task"],
)
def test_scores_of_the_paper_that_stand_beside_nothing_are_refused(scores, reason, tmp_path):
    study = tmp_path / "s.toml"
    study.write_text(
        f'question = "?"\n[paper]\ntable = "1"\nfound = "."\n{scores}\n[[variants]]\nname = "one"\n'
        f'[[tasks]]\ntask = "mrpc"\nfolder = "m"\n'
    )
    with pytest.raises(ConfigurationError, match=reason):
        load_study(str(study))


@pytest.mark.parametrize("is_asked_for", [False, True])
@pytest.mark.parametrize("quick", ["3", '"ab"', "[1]"])
def test_a_quick_version_that_is_no_table_is_refused(quick, is_asked_for, tmp_path):
    study = tmp_path / "s.toml"
    study.write_text(f'question = "?"\nquick = {quick}\n[[variants]]\nname = "one"\n')
    with pytest.raises(ConfigurationError, match=r"is not a table of settings: write \[quick\] above them"):
        load_study(str(study), quick=is_asked_for)


@pytest.mark.parametrize("group", ["training", "runtime"])
def test_a_group_of_settings_that_is_no_table_is_refused(group):
    with pytest.raises(ConfigurationError, match=f"{group} = 3 is not a table of settings"):
        build_settings(Study, {"question": "?", "variants": [{"name": "a", "settings": {group: 3}}]})


@pytest.mark.parametrize(
    ("setting", "place"),
    [({"store": "s"}, "--store"), ({"seed": 3}, "the study's seeds"), ({"out": "o"}, "--out")],
    ids=str,
)
def test_a_setting_that_is_decided_elsewhere_is_refused(setting, place):
    (name,) = setting
    for entries in (
        {"settings": setting, "variants": [{"name": "a"}]},
        {"variants": [{"name": "a", "settings": setting}]},
    ):
        with pytest.raises(ConfigurationError, match=f"{name} is not set here; it is decided by {place}"):
            build_settings(Study, {"question": "?", **entries})


def test_a_seed_that_is_there_twice_is_refused():
    with pytest.raises(ConfigurationError, match="a seed is there twice"):
        build_settings(Study, {"question": "?", "variants": [{"name": "a"}], "seeds": [0, 0]})


def test_tasks_with_one_name_are_refused():
    entries = {"question": "?", "variants": [{"name": "a"}], "tasks": [{"task": "mrpc", "folder": "m"}] * 2}
    with pytest.raises(ConfigurationError, match="two tasks are called mrpc"):
        build_settings(Study, entries)
