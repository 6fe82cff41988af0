"""The README's commands run, in the order in which they stand, on a small corpus; its Python examples too."""

import json
import re
import shlex
import statistics
import sys
from pathlib import Path

import pytest

from bertsmith.cli import main

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"

# What makes a command of minutes or hours one of seconds. The rest of each line runs as it stands.
SHORTER = {
    "--size 30522": "--size 300 --min-frequency 1",
    "--hours 2": "--steps 2 --size tiny --batch-size 8 --precision float32",
    "--seeds 5": "--seeds 2 --epochs 1",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def write_corpus(folder: Path) -> None:
    """Forty documents of a few sentences about weather, and reviews with two verdicts."""
    (folder / "corpus").mkdir()
    for number in range(40):
        sentences = [
            f"On day {number} of the journey the {sky} sky brought {what}."
            for sky, what in (("grey", "rain"), ("clear", "a cold wind"), ("low", "snow"), ("blue", "no cloud at all"))
        ]
        (folder / "corpus" / f"{number:02}.txt").write_text(" ".join([*sentences, "We walked on."]), encoding="utf-8")
    rows = ["a clear day,good" if number % 2 else "a grey day,bad" for number in range(60)]
    (folder / "reviews.csv").write_text("\n".join(["review,verdict", *rows]) + "\n", encoding="utf-8")
    (folder / "other-reviews.csv").write_text("\n".join(["review,verdict", *rows[:20]]) + "\n", encoding="utf-8")
    (folder / "new-reviews.txt").write_text("a blue day\nno cloud\n", encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("readme")
    write_corpus(path)
    return path


@pytest.mark.timeout(300)
def test_the_commands_and_the_python_of_the_readme_run(folder, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("bertsmith ")]
    assert [command.split()[1] for command in commands] == [
        "vocab", "prepare", "pretrain", "fill", "finetune", "evaluate", "predict",
    ]  # fmt: skip
    for command in commands:
        quick = re.sub("|".join(SHORTER), lambda words: SHORTER[words[0]], command)
        assert main(shlex.split(quick)[1:]) == 0, f"{quick}\n{capfd.readouterr().err}"
    ours, theirs = blocks("python")
    names: dict[str, object] = {}
    exec(compile(ours, str(README), "exec"), names)
    assert names["states"].shape == (len(names["ids"]), 128)
    exec(compile(theirs, str(README), "exec"), names)


def test_the_figures_of_the_readme_are_those_of_runs_on_file():
    """quickstart-seeds.json has what `bertsmith quickstart --seed S` gave for five S, quickstart.json one whole."""
    results = ROOT / "docs" / "results"
    seeds = json.loads((results / "quickstart-seeds.json").read_text(encoding="utf-8"))
    assert len({run["seed"] for run in seeds}) == 5
    pretrained, untrained = (
        [100 * statistics.fmean(run[start]) for run in seeds] for start in ("pretrained", "untrained")
    )
    gains = sorted(one - other for one, other in zip(pretrained, untrained, strict=True))
    text = " ".join(README.read_text(encoding="utf-8").split())
    assert f"takes {statistics.fmean(run['seconds'] for run in seeds) / 60:.1f} minutes" in text
    assert (
        f"{statistics.fmean(pretrained):.1f} % of the unseen sentences were right against "
        f"{statistics.fmean(untrained):.1f} % from nothing: {statistics.fmean(gains):.1f} points, "
        f"{gains[0]:.1f} in the worst run and {gains[-1]:.1f} in the best"
    ) in text
    whole = json.loads((results / "quickstart.json").read_text(encoding="utf-8"))["trial"]["comparison"]
    (the_same,) = [run for run in seeds if run["pretrained"] == whole["pretrained"]]
    assert the_same["untrained"] == whole["untrained"]
    assert f"helped by {gains[2]:.1f} points" in text
    shown = statistics.fmean(whole["pretrained"]) - statistics.fmean(whole["untrained"])
    assert 100 * shown == pytest.approx(gains[2])


@pytest.mark.slow
def test_the_quickstart_helps_within_five_minutes(tmp_path):
    """The whole command as a newcomer runs it. Its gain is above what two seeds in either direction could hide."""
    assert main(["quickstart", "--out", str(tmp_path / "quickstart")]) == 0
    run = json.loads((tmp_path / "quickstart" / "results.json").read_text(encoding="utf-8"))
    assert run["seconds"] < 300
    assert min(run["trial"]["comparison"]["pretrained"]) > max(run["trial"]["comparison"]["untrained"]) + 0.05


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_make_targets_that_a_page_names_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named <= targets


def test_the_python_versions_of_the_readme_are_those_of_the_project():
    assert "Python 3.11 to 3.13" in README.read_text(encoding="utf-8")
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert sys.version_info >= (3, 11)
