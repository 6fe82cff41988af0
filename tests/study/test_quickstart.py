"""The whole chain, and the small things around it."""

import json
import shlex

import pytest

from bertsmith.cli import COMMANDS, flags_of, settings_class_of
from bertsmith.core.errors import ArtefactExists
from bertsmith.study.quickstart import NEXT_COMMANDS, QuickstartConfig, curves_over_minutes, quickstart
from bertsmith.training.configuration import load_recipe


def test_an_existing_folder_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtefactExists):
        quickstart(QuickstartConfig(out=tmp_path / "mine"))


def test_held_out_scores_stand_at_the_time_of_the_training_before_them(tmp_path):
    records = [
        {"step": 0, "held_out": {"token_loss": 6.5}},
        {"step": 10, "train": {"token_loss": 6.0, "elapsed_seconds": 30.0}},
        {"step": 20, "train": {"token_loss": 5.0, "elapsed_seconds": 60.0}},
        {"step": 25, "held_out": {"token_loss": 5.2}},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert curves_over_minutes(tmp_path) == ([(0.5, 6.0), (1.0, 5.0)], [(0.0, 6.5), (1.0, 5.2)])


def test_the_recipe_starts_with_neighbours_and_follows_the_clock():
    recipe = load_recipe("quickstart")
    assert recipe["model"]["initialisation"] == "neighbour"
    assert "hours" in recipe["training"]


@pytest.mark.parametrize("line", NEXT_COMMANDS.splitlines())
def test_the_next_commands_exist_with_their_flags(line):
    program, verb, *words = shlex.split(line)
    known = {"--" + flag.name.replace("_", "-") for flag in flags_of(settings_class_of(COMMANDS[verb]))}
    assert program == "bertsmith"
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.slow
def test_the_whole_chain_writes_a_report_and_models(tmp_path):
    report = quickstart(QuickstartConfig(out=tmp_path / "quickstart", minutes=0.3, seeds=1))
    html = report.read_text()
    assert "pre-training" in html
    for made in (
        "data/documentation.jsonl",
        "data/word-order/dev.jsonl",
        "vocabulary",
        "store",
        "run/model",
        "finetuned/model",
        "untrained/model",
    ):
        assert (tmp_path / "quickstart" / made).exists()
    results = json.loads((tmp_path / "quickstart" / "finetuned" / "results.json").read_text())
    findings = json.loads((tmp_path / "quickstart" / "results.json").read_text())
    accuracy = results["seeds"][0]["epochs"][-1]["dev"]["dev"]["accuracy"]
    assert findings["trial"]["comparison"]["pretrained"] == [accuracy]
    assert [stage["name"] for stage in findings["stages"]][3] == "Pre-train"
    assert f"{accuracy:.1%}" in html
