"""Which output layer a fine-tuning begins with: a new one, or that of the folder; and what the screen says of it."""

import pytest
import torch

from bertsmith.core.artefact import stage_artefact
from bertsmith.model.bert_for_tasks import BertForSequenceClassification
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.catalogue import find_task
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.task_file import save_task
from bertsmith.tasks.task_network import load_network


@pytest.fixture
def fine_tuned(tokenizer, tiny_config, tmp_path):
    """A classifier with SST-2's labels; the folder says that it is for SST-2, or says nothing."""

    def save(name, **changes):
        model = BertForSequenceClassification(tiny_config(tokenizer), ClassifierLabels(("0", "1"), "classification"))
        initialise(model, "normal", seed=9)
        folder = tmp_path / "model"
        with stage_artefact(folder, kind="model", command="test", configuration={}) as staging:
            save_model(model, staging.folder, tokenizer, model_card="")
            if name is not None:
                save_task(staging.folder, find_task(name), InputLimits())
        return folder, model

    return save


def shown(capsys):
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", ["wnli", "mrpc"])  # of two labels with the same names
def test_another_task_begins_with_a_new_layer_from_each_seed(fine_tuned, tokenizer, capsys, name):
    folder, model = fine_tuned("sst-2")
    first, again, second = (load_network(find_task(name), folder, tokenizer, seed=seed) for seed in (0, 0, 1))
    layers = [network.classifier.weight for network in (first, second, model)]
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not any(torch.equal(layers[place], layers[place - 1]) for place in range(3))
    assert torch.equal(first.bert.embeddings.tokens.weight, model.bert.embeddings.tokens.weight)
    told = shown(capsys)
    assert f"{folder}: its classifier is for another task, sst-2: a new one, initialised with seed 1." in told
    assert "has no classifier" not in told


def test_the_same_task_goes_on_with_its_layer(fine_tuned, tokenizer, capsys):
    folder, model = fine_tuned("sst-2")
    network = load_network(find_task("sst-2"), folder, tokenizer, seed=0)
    assert torch.equal(network.classifier.weight, model.classifier.weight)
    assert shown(capsys) == "The classifier of sst-2 is kept."


def test_a_folder_that_names_no_task_keeps_its_layer_where_labels_agree(fine_tuned, tokenizer, capsys):
    folder, model = fine_tuned(None)
    network = load_network(find_task("wnli"), folder, tokenizer, seed=0)
    assert torch.equal(network.classifier.weight, model.classifier.weight)
    assert shown(capsys) == f"The classifier of {folder} is kept."
    load_network(find_task("mnli"), folder, tokenizer, seed=0)
    assert f"{folder}: its classifier is for other labels: a new one, initialised with seed 0." in shown(capsys)


def test_a_task_of_another_kind_begins_with_a_new_layer(fine_tuned, tokenizer, capsys):
    folder, _ = fine_tuned(None)
    network = load_network(find_task("swag"), folder, tokenizer, seed=0)
    assert network.classifier.weight.shape[0] == 1
    assert "its classifier is for another kind of task: a new one" in shown(capsys)
    load_network(find_task("squad"), folder, tokenizer, seed=0)
    assert f"{folder} has no qa_outputs: initialised with seed 0." in shown(capsys)


def test_nothing_is_replaced_where_nothing_is_trained(fine_tuned, tokenizer, capsys):
    folder, model = fine_tuned("sst-2")
    network = load_network(find_task("wnli"), folder, tokenizer)
    assert torch.equal(network.classifier.weight, model.classifier.weight)
    assert shown(capsys) == ""
