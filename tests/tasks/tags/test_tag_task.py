"""A task with tags from a file to predictions: labels, metrics, entries, and that a tiny network learns one."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.bert_for_tasks import BertForTokenClassification
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import TaskBatches, TaskCursor
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.tables import Row
from bertsmith.tasks.tags.decoding import FoundEntity, TagPrediction
from bertsmith.tasks.tags.named import TAG_TASKS
from bertsmith.tasks.tags.sentence import Sentence
from bertsmith.tasks.tags.task import CLASS_METRICS, TagTask
from bertsmith.tasks.task import Blindness
from bertsmith.tasks.task_model import TaskModel, network_outputs
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.schedule import Duration

TASK = TagTask("t", ("O", "B-A", "I-A"))
LIMITS = InputLimits(max_seq_length=16, stride=8)


def file_of(folder, content, name="train.conll"):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def read(task, path, on_error="strict", **settings):
    return task.read(path, on_error, **settings)


def predicted(*tags):
    return [TagPrediction(tuple(row.split())) for row in tags]


def gold(*tags):
    return [Sentence(("w",) * len(row.split()), tuple(row.split()), line) for line, row in enumerate(tags, start=1)]


def test_labels_come_from_the_training_file_in_iob2(tmp_path):
    path = file_of(tmp_path, "EU I-ORG\nmet O\n\nAna I-PER\nEva B-PER\nof O\nUN I-ORG\n")
    examples = read(TagTask.of_files("names"), path)
    assert [sentence.tags for sentence in examples.rows] == [("B-ORG", "O"), ("B-PER", "B-PER", "O", "B-ORG")]
    task = TagTask.of_files("names").with_labels_of(examples)
    assert task.labels == ("O", "B-ORG", "I-ORG", "B-PER", "I-PER") == task.outputs.names
    assert task.has_entities
    assert task.metrics == ("f1", "precision", "recall", "accuracy")
    assert task.with_labels_of(read(task, path)) is task


def test_the_scheme_is_told(tmp_path, capsys):
    read(TagTask.of_files("t"), file_of(tmp_path, "a I-A\nb B-A\n"))
    read(TagTask.of_files("t"), file_of(tmp_path, "a B-A\nb I-A\n", "dev.conll"))
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.endswith("train.conll: the tags are in IOB1.")


def test_classes_of_words_are_scored_by_accuracy_and_macro_f1(tmp_path):
    examples = read(TagTask.of_files("pos"), file_of(tmp_path, "the DET\ncat NOUN\nsat VERB\n"))
    task = TagTask.of_files("pos").with_labels_of(examples)
    assert task.labels == ("DET", "NOUN", "VERB")
    assert not task.has_entities
    assert task.metrics == CLASS_METRICS
    scores = task.score(predicted("DET NOUN NOUN"), examples.rows)
    assert scores == {"accuracy": pytest.approx(2 / 3), "macro_f1": pytest.approx((1 + 2 / 3) / 3)}
    assert "entities" not in task.entry(examples.rows[0], predicted("DET NOUN VERB")[0])
    dev = read(task, file_of(tmp_path, "O DET\nO NOUN\n", "dev.conll"))  # a file that alone would not tell
    assert dev.rows[0].tags == ("DET", "NOUN")


def test_json_lines_have_words_and_tags(tmp_path):
    rows = [{"words": ["New York", "!"], "tags": ["S-LOC", "O"]}, {"words": ["a"], "tags": ["E-LOC"], "id": 3}]
    path = file_of(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "train.jsonl")
    assert [(row.words, row.tags, row.line) for row in read(TagTask.of_files("t"), path).rows] == [
        (("New York", "!"), ("B-LOC", "O"), 1),
        (("a",), ("B-LOC",), 2),
    ]
    assert read(TagTask.of_files("t"), path, labelled=False).rows[0].tags is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.conll", "a B-A\nb I-B\n", "a.conll, line 2: the tag 'I-B' is not one of A"),
        ("a.conll", "a O\n\nb B-A\nc NN\n", "a.conll, line 4: the tag 'NN' is not one of IOB2"),
        ("a.conll", "a B-A\nb E-A\nc U-A\n", "a.conll: The tags mix the letters"),
        ("a.conll", "\n \n", "a.conll holds no usable sentence"),
        ("a.jsonl", '{"words": ["a"]}\n', "a.jsonl, line 1: it has no 'tags'"),
        ("a.jsonl", '{"words": ["a"], "tags": ["B-B"]}\n', "a.jsonl, line 1: the tag 'B-B' is not one of A"),
        ("a.jsonl", '{"words": ["a"], "tags": []}\n', "line 1: it has 1 words and 0 tags"),
        ("a.jsonl", "[1]\n", "line 1: a JSON list"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_by_file_and_line(tmp_path, name, content, message):
    with pytest.raises(InputError) as refusal:
        read(TASK, file_of(tmp_path, content, name))
    assert message in str(refusal.value)


def test_what_cannot_be_used_is_skipped_and_listed_in_the_order_of_lines(tmp_path):
    content = "a B-A\nb X\n\nc\n\nd B-A\n\ne B-B\n"
    examples = read(TASK, file_of(tmp_path, content), "skip")
    assert [sentence.words for sentence in examples.rows] == [("d",)]
    assert [line for line, _ in examples.skipped] == [2, 4, 8]


@pytest.mark.parametrize(
    ("content", "message"), [("a O\nb O\n", "every tag is O"), ("a N\nb N\n", "has 1 distinct values, 'N' the first")]
)
def test_a_file_with_nothing_to_learn_is_refused(tmp_path, content, message):
    examples = read(TagTask.of_files("t"), file_of(tmp_path, content))
    with pytest.raises(InputError, match=message):
        TagTask.of_files("t").with_labels_of(examples)


def test_columns_are_places(tmp_path):
    task = TagTask.of_files("t").with_columns(ColumnSettings(text="1", label="-2"))
    assert (task.word_column, task.tag_column) == (1, -2)
    path = file_of(tmp_path, "1 cat B-A x\n2 dog O x\n")
    assert read(task, path).rows[0] == Sentence(("cat", "dog"), ("B-A", "O"), 1, 0)
    assert TASK.with_columns(ColumnSettings()) == TASK
    with pytest.raises(ConfigurationError, match="--text word is not the place of a column"):
        task.with_columns(ColumnSettings(text="word"))
    with pytest.raises(ConfigurationError, match="has no second text"):
        task.with_columns(ColumnSettings(text_pair="2"))


@pytest.mark.parametrize("task", [TASK, TagTask.of_files("own"), *TAG_TASKS.values()], ids=lambda task: task.name)
def test_a_task_is_stored_as_json_and_read_back(task):
    assert TypeAdapter(TagTask).validate_python(json.loads(json.dumps(asdict(task)))) == task


def test_examples_without_labels_come_from_lines_rows_and_values():
    assert TASK.example_of_line(4, "a cat!").words == ("a", "cat", "!")
    assert TASK.example_of_line(5, "").words == ()
    assert TASK.example_of_row(Row(6, {"words": ["a", "cat"]})) == Sentence(("a", "cat"), None, 6)
    assert TASK.example_of_row(Row(7, {"text": "a cat"})).line == 7
    assert TASK.example_of("a cat").words == TASK.example_of(["a", "cat"]).words == ("a", "cat")
    for value in (3, ["a", 3], ["a", ""], None):
        with pytest.raises(InputError, match="takes a text or a list of words, not"):
            TASK.example_of(value)


def test_scores_are_of_entities():
    examples = gold("B-A I-A O B-A", "O O")
    scores = TASK.score(predicted("B-A I-A O O", "O B-A"), examples)
    assert scores == {"f1": 0.5, "precision": 0.5, "recall": 0.5, "accuracy": pytest.approx(4 / 6)}
    assert TASK.score(predicted("B-A I-A O B-A", "O O"), examples)["f1"] == 1.0


@pytest.mark.parametrize(
    ("answers", "blindness"),
    [
        (("O O O", "O O"), Blindness(True, "'O' on every word")),
        (("O B-A O", "O O"), Blindness(True, None)),
        (("B-A O O", "B-A O"), Blindness(False, None)),
        (("B-A B-A B-A", "B-A B-A"), Blindness(False, "'B-A' on every word")),
    ],
)
def test_a_network_that_finds_no_entity_looks_blind(answers, blindness):
    assert TASK.blindness(predicted(*answers), gold("B-A O O", "O O")) == blindness


def test_classes_that_are_no_better_than_the_most_frequent_one_look_blind():
    task = TagTask("pos", ("DET", "NOUN"), metrics=CLASS_METRICS)
    examples = gold("DET NOUN NOUN")
    assert task.blindness(predicted("NOUN NOUN NOUN"), examples) == Blindness(True, "'NOUN' on every word")
    assert task.blindness(predicted("NOUN DET NOUN"), examples) == Blindness(True, None)
    assert task.blindness(predicted("DET NOUN NOUN"), examples) == Blindness(False, None)
    assert task.blindness(predicted("DET"), gold("DET")).constant_answer is None


def logits_of(encoded, chosen):
    """Outputs that give each asked word the label `chosen` says with probability 0.8, other tokens nonsense."""
    outputs = []
    for row in encoded.rows:
        values = np.zeros((row.num_tokens, 3), dtype=np.float32)
        values[:, 2] = 9.0
        asked = row.origin
        for position, home, word in zip(asked.positions, asked.sentences, asked.words, strict=True):
            values[position] = np.log([0.1, 0.1, 0.1])
            values[position, chosen[home][word]] = np.log(0.8)
        outputs.append(values)
    return outputs


def test_entities_come_back_with_their_words_characters_and_probability(tokenizer):
    examples = [TASK.example_of_line(1, "It's  São-Paulo!"), TASK.example_of(["the", "New York", "cats"])]
    encoded = TASK.encode(examples, tokenizer, LIMITS, labelled=False)
    outputs = logits_of(encoded, [[0, 0, 0, 1, 2, 2, 0], [0, 2, 1]])
    first, second = TASK.predictions(outputs, encoded, examples)
    assert second.probabilities == pytest.approx(np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]))
    assert first.tags == ("O", "O", "O", "B-A", "I-A", "I-A", "O")
    assert first.entities == (FoundEntity("A", "São-Paulo", 3, 6, pytest.approx(0.8), 6, 15),)
    assert second.entities == (
        FoundEntity("A", "New York", 1, 2, pytest.approx(0.8)),
        FoundEntity("A", "cats", 2, 3, pytest.approx(0.8)),
    )
    assert json.loads(json.dumps(TASK.entry(examples[0], first))) == {
        "line": 1,
        "text": "It's  São-Paulo!",
        "words": ["It", "'", "s", "São", "-", "Paulo", "!"],
        "tags": ["O", "O", "O", "B-A", "I-A", "I-A", "O"],
        "entities": [
            {
                "type": "A",
                "text": "São-Paulo",
                "start": 3,
                "end": 6,
                "start_char": 6,
                "end_char": 15,
                "probability": pytest.approx(0.8),
            }
        ],
    }
    entry = TASK.entry(examples[1], second)
    assert list(entry) == ["line", "words", "tags", "entities"]
    assert list(entry["entities"][0]) == ["type", "text", "start", "end", "probability"]


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_predictions_of_windows_are_put_together(tokenizer, context):
    random = np.random.default_rng(0)
    task = replace(TASK, context=context)
    lengths = random.integers(0, 40, size=20)
    examples = [Sentence(("cats",) * length, None, 1, index // 4) for index, length in enumerate(lengths)]
    chosen = [random.integers(0, 3, size=length).tolist() for length in lengths]
    encoded = task.encode(examples, tokenizer, LIMITS, labelled=False)
    made = task.predictions(logits_of(encoded, chosen), encoded, examples)
    assert [prediction.tags for prediction in made] == [
        tuple(TASK.labels[index] for index in indices) for indices in chosen
    ]
    for prediction, indices in zip(made, chosen, strict=True):
        assert prediction.probabilities.shape == (len(indices), 3)
        assert prediction.probabilities[np.arange(len(indices)), indices] == pytest.approx(np.full(len(indices), 0.8))
        assert prediction.probabilities.sum(axis=1) == pytest.approx(np.ones(len(indices)))


MEANINGS = {"the": "O", "dogs": "B-A", "cat": "I-A", "seeing": "O", "on": "O", "mats": "B-A"}


def made_up(count, seed):
    """Sentences of words, some of several pieces, that always have the same tags."""
    random = np.random.default_rng(seed)
    drawn = [random.choice(list(MEANINGS), size=random.integers(1, 9)).tolist() for _ in range(count)]
    return [
        Sentence(tuple(words), tuple(MEANINGS[word] for word in words), line, line // 5)
        for line, words in enumerate(drawn, start=1)
    ]


@pytest.mark.parametrize("context", ["sentence", "document"])
def test_a_tiny_network_learns_and_predicts(tokenizer, tiny_config, context):
    task = replace(TASK, context=context)
    limits = InputLimits(max_seq_length=32, stride=16)
    network = BertForTokenClassification(tiny_config(tokenizer), task.outputs)
    initialise(network, "normal", seed=1)
    train, dev = made_up(400, 0), made_up(100, 1)
    encoded = task.encode(train, tokenizer, limits)
    steps = training_steps(
        task.objective(network, encoded, LossSettings()),
        TaskBatches(encoded, 16, seed=0),
        Optimiser(network, OptimiserSettings(learning_rate=5e-3, warmup_share=0.1), torch.float32),
        duration=Duration(steps=60),
        start=Position(TaskCursor()),
        seed=0,
        device=torch.device("cpu"),
        micro_batch_size=16,
    )
    losses = [(step.loss, step.metrics["blind_loss"]) for step in steps]
    assert losses[-1][0] < 0.2 < losses[-1][1]
    held_out = task.encode(dev, tokenizer, limits)
    predictions = task.predictions(network_outputs(network, held_out, 500), held_out, dev)
    assert task.score(predictions, dev)["f1"] > 0.95
    assert task.blindness(predictions, dev) == Blindness(False, None)
    model = TaskModel(network, tokenizer, task, limits)
    first, second, third = model.predict(["the  dogs cat", "", ["mats", "seeing", "cat"]])
    assert [(entity.text, entity.start_char, entity.end_char) for entity in first.entities] == [("dogs cat", 5, 13)]
    assert second == TagPrediction(())
    assert third.tags == ("B-A", "O", "I-A")
