"""A task of spans as the verbs use it: stored, read, learnt, scored, tuned."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.layer_settings import LayerSettings
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.seed_run import EncodedPart, SeedSettings, run_seed
from bertsmith.tasks.spans.decoding import SpanCandidate, SpanPrediction
from bertsmith.tasks.spans.squad_file import Answer, Question
from bertsmith.tasks.spans.task import SPAN_TASKS, SpanTask
from bertsmith.tasks.tables import Row
from bertsmith.tasks.task import Examples, require_usable_loss
from bertsmith.training.machine import TrainingMachineSettings
from bertsmith.training.optimiser import OptimiserSettings

LIMITS = InputLimits(max_seq_length=24, stride=4, max_answer_length=3)


def prediction(text, odds, *, none=False, place=0):
    """An answer whose best span is `text`."""
    span = SpanCandidate(text, place, place + len(text), 0.5, 1.0, 1.0)
    if none:
        return SpanPrediction("", None, None, 0.5, odds, (span,))
    return SpanPrediction(text, place, place + len(text), 0.5, odds, (span,))


def question(name, *answers, context="the cat sat"):
    return Question(name, context, "who", tuple(Answer(text, 0) for text in answers), not answers)


# --- a task that can be learnt in seconds: what is said of the film ----------------------------------------------


def write_toy(folder, *, unanswerable):
    random = np.random.default_rng(0)
    for part, count in (("train", 320), ("dev", 60)):
        paragraphs = []
        for index in range(count):
            words = random.choice(["the", "film", "is", "a", "we"], size=random.integers(3, 7)).tolist()
            answers = []
            if not (unanswerable and index % 3 == 0):
                place = int(random.integers(len(words) + 1))
                text = str(random.choice(["good", "very good", "dull"]))
                answers = [{"text": text, "answer_start": sum(len(word) + 1 for word in words[:place])}]
                words.insert(place, text)
            asked = {"id": f"{part}-{index}", "question": "the film ?", "answers": answers}
            paragraphs.append({"context": " ".join(words), "qas": [asked | {"is_impossible": not answers}]})
        (folder / f"{part}.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))


def learn(folder, tokenizer, tiny_config, limits=LIMITS):
    """The task as its training file makes it, its dev part, and the result of a short training."""
    task = SpanTask.of_files("toy")
    train = task.read(folder / "train.json", "strict")
    task = task.with_labels_of(train)
    dev = task.read(folder / "dev.json", "strict")
    part = EncodedPart(dev, task.encode(dev.rows, tokenizer, limits))
    network = task.network(tiny_config(tokenizer, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    initialise(network, "normal", seed=0)
    settings = SeedSettings(
        task=task,
        optimiser=OptimiserSettings(learning_rate=3e-3, warmup_share=0.1, bias_correction=True),
        loss=LossSettings(),
        layers=LayerSettings(),
        epochs=3,
        batch_size=16,
        micro_batch_size=16,
        patience=None,
        machine=TrainingMachineSettings(),
        device=torch.device("cpu"),
        precision=torch.float32,
    )
    result, _ = run_seed(
        settings, network, task.encode(train.rows, tokenizer, limits), {"dev": part}, 0, lambda _: None
    )
    return task, part, result


@pytest.mark.parametrize("limits", [LIMITS, LIMITS.model_copy(update={"max_seq_length": 10, "stride": 2})])
def test_a_tiny_network_finds_what_is_asked_for(tmp_path, tokenizer, tiny_config, limits):
    write_toy(tmp_path, unanswerable=False)
    task, part, result = learn(tmp_path, tokenizer, tiny_config, limits)
    assert task.null_threshold is None
    assert (len(part.encoded) > 60) == (limits.max_seq_length == 10)  # windows
    assert set(result.dev["dev"]) == {"f1", "exact_match"}
    assert result.dev["dev"]["exact_match"] > 0.9
    assert result.collapse is None


def test_a_tiny_network_finds_out_that_there_is_no_answer(tmp_path, tokenizer, tiny_config):
    write_toy(tmp_path, unanswerable=True)
    task, _, result = learn(tmp_path, tokenizer, tiny_config)
    assert task.null_threshold == 0.0
    scores = result.dev["dev"]
    assert scores["f1"] > 0.85
    assert scores["no_answer_accuracy"] > 0.7
    assert scores["best_f1"] >= scores["f1"]
    assert set(task.metrics) <= set(scores)


# --- scores -------------------------------------------------------------------------------------------------------


def test_a_task_with_unanswerable_questions_also_says_what_the_best_threshold_gives():
    task = SPAN_TASKS["squad-2.0"]
    questions = [question("a", "the cat"), question("b", "sat"), question("c"), question("d")]
    predictions = [
        prediction("cat", -1.0),
        prediction("sat", 2.0, none=True),  # a right answer that is not given
        prediction("dog", -0.5),  # an answer where there is none
        prediction("dog", 3.0, none=True),
    ]
    assert task.score(predictions, questions) == {
        "f1": 0.5,
        "exact_match": 0.5,
        "best_f1": 0.75,  # with the first one alone answered
        "best_exact": 0.75,
        "best_f1_threshold": -1.0,
        "has_answer_f1": 0.5,
        "has_answer_exact_match": 0.5,
        "no_answer_accuracy": 0.5,
    }
    better = task.tuned(predictions, questions)
    assert better == replace(task, null_threshold=-1.0)


def test_where_it_is_best_never_to_answer_the_tuned_task_never_does():
    task = SPAN_TASKS["squad-2.0"]
    questions = [question("a"), question("b"), question("c", "cat")]
    predictions = [prediction("dog", -3.0), prediction("dog", -2.0), prediction("cat", -1.0)]
    tuned = task.tuned(predictions, questions)
    assert tuned.null_threshold is not None
    assert all(one.null_odds > tuned.null_threshold for one in predictions)


def test_a_task_where_every_question_has_an_answer_is_not_tuned():
    task = SPAN_TASKS["squad"]
    questions = [question("a", "the cat"), question("b", "sat")]
    predictions = [prediction("cat", 5.0), prediction("the", -5.0)]
    assert task.score(predictions, questions) == {"f1": 0.5, "exact_match": 0.5}
    assert task.tuned(predictions, questions) is task


def test_parts_without_one_kind_of_question_have_no_score_for_it():
    scores = SPAN_TASKS["squad-2.0"].score([prediction("cat", 0.0)], [question("a", "cat")])
    assert "no_answer_accuracy" not in scores
    scores = SPAN_TASKS["squad-2.0"].score([prediction("cat", 1.0, none=True)], [question("a")])
    assert "has_answer_f1" not in scores
    assert scores["f1"] == 1


def test_the_score_of_a_tuned_task_is_the_best_score(tokenizer):
    task = SPAN_TASKS["squad-2.0"]
    random = np.random.default_rng(1)
    questions = [
        Question(str(index), "the cat sat on a mat", "who", () if index % 3 else (Answer("cat", 4),), index % 3 > 0)
        for index in range(40)
    ]
    encoded = task.encode(questions, tokenizer, LIMITS)
    outputs = [random.normal(size=(row.num_tokens, 2)).astype(np.float32) for row in encoded.rows]
    for scores in outputs[::3]:
        scores[encoded.rows[0].label, [0, 1]] += 3
    predictions = task.predictions(outputs, encoded, questions)
    before = task.score(predictions, questions)
    better = task.tuned(predictions, questions)
    after = better.score(better.predictions(outputs, encoded, questions), questions)
    assert after["f1"] == pytest.approx(before["best_f1"])
    assert after["best_f1"] == before["best_f1"] > before["f1"]


def test_character_scoring_is_an_option():
    task = SpanTask("cmrc", scoring="characters")
    questions = [question("a", "战国无双", context="战国无双三")]
    assert task.score([prediction("战国", 0.0)], questions)["f1"] == pytest.approx(2 / 3)
    assert SpanTask("cmrc").score([prediction("战国", 0.0)], questions)["f1"] == 0


@pytest.mark.parametrize(
    ("predictions", "no_better", "constant"),
    [
        ([prediction("cat", 0.0, place=4), prediction("sat", 0.0, place=8)], False, None),
        ([prediction("the", 0.0), prediction("the", 0.0)], True, "'the'"),
        ([prediction("the", 0.0), prediction("dog", 0.0)], True, "characters 0 to 3 of the text"),
        ([prediction("the", 0.0, place=1), prediction("dog", 0.0)], True, None),
        ([prediction("the", 1.0, none=True), prediction("the", 1.0, none=True)], True, "'no answer'"),
    ],
)
def test_signs_of_blindness(predictions, no_better, constant):
    questions = [question("a", "cat"), question("b", "sat")]
    blindness = SPAN_TASKS["squad-2.0"].blindness(predictions, questions)
    assert (blindness.no_better, blindness.constant_answer) == (no_better, constant)


def test_never_answering_is_not_better_than_blind():
    questions = [question("a", "cat"), question("b"), question("c")]
    mute = [prediction("the", 1.0, none=True)] * 3
    blindness = SPAN_TASKS["squad-2.0"].blindness(mute, questions)
    assert (blindness.no_better, blindness.constant_answer) == (True, "'no answer'")
    assert SPAN_TASKS["squad-2.0"].blindness(mute[:1], [question("b")]).constant_answer is None


# --- descriptions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [*SPAN_TASKS.values(), SpanTask("own", scoring="characters", null_threshold=-1.25)])
def test_a_task_is_stored_as_json(task):
    assert TypeAdapter(SpanTask).validate_python(json.loads(json.dumps(asdict(task)))) == task


def test_the_papers_settings_are_recommended():
    one, two = SPAN_TASKS["squad"].recommended, SPAN_TASKS["squad-2.0"].recommended
    assert one == {
        "training": {"epochs": 3, "learning_rate": 5e-5, "batch_size": 32},
        "inputs": {"max_seq_length": 384},
    }
    assert two["training"] == {"epochs": 2, "learning_rate": 5e-5, "batch_size": 48}


def test_the_official_files_are_known():
    assert SPAN_TASKS["squad"].files["train"] == ("train-v1.1.json", "train.json")
    assert SPAN_TASKS["squad-2.0"].files["dev"] == ("dev-v2.0.json", "dev.json")
    assert SpanTask.of_files("own").files == {}
    assert SpanTask.endings == (".json",)


def test_unanswerable_training_questions_make_a_task_that_may_say_so(tmp_path):
    path = tmp_path / "train.json"
    answerable, impossible = question("a", "the"), question("b")
    task = SpanTask.of_files("own")
    assert task.with_labels_of(Examples(path, [answerable])) is task
    found = task.with_labels_of(Examples(path, [answerable, impossible]))
    assert (found.null_threshold, found.metrics) == (0.0, ("f1", "exact_match", "best_f1", "best_exact"))
    set_before = replace(task, null_threshold=-2.0)
    assert set_before.with_labels_of(Examples(path, [impossible])) is set_before


def test_columns_and_label_settings_are_refused():
    task = SPAN_TASKS["squad"]
    assert task.with_columns(ColumnSettings()) is task
    with pytest.raises(ConfigurationError, match="not for spans"):
        task.with_columns(ColumnSettings(text="context"))
    with pytest.raises(ConfigurationError, match="Class weights"):
        require_usable_loss(task, LossSettings(label_smoothing=0.1))


# --- questions of one's own ---------------------------------------------------------------------------------------


def test_a_row_a_line_and_a_pair_are_questions():
    task = SPAN_TASKS["squad"]
    row = task.example_of_row(Row(3, {"question": "who", "context": "the cat", "id": "x"}))
    assert row == Question("x", "the cat", "who")
    assert task.example_of_line(7, "who\tthe cat") == Question("7", "the cat", "who")
    assert task.example_of(("who", "the cat")) == Question("0", "the cat", "who")


@pytest.mark.parametrize(("line", "parts"), [("the cat", 1), ("who\tthe\tcat", 3)])
def test_a_line_without_exactly_one_tab_is_refused(line, parts):
    with pytest.raises(ValueError, match=f"a question and a context with a tab between, and here are {parts} parts"):
        SPAN_TASKS["squad"].example_of_line(1, line)


@pytest.mark.parametrize("value", ["the cat", ("who",), ("who", 7), ("who", " "), None])
def test_a_value_that_is_no_pair_is_refused(value):
    with pytest.raises(InputError, match=r"takes a pair \(question, context\)"):
        SPAN_TASKS["squad"].example_of(value)


def test_an_entry_says_where_the_answer_stands():
    asked = question("x", "cat")
    found = prediction("cat", -2.5, place=4)
    entry = {"id": "x", "answer": "cat", "start": 4, "end": 7, "probability": 0.5}
    assert SPAN_TASKS["squad"].entry(asked, found) == entry
    assert SPAN_TASKS["squad-2.0"].entry(asked, found) == entry | {"null_odds": -2.5}
    none = SPAN_TASKS["squad-2.0"].entry(asked, prediction("cat", 2.5, none=True))
    assert (none["answer"], none["start"], none["end"]) == ("", None, None)
