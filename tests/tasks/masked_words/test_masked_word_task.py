"""A task of masked words in use: files, descriptions, predictions, scores, and two toy tasks learnt."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from sklearn.metrics import top_k_accuracy_score

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.bert_for_tasks import BertForMaskedWord
from bertsmith.model.initialisation import initialise
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExample, TaskBatches, TaskCursor
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.masked_words.named import MASKED_WORD_TASKS
from bertsmith.tasks.masked_words.predictions import WORD_METRICS, WordPrediction, word_prediction
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.parts import require_part
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.sentences.predictions import LabelPrediction
from bertsmith.tasks.tables import Row
from bertsmith.tasks.task_model import TaskModel, network_outputs
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.schedule import Duration

LIMITS = InputLimits(max_seq_length=32)
CLOZE = MaskedWordTask.of_files("cloze")
PROMPT = CLOZE.with_prompt("{text} it was [MASK] .", {"neg": "bad", "pos": "good"})
FOLLOWS = {"cat": "ran", "dog": "sat", "man": "saw"}


def review(number):
    random = np.random.default_rng(number)
    is_good = bool(random.integers(2))
    words = [*random.choice(["the", "film", "very", "a"], size=3), "great" if is_good else "awful"]
    return SentenceExample(" ".join(random.permutation(words)), None, "pos" if is_good else "neg", number)


def sentence(number):
    random = np.random.default_rng(number)
    subject = str(random.choice(list(FOLLOWS)))
    filler = " ".join(random.choice(["on", "it", "very"], size=random.integers(0, 4)))
    return SentenceExample(f"the {subject} [MASK] {filler} .", None, FOLLOWS[subject], number)


@pytest.mark.parametrize(
    ("task", "example", "num_steps"), [(PROMPT, review, 50), (CLOZE, sentence, 120)], ids=["prompt", "cloze"]
)
def test_a_tiny_network_learns_what_stands_there(tokenizer, tiny_config, task, example, num_steps):
    model = BertForMaskedWord(tiny_config(tokenizer), task.ids(tokenizer))
    initialise(model, "normal", seed=0)
    train = task.encode([example(number) for number in range(200)], tokenizer, LIMITS)
    for step in training_steps(
        task.objective(model, train, LossSettings()),
        TaskBatches(train, batch_size=32, seed=0),
        Optimiser(model, OptimiserSettings(learning_rate=5e-3, warmup_share=0.1, bias_correction=True), torch.float32),
        duration=Duration(steps=num_steps),
        start=Position(TaskCursor()),
        seed=0,
        device=torch.device("cpu"),
        micro_batch_size=16,
    ):
        last = step
    assert last.loss < last.metrics["blind_loss"] / 2

    examples = [example(number) for number in range(1000, 1050)]
    encoded = task.encode(examples, tokenizer, LIMITS)
    predictions = task.predictions(network_outputs(model, encoded, 100), encoded, examples)
    scores = task.score(predictions, examples)
    assert tuple(scores) == task.metrics
    assert scores["accuracy"] > 0.9
    assert all(score >= scores["accuracy"] - 1e-6 for score in scores.values() if task is CLOZE)
    assert task.blindness(predictions, examples).constant_answer is None
    assert not task.blindness(predictions, examples).no_better

    in_use = TaskModel(model, tokenizer, task, LIMITS).predict([example.text for example in examples])
    for alone, prediction in zip(in_use, predictions, strict=True):  # with and without a known answer
        assert alone.entry().keys() == prediction.entry().keys()
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-5)


def test_a_file_of_texts_with_masks_is_read_and_other_rows_are_refused_or_listed(tmp_path):
    path = tmp_path / "cloze.tsv"
    path.write_text("text\tlabel\nthe [MASK] sat\tcat\nthe cat sat\tcat\n[MASK]\t\n[MASK] [MASK]\tcat\n")
    with pytest.raises(InputError, match=r"cloze\.tsv, line 4: the label is empty"):
        CLOZE.read(path, "strict")
    examples = CLOZE.read(path, "skip")
    assert [(example.text, example.label, example.line) for example in examples.rows] == [("the [MASK] sat", "cat", 2)]
    assert examples.skipped == [
        (3, "the text has no [MASK], and it is to have one"),
        (4, "the label is empty"),
        (5, "the text has 2 [MASK]s, and it is to have one"),
    ]
    path.write_text("text\tlabel\nthe cat sat\tcat\n")
    with pytest.raises(InputError, match=r"cloze\.tsv, line 2: the text has no \[MASK\]"):
        CLOZE.read(path, "strict")
    with pytest.raises(InputError, match=r"holds no text with one \[MASK\]"):
        CLOZE.read(path, "skip")


def test_a_prompt_reads_labels_that_have_a_word(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("review,stars\na film,pos\na [MASK],neg\nthe cat,neutral\n")
    task = PROMPT.with_columns(ColumnSettings(text="review", label="stars"))
    examples = task.read(path, "skip")
    assert [(example.text, example.label) for example in examples.rows] == [("a film", "pos"), ("a [MASK]", "neg")]
    assert examples.skipped == [(4, "the label 'neutral' is not one of neg, pos")]
    assert [example.label for example in task.read(path, "strict", labelled=False).rows] == [None, None, None]


def test_one_text_is_taken():
    with pytest.raises(ConfigurationError, match="takes one text, so leave --text-pair out"):
        CLOZE.with_columns(ColumnSettings(text_pair="other"))
    for value, message in ((("a", "b"), "takes one text for each example"), ("a cat", r"the text has no \[MASK\]")):
        with pytest.raises(InputError, match=message):
            CLOZE.example_of(value)
    assert PROMPT.example_of("a cat") == SentenceExample("a cat", None, None, 0)
    assert CLOZE.example_of_line(3, "a [MASK]") == SentenceExample("a [MASK]", None, None, 3)
    assert CLOZE.example_of_row(Row(2, {"text": "a [MASK]"})) == SentenceExample("a [MASK]", None, None, 2)
    for bad in (lambda: CLOZE.example_of_line(1, "a cat"), lambda: CLOZE.example_of_row(Row(1, {"text": "a cat"}))):
        with pytest.raises(ValueError, match=r"the text has no \[MASK\]"):
            bad()


def test_words_are_checked_when_a_file_is_encoded(tokenizer):
    task = CLOZE.with_prompt("{text} [MASK]", {"0": "bad", "1": "dogs"})
    with pytest.raises(ConfigurationError, match="'dogs' is not one piece of the vocabulary: it is dog ##s"):
        task.encode([SentenceExample("a", None, "0", 1)], tokenizer, LIMITS)
    with pytest.raises(
        InputError, match=r"1 of 1 answers cannot be given at one \[MASK\]; the first on line 9: 'dogs'"
    ):
        CLOZE.encode([SentenceExample("[MASK]", None, "dogs", 9)], tokenizer, LIMITS)


def test_what_cannot_be_a_task_is_refused():
    with pytest.raises(ConfigurationError, match="has one label, and to choose needs two"):
        CLOZE.with_prompt("{text} [MASK]", {"0": "bad"})
    with pytest.raises(ConfigurationError, match=r"is to have \{text\} once"):
        replace(CLOZE, template="[MASK]")


@pytest.mark.parametrize("task", [CLOZE, PROMPT, *MASKED_WORD_TASKS.values()], ids=lambda task: task.name)
def test_a_description_survives_its_file_whatever_the_order_of_its_labels(task, tokenizer):
    again = TypeAdapter(MaskedWordTask).validate_python(json.loads(json.dumps(asdict(task), sort_keys=True)))
    assert again == task
    assert again.labels == task.labels
    backwards = replace(task, words=dict(reversed(task.words.items())))
    assert backwards.labels == task.labels


def test_the_outputs_are_the_labels_where_there_are_some():
    assert PROMPT.outputs.names == ("neg", "pos")
    assert CLOZE.outputs is None


def test_labels_are_scored_as_a_classification():
    examples = [SentenceExample("a", None, label, 1) for label in ("neg", "pos", "pos", "pos")]
    predictions = [LabelPrediction(label, {}) for label in ("neg", "neg", "pos", "pos")]
    scores = PROMPT.score(predictions, examples)
    assert scores == {"accuracy": 0.75, "macro_f1": pytest.approx((2 / 3 + 4 / 5) / 2)}
    assert PROMPT.blindness(predictions, examples).no_better
    constant = PROMPT.blindness([LabelPrediction("pos", {})] * 4, examples)
    assert (constant.no_better, constant.constant_answer) == (True, "'pos'")
    assert PROMPT.entry(examples[0], LabelPrediction("pos", {"neg": 0.25, "pos": 0.75})) == {
        "line": 1,
        "label": "pos",
        "probabilities": {"neg": 0.25, "pos": 0.75},
    }


def test_ranks_and_their_scores_equal_sklearns_and_the_definition():
    random = np.random.default_rng(0)
    outputs = random.normal(size=(200, 1, 12)).astype(np.float32)
    answers = random.integers(12, size=200)
    pieces = [f"piece{index}" for index in range(12)]
    ids = (np.zeros(3, dtype=np.int32),)
    rows = [EncodedExample(ids, ids, answer, pieces) for answer in answers]
    predictions = [word_prediction(logits, row) for logits, row in zip(outputs, rows, strict=True)]
    ranks = [list(np.argsort(-logits[0])).index(answer) + 1 for logits, answer in zip(outputs, answers, strict=True)]
    assert [prediction.answer_rank for prediction in predictions] == ranks
    scores = {name: metric(ranks) for name, metric in WORD_METRICS.items()}
    every = np.arange(12)
    assert scores["accuracy"] == pytest.approx(top_k_accuracy_score(answers, outputs[:, 0], k=1, labels=every))
    assert scores["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(answers, outputs[:, 0], k=5, labels=every))
    assert scores["mean_reciprocal_rank"] == pytest.approx(np.mean(1 / np.array(ranks)))
    for prediction, logits in zip(predictions, outputs[:, 0], strict=True):
        softmax = np.exp(logits) / np.exp(logits).sum()
        assert list(prediction.probabilities) == [pieces[index] for index in np.argsort(-logits)[:5]]
        assert list(prediction.probabilities.values()) == pytest.approx(np.sort(softmax)[::-1][:5].tolist(), rel=1e-4)
        assert prediction.word == next(iter(prediction.probabilities))


def test_a_network_that_finds_all_pieces_alike_is_not_right():
    ids = (np.zeros(3, dtype=np.int32),)
    prediction = word_prediction(
        np.zeros((1, 6), dtype=np.float32), EncodedExample(ids, ids, np.array(0), list("abcdef"))
    )
    assert prediction.answer_rank == 6


def test_rows_of_embeddings_that_are_no_piece_are_no_answer():
    ids = (np.zeros(3, dtype=np.int32),)
    logits = np.array([[0.0, 1.0, 2.0, 9.0]], dtype=np.float32)
    prediction = word_prediction(logits, EncodedExample(ids, ids, np.array(2), list("abc")))
    assert (prediction.word, prediction.answer_rank) == ("c", 1)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_the_signs_of_a_blind_cloze():
    examples = [SentenceExample("[MASK]", None, label, 1) for label in ("cat", "cat", "dog", "man")]

    def judged(*answers):
        return CLOZE.blindness([WordPrediction(word, {}, rank) for word, rank in answers], examples)

    constant = judged(("cat", 1), ("cat", 1), ("cat", 2), ("cat", 3))
    assert (constant.no_better, constant.constant_answer) == (True, "'cat'")
    better = judged(("cat", 1), ("cat", 1), ("dog", 1), ("cat", 3))
    assert (better.no_better, better.constant_answer) == (False, None)


def test_the_prompt_for_sst_2_fits_the_real_vocabulary_and_the_real_file(real_glue):
    task = MASKED_WORD_TASKS["sst-2-prompt"]
    vocabulary = real_glue.parent / "bert_vocab" / "bert-base-uncased-vocab.txt"
    if not vocabulary.is_file():
        pytest.skip(f"the real vocabulary is not here: {vocabulary} (set BERTSMITH_DATA)")
    tokenizer = Tokenizer.load(vocabulary)
    examples = task.read(require_part(real_glue / "SST-2", task, "dev"), "strict")
    encoded = task.encode(examples.rows, tokenizer, InputLimits(max_seq_length=128))
    assert (len(encoded), encoded.num_cut) == (872, 0)
    assert np.bincount(encoded.labels).tolist() == [428, 444]
    assert tokenizer.tokens(task.ids(tokenizer).words) == ["terrible", "great"]
    for row in encoded.rows:
        assert (row.token_ids[0] == tokenizer.mask_id).sum() == 1


def test_the_columns_of_a_task_without_a_header_are_places():
    assert not replace(CLOZE, columns=Columns(1, label=0)).has_header
    assert CLOZE.has_header
