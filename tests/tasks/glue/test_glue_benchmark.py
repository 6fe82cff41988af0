"""`finetune --task glue`: which tasks are learnt, from what, what is told of them, and that a killed run goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.console import Console

from bertsmith.cli import main
from bertsmith.core.artefact import read_manifest, verify_artefact
from bertsmith.core.errors import (
    ArtefactError,
    ArtefactExists,
    ConfigurationError,
    DamagedArtefact,
    InputError,
    MismatchedArtefact,
)
from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
from bertsmith.tasks.finetuning import finetune
from bertsmith.tasks.finetuning_result import CellResult, FinetuneResult, Spread
from bertsmith.tasks.glue.result import COLUMNS, GlueResult, LearntTask, glue_page, results_of
from bertsmith.tasks.seed_run import EpochResult, SeedResult
from bertsmith.tasks.task_file import load_task

FROM_MNLI = {"task_data": {"from_mnli": True}}
SHORT = {"seeds": 1, "training": {"epochs": 1}}
# Table 1 of the paper: MNLI-m, MNLI-mm, QQP, QNLI, SST-2, CoLA, STS-B, MRPC, RTE, and the average
PAPER = {
    "base": ((84.6, 83.4, 71.2, 90.5, 93.5, 52.1, 85.8, 88.9, 66.4), 79.6),
    "large": ((86.7, 85.9, 72.1, 92.7, 94.9, 60.5, 86.5, 89.3, 70.1), 82.1),
}


def seed_result(seed, collapse=None, restarted_from=()):
    return SeedResult(seed, (EpochResult(1, 0.5, {}, collapse),), 1, None, 1.0, restarted_from)


def learnt(parts, *seeds, **changes):
    """A task with these scores (part -> mean, deviation), whatever its metric."""
    seeds = seeds or (seed_result(0),)
    means = {part: {"metric": Spread(*spread)} for part, spread in parts.items()}
    collapsed = tuple(run.seed for run in seeds if run.collapse)
    fields = {"cell": {}, "grid": ()} | changes
    result = FinetuneResult("out", "task", "metric", ("metric",), means, 0, collapsed, seeds, **fields)
    return LearntTask(result, 1000, False)


def result_of(scores, tmp_path):
    """A result with these scores (in percent) in the table; None: that task is not there."""
    parts = {}
    for column, score in zip(COLUMNS, scores, strict=True):
        if score is not None:
            parts.setdefault(column.task, {})[column.part] = (score / 100, None)
    tasks = {name: learnt(scores) for name, scores in parts.items()}
    absent = {column.task: "there is no folder of this name" for column in COLUMNS if column.task not in tasks}
    return GlueResult(tmp_path, tasks, absent, None)


def paths_and_times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("model", PAPER)
def test_the_average_is_that_of_the_paper(tmp_path, model):
    scores, average = PAPER[model]
    result = result_of(scores, tmp_path)
    assert f"{100 * result.average:.1f}" == str(average)
    told = f"| dev | {scores[0]}/{' | '.join(map(str, scores[1:]))} | {average} |"
    assert told in glue_page(result)


def test_what_is_missing_is_a_dash_and_the_average_says_over_how_many_scores_it_is(tmp_path):
    result = result_of((80.0, 78.0, None, None, 90.0, None, None, None, None), tmp_path)
    page = glue_page(result)
    assert "| dev | 80.0/78.0 | - | - | 90.0 | - | - | - | - | 82.7 (3 of 9) |" in page
    assert "| training examples | 1,000 | - | - | 1,000 | - | - | - | - | - |" in page
    assert "Missing here: QQP, QNLI, CoLA, STS-B, MRPC, RTE. The mean is that of the other 3" in page
    assert "- qqp: there is no folder of this name" in page
    assert results_of(result)["average"] == {
        "mean": pytest.approx(0.8267, abs=1e-4),
        "of": ["MNLI-m", "MNLI-mm", "SST-2"],
    }


def test_wnli_is_told_beside_the_table_and_is_in_no_average(tmp_path):
    result = GlueResult(tmp_path, {"wnli": learnt({"dev": (0.5634, 0.0123)})}, {}, None)
    assert result.average is None
    assert "WNLI: 56.3 ± 1.2 (accuracy)." in glue_page(result)


def test_collapsed_runs_and_restarts_are_counted_openly(tmp_path):
    runs = (seed_result(0), seed_result(1, collapse="all the same"), seed_result(2002, restarted_from=(2, 1002)))
    result = GlueResult(tmp_path, {"rte": learnt({"dev": (0.6, 0.05)}, *runs)}, {}, None)
    assert "| rte | metric | 3 | 1 | 2 | - | `rte/model`, seed 0 | the pre-trained model |" in glue_page(result)
    assert results_of(result)["tasks"]["rte"]["collapsed"] == [1]
    assert results_of(result)["tasks"]["rte"]["restarted"] == 2
    console = Console(width=120)
    with console.capture() as capture:
        console.print(result)
    assert "3 runs, 1 of them collapsed, 2 more collapsed and were started again" in capture.get()


def test_of_a_grid_the_best_settings_are_told_and_the_runs_of_all_are_counted(tmp_path):
    cells = ({"learning_rate": 3e-5, "epochs": 3}, {"learning_rate": 5e-5, "epochs": 3})
    best = (seed_result(0), seed_result(1))
    other = (seed_result(0, collapse="all the same"), seed_result(2001, restarted_from=(1, 1001)))
    grid = (CellResult(cells[0], best), CellResult(cells[1], other))
    rte = learnt({"dev": (0.6, 0.1)}, *best, cell=cells[0], grid=grid)
    result = GlueResult(tmp_path, {"rte": rte}, {}, None)
    settings = "learning rate 3e-05, epochs 3: best of 2 by the mean on dev of 2 runs, of which 0 collapsed"
    assert f"| rte | metric | 4 | 1 | 2 | {settings} |" in glue_page(result)
    told = results_of(result)["tasks"]["rte"]
    assert (told["runs"], told["collapsed"]) == (2, [])
    assert (told["runs_of_all_cells"], told["collapsed_of_all_cells"], told["restarted"]) == (4, 1, 2)
    console = Console(width=140)
    with console.capture() as capture:
        console.print(result)
    assert "4 runs with 2 settings, 1 of them collapsed, 2 more collapsed and were started again" in capture.get()


def test_rows_that_were_left_out_are_listed(tmp_path):
    rows = [(97931 + index, "it has 3 columns where the first line has 6") for index in range(7)]
    qqp = replace(learnt({"dev": (0.6, None)}), skipped={"train": rows, "dev": rows[:1]})
    result = GlueResult(tmp_path, {"qqp": qqp, "rte": learnt({"dev": (0.6, None)})}, {}, None)
    page = glue_page(result)
    assert "- qqp, train: 7 rows. line 97,931: it has 3 columns where the first line has 6; line 97,932: " in page
    assert page.count("line 97,93") == 6
    assert "; and 2 more.\n- qqp, dev: 1 row. line 97,931: " in page
    assert results_of(result)["tasks"]["qqp"]["skipped"] == {"train": 7, "dev": 1}
    assert "Left out" not in glue_page(result_of((80.0,) * 9, tmp_path))


def test_every_task_that_is_there_is_learnt_mnli_first(glue_run):
    result = glue_run.result
    assert list(result.tasks) == ["mnli", "cola", "sts-b", "rte"]
    assert result.absent == {
        "qqp": "there is no folder of this name",
        "qnli": "QNLI has no train.tsv",
        "sst-2": "there is no folder of this name",
        "mrpc": "there is no folder of this name",
        "wnli": "there is no folder of this name",
    }
    assert all(result.scores[title].mean > 0.5 for title in ("MNLI-m", "MNLI-mm", "CoLA", "RTE"))
    for name in result.tasks:
        verify_artefact(glue_run.out / name, "finetuning")
        assert load_task(glue_run.out / name / "model")[0].name == name


def test_the_table_is_on_file_for_people_and_for_programs(glue_run):
    result = glue_run.result
    assert (glue_run.out / "README.md").read_text() == glue_page(result)
    content = json.loads((glue_run.out / "results.json").read_text())
    assert content == json.loads(json.dumps(results_of(result)))
    for title, column in (("MNLI-mm", ("mnli", "dev_mismatched", "accuracy")), ("STS-B", ("sts-b", "dev", "spearman"))):
        name, part, metric = column
        own = json.loads((glue_run.out / name / "results.json").read_text())["means"][part][metric]
        assert content["scores"][title] == own


def test_three_tasks_start_from_the_mnli_model_if_that_is_asked_for(glue_run, pretrained):
    models = {
        name: read_manifest(glue_run.out / name, "finetuning").made_from["model"] for name in glue_run.result.tasks
    }
    mnli = read_manifest(glue_run.out / "mnli" / "model", "model").fingerprint
    before = read_manifest(pretrained, "model").fingerprint
    assert models == {"mnli": before, "cola": before, "sts-b": mnli, "rte": mnli}
    assert [name for name, task in glue_run.result.tasks.items() if task.from_mnli] == ["sts-b", "rte"]


def test_a_task_is_learnt_as_it_would_be_alone(glue_run, glue_configuration, tiny_glue, tmp_path):
    alone = glue_configuration(tiny_glue, tmp_path / "cola", {"task_data": {"task": "CoLA"}})
    finetune(alone)
    weights = [folder / "model" / "model.safetensors" for folder in (tmp_path / "cola", glue_run.out / "cola")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_is_done_is_not_done_again(glue_run, glue_configuration, tiny_glue, capsys):
    before = {name: paths_and_times(glue_run.out / name) for name in (*glue_run.result.tasks, "predictions")}
    again = finetune(glue_configuration(tiny_glue, glue_run.out, FROM_MNLI, {"runtime": {"precision": "auto"}}))
    assert again == glue_run.result
    assert {name: paths_and_times(glue_run.out / name) for name in before} == before
    assert capsys.readouterr().err.count("done before") == 4


@pytest.mark.parametrize(
    ("layer", "difference"),
    [
        ({"training": {"learning_rate": 3e-5}}, "mnli was made with other settings or files: training.learning_rate"),
        ({"training": {"learning_rate": 3e-5}}, "training.learning_rate was 0.003 and is 3e-05"),
        ({"seeds": 5}, "seeds was 2 and is 5"),
        ({"grid": {"grid": "paper"}}, "grid.grid was None and is paper"),
        ({"runtime": {"precision": "bfloat16"}}, "precision was float32 and is bfloat16"),
        ({"task_data": {"from_mnli": False}}, "sts-b was made with other settings or files: model was another"),
    ],
)
def test_a_task_that_was_learnt_otherwise_is_refused(glue_run, glue_configuration, tiny_glue, layer, difference):
    with pytest.raises(MismatchedArtefact) as refusal:
        finetune(glue_configuration(tiny_glue, glue_run.out, FROM_MNLI, layer))
    assert difference in str(refusal.value)


def test_other_files_a_model_that_is_gone_and_damage_are_found(glue_run, glue_configuration, tiny_glue, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(tiny_glue, data)
    shutil.copytree(glue_run.out, out)
    with (data / "CoLA" / "dev.tsv").open("a") as file:
        file.write("gj04\t1\t\tgood\n")
    with pytest.raises(MismatchedArtefact, match="cola was made with other settings or files: dev was another"):
        finetune(glue_configuration(data, out, FROM_MNLI))
    (out / "mnli").rename(tmp_path / "mnli")
    with pytest.raises(MismatchedArtefact, match=r"sts-b .*: the MNLI model that it started from is gone"):
        finetune(glue_configuration(tiny_glue, out, FROM_MNLI))
    with (tmp_path / "mnli" / "results.json").open("a") as file:
        file.write(" ")
    (tmp_path / "mnli").rename(out / "mnli")
    with pytest.raises(DamagedArtefact, match=r"mnli/results\.json is damaged"):
        finetune(glue_configuration(tiny_glue, out, FROM_MNLI))


@pytest.mark.timeout(120)
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(
    glue_configuration, pretrained, tiny_glue, tmp_path, capsys
):
    data, whole, killed = tmp_path / "data", tmp_path / "whole", tmp_path / "killed"
    for name in ("MNLI", "RTE"):
        shutil.copytree(tiny_glue / name, data / name)
    short = {"training": {"epochs": 2}}
    expected = finetune(glue_configuration(data, whole, FROM_MNLI, short))
    command = [
        *(sys.executable, "-m", "bertsmith", "finetune", str(pretrained), "--task", "glue", "--data", str(data)),
        *("--out", str(killed), "--seeds", "2", "--from-mnli", "--learning-rate", "3e-3", "--epochs", "2"),
        *("--batch-size", "8", "--max-seq-length", "32", "--precision", "float32", "--threads", "1"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((killed / "rte.unfinished").glob("*.json")):  # MNLI is done, and one of RTE's two runs
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "README.md").exists()
    before = paths_and_times(killed / "mnli")
    capsys.readouterr()
    result = finetune(glue_configuration(data, killed, FROM_MNLI, short))
    shown = capsys.readouterr().err
    assert "mnli: done before" in shown
    assert "(done before)" in shown  # a run of RTE
    assert paths_and_times(killed / "mnli") == before
    assert result.scores == expected.scores
    for name in ("README.md", "results.json", "submission.zip"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in whole.iterdir())


def test_a_dry_run_passes_every_stage_and_keeps_nothing(glue_configuration, tiny_glue, tmp_path, capsys):
    result = finetune(glue_configuration(tiny_glue, tmp_path / "out", FROM_MNLI, {"dry_run": True}))
    assert list(result.tasks) == ["mnli", "cola", "sts-b", "rte"]
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err.count("every stage passed") == 4


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ({"task_data": {"data": None}}, ConfigurationError, "Give --data the folder that holds GLUE's folders"),
        ({"task_data": {"train": "a.tsv", "regression": True}}, ConfigurationError, "leave --train, --regression out"),
        ({"columns": {"text": "sentence"}}, ConfigurationError, "leave --text, --text-pair and --label out"),
        ({**FROM_MNLI, "initialisation": "random"}, ConfigurationError, "leave --initialisation out"),
        ({"model": "nowhere"}, ArtefactError, "There is no model at nowhere"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(glue_configuration, tiny_glue, tmp_path, layer, error, message):
    with pytest.raises(error) as refusal:
        finetune(glue_configuration(tiny_glue, tmp_path / "out", layer))
    assert message in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_from_mnli_is_for_all_of_glue_and_needs_mnli(glue_configuration, tiny_glue, tmp_path):
    with pytest.raises(ConfigurationError, match="from_mnli is for the task glue"):
        glue_configuration(tiny_glue, tmp_path / "out", FROM_MNLI, {"task_data": {"task": "rte"}})
    data = tmp_path / "data"
    shutil.copytree(tiny_glue / "RTE", data / "RTE")
    with pytest.raises(
        ConfigurationError, match=r"--from-mnli needs MNLI, and .* does not have it: there is no folder"
    ):
        finetune(glue_configuration(data, tmp_path / "out", FROM_MNLI))


def test_a_bad_row_of_any_task_is_found_before_anything_is_trained(glue_configuration, tiny_glue, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(tiny_glue, data)
    for place in ("RTE/train.tsv", "RTE/test.tsv"):
        with (data / place).open("a") as file:
            file.write("1\n")
        with pytest.raises(InputError, match=f"{place}, line .*: it has 1 column"):
            finetune(glue_configuration(data, tmp_path / "out"))
        shutil.copy(tiny_glue / place, data / place)
    assert not (tmp_path / "out").exists()


def test_broken_rows_of_qqp_are_left_out_and_are_on_the_page(glue_configuration, tmp_path):
    qqp = tmp_path / "data" / "QQP"
    qqp.mkdir(parents=True)
    rows = [f"{index}\t1\t2\tthe film\ta {word} film\t{index % 2}" for index, word in enumerate(("bad", "good") * 8)]
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    for part in ("train", "dev"):
        broken = ["16\t1\t2\tthe", "film\ta good film\t1"] if part == "train" else []
        (qqp / f"{part}.tsv").write_text("\n".join([header, *rows, *broken]) + "\n")
    result = finetune(glue_configuration(tmp_path / "data", tmp_path / "out", SHORT))
    assert result.tasks["qqp"].train_examples == 16
    told = "- qqp, train: 2 rows. line 18: it has 4 columns where the first line has 6; line 19: it has 3 columns"
    assert told in (tmp_path / "out" / "README.md").read_text()
    on_file = json.loads((tmp_path / "out" / "qqp" / "results.json").read_text())["parts"]["train"]["skipped"]
    assert [row["line"] for row in on_file] == [18, 19]
    scored = {"model": tmp_path / "out" / "qqp", "data": qqp, "part": "train"}
    assert evaluate(EvaluateConfig(**scored)).examples == 16
    with pytest.raises(InputError, match=r"train\.tsv, line 18: .* needs an answer for every row"):
        evaluate(EvaluateConfig(**scored, official=tmp_path / "official"))
    assert not (tmp_path / "official").exists()


def test_a_folder_without_glue_and_a_folder_of_something_else_are_refused(
    glue_configuration, glue_run, tiny_glue, tmp_path
):
    with pytest.raises(InputError, match=r"has no task of GLUE\. mnli: there is no folder of this name; qqp"):
        finetune(glue_configuration(tiny_glue / "CoLA", tmp_path / "out"))
    with pytest.raises(ArtefactExists, match=r"already holds .*, which is no part of a GLUE run"):
        finetune(glue_configuration(tiny_glue, glue_run.out / "cola"))


def test_a_file_in_the_place_of_the_folder_is_refused(glue_configuration, tiny_glue, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ArtefactExists, match="out already exists"):
        finetune(glue_configuration(tiny_glue, tmp_path / "out"))


def test_the_command_prints_the_table(pretrained, tiny_glue, tmp_path, capsys):
    shutil.copytree(tiny_glue / "CoLA", tmp_path / "data" / "CoLA")
    (tmp_path / "data" / "CoLA" / "test.tsv").unlink()
    command = [
        *("finetune", str(pretrained), "--task", "GLUE", "--data", str(tmp_path / "data"), "--epochs", "1"),
        *("--out", str(tmp_path / "out"), "--max-seq-length", "32", "--precision", "float32", "--threads", "1"),
    ]
    assert main(command) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "GLUE, dev scores times 100" in shown
    assert "(1 of 9) │ without WNLI" in shown
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["submission"] is None
    assert not (tmp_path / "out" / "submission.zip").exists()
    assert "No test set is there" in (tmp_path / "out" / "README.md").read_text()


def test_the_tasks_of_the_real_folder_are_found(glue_configuration, real_glue, tmp_path):
    result = finetune(glue_configuration(real_glue, tmp_path / "out", {"dry_run": True}))
    assert set(result.tasks) >= {"sst-2", "sts-b", "mrpc", "wnli"}
    assert result.tasks["sst-2"].train_examples == 67349
    if "qnli" in result.absent:
        assert result.absent["qnli"] == "QNLI has no train.tsv"
