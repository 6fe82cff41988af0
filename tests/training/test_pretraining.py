"""What a run writes, and that it can be cut anywhere without a trace."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_runs import make_chain_store, make_store, small_config, write_minimal_pairs, write_store

from bertsmith.core.artefact import read_manifest
from bertsmith.core.errors import (
    ArtefactError,
    ArtefactExists,
    ConfigurationError,
    DamagedArtefact,
    InputError,
    MismatchedArtefact,
    NonFiniteLoss,
)
from bertsmith.model.bert import BertForMaskedLM
from bertsmith.model.folder import load_model, save_model
from bertsmith.text.token_store import TokenStore
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.checkpoint import CHECKPOINT, SET_ASIDE, go_back_to, list_checkpoints
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.evaluation import unigram_loss
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.network import with_shape_of_init
from bertsmith.training.pretraining import pretrain, resume_pretraining


def weights_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def trace(run: Path) -> list[dict]:
    """The metrics without the clock."""
    records = read_metrics(run)
    for record in records:
        for clock in ("seconds", "waited", "elapsed_seconds"):
            record.get("train", {}).pop(clock, None)
    return records


@pytest.fixture(scope="module")
def finished_run(store, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    pretrain(small_config(store, out))
    return out


def cut_after(run: Path, step: int, target: Path) -> Path:
    """The run as it stood when it was killed just after it had saved this step."""
    shutil.copytree(run, target, ignore=shutil.ignore_patterns("model", "loss.png"))
    for checkpoint in (target / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("step-")) > step:
            shutil.rmtree(checkpoint)
    return target


@pytest.mark.parametrize("step", range(11))
def test_a_run_cut_at_any_step_goes_on_bit_for_bit(finished_run, tmp_path, step):
    run = cut_after(finished_run, step, tmp_path / "run")
    result = resume_pretraining(run, {})
    assert weights_of(run / "model") == weights_of(finished_run / "model")
    assert trace(run) == trace(finished_run)
    assert result.steps == 10


def test_the_run_crosses_epochs_and_all_phases(finished_run):
    cursors = [
        json.loads((folder / "state.json").read_text())["position"]["cursor"]
        for folder in sorted((finished_run / "checkpoints").iterdir())
    ]
    assert {cursor["phase"] for cursor in cursors} == {0, 1, 2}
    assert max(cursor["epoch"] for cursor in cursors) >= 1


def test_the_same_configuration_gives_the_same_bytes(finished_run, store, tmp_path):
    pretrain(small_config(store, tmp_path / "again"))
    assert weights_of(tmp_path / "again/model") == weights_of(finished_run / "model")
    pretrain(small_config(store, tmp_path / "other", seed=1))
    assert weights_of(tmp_path / "other/model") != weights_of(finished_run / "model")


@pytest.mark.parametrize("micro_batch_size", [1, 7, 24])
def test_micro_batches_do_not_change_what_is_learned(store, tmp_path, micro_batch_size):
    """Without dropout and in float32 the update is that of the whole batch, up to the order of sums."""
    same = {"model": {"hidden_dropout": 0.0, "attention_dropout": 0.0}, "training": {"steps": 3}}
    runs = {}
    for size in (24, micro_batch_size):
        out = tmp_path / f"run-{size}"
        if not out.exists():
            runtime = {"micro_batch_size": size, "precision": "float32"}
            pretrain(small_config(store, out, **same, runtime=runtime))
        runs[size] = [record["train"]["loss"] for record in read_metrics(out) if "train" in record]
    np.testing.assert_allclose(runs[micro_batch_size], runs[24], rtol=1e-4)


def test_activation_checkpointing_changes_no_weight(finished_run, store, tmp_path):
    pretrain(small_config(store, tmp_path / "run", runtime={"activation_checkpointing": True}))
    assert weights_of(tmp_path / "run/model") == weights_of(finished_run / "model")


def test_the_loss_in_bfloat16_is_that_of_float32(store, tmp_path):
    """Same batches, no dropout: the two curves stay together while the loss falls."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
        training = {"steps": 30, "learning_rate": 3e-3, "bias_correction": True}
        changes = {"model": model, "training": training, "runtime": {"precision": precision, "checkpoint_steps": 30}}
        out = tmp_path / precision
        pretrain(small_config(store, out, **changes))
        losses[precision] = [record["train"]["loss"] for record in read_metrics(out) if "train" in record]
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=5e-3)
    assert losses["float32"][-1] < losses["float32"][0] - 0.1


def test_the_learning_rate_of_each_step_is_logged_and_starts_at_zero(finished_run):
    rates = [record["train"]["learning_rate"] for record in read_metrics(finished_run) if "train" in record]
    assert rates == pytest.approx([0.0] + [1e-2 * (1 - step / 10) for step in range(1, 10)])


def test_the_held_out_text_is_scored_before_halfway_and_after(finished_run):
    assert [record["step"] for record in read_metrics(finished_run) if "held_out" in record] == [0, 5, 10]


def test_the_loss_of_each_frequency_band_is_logged_with_every_score(finished_run):
    records = read_metrics(finished_run)
    bands = [record for record in records if "held_out_by_frequency" in record]
    assert [record["step"] for record in bands] == [0, 5, 10]
    assert all(list(record["held_out_by_frequency"]) == ["1-100", "101-205"] for record in bands)
    facts = read_manifest(finished_run / "model", "model").facts
    breakdown = facts["held_out_breakdown"]
    assert {band["name"]: band["loss"] for band in breakdown["by_frequency"]} == bands[-1]["held_out_by_frequency"]
    total = sum(band["share"] * band["loss"] for band in breakdown["by_sentence_edge"])
    assert total == pytest.approx(facts["held_out"]["token_loss"])
    assert [band["pieces"] for band in breakdown["whole_words"]] == ["1"]


def test_minimal_pairs_are_scored_with_the_held_out_text_and_touch_nothing(finished_run, store, tmp_path, capfd):
    pairs = write_minimal_pairs(tmp_path / "pairs.tsv")
    pretrain(small_config(store, tmp_path / "run", runtime={"minimal_pairs": pairs}))
    assert weights_of(tmp_path / "run/model") == weights_of(finished_run / "model")
    records = trace(tmp_path / "run")
    scored = [record for record in records if "minimal_pairs" in record]
    assert [record["step"] for record in scored] == [0, 5, 10]
    assert all(list(record["minimal_pairs"]) == ["order", "choice"] for record in scored)
    assert [record for record in records if record not in scored] == trace(finished_run)
    assert "minimal pairs: order " in capfd.readouterr().err
    run = cut_after(tmp_path / "run", 7, tmp_path / "cut")
    resume_pretraining(run, {})
    assert trace(run) == records
    without = cut_after(tmp_path / "run", 7, tmp_path / "without")
    resume_pretraining(without, {"runtime": {"minimal_pairs": None}})
    assert weights_of(without / "model") == weights_of(finished_run / "model")


def test_minimal_pairs_that_cannot_be_used_are_refused_before_anything_is_written(store, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("phenomenon\tkind\tgood\tbad\norder\tswap\tword1 word2\n")
    with pytest.raises(InputError, match=r"pairs\.tsv, line 2: a minimal pair is 4 values"):
        pretrain(small_config(store, tmp_path / "run", runtime={"minimal_pairs": path}))
    assert not (tmp_path / "run").exists()


def test_what_a_finished_run_leaves(finished_run):
    names = {path.name for path in finished_run.iterdir()} - {"tensorboard"}
    assert names == {"run.json", "metrics.jsonl", "checkpoints", "model", "loss.png"}
    assert "BERT" in (finished_run / "model/README.md").read_text()


def test_a_finished_run_does_not_go_on(finished_run):
    with pytest.raises(ArtefactError, match="finished"):
        resume_pretraining(finished_run, {})


def test_a_run_never_starts_over_another(finished_run, store):
    with pytest.raises(ArtefactExists, match="already exists"):
        pretrain(small_config(store, finished_run))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 7}, "seed = 0; it cannot go on with 7"),
        ({"dry_run": True}, "dry_run = False; it cannot go on with True"),
        ({"data": {"batch_size": 12}}, "data.batch_size = 24; it cannot go on with 12"),
        ({"training": {"learning_rate": 0.5}}, "training.learning_rate = 0.01; it cannot go on with 0.5"),
        ({"runtime": {"micro_batch_size": 5}}, "runtime.micro_batch_size = 10; it cannot go on with 5"),
    ],
)
def test_a_change_of_what_is_computed_is_refused_by_name(finished_run, tmp_path, changes, named):
    run = cut_after(finished_run, 4, tmp_path / "run")
    with pytest.raises(MismatchedArtefact, match=named):
        resume_pretraining(run, changes)


def test_a_run_goes_on_with_less_memory(finished_run, tmp_path):
    run = cut_after(finished_run, 4, tmp_path / "run")
    resume_pretraining(run, {"runtime": {"activation_checkpointing": True}})
    assert weights_of(run / "model") == weights_of(finished_run / "model")


def test_a_setting_that_came_later_has_its_default_in_a_run_that_goes_on(finished_run, tmp_path):
    run = cut_after(finished_run, 4, tmp_path / "run")
    content = json.loads((run / "run.json").read_text())
    del content["configuration"]["runtime"]["compile_layers"]
    (run / "run.json").write_text(json.dumps(content))
    checkpoint = list_checkpoints(run / "checkpoints")[-1]
    manifest = read_manifest(checkpoint, CHECKPOINT)
    del manifest.configuration["runtime"]["compile_layers"]
    (checkpoint / "manifest.json").write_bytes(manifest.to_bytes())
    resume_pretraining(run, {})
    assert weights_of(run / "model") == weights_of(finished_run / "model")


def test_another_store_or_vocabulary_is_refused_by_name(finished_run, tmp_path):
    run = cut_after(finished_run, 4, tmp_path / "run")
    other_text = make_store(tmp_path / "other-text", seed=1)
    with pytest.raises(MismatchedArtefact, match="The token store of"):
        resume_pretraining(run, {"store": other_text})
    other_vocabulary = make_store(tmp_path / "other-vocabulary", extra_piece="new")
    with pytest.raises(MismatchedArtefact, match="The vocabulary of"):
        resume_pretraining(run, {"store": other_vocabulary})


def test_a_store_that_moved_is_taken(finished_run, store, tmp_path):
    moved = shutil.copytree(store, tmp_path / "moved")
    run = cut_after(finished_run, 8, tmp_path / "run")
    resume_pretraining(run, {"store": moved})
    assert weights_of(run / "model") == weights_of(finished_run / "model")


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_offered(finished_run, tmp_path):
    run = cut_after(finished_run, 6, tmp_path / "run")
    damaged = run / "checkpoints/step-00000006/optimizer.safetensors"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(DamagedArtefact, match=r"optimizer\.safetensors is damaged.*--resume \S+step-00000005$"):
        resume_pretraining(run, {})
    resume_pretraining(run / "checkpoints/step-00000005", {})
    assert weights_of(run / "model") == weights_of(finished_run / "model")
    assert (run / f"checkpoints/step-00000006{SET_ASIDE}").exists()


def test_going_back_to_a_checkpoint_that_cannot_be_used_sets_nothing_aside(finished_run, tmp_path):
    run = cut_after(finished_run, 6, tmp_path / "run")
    before = sorted(path.name for path in (run / "checkpoints").iterdir())
    with pytest.raises(ArtefactError, match=r"step-00000009 is not a checkpoint\. There are: step-00000001"):
        resume_pretraining(run / "checkpoints/step-00000009", {})
    state = run / "checkpoints/step-00000003/state.json"
    state.write_bytes(state.read_bytes().replace(b"3", b"4"))
    with pytest.raises(DamagedArtefact, match=r"step-00000003/state\.json is damaged"):
        resume_pretraining(run / "checkpoints/step-00000003", {})
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == before


def test_a_setting_edited_in_run_json_is_refused_by_name(finished_run, tmp_path):
    run = cut_after(finished_run, 4, tmp_path / "run")
    content = json.loads((run / "run.json").read_text())
    content["configuration"]["data"]["masking_rate"] = 0.3
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(MismatchedArtefact, match=r"data\.masking_rate = 0\.15; it cannot go on with 0\.3"):
        resume_pretraining(run, {})


def test_only_the_newest_checkpoints_are_kept(store, tmp_path):
    pretrain(small_config(store, tmp_path / "run", runtime={"keep_checkpoints": 2}))
    names = [path.name for path in sorted((tmp_path / "run/checkpoints").iterdir())]
    assert names == ["step-00000009", "step-00000010"]


def test_a_non_finite_loss_stops_the_run_and_the_checkpoint_before_it_is_finite(store, tmp_path):
    config = small_config(store, tmp_path / "run", training={"learning_rate": 1e30, "warmup_share": 0.0})
    with pytest.raises(NonFiniteLoss, match="The weights were not changed"):
        pretrain(config)
    *_, last = list_checkpoints(tmp_path / "run" / "checkpoints")
    assert all(weight.isfinite().all() for weight in load_file(last / "model.safetensors").values())


def test_a_dry_run_passes_every_stage_and_keeps_nothing(store, tmp_path):
    result = pretrain(small_config(store, tmp_path / "run", dry_run=True))
    assert result.steps == 3
    assert not (tmp_path / "run").exists()


def test_training_goes_on_from_a_model_folder(finished_run, store, tmp_path):
    config = small_config(store, tmp_path / "run", init=finished_run / "model", training={"steps": 1})
    pretrain(config)
    start = next(record for record in read_metrics(tmp_path / "run") if record["step"] == 0)
    end = [record for record in read_metrics(finished_run) if "held_out" in record][-1]
    assert start["held_out"] == pytest.approx(end["held_out"])
    other = make_store(tmp_path / "other", extra_piece="new")
    with pytest.raises(MismatchedArtefact, match="Prepare the text with the model's vocabulary"):
        pretrain(config.model_copy(update={"store": other, "out": tmp_path / "other-run"}))


def test_the_network_of_init_is_trained_with_the_settings_of_the_run(finished_run, store, tmp_path, capsys):
    small = json.loads((finished_run / "model" / "config.json").read_text())
    model = {"num_hidden_layers": 7, "hidden_size": 48, "hidden_dropout": 0.3, "attention_dropout": 0.2}
    config = small_config(store, tmp_path / "run", init=finished_run / "model", model=model, training={"steps": 1})
    pretrain(config)
    written = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert written["num_hidden_layers"] == small["num_hidden_layers"]
    assert (written["hidden_dropout_prob"], written["attention_probs_dropout_prob"]) == (0.3, 0.2)
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert f"{small['num_hidden_layers']} layers, states {small['hidden_size']} wide" in card
    assert "pre-trained on from model by bertsmith" in card
    assert "not 7 of 48 as the settings have it" in " ".join(capsys.readouterr().err.split())
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["configuration"]["model"]
    assert recorded["num_hidden_layers"] == small["num_hidden_layers"]


def test_settings_that_give_the_shape_of_init_are_left_as_they_are(store, tmp_path):
    """Else an interrupted run would not be known again by whoever started it, as `compare` does."""
    layers = {"recipe": "tiny", "store": store, "out": tmp_path / "run", "training": {"steps": 1}}
    pretrain(PretrainConfig.from_layers(layers))
    config = PretrainConfig.from_layers(layers, {"init": tmp_path / "run" / "model", "out": tmp_path / "on"})
    assert with_shape_of_init(config) is config


@pytest.mark.parametrize(
    ("model", "refusal"),
    [
        ({"hidden_size": 50, "num_attention_heads": 4}, ConfigurationError),
        ({"network": "gpt"}, MismatchedArtefact),  # the finished run's is a BERT
        ({}, DamagedArtefact),
    ],
)
def test_what_cannot_begin_leaves_no_run_folder(finished_run, store, tmp_path, model, refusal):
    init = tmp_path / "init"
    shutil.copytree(finished_run / "model", init)
    (init / "manifest.json").unlink()
    if not model:
        weights = init / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
    changes = {"init": None if "hidden_size" in model else init, "model": model}
    if model.get("network") == "gpt":
        changes["data"] = {"objective": "next", "next_sentence": False}
    with pytest.raises(refusal):
        pretrain(small_config(store, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_the_screen_tells_once_what_init_lacks(finished_run, store, tmp_path, capsys):
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    model = load_model(BertForMaskedLM, finished_run)
    save_model(model, encoder, Tokenizer.load(finished_run / "model"), model_card="")
    pretrain(small_config(store, tmp_path / "run", init=encoder, training={"steps": 1}))
    assert capsys.readouterr().err.count("initialised with seed") == 1


def test_sequences_longer_than_the_network_of_init_are_refused_before_the_first_step(finished_run, store, tmp_path):
    data = {"max_seq_length": 512, "phases": [{"share": 1.0}]}
    config = small_config(store, tmp_path / "run", init=finished_run / "model", model={"max_positions": 512}, data=data)
    with pytest.raises(ConfigurationError, match="sequences of 512 tokens do not fit max_positions"):
        pretrain(config)
    assert not (tmp_path / "run").exists()


def test_a_run_may_go_back_to_the_same_checkpoint_twice(finished_run, tmp_path):
    checkpoints = cut_after(finished_run, 6, tmp_path / "run") / "checkpoints"
    early, late = list_checkpoints(checkpoints)[-2:]
    go_back_to(early)
    shutil.copytree(late.with_name(f"{late.name}{SET_ASIDE}"), late)  # trained so far again
    go_back_to(early)
    assert list_checkpoints(checkpoints)[-1] == early
    assert (checkpoints / f"{late.name}{SET_ASIDE}-2").is_dir()


def test_the_clock_ends_a_run_given_in_hours(store, tmp_path):
    training = {"steps": None, "hours": 2 / 3600}
    result = pretrain(small_config(store, tmp_path / "run", training=training))
    assert 2.0 <= result.seconds < 4.0
    rates = [record["train"]["learning_rate"] for record in read_metrics(tmp_path / "run") if "train" in record]
    assert rates[0] < max(rates) > rates[-1]


def test_a_text_in_which_next_to_nothing_follows_is_told_of(tmp_path, capsys):
    documents = [[[word % 40, 3, 5]] for word in range(120)] + [[[1, 2], [3, 4]] for _ in range(9)]
    store = write_store(tmp_path / "store", documents, held_out=0.1)
    pretrain(small_config(store, tmp_path / "run", training={"steps": 1}))
    assert "of the pairs are random instead of half of them" in " ".join(capsys.readouterr().err.split())


def test_the_unigram_floor_is_the_cross_entropy_of_the_labels(store):
    counts = TokenStore.open(store).token_counts

    class Batch:
        masked_labels = torch.tensor([5, 6, 6])

    smoothed = (counts + 1) / (counts + 1).sum()
    assert unigram_loss([Batch()], counts) == pytest.approx(-np.log(smoothed[[5, 6, 6]]).mean())


def test_a_run_of_another_version_is_refused_by_its_name_and_the_setting(finished_run, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    content = json.loads((finished_run / "run.json").read_text())
    content["configuration"]["data"]["long_share"] = 0.1
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(MismatchedArtefact, match=r"run\.json was written by another version .* 'data.long_share'"):
        resume_pretraining(run, {})


def test_a_run_may_begin_with_what_the_text_counts_and_the_clock_runs_meanwhile(tmp_path):
    store = make_chain_store(tmp_path / "store")
    first_losses = {}
    for scheme in ("normal", "cooccurrence"):
        model = {"hidden_size": 64, "initialisation": scheme}
        pretrain(small_config(store, tmp_path / scheme, model=model, training={"steps": 2}))
        records = read_metrics(tmp_path / scheme)
        first_losses[scheme] = next(record["held_out"]["token_loss"] for record in records if "held_out" in record)
        first_step = next(record["train"] for record in records if "train" in record)
        assert first_step["elapsed_seconds"] > first_step["seconds"]
    assert first_losses["cooccurrence"] < 0.7 * first_losses["normal"]


def test_a_run_that_began_with_counts_goes_on_bit_for_bit(store, tmp_path):
    model = {"hidden_size": 64, "num_attention_heads": 4, "initialisation": "cooccurrence"}
    config = small_config(store, tmp_path / "whole", model=model)
    pretrain(config)
    for step in (0, 6):
        run = cut_after(tmp_path / "whole", step, tmp_path / f"cut-{step}")
        resume_pretraining(run, {})
        assert weights_of(run / "model") == weights_of(tmp_path / "whole" / "model")
        assert trace(run) == trace(tmp_path / "whole")
