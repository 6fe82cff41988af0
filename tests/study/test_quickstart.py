"""The whole chain, and the small things around it."""

import json
import shlex

import pytest

from bertsmith.cli import COMMANDS, flags_of, settings_class_of
from bertsmith.core.errors import ArtefactError, ArtefactExists, MismatchedArtefact, StoppedBySignal
from bertsmith.study import documentation_data, quickstart_folder
from bertsmith.study import quickstart as quickstart_module
from bertsmith.study.python_documentation import source_files
from bertsmith.study.quickstart import NEXT_COMMANDS, QuickstartConfig, curves_over_minutes, quickstart
from bertsmith.tasks.finished_runs import FinishedRuns
from bertsmith.training import pretraining
from bertsmith.training.configuration import load_recipe
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.run import only_writer


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


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The chain on a text of small modules, with a vocabulary and a task of their size; a checkpoint at every step."""
    root = tmp_path / "library"
    root.mkdir()
    names = ["array", "buffer", "cursor", "digest", "element", "format", "graph", "header"]
    for number in range(40):
        lines = [
            f"Return the {first} of module number {number} whenever the {second} of its owner is empty."
            for first in names[:5]
            for second in names
        ]
        (root / f"module_{number}.py").write_text('"""' + "\n\n".join(lines) + '\n"""\n')
    monkeypatch.setattr(documentation_data, "source_files", lambda libraries: source_files({"library": root}))
    monkeypatch.setattr(documentation_data, "TRAIN_EXAMPLES", 120)
    monkeypatch.setattr(documentation_data, "DEV_EXAMPLES", 100)
    monkeypatch.setattr(quickstart_module, "VOCABULARY_SIZE", 200)
    settings_of = quickstart_module.pretraining_settings

    def short_and_safe(config, store):
        settings = settings_of(config, store)
        training = settings.training.model_copy(update={"hours": None, "steps": 3})
        runtime = settings.runtime.model_copy(update={"checkpoint_steps": 1, "precision": "float32"})
        return settings.model_copy(update={"training": training, "runtime": runtime})

    monkeypatch.setattr(quickstart_module, "pretraining_settings", short_and_safe)
    return QuickstartConfig(out=tmp_path / "quickstart", seeds=1)


def test_one_that_is_stopped_at_every_turn_goes_on_by_the_same_command(small, monkeypatch, capsys):
    """Ctrl-C once before each stage, once after a step of pre-training and once after an epoch of fine-tuning."""
    turns = [
        (quickstart_module, "vocab"),
        (quickstart_module, "prepare"),
        (quickstart_folder, "pretrain"),
        (pretraining, "save_checkpoint"),
        (FinishedRuns, "add_epoch"),
        (quickstart_module, "fill"),
        (quickstart_module, "write_whole"),
    ]
    for owner, name in turns:
        real = getattr(owner, name)

        def stop(*given, _real=real, _works_first=name in ("save_checkpoint", "add_epoch"), **named):
            if _works_first:
                _real(*given, **named)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(StoppedBySignal, match="the same command goes on"):
            patch.setattr(owner, name, stop)
            quickstart(small)
        capsys.readouterr()
    report = quickstart(small)
    assert "seed 0" not in capsys.readouterr().err  # nothing was fine-tuned any more
    findings = json.loads((small.out / "results.json").read_text())
    assert len(findings["stages"]) == 6
    assert findings["seconds"] >= sum(stage["seconds"] for stage in findings["stages"]) > 0
    assert [record["step"] for record in read_metrics(small.out / "run") if "held_out" in record] == [0, 1, 2, 3]
    assert not [path for path in small.out.rglob("*") if "partial" in path.name or "unfinished" in path.name]
    before = report.read_bytes()
    assert quickstart(small) == report
    assert "was done before" in capsys.readouterr().err
    assert report.read_bytes() == before


def test_a_quickstart_of_other_settings_or_another_text_is_not_mixed_with_one_that_was_stopped(small, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(StoppedBySignal):
        patch.setattr(quickstart_module, "vocab", raise_interrupt)
        quickstart(small)
    with pytest.raises(MismatchedArtefact, match=r"started with seeds = 1; it cannot go on with 2"):
        quickstart(small.model_copy(update={"seeds": 2}))
    (small.out.parent / "library" / "module_7.py").unlink()
    with pytest.raises(MismatchedArtefact, match="with other libraries than there are now"):
        quickstart(small)


def raise_interrupt(_config):
    raise KeyboardInterrupt


def test_two_never_make_the_same_quickstart(small):
    small.out.mkdir()
    with only_writer(small.out), pytest.raises(ArtefactError, match="Another process"):
        quickstart(small)


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
