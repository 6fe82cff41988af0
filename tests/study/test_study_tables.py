"""The tables of a study show what its cells hold, and hold it against the paper."""

from bertsmith.core.configuration import build_settings
from bertsmith.study.cell import Cell
from bertsmith.study.study_file import Study
from bertsmith.study.study_tables import cost_table, difference_table, paper_pairs, score_table, study_rows
from bertsmith.study.trials import TaskOutcome
from bertsmith.study.yardstick import Scores

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
        {"mrpc": TaskOutcome({"f1": scores, "accuracy": (0.0,) * 3}, (1,))}, {},
    )  # fmt: skip


CELLS = {
    "one": [cell("one", 0, (0.70, 0.72, 0.74)), cell("one", 1, (0.71, 0.73, 0.75))],
    "two": [cell("two", 0, (0.60, 0.63, 0.64)), cell("two", 1, (0.60, 0.62, 0.66))],
}


def test_a_row_has_the_runs_of_all_seeds_and_the_best_of_a_column_is_bold():
    rows = study_rows(STUDY, CELLS)
    assert rows[0].scores == {"mrpc, f1": [0.70, 0.72, 0.74, 0.71, 0.73, 0.75]}
    assert rows[0].collapsed == 2
    assert score_table(rows, "").markdown().splitlines() == [
        "|  | masked | perplexity | mrpc, f1 |",
        "| --- | --- | ---: | ---: |",
        "| one | 80 % | 7.4 ± 0.0 | **72.5 ± 1.9** |",
        "| two | 0 % | 7.4 ± 0.0 | 62.5 ± 2.3 |",
    ]


def test_cost_and_differences():
    rows = study_rows(STUDY, CELLS)
    assert cost_table(rows, "").rows[0] == ["one", "2", "3.0 ± 0.0", "1.0 M", "5", "2 threads, float32"]
    (line,) = difference_table(rows, rows[0], "").rows
    assert line[0] == "two"
    assert line[1].startswith("-10.0 (p ")


def test_an_order_that_is_turned_round_is_told():
    (pair,) = paper_pairs(study_rows(STUDY, CELLS), STUDY.paper)
    assert (pair.better, pair.worse, pair.papers, pair.verdict) == ("two", "one", 1.5, "the other way round")


def test_variants_that_are_not_done_have_no_row():
    assert [row.name for row in study_rows(STUDY, CELLS | {"one": []})] == ["two"]
