"""What a plan for some hours decides, that it says why, and that it never overrules what was given."""

import json
import shutil

import pytest
import torch
from small_runs import small_config, write_store

from bertsmith.core.artefact import read_manifest
from bertsmith.core.errors import ArtefactExists, ConfigurationError
from bertsmith.model.configuration import SIZES
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import DEFAULT_RECIPE, PLANNED, PretrainConfig
from bertsmith.training.expected_loss import CURVES
from bertsmith.training.plan_choice import CANDIDATES, Situation, choose, given_size
from bertsmith.training.planning import plan, planned
from bertsmith.training.pretraining import pretrain, resume_pretraining

TWO_CORES = {"tiny": 31_000, "mini": 9_100, "small": 3_300, "medium": 1_700, "base": 400}  # tokens/s
ACCELERATOR = {"tiny": 900_000, "mini": 800_000, "small": 600_000, "medium": 350_000, "base": 150_000}
SECONDS = 1 / 3600  # in hours

# Settings that make a small run of whatever is planned; the plan decides none of them.
SMALL = {
    "model": {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2},
    "runtime": {
        "checkpoint_steps": 1,
        "evaluations": 2,
        "evaluation_sequences": 16,
        "threads": 1,
        "precision": "float32",
    },
}


def situation(hours: float, speeds: dict[str, float], corpus_tokens: int = 10**9) -> Situation:
    return Situation(hours, speeds, tokens_per_sequence=110.0, corpus_tokens=corpus_tokens, unigram_loss=7.2)


def without_empty(table: dict) -> dict:
    return {key: value for key, value in table.items() if value != {}}


@pytest.mark.parametrize(
    ("speeds", "hours", "sizes"),
    [
        (TWO_CORES, 1 / 60, {"tiny", "mini"}),
        (TWO_CORES, 0.25, {"mini"}),
        (TWO_CORES, 1, {"mini", "small"}),
        (TWO_CORES, 12, {"small", "medium"}),
        (TWO_CORES, 500, {"medium", "base"}),
        (ACCELERATOR, 1, {"medium", "base"}),
        (ACCELERATOR, 24, {"base"}),
        ({"tiny": 31_000, "mini": 9_100}, 12, {"mini"}),  # of those that were timed
    ],
)
def test_longer_hours_and_faster_machines_get_larger_networks(speeds, hours, sizes):
    assert choose(situation(hours, speeds), {}).settings["model"]["size"] in sizes


def test_the_size_never_falls_as_hours_grow():
    hours = [2.0**power for power in range(-4, 12)]  # from four minutes on; before, the start is all there is
    sizes = [choose(situation(each, TWO_CORES), {}).settings["model"]["size"] for each in hours]
    assert sizes == sorted(sizes, key=CANDIDATES.index)
    assert len(set(sizes)) >= 3


@pytest.mark.parametrize(
    ("size", "hours", "corpus_tokens", "expected"),
    [
        ("mini", 1, 10**9, {"batch_size": 32, "dropout": 0.0}),
        ("mini", 3, 10**9, {"batch_size": 32, "dropout": 0.0}),
        ("mini", 24, 10**9, {"batch_size": 128, "dropout": 0.0}),  # 786 M tokens: 224,000 steps of 32
        ("mini", 1000, 10**10, {"batch_size": 256, "dropout": 0.0}),
        ("mini", 1, 4 * 10**6, {"batch_size": 32, "dropout": 0.0}),  # read 8 times
        ("mini", 1, 2 * 10**6, {"batch_size": 32, "dropout": 0.1}),  # read 16 times
    ],
)
def test_batches_follow_the_steps_and_dropout_how_often_the_text_is_read(size, hours, corpus_tokens, expected):
    settings = choose(situation(hours, {size: 9_100}, corpus_tokens), {}).settings
    assert settings["data"]["batch_size"] == expected["batch_size"]
    assert settings["model"]["hidden_dropout"] == settings["model"]["attention_dropout"] == expected["dropout"]


def test_the_learning_rate_falls_with_the_size():
    rates = [choose(situation(1, {size: 1000}), {}).settings["training"]["learning_rate"] for size in SIZES]
    assert rates == [2e-3, 1e-3, 7e-4, 4e-4, 2e-4, 1e-4]


def test_what_else_is_planned():
    settings = choose(situation(1, TWO_CORES), {}).settings
    assert settings["model"]["initialisation"] == "cooccurrence"
    assert settings["data"] == {"max_seq_length": 128, "batch_size": 32, "masking_rate": 0.2}
    assert {key: settings["training"][key] for key in ("warmup_share", "beta2", "bias_correction")} == {
        "warmup_share": 0.02,
        "beta2": 0.98,
        "bias_correction": True,
    }


def test_a_text_that_would_be_read_too_often_gets_the_next_smaller_size_and_is_told_so():
    speeds = {"tiny": 31_000, "mini": 9_100, "small": 900}
    plenty, scarce = (choose(situation(1, speeds, corpus), {}) for corpus in (10**9, 500_000))
    assert (plenty.settings["model"]["size"], scarce.settings["model"]["size"]) == ("mini", "tiny")
    assert any("mini would read the text 66 times" in reason for reason in scarce.reasons)
    assert scarce.settings["model"]["hidden_dropout"] == 0.1
    assert not any("would read the text" in reason for reason in plenty.reasons)


def test_the_same_figures_give_the_same_plan():
    assert choose(situation(2, TWO_CORES), {}) == choose(situation(2, dict(TWO_CORES)), {})


def test_the_reasons_name_the_speeds_the_losses_and_the_choice():
    made = choose(situation(1, {"tiny": 31_234, "mini": 9_123, "small": 1_000}), {})
    text = " ".join(made.reasons)
    assert text.startswith("Plan for 1 hour on this machine: mini (4 layers of 256), with an expected held-out loss of")
    assert f"about {made.expected_loss:.1f} (guessing by frequency alone: 7.20)" in text
    for speed in ("tiny trains at 31,000 tokens/s", "mini trains at 9,100 tokens/s", "small trains at 1,000 tokens/s"):
        assert speed in text
    assert "after 33 million tokens" in text
    assert "steps of 32 sequences, learning rate 0.001 after a warm-up of 2%, 20% of the tokens to guess" in text
    assert "The text is read less than once, too little to be learned by heart: dropout 0." in text


def test_a_text_without_held_out_documents_is_planned_for_too(tmp_path):
    store = write_store(tmp_path / "store", [[[1, 2, 3], [4, 5, 6, 7]], [[8, 9], [1, 2]]] * 5, held_out=0.0)
    given = {"store": store, "out": tmp_path / "run", "training": {"hours": SECONDS}, **SMALL}
    made = plan(TokenStore.open(store), SECONDS, torch.device("cpu"), torch.float32, given)
    assert made.settings["model"]["size"] == "tiny"


def test_the_sentences_speak_of_what_was_given():
    given = {"model": {"hidden_dropout": 0.3}, "data": {"batch_size": 48}, "training": {"hours": 1}}
    text = " ".join(choose(situation(1, TWO_CORES), given).reasons)
    assert "steps of 48 sequences" in text
    assert "dropout 0.3" in text
    assert "Given, and not planned: hidden_dropout = 0.3, batch_size = 48." in text


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ({}, None),
        ({"size": "large"}, "large"),
        ({"size": "mini", "hidden_size": 32}, "mini"),
        ({"hidden_size": 32, "num_hidden_layers": 2}, "tiny"),
        ({"hidden_size": 300}, "mini"),
        ({"hidden_size": 512, "num_hidden_layers": 7}, "medium"),
        ({"num_hidden_layers": 24}, "large"),
    ],
)
def test_a_given_network_is_taken_for_the_size_nearest_to_it(model, size):
    assert given_size({"model": model}) == size


def test_with_more_text_larger_sizes_come_out_ahead_and_no_curve_rises():
    amounts = [10.0**power for power in range(6, 12)]
    ahead = [min(CURVES, key=lambda size: CURVES[size].share(tokens)) for tokens in amounts]
    assert ahead == sorted(ahead, key=list(CURVES).index)
    for curve in CURVES.values():
        shares = [curve.share(tokens) for tokens in (0.0, 1.0, *amounts)]
        assert shares == sorted(shares, reverse=True)
        assert 0 < shares[-1] < shares[0] < 1


@pytest.mark.parametrize(
    ("layers", "recipe"),
    [
        ([{"training": {"hours": 1}}], PLANNED),
        ([{}, {"training": {"hours": 1}}], PLANNED),
        ([{"training": {"steps": 5}}, {"training": {"hours": 1}}], PLANNED),
        ([{"training": {"hours": 1}}, {"training": {"steps": 5}}], DEFAULT_RECIPE),
        ([], DEFAULT_RECIPE),
        ([{"recipe": "mini"}, {"training": {"hours": 1}}], "mini"),
        ([{"recipe": None}, {"training": {"hours": 1}}], PLANNED),
    ],
)
def test_hours_without_a_recipe_are_planned_for(layers, recipe, store, tmp_path):
    assert PretrainConfig.from_layers({"store": store, "out": tmp_path}, *layers).recipe == recipe


def test_nothing_is_planned_for_a_recipe(store, tmp_path, capfd):
    pretrain(small_config(store, tmp_path / "run", training={"steps": None, "hours": 0.5 * SECONDS}))
    assert "Plan for" not in capfd.readouterr().err


def test_a_plan_for_steps_is_refused(store, tmp_path):
    layers = {"store": store, "out": tmp_path / "run", "recipe": PLANNED, "training": {"steps": 5}}
    with pytest.raises(ConfigurationError, match="Give --hours, not --steps"):
        pretrain(PretrainConfig.from_layers(layers))


def test_a_folder_that_is_taken_is_refused_before_anything_is_timed(store, tmp_path, capfd):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/file").touch()
    with pytest.raises(ArtefactExists):
        pretrain(PretrainConfig.from_layers({"store": store, "out": tmp_path / "run", "training": {"hours": 1}}))
    assert "Plan for" not in capfd.readouterr().err


def test_what_is_given_is_never_overruled(store, tmp_path):
    given = {
        "seed": 3,
        "model": {
            "size": "tiny",
            "num_hidden_layers": 1,
            "hidden_size": 32,
            "hidden_dropout": 0.2,
            "attention_dropout": 0.3,
            "initialisation": "neighbour",
        },
        "data": {"max_seq_length": 64, "batch_size": 8, "masking_rate": 0.4, "whole_word": True},
        "training": {
            "hours": 2 * SECONDS,
            "learning_rate": 0.5,
            "warmup_share": 0.25,
            "beta2": 0.9,
            "bias_correction": False,
            "weight_decay": 0.7,
        },
    }
    config = PretrainConfig.from_layers({"store": store, "out": tmp_path / "run", **given})
    result = planned(config, TokenStore.open(store)).model_dump(exclude_unset=True)
    assert without_empty(result) == {"store": store, "out": tmp_path / "run", "recipe": PLANNED, **given}


def test_a_run_of_a_second_is_planned_from_the_smallest_size_alone(store, tmp_path):
    """Timing may take a fiftieth of the hours, and the first size has used that up."""
    config = PretrainConfig.from_layers({"store": store, "out": tmp_path / "run", "training": {"hours": SECONDS}})
    given = config.model_dump(exclude_unset=True)
    made = plan(TokenStore.open(store), SECONDS, torch.device("cpu"), torch.float32, given)
    assert made.settings["model"]["size"] == "tiny"
    assert " ".join(made.reasons).count("tokens/s") == 1


@pytest.fixture(scope="module")
def planned_run(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("planned") / "run"
    pretrain(PretrainConfig.from_layers(SMALL, {"store": store, "out": out, "training": {"hours": 2 * SECONDS}}))
    return out


def test_a_planned_run_finishes_and_records_its_settings(planned_run):
    recorded = json.loads((planned_run / "run.json").read_text())["configuration"]
    assert recorded["recipe"] == PLANNED
    assert recorded["model"]["initialisation"] == "cooccurrence"
    assert recorded["model"]["hidden_size"] == 32
    assert recorded["data"]["masking_rate"] == 0.2
    assert (planned_run / "model/model.safetensors").exists()


def test_the_plan_is_held_against_the_floor_of_the_run(planned_run, store):
    config = PretrainConfig.from_layers(SMALL, {"store": store, "out": "new", "training": {"hours": SECONDS}})
    given = config.model_dump(exclude_unset=True)
    made = plan(TokenStore.open(store), SECONDS, torch.device("cpu"), torch.float32, given)
    floor = read_manifest(planned_run / "model", "model").facts["unigram_loss"]
    assert f"(guessing by frequency alone: {floor:.2f})" in made.reasons[0]


def test_a_planned_run_goes_on_with_its_plan_and_makes_no_other(planned_run, tmp_path, capfd):
    run = shutil.copytree(planned_run, tmp_path / "run", ignore=shutil.ignore_patterns("model", "loss.png"))
    shutil.rmtree(max((run / "checkpoints").iterdir()))  # as it stood when it was killed before its end
    resume_pretraining(run, {})
    assert "Plan for" not in capfd.readouterr().err
    assert (run / "model/model.safetensors").exists()
    assert (run / "run.json").read_text() == (planned_run / "run.json").read_text()


def test_a_dry_run_plans_too_and_keeps_nothing(store, tmp_path, capfd):
    settings = {"store": store, "out": tmp_path / "run", "dry_run": True, "training": {"hours": SECONDS}}
    assert pretrain(PretrainConfig.from_layers(SMALL, settings)).steps == 3
    assert "Plan for" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_model_to_start_from_is_the_network_of_the_plan(planned_run, store, tmp_path):
    layers = {"store": store, "out": tmp_path / "run", "init": planned_run, "training": {"hours": SECONDS}}
    result = planned(PretrainConfig.from_layers(layers), TokenStore.open(store))
    assert (result.model.hidden_size, result.model.num_hidden_layers) == (32, 2)
    assert result.training.learning_rate == 2e-3  # the rate of the size nearest to it


def test_nothing_is_planned_for_a_network_of_which_no_curve_is_known(store, tmp_path):
    settings = {"store": store, "out": tmp_path / "run", "training": {"hours": 0.01}}
    next_pieces = {"data": {"objective": "next", "next_sentence": False}}
    with pytest.raises(ConfigurationError, match="nothing can be planned for objective = next"):
        pretrain(PretrainConfig.from_layers(settings, next_pieces))
    assert not (tmp_path / "run").exists()
