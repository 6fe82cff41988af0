"""The page of a fine-tuning tells what results.json holds, shows what the model does, and lets no text be markup."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from bertsmith.core.artefact import verify_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.report.findings_page import figure
from bertsmith.tasks.report.heat_map import shortened
from bertsmith.tasks.task_finetuning import finetune_task

HOSTILE = '<script>alert("x")</script> & $title ${content} %s'


class Page(HTMLParser):
    """The tags of a page, what it asks for, its visible text, and its tables as rows of cells."""

    VOID = frozenset({"meta", "path", "use", "br"})

    def __init__(self, html):
        super().__init__()
        self.html, self.tags, self.addresses, self.text, self.tables = html, [], [], "", []
        self._open = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        self.text += " "
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "title"):
            self.text += data
            if {"th", "td"} & set(self._open):
                self.tables[-1][-1][-1] += data

    def table(self, *header):
        """The rows of the table whose first row begins with `header`."""
        return next(table[1:] for table in self.tables if table[0][: len(header)] == list(header))

    def says(self, words):
        return words in " ".join(self.text.split())


def fine_tune(pretrained, out, data, *layers):
    """The folder that `finetune` writes: its page, results.json, and the lines of a dev part's predictions."""
    settings = {
        "model": pretrained,
        "out": out,
        "task_data": {"data": data},
        "inputs": {"max_seq_length": 32},
        "training": {"learning_rate": 5e-3, "epochs": 3},
        "runtime": {"precision": "float32"},
    }
    finetune_task(build_settings(FinetuneConfig, settings, *layers))
    verify_artefact(out, "finetuning")
    return Page((out / "report.html").read_text(encoding="utf-8")), json.loads((out / "results.json").read_text())


def predictions(out, part="dev"):
    return [json.loads(line) for line in (out / f"{part}-predictions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def mislabelled(reviews, tmp_path_factory):
    """The reviews, every fifth of dev with the other label, so that nobody is right about all."""
    folder = tmp_path_factory.mktemp("mislabelled")
    (folder / "train.tsv").write_bytes((reviews / "train.tsv").read_bytes())
    header, *rows = (reviews / "dev.tsv").read_text().splitlines()
    texts, labels = zip(*(row.split("\t") for row in rows), strict=True)
    labels = [{"good": "bad", "bad": "good"}[label] if i % 5 == 0 else label for i, label in enumerate(labels)]
    lines = [header, *("\t".join(row) for row in zip(texts, labels, strict=True))]
    (folder / "dev.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def three_runs(pretrained, mislabelled, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "reviews"
    return out, *fine_tune(pretrained, out, mislabelled, {"seeds": 3})


def kept(results):
    return next(run for run in results["seeds"] if run["seed"] == results["best_seed"])


def test_every_score_on_the_page_is_that_of_results_json(three_runs):
    _, page, results = three_runs
    names = ["accuracy", "macro_f1"]
    *runs, mean, deviation = page.table("seed", "accuracy", "macro f1", "time")
    for row, run in zip(runs, results["seeds"], strict=True):
        scores = run["epochs"][run["kept_epoch"] - 1]["dev"]["dev"]
        note = "kept" if run["seed"] == results["best_seed"] else ""
        assert row == [str(run["seed"]), *(f"{scores[name]:.4f}" for name in names), f"{run['seconds']:,.0f} s", note]
    for row, kind in ((mean, "mean"), (deviation, "standard_deviation")):
        assert row[1:3] == [f"{results['means']['dev'][name][kind]:.4f}" for name in names]
    spread = results["means"]["dev"]["accuracy"]
    assert page.says(f"Accuracy {spread['mean']:.4f} ± {spread['standard_deviation']:.4f}.")
    assert page.says(
        f"Kept is seed {results['best_seed']} with {kept(results)['epochs'][-1]['dev']['dev']['accuracy']:.4f}"
    )


def test_the_predictions_on_file_have_the_scores_of_results_json(three_runs, mislabelled):
    out, _, results = three_runs
    lines = predictions(out)
    gold, predicted = [line["gold"] for line in lines], [line["label"] for line in lines]
    scores = kept(results)["epochs"][-1]["dev"]["dev"]
    assert accuracy_score(gold, predicted) == scores["accuracy"]
    assert f1_score(gold, predicted, average="macro") == pytest.approx(scores["macro_f1"])
    rows = [line.split("\t") for line in (mislabelled / "dev.tsv").read_text().splitlines()]
    assert [rows[line["line"] - 1][1] for line in lines] == gold


def test_what_the_page_shows_of_the_kept_model_is_counted_from_these_predictions(three_runs):
    out, page, _ = three_runs
    lines = predictions(out)
    gold, predicted = [line["gold"] for line in lines], [line["label"] for line in lines]
    matrix = confusion_matrix(gold, predicted, labels=["bad", "good"])
    shown = page.table("", "bad", "good", "in all")
    assert [[int(cell or 0) for cell in row[1:3]] for row in shown] == matrix.tolist()
    assert [int(row[3]) for row in shown] == matrix.sum(axis=1).tolist()
    by_label = page.table("", "precision", "recall", "F1", "in the data", "predicted")
    f1 = f1_score(gold, predicted, average=None, labels=["bad", "good"])
    assert [row[3] for row in by_label] == [f"{value:.3f}" for value in f1]
    sure = np.array([max(line["probabilities"].values()) for line in lines])
    right = np.array(gold) == np.array(predicted)
    assert page.says(f"a confidence of {sure.mean():.1%} on average, and {right.mean():.1%} of them are right")
    assert sum(int(row[1]) for row in page.table("confidence", "how many")) == len(lines)
    assert page.says(f"{(~right).sum()} of {len(lines)} examples get a wrong label")
    worst = page.table("text", "right", "predicted", "confidence")
    assert [row[3] for row in worst] == [f"{value:.3f}" for value in sorted(sure[~right], reverse=True)[:15]]


def test_what_was_done_is_told(three_runs, pretrained, mislabelled):
    _, page, results = three_runs
    assert page.table("part", "file") == [
        [name, str(mislabelled / f"{name}.tsv"), f"{results['parts'][name]['examples']:,}", "0", "0"]
        for name in ("train", "dev")
    ]
    assert page.says(f"The model {pretrained}, fine-tuned with one added layer in float32.")
    for setting in ("learning rate 0.005", "epochs 3", "batch size 32", "dropout 0.1", "max seq length 32"):
        assert page.says(setting)


def test_the_page_asks_nothing_of_the_outside_and_follows_dark_mode(three_runs):
    _, page, _ = three_runs
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page.html)
    assert "@import" not in page.html
    drawings = re.findall(r"<svg .*?</svg>", page.html, flags=re.DOTALL)
    assert len(drawings) == 3  # training loss, dev score, calibration
    assert not re.findall(r"#[0-9a-f]{6}", "".join(drawings))


def test_no_text_of_a_file_becomes_markup_and_half_a_character_does_no_harm(pretrained, tmp_path):
    labels = (f"{HOSTILE} $1", "體育 \u202e$2")
    rows = [{"text": f"{HOSTILE} {index} \ud83d", "label": labels[index % 2]} for index in range(40)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")
    page, _ = fine_tune(pretrained, tmp_path / "out", tmp_path / "data.jsonl", {"training": {"epochs": 1}})
    assert "<script" not in page.html
    assert page.says(shortened(labels[0], 48))
    assert any(HOSTILE in cell for row in page.table("text", "right") for cell in row)
    assert {line["gold"] for line in predictions(tmp_path / "out")} == set(labels)


def test_a_collapsed_run_and_those_in_its_place_are_told(pretrained, reviews, tmp_path):
    hopeless = {"training": {"learning_rate": 0.5, "epochs": 2, "restarts": 2}}
    page, results = fine_tune(pretrained, tmp_path / "out", reviews, hopeless)
    (run,) = results["seeds"]
    assert run["restarted_from"] == [0, 1000]
    assert page.says("The run learnt nothing.")
    assert page.says("Seed 2000 stands in the place of 2 runs that collapsed: seed 0, 1000.")
    assert page.says(f"Seed 2000 collapsed: {run['epochs'][-1]['collapse']}.")
    assert page.table("seed", "accuracy")[0][-1] == "kept, collapsed"


def test_a_grid_is_told_with_the_best_cell_first(pretrained, reviews, tmp_path):
    grid = {"grid": {"grid_learning_rates": (1e-6, 5e-3), "grid_epochs": (1, 2)}, "seeds": 2}
    page, results = fine_tune(pretrained, tmp_path / "out", reviews, grid)
    rows = page.table("learning rate", "epochs", "accuracy on dev")
    means = [sum(run["epochs"][-1]["dev"]["dev"]["accuracy"] for run in cell["runs"]) / 2 for cell in results["grid"]]
    assert [row[2][:6] for row in rows] == [f"{mean:.4f}" for mean in sorted(means, reverse=True)]
    assert [float(rows[0][0]), int(rows[0][1])] == [results["cell"]["learning_rate"], results["cell"]["epochs"]]
    assert page.says(f"learning rate {results['cell']['learning_rate']:g}")
    assert page.says("4 settings were tried with 2 seeds each")
    assert page.says("for 8 runs")


def test_a_regression_shows_predicted_against_right_scores(pretrained, tmp_path):
    words = {"awful": 0.0, "bad": 1.0, "fine": 2.0, "good": 3.0, "great": 4.0}
    rows = "".join(
        f"a {filler} {word}\t{score}\n" for word, score in words.items() for filler in ("film", "cat", "dog")
    )
    for part in ("train", "dev"):
        (tmp_path / f"{part}.tsv").write_text("text\tlabel\n" + rows * 4)
    regression = {"task_data": {"regression": True}}
    page, results = fine_tune(pretrained, tmp_path / "out", tmp_path, regression)
    lines = predictions(tmp_path / "out")
    differences = sorted((abs(line["score"] - line["gold"]) for line in lines), reverse=True)
    worst = page.table("text", "right", "predicted", "difference")
    assert [row[3] for row in worst] == [f"{value:.3f}" for value in differences[:15]]
    assert page.says(f"{np.mean(differences):.3f} mean difference from the right score")
    assert np.corrcoef(*zip(*((line["gold"], line["score"]) for line in lines), strict=True))[0, 1] == pytest.approx(
        results["means"]["dev"]["pearson"]["mean"]
    )


def test_every_dev_part_has_its_file_and_the_page_is_about_the_first(pretrained, tmp_path):
    sentences = ["gold_label\tsentence1\tsentence2"]
    for index in range(60):
        label = ("contradiction", "entailment", "neutral")[index % 3]
        sentences.append(f"{label}\tthe {('bad', 'good', 'fine')[index % 3]} film\ta film")
    for name in ("train", "dev_matched", "dev_mismatched"):
        (tmp_path / f"{name}.tsv").write_text("\n".join(sentences[: 40 if name == "dev_mismatched" else None]) + "\n")
    page, results = fine_tune(pretrained, tmp_path / "out", tmp_path, {"task_data": {"task": "mnli"}})
    for part, count in (("dev", 60), ("dev_mismatched", 39)):
        lines = predictions(tmp_path / "out", part)
        assert len(lines) == count
        accuracy = np.mean([line["label"] == line["gold"] for line in lines])
        assert accuracy == pytest.approx(results["means"][part]["accuracy"]["mean"])
    assert page.table("seed", "dev accuracy", "dev_mismatched accuracy")
    assert page.says("of 60 examples get a wrong label")


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (1234, "1,234"), (0.5, "0.500"), (1.0, "1.000")])
def test_a_count_and_a_score_look_different(value, shown):
    assert figure(value) == shown


def test_a_long_text_is_cut_with_an_ellipsis():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abc efg", 5) == "abc…"
