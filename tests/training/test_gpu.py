"""Training on a GPU, where there is one: the same losses as on a CPU, and nothing waits for it within a step."""

import pytest
import torch
from small_runs import small_config

from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.encoder import checkpoint_activations, compile_layers
from bertsmith.model.initialisation import initialise
from bertsmith.text.token_store import TokenStore
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.pretraining import pretrain
from bertsmith.training.pretraining_objective import PretrainingObjective

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0}


@pytest.fixture
def batch(store):
    opened = TokenStore.open(store)
    data = small_config(store, store).data
    return PretrainingBatches(opened.train, opened.tokenizer, data, 0).batch(Cursor())[0], opened.tokenizer


def network(tokenizer, **changes):
    settings = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 256}
    model = BertForPreTraining(BertConfig(vocab_size=tokenizer.vocabulary_size, **settings, **changes))
    initialise(model, "normal", seed=0)
    return model.to("cuda").train()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_losses_are_those_of_a_cpu(store, tmp_path, precision):
    losses = {}
    for device in ("cpu", "cuda"):
        runtime = {"precision": precision, "device": device, "micro_batch_size": 24, "log_steps": 1}
        training = {"steps": 20, "learning_rate": 1e-3, "bias_correction": True}
        pretrain(small_config(store, tmp_path / device, model=NO_DROPOUT, runtime=runtime, training=training))
        losses[device] = [line["train"]["loss"] for line in read_metrics(tmp_path / device) if "train" in line]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-3 if precision == "float32" else 1e-2)


def test_nothing_waits_for_the_gpu_within_a_step(batch):
    whole, tokenizer = batch
    model = network(tokenizer)
    objective, optimiser = PretrainingObjective(model), Optimiser(model, small_training(), torch.bfloat16)
    optimiser.zero_gradients()
    optimiser.backward(objective(whole.to("cuda"), whole)[0])  # what is made once is made
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        optimiser.zero_gradients()
        loss, metrics = objective(whole.to("cuda"), whole)
        optimiser.backward(loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert loss.isfinite()
    assert all(metric.isfinite() for metric in metrics.values())


def test_compiled_layers_give_the_same_gradients(batch):
    whole, tokenizer = batch
    gradients = []
    for is_compiled in (False, True):
        model = network(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        if is_compiled:
            compile_layers(model)
        PretrainingObjective(model)(whole.to("cuda"), whole)[0].backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


def test_activation_checkpointing_takes_less_memory_and_gives_the_same_gradients(batch):
    whole, tokenizer = batch
    gradients, heights = [], []
    for is_checkpointed in (False, True):
        model = network(tokenizer)
        if is_checkpointed:
            checkpoint_activations(model)
        on_gpu = whole.to("cuda")
        PretrainingObjective(model)(on_gpu, whole)[0].backward()  # takes what is taken once
        model.zero_grad(set_to_none=True)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        torch.manual_seed(0)
        PretrainingObjective(model)(on_gpu, whole)[0].backward()
        heights.append(torch.cuda.max_memory_allocated() - before)
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
    assert heights[1] < heights[0]


def small_training():
    return small_config("store", "out").training
