"""A task of choices in use: descriptions on file, examples given by hand, predictions, scores, and a toy one learnt."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.bert_for_tasks import BertForMultipleChoice
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.choices.named import CHOICE_TASKS
from bertsmith.tasks.choices.predictions import ChoicePrediction
from bertsmith.tasks.choices.task import ChoiceTask
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import TaskBatches, TaskCursor
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.tables import Row
from bertsmith.tasks.task_model import TaskModel, network_outputs
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.schedule import Duration

LIMITS = InputLimits(max_seq_length=32)
OWN = ChoiceTask.of_files("own")


def question(number, *, label=None):
    """The right choice is the one of the good words, somewhere among two to four."""
    random = np.random.default_rng(number)
    place, size = int(random.integers(2)), int(random.integers(2, 5))
    words = random.choice(["bad", "awful", "dull"], size=size).tolist()
    words[place] = str(random.choice(["good", "great", "fine"]))
    return ChoiceExample("we saw the film", "it was", tuple(words), place if label is None else label, number)


@pytest.fixture(scope="module")
def learnt(tokenizer, tiny_config):
    """A tiny network after thirty steps."""
    model = BertForMultipleChoice(tiny_config(tokenizer))
    initialise(model, "normal", seed=0)
    encoded = OWN.encode([question(number) for number in range(200)], tokenizer, LIMITS)
    steps = training_steps(
        OWN.objective(model, encoded, LossSettings()),
        TaskBatches(encoded, batch_size=32, seed=0),
        Optimiser(model, OptimiserSettings(learning_rate=5e-3, warmup_share=0.1, bias_correction=True), torch.float32),
        duration=Duration(steps=30),
        start=Position(TaskCursor()),
        seed=0,
        device=torch.device("cpu"),
        micro_batch_size=16,
    )
    return model, list(steps)


def test_a_tiny_network_learns_to_choose(learnt, tokenizer):
    model, steps = learnt
    examples = [question(number) for number in range(1000, 1100)]
    encoded = OWN.encode(examples, tokenizer, LIMITS)
    predictions = OWN.predictions(network_outputs(model, encoded, 500), encoded, examples)
    assert OWN.score(predictions, examples)["accuracy"] > 0.9
    assert not OWN.blindness(predictions, examples).no_better
    assert steps[0].loss == pytest.approx(steps[0].metrics["blind_loss"], abs=0.3)
    assert steps[-1].loss < steps[-1].metrics["blind_loss"] / 2


def test_the_order_of_the_choices_does_not_matter(learnt, tokenizer):
    model = TaskModel(learnt[0], tokenizer, OWN, LIMITS)
    choices = ["the cat", "a dog sat", "good", "awful film !"]
    forwards, backwards = model.predict([("it was", choices), ("it was", choices[::-1])])
    assert forwards.probabilities == pytest.approx(backwards.probabilities[::-1], abs=1e-5)
    assert sum(forwards.probabilities) == pytest.approx(1)
    assert (forwards.choice, forwards.text) == (3 - backwards.choice, backwards.text)


def test_a_question_is_answered_alike_alone_and_among_others(learnt, tokenizer):
    model = TaskModel(learnt[0], tokenizer, OWN, LIMITS)
    values = [("we saw", "it was", question(number).choices) for number in range(12)]
    together = model.predict(values, batch_tokens=200)
    for value, prediction in zip(values, together, strict=True):
        assert model.predict([value])[0].probabilities == pytest.approx(prediction.probabilities, abs=1e-5)


@pytest.mark.parametrize("task", CHOICE_TASKS.values(), ids=CHOICE_TASKS)
def test_a_description_survives_its_file(task):
    assert TypeAdapter(ChoiceTask).validate_python(json.loads(json.dumps(asdict(task)))) == task


def test_swag_is_learnt_as_the_paper_does():
    assert CHOICE_TASKS["swag"].recommended == {"training": {"epochs": 3, "learning_rate": 2e-5, "batch_size": 16}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (("c", ["a", "b"]), ("c", "", ("a", "b"))),
        (("c", "q", ("a", "b", "d")), ("c", "q", ("a", "b", "d"))),
    ],
)
def test_an_example_is_a_context_perhaps_a_question_and_choices(value, expected):
    example = OWN.example_of(value)
    assert (example.context, example.question, example.choices) == expected
    assert example.label is None


@pytest.mark.parametrize(
    "value", ["c", ("c", "ab"), ("c", ["a"]), ("c", ["a", 1]), (["a", "b"],), ("c", 1, ["a", "b"]), 3]
)
def test_anything_else_is_no_example(value):
    with pytest.raises(InputError, match=r"The task own takes \(context, choices\) or \(context, question, choices\)"):
        OWN.example_of(value)


def test_a_row_of_json_is_understood_by_every_task():
    row = Row(4, {"context": "c", "choices": ["a", "b"], "id": "x"})
    for task in (OWN, *CHOICE_TASKS.values()):
        example = task.example_of_row(row)
        assert (example.context, example.choices, example.label, example.line, example.id) == (
            "c",
            ("a", "b"),
            None,
            4,
            "x",
        )
    with pytest.raises(KeyError, match="choices"):
        OWN.example_of_row(Row(1, {"context": "c"}))


def test_a_plain_line_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"a plain line has no choices; write each question as JSON"):
        OWN.example_of_line(1, "the cat")


def test_columns_have_fixed_names():
    assert OWN.with_columns(ColumnSettings()) is OWN
    with pytest.raises(ConfigurationError, match="have fixed names"):
        OWN.with_columns(ColumnSettings(text="context"))


def predicted(*numbers):
    return [ChoicePrediction(number, "x", (0.5, 0.5)) for number in numbers]


def test_entries_say_where_the_question_stands_and_what_was_chosen():
    prediction = ChoicePrediction(1, "b", (0.25, 0.75))
    expected = {"choice": 1, "text": "b", "probabilities": [0.25, 0.75]}
    assert OWN.entry(ChoiceExample("c", "", ("a", "b"), None, 7), prediction) == {"line": 7} | expected
    named = ChoiceExample("c", "", ("a", "b"), None, 7, "14-3/1")
    assert json.loads(json.dumps(OWN.entry(named, prediction))) == {"line": 7, "id": "14-3/1"} | expected


@pytest.mark.parametrize(
    ("labels", "chosen", "accuracy", "no_better", "constant"),
    [
        ([0, 1, 0, 1], [0, 1, 0, 1], 1.0, False, None),
        ([0, 1, 0, 1], [0, 1, 1, 0], 0.5, True, None),
        ([0, 1, 0, 1], [1, 1, 1, 1], 0.5, True, "choice 1"),
        ([0, 0, 0, 1], [0, 0, 1, 1], 0.75, True, None),
        ([0, 0], [0, 0], 1.0, True, None),
    ],
)
def test_scores_and_blindness(labels, chosen, accuracy, no_better, constant):
    examples = [ChoiceExample("c", "", ("a", "b"), label, line) for line, label in enumerate(labels)]
    assert OWN.score(predicted(*chosen), examples) == {"accuracy": accuracy}
    blindness = OWN.blindness(predicted(*chosen), examples)
    assert (blindness.no_better, blindness.constant_answer) == (no_better, constant)
