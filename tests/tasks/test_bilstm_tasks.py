"""Tasks of every kind are learnt by a BiLSTM on the states of a network that stays as it is, or is trained along."""

import json

import pytest
import torch
from safetensors.torch import load_file
from test_gpt_tasks import ASKED, EXPECTED, FILMS, KINDS

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.task_finetuning import finetune_task
from bertsmith.tasks.task_model import TaskModel


@pytest.fixture(scope="module")
def left_to_right(tokenizer, tiny_config, tmp_path_factory):
    """A folder as `pretrain --objective next --no-next-sentence` leaves it."""
    model = BertForPreTraining(tiny_config(tokenizer, is_decoder=True))
    initialise(model, "normal", seed=2)
    folder = tmp_path_factory.mktemp("left-to-right") / "model"
    with stage_artefact(folder, kind="model", command="test", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="A test.\n")
    return folder


def learn(model, folder, kind, **settings):
    name, content = KINDS[kind]
    (folder / name).write_text(content, encoding="utf-8")
    common = {
        "model": model,
        "out": folder / "out",
        "task_data": {"kind": kind, "train": folder / name, "dev": folder / name},
        "inputs": {"max_seq_length": 32},
        "training": {"learning_rate": 1e-2, "epochs": 20, "batch_size": 10, "dropout": 0.0},
        "runtime": {"precision": "float32", "threads": 1},
    }
    return finetune_task(build_settings(FinetuneConfig, common, settings))


def answer(folder, kind):
    (answer,) = TaskModel.load(folder / "out").predict([ASKED[kind]])
    return str(getattr(answer, {"sentences": "label", "choices": "choice", "spans": "text", "tags": "entities"}[kind]))


FEATURES = {"strategy": "feature-based", "bilstm_size": 32, "state_layers": ("embeddings", "all")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_of_every_kind_is_learnt_from_features_saved_and_answered(kind, pretrained, tmp_path):
    result = learn(pretrained, tmp_path, kind, strategy=FEATURES | {"combine_states": "weighted-sum"})
    assert result.primary.mean == 1.0
    assert EXPECTED[kind] in answer(tmp_path, kind)
    before = load_file(pretrained / "model.safetensors")
    after = load_file(tmp_path / "out" / "model" / "model.safetensors")
    shared = before.keys() & after.keys()
    assert any("encoder.layer.1" in name for name in shared)
    assert all(torch.equal(before[name], after[name]) for name in shared)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_from_left_to_right_learns_tasks_of_every_kind(kind, left_to_right, tmp_path):
    assert learn(left_to_right, tmp_path, kind).primary.mean == 1.0
    assert EXPECTED[kind] in answer(tmp_path, kind)
    assert json.loads((tmp_path / "out" / "model" / "config.json").read_text())["is_decoder"]


def test_a_bilstm_may_stand_on_a_network_that_learns_too(left_to_right, tmp_path):
    longer = {"learning_rate": 5e-3, "epochs": 40}
    assert learn(left_to_right, tmp_path, "tags", strategy={"bilstm_size": 32}, training=longer).primary.mean == 1.0
    before = load_file(left_to_right / "model.safetensors")
    after = load_file(tmp_path / "out" / "model" / "model.safetensors")
    name = "bert.encoder.layer.1.output.dense.weight"
    assert not torch.equal(before[name], after[name])
    assert json.loads((tmp_path / "out" / "model" / "config.json").read_text())["bilstm"] == {
        "layers": [2],
        "combine": "concatenate",
        "size": 32,
        "dropout": 0.0,
        "frozen": False,
    }


def test_an_untrained_network_has_features_too(pretrained, tmp_path):
    untrained = {"strategy": FEATURES, "initialisation": "random", "training": {"epochs": 1}}
    assert learn(pretrained, tmp_path, "sentences", **untrained).seeds[0].kept_epoch == 1


def test_layers_that_are_not_there_are_refused_by_the_flag_that_names_them(pretrained, tmp_path):
    with pytest.raises(ConfigurationError, match=r"no layer '7': it has 2 layers\. --state-layers takes"):
        learn(pretrained, tmp_path, "tags", strategy=FEATURES | {"state_layers": ("7",)})
    with pytest.raises(ConfigurationError, match="are for a BiLSTM"):
        learn(pretrained, tmp_path, "tags", strategy={"state_layers": ("last",)})


@pytest.mark.parametrize("strategy", [FEATURES, {}])
def test_hidden_words_are_for_a_network_that_has_learnt_to_tell_them(strategy, pretrained, left_to_right, tmp_path):
    (tmp_path / "train.tsv").write_text(FILMS)
    settings = {
        "model": pretrained if strategy else left_to_right,
        "out": tmp_path / "out",
        "task_data": {
            "train": tmp_path / "train.tsv",
            "dev": tmp_path / "train.tsv",
            "kind": "masked-words",
            "template": "{text} it was [MASK].",
            "words": ("0=bad", "1=good"),
        },
        "strategy": strategy,
        "inputs": {"max_seq_length": 32},
        "runtime": {"precision": "float32", "threads": 1},
    }
    with pytest.raises(ConfigurationError, match="has not learnt to tell them"):
        finetune_task(build_settings(FinetuneConfig, settings))
