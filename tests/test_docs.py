"""The pages say what the code does: flags, recipes, formats, public names and links are held to it."""

import hashlib
import html
import json
import re
import shlex
import statistics
import struct
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import bertsmith
import generate
from bertsmith.batches.pretraining import Cursor
from bertsmith.cli import COMMANDS, settings_class_of
from bertsmith.core.artefact import MANIFEST, read_manifest, stage_artefact, verify_artefact
from bertsmith.core.errors import DamagedArtefact
from bertsmith.core.process_environment import ENVIRONMENT
from bertsmith.flags import flags_of
from bertsmith.model.configuration import BertConfig
from bertsmith.study.cell import Cell, cell_settings, read_cell, require_same_cell
from bertsmith.study.study_file import Study, load_study
from bertsmith.study.study_tables import (
    StudyRow,
    difference_table,
    differences,
    pair_table,
    paper_pairs,
    score_table,
    study_rows,
)
from bertsmith.text.token_store import COUNTS_SCHEMA, INDEX_SCHEMA, block_schema
from bertsmith.text.token_store_writer import TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.checkpoint import TrainingState
from bertsmith.training.expected_loss import CURVES
from bertsmith.training.flops import flops_per_token
from bertsmith.training.held_out_breakdown import Band, HeldOutBreakdown, WordBand
from bertsmith.training.loop import Position
from bertsmith.training.machine import MachineSettings
from bertsmith.training.minimal_pairs import COLUMNS

ROOT = Path(__file__).parent.parent
START_NAMES = ("untrained", "normal", "neighbour")  # of the first run
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def section(page: str, heading: str) -> str:
    """The text of one section of a page of docs/."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.DOTALL | re.MULTILINE)[2]


def first_cells(text: str) -> list[list[str]]:
    """The names in backticks in the first column of every table row."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return [names for row in rows if (names := re.findall(r"`([^`]+)`", row))]


@pytest.mark.parametrize("page", generate.PAGES)
def test_the_tables_are_those_of_the_code(page):
    assert generate.render(page) == (ROOT / "docs" / page).read_text(encoding="utf-8"), "run: python docs/generate.py"


def test_every_command_and_the_recipes_have_their_place_on_a_page():
    assert generate.blocks("commands.md") == list(COMMANDS)
    assert generate.blocks("recipes.md") == ["recipes"]
    assert generate.blocks("tasks.md") == ["named-tasks"]
    assert generate.blocks("plateau.md") == [
        "by-the-clock",
        "cooccurrence-parts",
        "lunch-tasks",
        "lunch-pretraining",
        "hour-tasks",
        "hour-pretraining",
    ]
    assert generate.blocks("benchmarks.md") == [
        *("benchmark-machine", "benchmark-steps", "benchmark-profile"),
        *("benchmark-machine-amx", "benchmark-steps-amx"),
        *("benchmark-encoding", "benchmark-preparation", "benchmark-elmo"),
    ]
    assert generate.blocks("scaling.md") == ["cost"]
    assert generate.blocks("results/small-budget.md") == [
        *("start", "start-german", "neighbour-parts", "start-sizes", "recipe-parts", "rivals"),
    ]
    assert generate.blocks("results/every-task.md") == ["every-task"]
    assert generate.blocks("results/paper-claims.md") == [
        f"{study}-{part}" for study in generate.PAPER_STUDIES for part in ("scores", "differences", "paper", "cost")
    ]
    assert generate.blocks("results/first-run.md") == ["first-run-pretraining", "first-run-tasks"]


def test_the_environment_that_the_page_gives_is_that_of_the_commands():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items()) + " python" in text


# As the page says: the first batches, which steps are planned by, are shorter. The second has networks of the first.
_OFF_BUDGET = {"masking": 0.0221, "masking-layers": 0.0221}


@pytest.mark.parametrize("folder", sorted(path.name for path in (ROOT / "docs" / "results" / "cells").iterdir()))
def test_the_cells_on_file_are_those_of_the_studies_that_we_bring(folder):
    """Or of their quick versions: `compare` takes them as finished."""
    paths = sorted((ROOT / "docs" / "results" / "cells" / folder).glob("*.json"))
    assert paths
    name = folder.removesuffix("-german")  # the same study on another text
    _, study = load_study(name)
    if study.paper is not None:
        _, study = load_study(name, quick=True)
    variants = {variant.name: variant for variant in study.variants}
    for path in paths:
        cell = read_cell(path)
        variant = variants[cell.variant]
        planned = study
        if study.budget is not None and study.budget.tokens is not None:  # steps, by the store, which is not here
            assert abs(cell.tokens / study.budget.tokens - 1) < _OFF_BUDGET.get(folder, 0.02)
            assert cell.tokens == read_cell(paths[0]).tokens  # all variants read the same text
            length = {"training": {"steps": cell.settings["training"]["steps"]}}
            planned = study.model_copy(update={"budget": None, "settings": {**study.settings, **length}})
        settings = cell_settings(planned, variant, cell.seed, Path("store"), Path("out"), MachineSettings())
        require_same_cell(cell, settings, study, variant, cell.made_from, path)


def test_the_loss_that_a_plan_expects_of_a_mini_is_that_of_the_cells():
    unigram = json.loads((ROOT / "docs/results/first-run.json").read_text())["pretraining"]["normal"]["unigram_loss"]
    cells = [read_cell(path) for study in ("by-the-clock", "lunch", "hour") for path in _cells_of(study)]
    found = {
        cell.tokens: cell.curve[-1].token_loss
        for cell in cells
        if cell.settings["model"]["initialisation"] != "normal" and cell.curve
    }
    assert len(found) >= 4
    for tokens, loss in found.items():
        assert abs(unigram * CURVES["mini"].share(tokens) - loss) < 0.06


def test_the_losses_of_both_languages_on_the_page_are_those_of_the_cells():
    text = " ".join((ROOT / "docs" / "plateau.md").read_text(encoding="utf-8").split())
    ends = {}
    for folder in ("start", "start-german"):
        cells = [read_cell(path) for path in _cells_of(folder)]
        for variant in ("normal", "neighbour", "cooccurrence"):
            losses = [cell.curve[-1].token_loss for cell in cells if cell.variant == variant]
            ends[folder, variant] = f"{statistics.fmean(losses):.2f}"
    normal, neighbour, counted = (ends["start", name] for name in ("normal", "neighbour", "cooccurrence"))
    assert f"at {normal} from normal values, {neighbour} from neighbour heads and {counted} from co-occurrences" in text
    german = [ends["start-german", name] for name in ("normal", "neighbour", "cooccurrence")]
    assert f"at {german[0]}, {german[1]} and {german[2]}" in text


def test_what_the_page_of_every_task_tells_of_words_alone_was_counted():
    text = " ".join((ROOT / "docs/results/every-task.md").read_text(encoding="utf-8").split())
    counted = json.loads((ROOT / "docs/results/every-task-words.json").read_text(encoding="utf-8"))
    wnli = counted["wnli"]
    assert f"is right for {100 * counted['codah']['accuracy']:.1f} % of this dev set" in text
    assert f"{wnli['texts_in_train']} of the {wnli['examples']} dev texts are in train" in text
    assert f"is right for {wnli['right']} of the {wnli['examples']}" in text


ORDINARY = ("bert-ordinary", "no-nsp-ordinary")


def test_the_points_that_the_page_of_the_papers_claims_tells_are_those_of_the_cells():
    text = " ".join((ROOT / "docs/results/paper-claims.md").read_text(encoding="utf-8").split())
    cells = {cell.variant: cell for cell in map(read_cell, _cells_of("pretraining-tasks"))}
    metrics = {"sst-2": "accuracy", "mrpc": "f1", "conll2003": "f1"}

    def points(variant, task):
        return 100 * statistics.fmean(cells[variant].tasks[task].scores[metrics[task]])

    def lead(task, better, worse):
        return f"{points(better, task) - points(worse, task):.1f}"

    squad = json.loads((ROOT / "docs/results/pretraining-tasks-squad.json").read_text(encoding="utf-8"))
    *f1, last = (f"{100 * statistics.fmean(scores['f1']):.1f}" for scores in squad.values())
    tags = {variant: f"{points(variant, 'conll2003'):.1f}" for variant in cells}
    for sentence in (
        f"ahead by {lead('mrpc', 'bert', 'no-nsp')} points from weights of counts",
        f"by {lead('mrpc', 'bert-ordinary', 'no-nsp-ordinary')} from ordinary ones",
        f"{tags['left-to-right']} stands against {tags['bert-ordinary']} and {tags['no-nsp-ordinary']}",
        f"by {lead('conll2003', 'bert', 'left-to-right')} points and more",
        f"by {lead('mrpc', 'bert', 'left-to-right')} and {lead('mrpc', 'bert', 'left-to-right-bilstm')}",
        f"costs {lead('conll2003', 'left-to-right', 'left-to-right-bilstm')} points of CoNLL-2003",
        f"gives {lead('sst-2', 'left-to-right-bilstm', 'left-to-right')} of SST-2",
        f"F1 is {', '.join(f1)} and {last}",
        f"Its loss is {' and '.join(f'{cells[name].curve[-1].token_loss:.1f}' for name in ORDINARY)}",
        f"is at {cells['left-to-right'].curve[-1].token_loss:.1f} after",
    ):
        assert sentence in text


def test_the_points_that_the_page_tells_of_mixtures_of_masks_are_those_of_the_cells():
    text = " ".join((ROOT / "docs/results/paper-claims.md").read_text(encoding="utf-8").split())
    cells = {cell.variant: cell for cell in map(read_cell, _cells_of("masking"))}

    def points(variant, task):
        return 100 * statistics.fmean(next(iter(cells[variant].tasks[task].scores.values())))

    tags, features = (
        {variant: points(variant, task) for variant in cells} for task in ("conll2003", "conll2003, features")
    )
    masked = ("80-10-10", "100-0-0", "80-0-20", "80-20-0")
    behind = sorted(tags["80-10-10"] - tags[variant] for variant in masked[1:])
    assert all(features[variant] > tags[variant] for variant in cells)
    assert max(cells.values(), key=lambda cell: cell.curve[-1].token_loss).variant == "80-20-0"
    assert (
        min(cells, key=lambda variant: tags[variant]) == min(cells, key=lambda variant: features[variant]) == "0-0-100"
    )
    for sentence in (
        f"{cells['80-10-10'].tokens / 1e6:.1f} million tokens each",
        f"is {features['100-0-0'] - features['80-0-20']:.1f} behind masks alone",
        f"without [MASK] {features['100-0-0'] - features['0-20-80']:.1f}, neither clear",
        f"{features['100-0-0']:.1f} against {features['80-10-10']:.1f}",
        f"ahead of the other three that see [MASK] by {behind[0]:.1f} to {behind[-1]:.1f} points",
        f"without [MASK] is behind**: {tags['0-20-80']:.1f} fine-tuned and {features['0-20-80']:.1f} as features",
        f"random pieces alone it is furthest behind, {tags['0-0-100']:.1f} and {features['0-0-100']:.1f}",
        *(
            f"{max(scores) - min(scores):.1f} on {name}"
            for task, name in (("sst-2", "SST-2"), ("mrpc", "MRPC"))
            for scores in [[points(variant, task) for variant in masked]]
        ),
    ):
        assert sentence in text


def test_what_the_page_of_the_papers_claims_calls_clear_is_clear():
    """By its tables, corrected for the comparisons of each."""
    clear, told_apart = {}, {}
    for name in generate.PAPER_STUDIES:
        study, rows = _rows_of(name)
        clear[name] = [place for place, found in differences(rows, rows[0]).items() if found and found.is_clear]
        pairs = paper_pairs(rows, study.paper)
        told_apart[name] = [(pair.better, pair.worse, pair.task) for pair in pairs if pair.ours.is_clear]
    tags = ["conll2003, f1", "conll2003, features, f1"]
    assert clear == {
        "pretraining-tasks": [("left-to-right-bilstm", "mrpc, f1")],
        "masking": [("0-0-100", task) for task in tags],
    }
    assert told_apart == {"pretraining-tasks": [], "masking": [("80-10-10", "0-0-100", task) for task in tags]}


@pytest.mark.parametrize("name", generate.PAPER_STUDIES)
def test_the_report_on_file_is_that_of_the_cells_on_file(name):
    study, rows = _rows_of(name)
    shown = re.findall(r"<td[^>]*>(.*?)</td>", (ROOT / f"docs/results/{name}.html").read_text(encoding="utf-8"))
    said = {re.sub("<[^>]+>", "", html.unescape(cell)) for cell in shown}
    for table in (score_table(rows), difference_table(rows, rows[0]), pair_table(paper_pairs(rows, study.paper))):
        assert {cell.strip("*") for line in table.rows for cell in line} <= said


def _rows_of(name: str) -> tuple[Study, list[StudyRow]]:
    """A study of the paper's, and its rows by the cells on file."""
    _, study = load_study(name, quick=True)
    cells = {variant.name: [] for variant in study.variants}
    for cell in map(read_cell, _cells_of(name)):
        cells[cell.variant].append(cell)
    return study, study_rows(study, cells)


def test_what_a_core_makes_and_a_gpu_reads_is_as_the_page_on_scaling_says():
    text = " ".join((ROOT / "docs/scaling.md").read_text(encoding="utf-8").split())
    rows = json.loads((ROOT / "docs/results/benchmarks/batch-making.json").read_text(encoding="utf-8"))
    made = {(row["length"], row["processes"]): f"{row['tokens_per_second'] / 1e6:.1f}" for row in rows}
    assert (
        f"up to 128 tokens at {made[128, 1]} million tokens a second, and of up to 512 tokens at {made[512, 1]}" in text
    )
    assert f"come to {made[128, 8]} and {made[512, 8]} million" in text
    base = BertConfig.of_size("base", vocab_size=30_522)
    assert f"{0.45 * 989e12 / flops_per_token(base, 128, 0.15) / 1e6:.2f} million tokens a second of Base" in text


def test_the_layers_that_the_page_tells_of_are_those_of_the_cells():
    text = " ".join((ROOT / "docs/results/paper-claims.md").read_text(encoding="utf-8").split())
    cells = {cell.variant: cell for cell in map(read_cell, _cells_of("masking-layers"))}
    first, last = (
        [
            f"{100 * statistics.fmean(cells[variant].tasks[f'features, {layer} layer'].scores['f1']):.1f}"
            for variant in ("80-10-10", "100-0-0")
        ]
        for layer in ("first", "last")
    )
    assert f"gives {first[0]} with the paper's mixture and {first[1]} with masks alone" in text
    assert f"the last one alone {last[0]} and {last[1]}" in text


def _cells_of(study: str) -> list[Path]:
    return sorted((ROOT / "docs" / "results" / "cells" / study).glob("*.json"))


def test_what_the_page_on_the_plateau_says_is_in_the_figures():
    text = " ".join((ROOT / "docs" / "plateau.md").read_text(encoding="utf-8").split())
    results = ROOT / "docs" / "results"
    normal = json.loads((results / "first-run.json").read_text(encoding="utf-8"))["pretraining"]["normal"]
    length = f"{normal['tokens'] / 1e6:.1f} million tokens and {normal['minutes']:.0f} minutes"
    end = normal["held_out"][-1]["token_loss"]
    assert f"{length} from the paper's initial values, a mini was at {end:.2f}" in text
    assert f"the **unigram entropy** of the text: {normal['unigram_loss']:.2f} nats" in text
    lunch, untrained = (
        read_cell(results / "cells" / "lunch" / f"{name}-seed0.json") for name in ("lunch", "untrained")
    )
    assert f"has a held-out loss of about {lunch.curve[0].token_loss:.1f}" in text
    assert (lunch.threads, round(lunch.curve[-1].minutes)) == (1, 45)  # three quarters of an hour on one core
    hour = read_cell(results / "cells" / "hour" / "hour-seed0.json")
    assert 0 < deviations(lunch, untrained, "sst-2") < deviations(hour, untrained, "sst-2") < 3
    pretrained, fresh = (
        json.loads((results / "every-task" / f"sst-2-{start}.json").read_text(encoding="utf-8"))["scores"]["accuracy"]
        for start in ("pretrained", "untrained")
    )
    gain = statistics.fmean(pretrained) - statistics.fmean(fresh)
    in_deviations = gain / max(statistics.stdev(pretrained), statistics.stdev(fresh))
    assert f"the gain is {100 * gain:.1f} points, {in_deviations:.1f} deviations" in text
    theirs = json.loads((results / "transformers-replay.json").read_text(encoding="utf-8"))
    assert f"as it was trained, that network ends at {theirs['last_as_one_segment']['token_loss']:.2f}" in text
    assert f"{theirs['steps']:,} steps, which are its hour" in text
    assert hour.curve[0].token_loss < end  # before its first step, where the paper's recipe ends
    assert min(deviations(lunch, untrained, "sts-b"), deviations(lunch, untrained, "mrpc")) > 3
    assert deviations(hour, untrained, "sts-b") > 3
    parts = {
        name: read_cell(results / "cells" / "cooccurrence-parts" / f"{name}-seed0.json")
        for name in ("cooccurrence", "without-match", "without-links", "without-vectors")
    }
    losses = {name: cell.curve[-1].token_loss for name, cell in parts.items()}
    assert (
        losses["without-match"] < losses["cooccurrence"] < min(losses["without-links"], losses["without-vectors"]) - 1
    )
    similarity = {name: statistics.fmean(cell.tasks["sts-b"].scores["spearman"]) for name, cell in parts.items()}
    assert max(similarity["without-match"], similarity["without-vectors"]) < 0.25
    assert min(similarity["cooccurrence"], similarity["without-links"]) > 0.7


def deviations(ours: Cell, theirs: Cell, task: str) -> float:
    """The lead in a task's first metric, in the larger of the two deviations over seeds."""
    mine, other = (next(iter(cell.tasks[task].scores.values())) for cell in (ours, theirs))
    return (statistics.fmean(mine) - statistics.fmean(other)) / max(statistics.stdev(mine), statistics.stdev(other))


def test_what_the_first_run_is_said_to_show_is_in_its_figures():
    text = " ".join((ROOT / "docs" / "results" / "first-run.md").read_text(encoding="utf-8").split())
    results = json.loads((ROOT / "docs" / "results" / "first-run.json").read_text(encoding="utf-8"))
    size, runs = results["store"], results["pretraining"]
    assert f"{size['bytes_read'] / 1e6:.0f} MB of text, {size['tokens'] / 1e6:.1f} million tokens" in text
    assert {f"{run['tokens'] / 1e6:.1f}" for run in runs.values()} == {"31.5"}
    end = runs["normal"]["held_out"][-1]["token_loss"]
    passed = next(scores["step"] for scores in runs["neighbour"]["held_out"] if scores["token_loss"] < end)
    assert f"has passed before step {passed:,}" in text
    assert passed / runs["neighbour"]["steps"] * runs["neighbour"]["minutes"] < 7.5
    mrpc, films, pairs = (results["tasks"][task] for task in ("mrpc", "sst-2", "sts-b"))
    assert f"has an F1 of {100 * mrpc['same_answer']:.1f}" in text
    assert max(statistics.fmean(scores) for scores in mrpc["scores"].values()) < mrpc["same_answer"]
    assert films["settings"]["batch_size"] == 128
    assert mrpc["settings"]["batch_size"] == pairs["settings"]["batch_size"] == 32
    untrained, normal, neighbour = (100 * statistics.fmean(films["scores"][start]) for start in START_NAMES)
    assert f"the untrained network reaches {untrained:.1f} points" in text
    assert f"adds {normal - untrained:.1f}, from neighbours {neighbour - untrained:.1f}" in text
    assert min(films["scores"]["neighbour"]) > max(films["scores"]["normal"])
    untrained, normal, neighbour = (100 * statistics.fmean(pairs["scores"][start]) for start in START_NAMES)
    assert 35 < normal - untrained < 40
    assert 35 < neighbour - untrained < 40
    assert neighbour - normal < 100 * statistics.stdev(pairs["scores"]["neighbour"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_flags_of_the_commands_on_a_page_exist(page):
    for line in re.findall(r"^bertsmith (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        verb, *words = shlex.split(line, comments=True)
        names = {f"--{flag.name.replace('_', '-')}" for flag in flags_of(settings_class_of(COMMANDS[verb]))}
        known = names | {f"--no-{name[2:]}" for name in names} | {"--resume", "--config", "--json", "--debug"}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_is_empty(page):
    assert len(page.read_text(encoding="utf-8")) > 500


def test_the_index_lists_exactly_the_public_names():
    listed = [name for names in first_cells(section("index.md", "In Python")) for name in names]
    assert sorted(listed) == bertsmith.__all__


def test_the_manifest_of_the_page_is_a_manifest(tmp_path):
    example = re.search(r"```json\n(.*?)```", section("formats.md", "manifest.json"), re.DOTALL)[1]
    (tmp_path / MANIFEST).write_text(example, encoding="ascii")
    (tmp_path / "words.txt").write_bytes(b"abc")
    assert verify_artefact(tmp_path, "vocabulary").configuration == {"size": 3}


def test_the_manifest_table_lists_exactly_its_keys(tmp_path):
    with stage_artefact(tmp_path / "a", kind="vocabulary", command="vocab", configuration={}):
        pass
    entries = json.loads((tmp_path / "a" / MANIFEST).read_bytes())
    table = section("formats.md", "manifest.json").partition("For example")[0]
    assert [names[0] for names in first_cells(table)] == sorted(entries, key=[n[0] for n in first_cells(table)].index)


def test_fingerprint_and_checksum_are_what_the_page_says(tmp_path):
    with stage_artefact(tmp_path / "a", kind="vocabulary", command="vocab", configuration={}) as staging:
        (staging.folder / "words.txt").write_bytes(b"abc")
    entries = json.loads((tmp_path / "a" / MANIFEST).read_bytes())

    def canonical_sha256(keys: set[str]) -> str:
        content = {key: entries[key] for key in keys}
        return hashlib.sha256((json.dumps(content, indent=2, sort_keys=True) + "\n").encode("ascii")).hexdigest()

    assert entries["fingerprint"] == canonical_sha256({"files", "format_version", "kind"})
    assert entries["checksum"] == canonical_sha256(set(entries) - {"checksum"})
    assert read_manifest(tmp_path / "a", "vocabulary").fingerprint == entries["fingerprint"]


def test_every_kind_of_artefact_that_the_code_makes_is_on_the_page():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    literal = set(re.findall(r'stage_artefact\([^)]*?kind="(\w+)"', sources))
    named = set(re.findall(r'^(?:KIND|CHECKPOINT)\w* = "(\w+)"', sources, re.MULTILINE))
    row = next(line for line in section("formats.md", "manifest.json").splitlines() if line.startswith("| `kind`"))
    assert literal | named == set(re.findall(r"`(\w+)`", row)) - {"kind"}


def test_the_arrow_schemas_are_those_of_the_page():
    store = section("formats.md", "Token store")
    columns = {names[0]: line.split("|")[2].strip(" `") for line in store.splitlines() if line.startswith("| `")
               for names in [re.findall(r"`([^`]+)`", line.split("|")[1])]}  # fmt: skip
    for field in INDEX_SCHEMA:
        assert columns[field.name] == str(field.type), field.name
    assert "`count: int64`" in store
    assert [(field.name, str(field.type)) for field in COUNTS_SCHEMA] == [("count", "int64")]
    assert columns["continues"] == str(block_schema(100).field("continues").type)
    for size, token in ((1 << 16, pa.uint16()), ((1 << 16) + 1, pa.uint32())):
        assert block_schema(size).field("sentences").type == pa.list_(
            pa.field("sentence", pa.list_(pa.field("token", token, nullable=False)), nullable=False)
        )


def test_the_token_ids_of_a_block_are_one_run_of_bytes(tmp_path):
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef"])
    writer = TokenStoreWriter(tmp_path, tokenizer, held_out=0.0)
    writer.append_document(np.array([5, 6, 7]), np.array([2, 1]))
    writer.append_document(np.array([8, 9, 10]), np.array([3]))
    writer.close()
    content = (tmp_path / "train-00000.arrow").read_bytes()
    assert content.startswith(b"ARROW1\0\0")
    assert content.endswith(b"ARROW1")
    runs = [
        struct.pack("<3i", 0, 2, 3),  # rows into sentences
        struct.pack("<4i", 0, 2, 3, 6),  # sentences into tokens
        struct.pack("<6H", 5, 6, 7, 8, 9, 10),  # tokens
    ]
    places = [content.index(run) for run in runs]
    assert places == sorted(places)


def test_the_tokenizer_files_are_those_of_the_page(tmp_path):
    Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]).save(tmp_path)
    listed = [names[0] for names in first_cells(section("formats.md", "Tokenizer files"))]
    assert {path.name for path in tmp_path.iterdir()} <= set(listed)
    configuration = json.loads((tmp_path / "tokenizer_config.json").read_text())
    text = section("formats.md", "Tokenizer files")
    for key in configuration:
        assert f"`{key}`" in text, key


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_a_changed_tokenizer_file_of_an_artefact_is_refused(tmp_path, name):
    with stage_artefact(tmp_path / "a", kind="vocabulary", command="vocab", configuration={}) as staging:
        Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]).save(staging.folder)
    Tokenizer.load(tmp_path / "a")
    with (tmp_path / "a" / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(DamagedArtefact, match=name):
        Tokenizer.load(tmp_path / "a")


def test_the_state_of_the_page_is_a_state():
    example = re.search(r"```json\n(.*?)```", section("formats.md", "Checkpoint"), re.DOTALL)[1]
    state = TrainingState.from_json(example)
    assert state == TrainingState(Position(Cursor(0, 0, 2, 4096), 128, 61.5), 524288)
    assert json.loads(state.to_json()) == asdict(state) == json.loads(example)


def test_the_held_out_breakdown_of_the_page_is_that_of_the_code():
    def names(record: type) -> list[str]:
        return [field.name for field in fields(record)]

    rows = {row.split("|")[1].strip(" `"): row for row in section("formats.md", "Model folder").splitlines()
            if row.startswith("| `by_") or row.startswith("| `whole_")}  # fmt: skip
    assert list(rows) == names(HeldOutBreakdown)
    assert re.findall(r"`(\w+)`", rows["by_frequency"].split("|")[3]) == names(Band)
    assert re.findall(r"`(\w+)`", rows["whole_words"].split("|")[3]) == names(WordBand)


def test_the_columns_of_minimal_pairs_are_those_of_the_page():
    assert tuple(names[0] for names in first_cells(section("formats.md", "Minimal pairs"))) == COLUMNS


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_to_files_and_headings_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_files_and_modules_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:src|tests|docs|benchmarks)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"`(bertsmith(?:\.\w+)+)`", text):
        parts = module.split(".")
        candidates = [ROOT / "src" / Path(*parts[:end]) for end in range(len(parts), 1, -1)]
        assert any(path.is_dir() or path.with_suffix(".py").exists() for path in candidates), module
