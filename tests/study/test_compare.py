"""A study runs each of its cells once, whoever is killed on the way, and says what came out."""

import io
import multiprocessing
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest
from rich.console import Console

from bertsmith.core.artefact import record_file
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ConfigurationError, DamagedArtefact, InputError, MismatchedArtefact
from bertsmith.study import trials
from bertsmith.study.cell import cell_settings, read_cell
from bertsmith.study.cell_run import states_on_the_way
from bertsmith.study.compare import CompareConfig, compare
from bertsmith.study.study_file import load_study, study_names
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.task_finetuning import finetune_task
from bertsmith.text.preparation import PrepareConfig, prepare
from bertsmith.text.token_store import TokenStore
from bertsmith.text.vocabulary import VocabConfig, vocab
from bertsmith.training.machine import MachineSettings
from bertsmith.training.network import network_config
from bertsmith.training.pretraining import pretrain

STUDY = """
question = "Do neighbours help?"
seeds = [0, 1]

[settings]
recipe = "tiny"
model = {{ num_hidden_layers = 1, hidden_size = 32, num_attention_heads = 2, max_positions = 64 }}
data = {{ max_seq_length = 32, batch_size = 8 }}
training = {{ steps = {steps} }}
runtime = {{ evaluations = 2, evaluation_sequences = 8, log_steps = 1, checkpoint_steps = 2 }}

[[variants]]
name = "neighbour"
settings.model.initialisation = "neighbour"

[[variants]]
name = "mimetic"
start = "mimetic"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    names = ["ada", "bob", "cem", "dia"]
    lines = [f"{names[n % 4]} sees {names[n % 3]} in the {['park', 'house', 'shop'][n % 3]} today." for n in range(400)]
    documents = ["\n".join(lines[start : start + 8]) for start in range(0, 400, 8)]
    (folder / "text.txt").write_text("\n\n".join(documents))
    vocab(
        VocabConfig(inputs=(str(folder / "text.txt"),), out=folder / "vocabulary", size=80, unused=0, min_frequency=1)
    )
    return prepare(
        PrepareConfig(
            inputs=(str(folder / "text.txt"),),
            format="blocks",
            vocab=folder / "vocabulary",
            out=folder / "store",
            held_out=0.2,
        )
    )


def study_file(folder: Path, steps: int = 4) -> str:
    path = folder / "small.toml"
    path.write_text(STUDY.format(steps=steps))
    return str(path)


def settings(folder: Path, store: Path, steps: int = 4) -> CompareConfig:
    return CompareConfig(
        study=study_file(folder, steps),
        store=store,
        out=folder / "cells",
        runtime=MachineSettings(precision="float32", threads=1),
    )


@pytest.fixture(scope="module")
def finished(store, tmp_path_factory) -> CompareConfig:
    """A study of which every cell is done."""
    config = settings(tmp_path_factory.mktemp("finished"), store)
    compare(config)
    return config


def test_each_variant_is_run_once_with_each_seed_and_leaves_one_small_file(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.out.glob("*.json")}
    result = compare(finished)
    assert {path: path.stat().st_mtime_ns for path in finished.out.glob("*.json")} == before
    assert {name: [cell.seed for cell in cells] for name, cells in result.cells.items()} == {
        "neighbour": [0, 1],
        "mimetic": [0, 1],
    }
    assert sorted(path.name for path in finished.out.iterdir() if path.is_file()) == [
        "curves.png",
        "mimetic-seed0.json",
        "mimetic-seed1.json",
        "neighbour-seed0.json",
        "neighbour-seed1.json",
        "report.html",
    ]
    assert not list((finished.out / "runs").iterdir())


def test_a_cell_tells_what_was_run_and_what_came_out(finished, store):
    path = finished.out / "mimetic-seed1.json"
    cell = read_cell(path)
    assert (cell.start, cell.precision, cell.threads) == ("mimetic", "float32", 1)
    assert [scores.step for scores in cell.curve] == [0, 2, 4]
    assert set(cell.settings) == {"model", "data", "training", "tasks", "finetuning", "checkpoints"}
    assert 1e3 * cell.tokens < cell.flops < 1e6 * cell.tokens
    assert str(store) not in path.read_text()


@pytest.mark.parametrize("graph", ["pre-norm", "rotary"])
def test_a_network_that_is_not_bert_can_be_a_yardstick(store, tmp_path, graph):
    study = tmp_path / "graphs.toml"
    head, _, _ = STUDY.format(steps=4).replace("seeds = [0, 1]", "seeds = [0]").partition("[[variants]]")
    study.write_text(f'{head}[[variants]]\nname = "other"\ngraph = "{graph}"\n')
    config = settings(tmp_path, store).model_copy(update={"study": str(study)})
    (cell,) = compare(config).cells["other"]
    assert (cell.graph, [scores.step for scores in cell.curve]) == (graph, [0, 2, 4])
    assert cell.curve[-1].token_loss < cell.curve[0].token_loss
    assert not (config.out / "runs").exists()


TASKS = """
[[variants]]
name = "untrained"
untrained = true

[[variants]]
name = "counts-only"
settings.model.initialisation = "cooccurrence"
untrained = true

[[tasks]]
task = "sst-2"
folder = "films"
seeds = 2
settings.training = { epochs = 1, batch_size = 4 }
settings.inputs = { max_seq_length = 32 }
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """A folder with one task in it."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "films").mkdir()
    rows = [
        f"{name} sees a {place}\t{label}" for name in ("ada", "bob") for label, place in enumerate(("park", "shop"))
    ]
    for part in ("train", "dev"):
        (folder / "films" / f"{part}.tsv").write_text("\n".join(["sentence\tlabel", *rows * 3]) + "\n")
    return folder


def test_networks_are_fine_tuned_on_the_tasks_of_a_study_beside_the_same_network_untrained(store, films, tmp_path):
    study = tmp_path / "tasks.toml"
    study.write_text(STUDY.format(steps=2).replace("seeds = [0, 1]", "seeds = [0]") + TASKS)
    names = ("neighbour", "untrained", "counts-only")
    config = settings(tmp_path, store).model_copy(update={"study": str(study), "only": names})
    with pytest.raises(ConfigurationError, match="give --task-data, the folder that holds films"):
        compare(config)
    config = config.model_copy(update={"task_data": films})
    result = compare(config)
    for name in names:
        (cell,) = result.cells[name]
        assert list(cell.tasks) == ["sst-2"]
        assert len(cell.tasks["sst-2"].scores["accuracy"]) == 2
        assert read_cell(config.out / f"{name}-seed0.json") == cell
    assert result.cells["untrained"][0].curve == result.cells["counts-only"][0].curve == ()
    assert not list((config.out / "runs").iterdir())
    shown = Console(width=200, record=True, file=io.StringIO())
    shown.print(result)
    text = shown.export_text()
    mean = 100 * statistics.fmean(cell.tasks["sst-2"].scores["accuracy"])  # of the last of `names`
    assert all(part in text for part in ("sst-2", "accuracy", f"{mean:.1f}"))


WAYS = """
[quick]
seeds = [0]
budget.tokens = 700

[paper]
table = "table 0"
found = "Features are better."
scores.features = { sst-2 = 90.0 }
scores.fine-tuned = { sst-2 = 80.0 }

[[tasks]]
task = "sst-2"
way = "fine-tuned"
folder = "films"
seeds = 2
settings.training = { epochs = 1, batch_size = 4 }
settings.inputs = { max_seq_length = 32 }

[[tasks]]
task = "sst-2"
way = "features"
folder = "films"
seeds = 2
settings.training = { epochs = 1, batch_size = 4 }
settings.inputs = { max_seq_length = 32 }
settings.strategy = { strategy = "feature-based", bilstm_size = 8, state_layers = ["all"] }
"""


def test_ways_of_learning_are_rows_states_on_the_way_are_scored_and_a_budget_is_kept(store, films, tmp_path):
    study = tmp_path / "ways.toml"
    head, _, variants = STUDY.format(steps=2).partition("\n[settings]")
    settings_of_all = f"\n[settings]{variants.partition('[[variants]]')[0]}"
    one = '[[variants]]\nname = "neighbour"\nfinetuning.training.learning_rate = 1e-3\n'
    study.write_text(f"{head}\ncheckpoints = 1\nbudget.minutes = 600\n{settings_of_all}{one}{WAYS}")
    changes = {"study": str(study), "task_data": films, "quick": True}
    config = settings(tmp_path, store).model_copy(update=changes)
    (cell,) = compare(config).cells["neighbour"]
    steps = cell.settings["training"]["steps"]
    assert abs(cell.tokens - 700) < cell.tokens / steps  # to a step
    assert list(cell.tasks) == ["sst-2, fine-tuned", "sst-2, features"]
    assert [list(outcomes) for outcomes in cell.on_the_way.values()] == [list(cell.tasks)]
    assert 0 < next(iter(cell.on_the_way)) < steps
    assert read_cell(config.out / "neighbour-seed0.json") == cell
    page = (config.out / "report.html").read_text()
    for expected in ("Against fine-tuned", "sst-2, accuracy", "features over fine-tuned", "+10.0", "TFLOP", "--quick"):
        assert expected in page
    assert str(tmp_path) not in page.replace(str(study), "")
    with pytest.raises(ConfigurationError, match="has no table 'quick'"):
        compare(config.model_copy(update={"study": study_file(tmp_path)}))


def test_variants_start_from_different_weights_and_see_the_same_text(finished):
    neighbour, mimetic = (read_cell(finished.out / f"{name}-seed0.json") for name in ("neighbour", "mimetic"))
    assert neighbour.curve[0].token_loss != mimetic.curve[0].token_loss
    assert neighbour.tokens == mimetic.tokens


def test_a_cell_run_with_other_settings_is_refused(finished, tmp_path):
    changed = finished.model_copy(update={"study": study_file(tmp_path, steps=5)})
    with pytest.raises(MismatchedArtefact, match=r"neighbour-seed0.json was run with another value of training"):
        compare(changed)


def test_a_cell_of_a_trained_network_is_not_taken_for_one_of_an_untrained(finished, tmp_path):
    study = tmp_path / "small.toml"
    trained = 'name = "neighbour"\nsettings.model.initialisation = "neighbour"'
    study.write_text(STUDY.format(steps=4).replace(trained, f"{trained}\nuntrained = true"))
    with pytest.raises(MismatchedArtefact, match="another value of untrained than the study has now"):
        compare(finished.model_copy(update={"study": str(study)}))


def test_a_study_killed_at_any_moment_goes_on_and_ends_with_the_same_numbers(store, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut.mkdir()
    only = {"only": ("mimetic",)}
    expected = compare(settings(whole, store, steps=10).model_copy(update=only)).cells["mimetic"]
    config = settings(cut, store, steps=10).model_copy(update=only)
    process = multiprocessing.get_context("spawn").Process(target=compare, args=(config,))
    process.start()
    deadline = time.monotonic() + 60
    while not list(config.out.glob("runs/*/checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    result = compare(config).cells["mimetic"]
    for cell, again in zip(expected, result, strict=True):
        assert [scores.token_loss for scores in cell.curve] == [scores.token_loss for scores in again.curve]


def test_two_processes_share_the_cells_and_only_those_asked_for_are_run(store, tmp_path):
    config = settings(tmp_path, store).model_copy(update={"only": ("mimetic",)})
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=compare, args=(config,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    result = compare(config)
    assert ({name: len(cells) for name, cells in result.cells.items()}, result.missing) == (
        {"neighbour": 0, "mimetic": 2},
        2,
    )
    assert not list(config.out.glob("*.lock"))


def has_quick_version(name: str) -> bool:
    try:
        load_study(name, quick=True)
    except ConfigurationError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "quick"),
    [(name, quick) for name in study_names() for quick in (False, True) if not quick or has_quick_version(name)],
)
def test_the_studies_that_come_along_are_complete_and_their_tasks_ask_for_layers_that_are_there(
    name, quick, store, tmp_path
):
    _, study = load_study(name, quick=quick)
    tokenizer = TokenStore.open(store).tokenizer
    for variant in study.variants:
        pretraining = cell_settings(study, variant, 0, store, tmp_path, MachineSettings(threads=1))
        network = network_config(pretraining, tokenizer)
        for trial in study.tasks:
            paths = {"model": "model", "out": "out"}
            tuning = build_settings(FinetuneConfig, paths, trial.settings, variant.finetuning)
            bilstm = tuning.strategy.bilstm(network, 0.1)
            assert bilstm is None or max(bilstm.layers) <= network.num_hidden_layers


def test_a_study_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(
        ConfigurationError, match=r"There is no study 'nothing'\. There are: by-the-clock, cooccurrence-parts, hour"
    ):
        load_study("nothing")


def test_states_on_the_way_are_those_at_equal_shares_whatever_checkpoints_a_stop_has_left(store, tmp_path):
    _, study = load_study(study_file(tmp_path, steps=8))
    config = cell_settings(study, study.variants[0], 0, store, tmp_path, MachineSettings(precision="float32"))
    runtime = config.runtime.model_copy(update={"checkpoint_steps": 1, "keep_checkpoints": 20})
    config = config.model_copy(update={"runtime": runtime})
    pretrain(config)
    assert list(states_on_the_way(config, 3)) == [2, 4, 6]
    assert list(states_on_the_way(config, 1)) == [4]
    assert states_on_the_way(config, 0) == {}


def test_a_cell_on_another_text_is_refused(finished, store, tmp_path):
    text = store.parent / "text.txt"
    other = prepare(
        PrepareConfig(
            inputs=(str(text),), format="blocks", vocab=store.parent / "vocabulary", out=tmp_path / "s", held_out=0.3
        )
    )
    with pytest.raises(MismatchedArtefact, match="another value of the token store than the study has now"):
        compare(finished.model_copy(update={"store": other}))


@pytest.fixture(scope="module")
def tried(store, films, tmp_path_factory) -> CompareConfig:
    """A study of one untrained network and one task, done."""
    folder = tmp_path_factory.mktemp("tried")
    study = folder / "tasks.toml"
    study.write_text(STUDY.format(steps=2).replace("seeds = [0, 1]", "seeds = [0]") + TASKS)
    changes = {"study": str(study), "only": ("untrained",), "task_data": films}
    config = settings(folder, store).model_copy(update=changes)
    compare(config)
    return config


def with_more(films: Path, target: Path) -> Path:
    """The same task with another row to learn from."""
    shutil.copytree(films, target)
    with (target / "films" / "train.tsv").open("a") as file:
        file.write("dia sees a shop\t1\n")
    return target


def test_a_cell_keeps_the_checksums_and_the_sizes_of_its_tasks_files(tried, films):
    cell = read_cell(tried.out / "untrained-seed0.json")
    for part in ("train", "dev"):
        assert cell.made_from[f"{part}_file_of_sst-2"] == record_file(films / "films" / f"{part}.tsv").sha256
    assert cell.tasks["sst-2"].examples == {"train": 12, "dev": 12}


def test_a_cell_of_other_task_data_is_refused(tried, films, tmp_path):
    compare(tried)
    other = with_more(films, tmp_path / "other")
    with pytest.raises(MismatchedArtefact, match="another value of the train file of sst-2 than the study has now"):
        compare(tried.model_copy(update={"task_data": other}))


def test_a_task_whose_files_change_while_the_study_runs_is_refused_and_then_learnt_anew(
    tried, films, tmp_path, monkeypatch
):
    data = with_more(films, tmp_path / "data")
    config = tried.model_copy(update={"task_data": data, "out": tmp_path / "cells"})

    def change_and_finetune(settings):
        shutil.copytree(films, data, dirs_exist_ok=True)
        return finetune_task(settings)

    monkeypatch.setattr(trials, "finetune_task", change_and_finetune)
    with pytest.raises(
        MismatchedArtefact, match=r"The files of the task sst-2 in .* have changed since this study was"
    ):
        compare(config)
    assert not list(config.out.glob("*.json"))
    assert compare(config).cells["untrained"][0].tasks["sst-2"].examples["train"] == 12


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: "", "EOF"),
        (lambda text: text[: len(text) // 2], "EOF"),
        (lambda text: text.replace('"tokens"', '"token"'), "tokens: Field required"),
        (lambda text: "[]", "Input should be"),
    ],
    ids=["empty", "cut", "an entry less", "something else"],
)
def test_a_damaged_cell_is_refused_by_name(tried, tmp_path, damage, reason):
    path = tmp_path / "untrained-seed0.json"
    path.write_text(damage((tried.out / path.name).read_text()))
    with pytest.raises(DamagedArtefact, match=rf"untrained-seed0\.json is not a whole cell: .*{reason}"):
        read_cell(path)


def test_a_network_that_there_cannot_be_is_refused_before_anything_is_trained(store, tmp_path):
    study = tmp_path / "heads.toml"
    odd = '[[variants]]\nname = "odd"\nsettings.model.num_attention_heads = 3\n'
    study.write_text(f"{STUDY.format(steps=2)}\n{odd}")
    config = settings(tmp_path, store).model_copy(update={"study": str(study)})
    with pytest.raises(ConfigurationError, match="hidden_size 32 is not a multiple of num_attention_heads 3"):
        compare(config)
    assert not config.out.exists()


ELMO = """
question = "Does an ELMo learn a task?"

[settings]
recipe = "tiny"
model = { network = "elmo", max_positions = 64 }
data = { max_seq_length = 32, batch_size = 8, objective = "next", next_sentence = false }
training = { steps = 2 }

[[variants]]
name = "elmo"
"""


def test_an_elmo_that_is_to_be_fine_tuned_is_refused_before_anything_is_trained(store, films, tmp_path):
    study = tmp_path / "elmo.toml"
    study.write_text(ELMO + TASKS[TASKS.index("[[tasks]]") :])
    config = settings(tmp_path, store).model_copy(update={"study": str(study), "task_data": films})
    with pytest.raises(ConfigurationError, match=r"sst-2 of the study could not be learnt\. An ELMo gives features"):
        compare(config)
    assert not config.out.exists()


def test_the_report_gives_the_command_with_what_was_said_of_the_machine(tried):
    command = "compare", tried.study, "--store store --out cells --task-data", tried.task_data.name
    page = (tried.out / "report.html").read_text(encoding="utf-8")
    assert f"{' '.join(command)} --only untrained --precision float32 --threads 1" in page
    assert "tokens in 50 documents" in page


def test_an_unfinished_run_of_other_settings_is_not_gone_on_with(store, tmp_path):
    config = settings(tmp_path, store, steps=100).model_copy(update={"only": ("mimetic",)})
    process = multiprocessing.get_context("spawn").Process(target=compare, args=(config,))
    process.start()
    while not list(config.out.glob("runs/*/checkpoints/step-*")):
        time.sleep(0.02)
    process.kill()
    process.join()
    study_file(tmp_path, steps=4)
    with pytest.raises(MismatchedArtefact, match=r"was started with training\.steps = 100; it cannot go on with 4"):
        compare(config)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('folder = "films"', 'folder = "flims"', "flims"),
        ("epochs = 1", "epochen = 1", "epochen"),
        ('["all"]', '["7"]', "no layer '7': it has 1 layers"),
    ],
    ids=["no such folder", "no such setting", "no such layer"],
)
def test_a_task_that_cannot_be_learnt_is_refused_before_anything_is_trained(
    before, after, reason, store, films, tmp_path
):
    study = tmp_path / "ways.toml"
    ways = WAYS[WAYS.index("[[tasks]]") :]
    assert before in ways
    study.write_text(STUDY.format(steps=2) + ways.replace(before, after))
    config = settings(tmp_path, store).model_copy(update={"study": str(study), "task_data": films})
    with pytest.raises(ConfigurationError, match=rf"The task sst-2, .* could not be learnt\. .*{reason}"):
        compare(config)
    assert not config.out.exists()


def test_a_variant_that_is_not_there_is_refused_by_name(finished):
    with pytest.raises(ConfigurationError, match=r"has no variant 'mimetc'\. It has neighbour, mimetic"):
        compare(finished.model_copy(update={"only": ("mimetc",)}))


def test_a_store_without_held_out_text_is_refused_before_anything_is_trained(store, tmp_path):
    text = store.parent / "text.txt"
    other = prepare(
        PrepareConfig(
            inputs=(str(text),), format="blocks", vocab=store.parent / "vocabulary", out=tmp_path / "s", held_out=0
        )
    )
    with pytest.raises(InputError, match="holds no held-out text, on which variants are compared"):
        compare(settings(tmp_path, other))


def test_a_network_that_is_not_bert_has_no_tasks(store, films, tmp_path):
    study = tmp_path / "graphs.toml"
    study.write_text(STUDY.format(steps=2) + '[[variants]]\nname = "other"\ngraph = "rotary"\n' + TASKS)
    with pytest.raises(ConfigurationError, match="other is a network that is not BERT"):
        compare(settings(tmp_path, store).model_copy(update={"study": str(study), "task_data": films}))


def test_untrained_networks_of_two_seeds_are_two_networks(store, films, tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr(trials, "finetune_task", lambda config: seeds.append(config.seed) or finetune_task(config))
    study = tmp_path / "tasks.toml"
    study.write_text(STUDY.format(steps=2) + TASKS)
    changes = {"study": str(study), "only": ("untrained",), "task_data": films}
    compare(settings(tmp_path, store).model_copy(update=changes))
    assert seeds == [0, 2]  # two fine-tunings each
