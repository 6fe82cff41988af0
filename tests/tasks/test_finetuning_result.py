"""The table of a fine-tuning on a screen of 80 columns, and on its page."""

import pytest
from rich.console import Console

from bertsmith.tasks.catalogue import find_task
from bertsmith.tasks.finetuning_result import CellResult, results_page, summarise
from bertsmith.tasks.seed_run import EpochResult, SeedResult

MORE = ("best_f1_threshold", "has_answer_f1", "has_answer_exact_match", "no_answer_accuracy")  # of SQuAD 2.0


def result_of(name, parts=("dev",), more=(), seeds=3):
    """Scores that are all different; the second run collapsed and took the place of another."""
    task = find_task(name)
    runs = []
    for seed in range(seeds):
        scores = {metric: 0.1 * place + 0.011 * seed for place, metric in enumerate((*task.metrics, *more), start=1)}
        epochs = (EpochResult(1, 0.5, dict.fromkeys(parts, scores), "all the same" if seed == 1 else None),) * 2
        runs.append(SeedResult(seed, epochs, 1 + seed % 2, None, 1.0, (5,) if seed == 1 else ()))
    return summarise("out", task, [CellResult({}, tuple(runs))])


def shown(result):
    console = Console(width=80)
    with console.capture() as capture:
        console.print(result)
    return capture.get()


@pytest.mark.parametrize(
    ("name", "parts", "more"),
    [
        ("squad-2.0", ("dev",), MORE),
        ("mnli", ("dev", "dev_mismatched"), ()),
        ("mrpc", ("dev",), ()),
        ("sts-b", ("dev",), ()),
        ("conll2003", ("dev",), ()),
    ],
)
def test_the_tasks_own_metrics_can_be_read_on_80_columns(name, parts, more):
    result = result_of(name, parts, more)
    table = shown(result)
    assert "…" not in table
    assert all(len(line) <= 80 for line in table.splitlines())
    for metric in result.metrics:
        assert metric in table
        for run in result.seeds:
            assert f"{run.dev['dev'][metric]:.4f}" in table
        assert f"{result.means['dev'][metric].mean:.4f}" in table
    assert not any(metric in table for metric in more)
    assert "mean" in table
    assert "s.d." in table
    assert "collapsed" in table


def test_the_page_has_every_metric_with_its_deviation():
    page = results_page(result_of("squad-2.0", more=MORE))
    assert "| seed | dev f1 | dev exact_match | dev best_f1 | dev best_exact | dev best_f1_threshold |" in page
    assert "| mean ± s.d. | 0.1110 ± 0.0110 | 0.2110 ± 0.0110 |" in page


def test_one_run_has_no_deviation():
    table = shown(result_of("mrpc", seeds=1))
    assert "mean" in table
    assert "s.d." not in table
