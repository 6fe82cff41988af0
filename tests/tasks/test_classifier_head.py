"""One fine-tuning step equals that of transformers with torch's AdamW: logits, loss, gradients, updated weights."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from bertsmith.core.artefact import stage_artefact
from bertsmith.model.bert_for_tasks import BertForSequenceClassification
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.weight_names import BERT_NAMES
from bertsmith.tasks.encoded import TaskBatches, TaskCursor
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.schedule import Duration

TASKS = {
    "sentence": SentenceTask("t", Columns("a", label="l"), labels=("x", "y", "z"), metrics=("accuracy",)),
    "pair": SentenceTask("t", Columns("a", "b", "l"), labels=("x", "y"), metrics=("accuracy",)),
    "several": SentenceTask("t", Columns("a", label="l"), labels=("x", "y", "z"), metrics=("micro_f1",), several=True),
    "regression": SentenceTask("t", Columns("a", "b", "l"), labels=None, metrics=("spearman",)),
}
SETTINGS = OptimiserSettings(learning_rate=1e-3, warmup_share=0.0, bias_correction=True)


def random_examples(task, count=12):
    random = np.random.default_rng(0)

    def text():
        return " ".join(random.choice(["the", "cat", "dogs", "sat", "on", "it", "!"], size=random.integers(1, 9)))

    def label():
        if task.labels is None:
            return float(random.normal())
        if task.several:
            return tuple(label for label in task.labels if random.random() < 0.5)
        return str(random.choice(task.labels))

    return [SentenceExample(text(), text() if task.is_pair else None, label(), line) for line in range(count)]


def model_and_reference(task, tokenizer, tiny_config, folder):
    config = tiny_config(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.2)
    model = BertForSequenceClassification(config, task.outputs)
    initialise(model, "normal", seed=3)
    with stage_artefact(folder, kind="model", command="test", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="")
    return model, AutoModelForSequenceClassification.from_pretrained(folder)


def reference_inputs(batch, tokenizer):
    """The same batch as a padded rectangle."""
    lengths = batch.inputs.cu_seqlens.diff()
    mask = torch.arange(batch.inputs.max_seqlen) < lengths[:, None]
    ids = torch.full(mask.shape, tokenizer.pad_id)
    segments = torch.zeros(mask.shape, dtype=torch.int64)
    labels = batch.labels.float() if batch.labels.dtype == torch.bool else batch.labels
    ids[mask], segments[mask] = batch.inputs.token_ids, batch.inputs.segment_ids
    return {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask.long(), "labels": labels}


def closely(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("micro_batch_size", [12, 5])
def test_a_fine_tuning_step_equals_transformers(kind, micro_batch_size, tokenizer, tiny_config, tmp_path):
    task = TASKS[kind]
    model, reference = model_and_reference(task, tokenizer, tiny_config, tmp_path / "model")
    encoded = task.encode(random_examples(task), tokenizer, InputLimits(max_seq_length=24))
    objective = task.objective(model, encoded, LossSettings())
    batches = TaskBatches(encoded, batch_size=12, seed=0)
    batch, _ = batches.batch(TaskCursor())

    reference.eval()  # no dropout to begin with; gradients flow
    theirs = reference(**reference_inputs(batch, tokenizer))
    theirs.loss.backward()
    closely(model(batch.inputs).detach(), theirs.logits.detach())

    (loss, _) = objective(batch, batch)
    closely(loss.detach(), theirs.loss.detach())
    loss.backward()
    gradients = BERT_NAMES.to_hugging_face({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, parameter in reference.named_parameters():
        if parameter.grad is not None:
            closely(gradients[name], parameter.grad)

    matrices = [parameter for parameter in reference.parameters() if parameter.dim() >= 2]
    vectors = [parameter for parameter in reference.parameters() if parameter.dim() < 2]
    adamw = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3, eps=1e-6
    )
    norm = torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
    adamw.step()
    optimiser = Optimiser(model, SETTINGS, torch.float32)
    (step,) = training_steps(
        objective,
        batches,
        optimiser,
        duration=Duration(steps=1),
        start=Position(TaskCursor()),
        seed=0,
        device=torch.device("cpu"),
        micro_batch_size=micro_batch_size,
    )
    assert step.loss == pytest.approx(theirs.loss.item(), abs=1e-5)
    assert step.gradient_norm == pytest.approx(norm.item(), rel=1e-5)
    updated = BERT_NAMES.to_hugging_face(optimiser.float32_weights())
    for name, parameter in reference.named_parameters():
        closely(updated[name], parameter.detach())
    if "accuracy" in step.metrics:
        right = (theirs.logits.argmax(dim=1) == batch.labels).float().mean().item()
        assert step.metrics["accuracy"] == pytest.approx(right)
