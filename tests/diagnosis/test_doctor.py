"""The whole examination: what it says of sick and healthy patients, and that it leaves them as they are."""

import hashlib
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from bertsmith.cli import main
from bertsmith.core.artefact import verify_artefact
from bertsmith.core.errors import ArtefactError, ArtefactExists, ConfigurationError, MismatchedArtefact
from bertsmith.diagnosis.diagnosis import Diagnosis
from bertsmith.diagnosis.doctor import DoctorConfig, doctor
from bertsmith.diagnosis.finding import Finding, Level
from bertsmith.diagnosis.patient import open_patient
from bertsmith.diagnosis.report import render

QUICK = {"sequences": 32, "text_tokens": 100_000, "runtime": {"precision": "float32"}}


def examine(folder: Path, **changes: object) -> Diagnosis:
    return doctor(DoctorConfig.from_layers({"subject": folder}, QUICK, changes))


def levels(diagnosis: Diagnosis) -> dict[str, Level]:
    return {finding.about: finding.level for finding in diagnosis.findings}


def finding(diagnosis: Diagnosis, about: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.about == about)


def content_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def learnt(learnt_run) -> Diagnosis:
    return examine(learnt_run)


@pytest.fixture(scope="module")
def stuck(stuck_run) -> Diagnosis:
    return examine(stuck_run, text=False)


@pytest.fixture(scope="module")
def wild(wild_run) -> Diagnosis:
    return examine(wild_run, text=False)


def test_a_run_that_learns_is_told_so(learnt):
    good = {"plateau", "attention to neighbours", "one batch by heart", "course of the loss", "entropy of the text"}
    assert good <= {about for about, level in levels(learnt).items() if level is Level.GOOD}
    assert "had left the plateau by step" in finding(learnt, "plateau").meaning
    assert "1.1 (1 before: " in finding(learnt, "attention to neighbours").measured
    assert finding(learnt, "plateau").values["unigram"] == finding(learnt, "entropy of the text").values["unigram"]


def test_a_run_on_the_plateau_gets_cause_and_remedy(stuck):
    found = levels(stuck)
    assert found["plateau"] is found["attention to neighbours"] is Level.WARNING
    assert found["one batch by heart"] is Level.GOOD
    for about in ("plateau", "attention to neighbours"):
        assert "--initialisation cooccurrence" in finding(stuck, about).remedy
    assert "entropy of the text" not in found


def test_a_run_with_far_too_high_a_rate_is_told_so_twice(wild):
    assert levels(wild)["size of the updates"] is levels(wild)["one batch by heart"] is Level.WARNING
    assert "run away" in finding(wild, "size of the updates").meaning


@pytest.mark.parametrize("name", ["learnt", "stuck", "wild"])
def test_whatever_is_not_good_has_a_meaning_and_a_warning_a_remedy(name, request):
    diagnosis = request.getfixturevalue(name)
    assert all(found.measured and found.meaning for found in diagnosis.findings)
    assert all(found.cause and found.remedy for found in diagnosis.findings if found.level is Level.WARNING)
    order = [Level.WARNING, Level.NOTE, Level.GOOD]
    ranks = [order.index(found.level) for found in diagnosis.findings]
    assert ranks == sorted(ranks)


def test_run_and_store_are_left_as_they_are_and_the_report_is_a_folder(stuck_run, chain_store, tmp_path):
    before = content_of(stuck_run), content_of(chain_store.folder)
    diagnosis = examine(stuck_run, text=False, out=tmp_path / "out")
    assert (content_of(stuck_run), content_of(chain_store.folder)) == before
    manifest = verify_artefact(tmp_path / "out", "diagnosis")
    assert set(manifest.files) == {"report.html", "diagnosis.json", "loss.png", "attention.png"}
    assert manifest.made_from == {"token_store": chain_store.fingerprint}
    assert manifest.facts["warning"] == diagnosis.count(Level.WARNING) > 0
    written = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert [entry["about"] for entry in written["findings"]] == [found.about for found in diagnosis.findings]
    assert (tmp_path / "out" / "loss.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArtefactExists):
        examine(stuck_run, out=tmp_path / "out")


def test_the_page_says_everything_and_asks_nothing_of_the_outside(learnt):
    html = render(learnt)
    text = unescape(re.sub(r"<[^>]+>", "", html))
    for found in learnt.findings:
        assert found.measured in text
        assert found.remedy in text
    assert html.count("<svg ") == 2
    assert not re.search(r'(?:src|href)="(?!#)', html)
    assert "by the word before" in text


def test_a_store_is_examined_before_any_run(shuffled_store, tmp_path):
    diagnosis = examine(shuffled_store.folder, out=tmp_path / "out")
    assert levels(diagnosis)["entropy of the text"] is Level.WARNING
    assert levels(diagnosis)["repeated text"] is Level.GOOD
    assert "plateau" not in levels(diagnosis)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "diagnosis.json", "manifest.json"}


def test_a_run_without_a_checkpoint_is_examined_from_its_initial_weights(stuck_run, tmp_path):
    run = shutil.copytree(stuck_run, tmp_path / "run", ignore=shutil.ignore_patterns("model", "checkpoints"))
    (run / "metrics.jsonl").unlink()
    found = levels(examine(run, text=False))
    assert {"attention to neighbours", "one batch by heart"} <= set(found)
    assert not {"plateau", "size of the updates", "text and network"} & set(found)


def test_the_report_says_which_weights_were_examined(stuck, stuck_run, tmp_path):
    assert stuck.examined.endswith("Examined: the weights of the checkpoint step-00000120.")
    run = shutil.copytree(stuck_run, tmp_path / "run", ignore=shutil.ignore_patterns("model", "checkpoints"))
    weights = open_patient(run, None).record.weights
    assert weights.named == "the weights that the run begins with, for there is no checkpoint"


def test_a_finished_run_without_checkpoints_is_examined_by_its_model(stuck, stuck_run, tmp_path):
    run = shutil.copytree(stuck_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    diagnosis = examine(run, text=False)
    assert "Examined: the weights of the finished model" in diagnosis.examined
    for about in ("attention to neighbours", "text and network"):
        assert finding(diagnosis, about).values == finding(stuck, about).values
    assert set(levels(stuck)) - set(levels(diagnosis)) == {"size of the updates"}


def test_a_run_that_learns_from_no_masks_is_refused_before_its_store_is_looked_for(stuck_run, tmp_path):
    content = json.loads((stuck_run / "run.json").read_text())
    content["configuration"]["data"] |= {"objective": "next", "next_sentence": False}
    content["configuration"]["store"] = "nowhere"
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match="the doctor examines masked language models only"):
        open_patient(tmp_path, None)


def test_a_store_that_moved_is_found_beside_the_run_or_where_it_is_said_to_be(stuck_run, chain_store, tmp_path):
    run = shutil.copytree(stuck_run, tmp_path / "run")
    content = json.loads((run / "run.json").read_text())
    content["configuration"]["store"] = "store"
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match=r"is not at store\. Say where it is with --store"):
        open_patient(run, None)
    shutil.copytree(chain_store.folder, tmp_path / "store")
    assert open_patient(run, None).store.fingerprint == chain_store.fingerprint
    assert open_patient(run, chain_store.folder).store.folder == chain_store.folder


def test_what_cannot_be_examined_is_refused(stuck_run, chain_store, shuffled_store, tmp_path):
    with pytest.raises(ArtefactError, match="neither the folder of a run"):
        open_patient(tmp_path, None)
    with pytest.raises(MismatchedArtefact, match="is a model, not a token store"):
        open_patient(stuck_run / "model", None)
    with pytest.raises(MismatchedArtefact, match="The token store of"):
        open_patient(stuck_run, shuffled_store.folder)
    with pytest.raises(ConfigurationError, match="is a token store itself"):
        open_patient(chain_store.folder, shuffled_store.folder)


def test_the_command_shows_every_finding_or_prints_json(chain_store, capsys):
    words = ["doctor", str(chain_store.folder), "--no-text"]
    assert main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    for entry in printed["findings"]:
        assert entry["about"] in shown
        assert entry["measured"] in shown
    assert {entry["level"] for entry in printed["findings"]} == {"good", "note"}
