"""A GPT learns and answers tasks of every kind through the same verbs, and reads them as its paper says."""

import json

import numpy as np
import pytest
import torch

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.folder import save_model
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.gpt_for_tasks import GptForSequenceClassification
from bertsmith.model.initialisation import initialise_normal
from bertsmith.tasks.catalogue import TASKS
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.language_loss import outputs_and_language
from bertsmith.tasks.reading import encode_for
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.task_finetuning import finetune_task
from bertsmith.tasks.task_model import TaskModel

PAIRS = [("the cat sat", "a dog ran"), ("the man", "it was a fine film")]


@pytest.fixture(scope="module")
def gpt(tokenizer, tmp_path_factory):
    """A folder as `pretrain --network gpt` leaves it."""
    config = GptConfig(vocab_size=tokenizer.vocabulary_size, n_positions=64, n_embd=32, n_layer=2, n_head=2)
    model = GptLanguageModel(config)
    initialise_normal(model, seed=0)
    folder = tmp_path_factory.mktemp("gpt") / "model"
    with stage_artefact(folder, kind="model", command="test", configuration={}) as staging:
        save_model(model, staging.folder, tokenizer, model_card="A test.\n")
    return folder, config


def encode(task, config, tokenizer, limits=None):
    examples = [SentenceExample(first, second, "0", line) for line, (first, second) in enumerate(PAIRS)]
    return encode_for(config, task, examples, tokenizer, limits or InputLimits(), labelled=False)


def test_a_sequence_ends_with_the_mark_that_its_answer_is_taken_from(gpt, tokenizer):
    rows = encode(TASKS["qnli"], gpt[1], tokenizer).rows
    for row, (first, second) in zip(rows, PAIRS, strict=True):
        (ids,) = row.token_ids
        expected = f"[CLS] {first} [SEP] {second} [MASK]".split()
        assert tokenizer.tokens(ids.tolist()) == expected


def test_where_no_text_is_the_first_it_reads_both_orders(gpt, tokenizer):
    encoded = encode(TASKS["mrpc"], gpt[1], tokenizer)
    assert encoded.limits.long_texts == "mean"
    for row, (first, second) in zip(encoded.rows, PAIRS, strict=True):
        read = [tokenizer.tokens(ids.tolist()) for ids in row.token_ids]
        assert read == [f"[CLS] {a} [SEP] {b} [MASK]".split() for a, b in ((first, second), (second, first))]
        for ids, segments in zip(row.token_ids, row.segment_ids, strict=True):
            assert len(ids) == len(segments)
            assert np.flatnonzero(np.diff(segments)).tolist() == [ids.tolist().index(tokenizer.sep_id)]


def test_tokens_are_read_as_a_bert_reads_them(gpt, tokenizer):
    task = TASKS["conll2003"]
    sentences = [task.example_of("the cat sat")]
    for_gpt = encode_for(gpt[1], task, sentences, tokenizer, InputLimits(), labelled=False)
    plain = task.encode(sentences, tokenizer, InputLimits(), labelled=False)
    assert np.array_equal(for_gpt.rows[0].token_ids[0], plain.rows[0].token_ids[0])


def test_the_language_loss_is_a_mean_over_the_whole_batch(gpt, tokenizer):
    config = gpt[1].with_dropout(0.0)
    task = TASKS["qnli"]
    network = GptForSequenceClassification(config, task.outputs)
    initialise_normal(network, seed=1)
    batch = encode(task, config, tokenizer).batch([0, 1])
    _, whole = outputs_and_language(network, batch, batch, 0.5)
    parts = [outputs_and_language(network, batch.slice(place, place + 1), batch, 0.5)[1] for place in range(2)]
    torch.testing.assert_close(sum(parts), whole)
    logits = network.gpt.embeddings.tokens.weight @ network.gpt(batch.inputs).T  # [V, T]
    before = [place for place in range(batch.num_tokens - 1) if place + 1 not in batch.inputs.borders]
    losses = torch.nn.functional.cross_entropy(
        logits.T[before], batch.inputs.token_ids[torch.tensor(before) + 1], reduction="mean"
    )
    torch.testing.assert_close(whole, 0.5 * losses)
    assert outputs_and_language(network, batch, batch, 0.0)[1] is None


def squad(count):
    """The same question as often, in SQuAD's layout."""
    answer = {"text": "cat", "answer_start": 4}
    questions = [{"id": str(number), "question": "who sat?", "answers": [answer]} for number in range(count)]
    paragraph = {"context": "the cat sat on the mat", "qas": questions}
    return json.dumps({"version": "1.1", "data": [{"title": "cats", "paragraphs": [paragraph]}]})


def lines(rows):
    return "".join(f"{row}\n" for row in rows)


FILMS = lines(["text\tlabel", *(f"{'good' if number % 2 else 'bad'} film\t{number % 2}" for number in range(40))])
QUESTION = json.dumps({"context": "the", "choices": ["cat sat", "dog ran on"], "label": 1})
KINDS = {
    "sentences": ("train.tsv", FILMS),
    "choices": ("train.jsonl", lines([QUESTION] * 20)),
    "spans": ("train.json", squad(20)),
    "tags": ("train.conll", lines(["the O", "cat B-animal", "sat O", ""] * 20)),
}
ASKED = {
    "sentences": "good film",
    "choices": ("the", ["cat sat", "dog ran on"]),
    "spans": ("who sat?", "the cat sat on the mat"),
    "tags": "the cat sat",
}


EXPECTED = {"sentences": "1", "choices": "1", "spans": "cat", "tags": "animal"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_of_every_kind_is_learnt_saved_and_answered(kind, gpt, tmp_path):
    name, content = KINDS[kind]
    (tmp_path / name).write_text(content, encoding="utf-8")
    settings = {
        "model": gpt[0],
        "out": tmp_path / "out",
        "task_data": {"kind": kind, "train": tmp_path / name, "dev": tmp_path / name},
        "inputs": {"max_seq_length": 32},
        "training": {"learning_rate": 1e-2, "epochs": 20, "batch_size": 10, "dropout": 0.0},
        "layers": {"layer_decay": 0.9},
        "runtime": {"precision": "float32", "threads": 1},
    }
    result = finetune_task(build_settings(FinetuneConfig, settings))
    assert result.primary.mean == 1.0
    assert (tmp_path / "out" / "report.html").is_file()
    assert json.loads((tmp_path / "out" / "model" / "config.json").read_text())["model_type"] == "openai-gpt"
    steps = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert any("language_loss" in str(step) for step in steps)
    (answer,) = TaskModel.load(tmp_path / "out").predict([ASKED[kind]])
    given = {"sentences": "label", "choices": "choice", "spans": "text", "tags": "entities"}[kind]
    assert EXPECTED[kind] in str(getattr(answer, given))


def test_an_untrained_gpt_is_learnt_too_and_hidden_words_are_refused(gpt, tmp_path):
    (tmp_path / "train.tsv").write_text(FILMS)
    settings = {
        "model": gpt[0],
        "out": tmp_path / "out",
        "initialisation": "random",
        "task_data": {"train": tmp_path / "train.tsv", "dev": tmp_path / "train.tsv"},
        "training": {"epochs": 1},
        "inputs": {"max_seq_length": 32},
        "runtime": {"precision": "float32", "threads": 1},
    }
    finetune_task(build_settings(FinetuneConfig, settings))
    prompt = {"kind": "masked-words", "template": "{text} it was [MASK].", "words": ("0=bad", "1=good")}
    hidden = settings | {"out": tmp_path / "no", "initialisation": "pretrained"}
    hidden["task_data"] = settings["task_data"] | prompt
    with pytest.raises(ConfigurationError, match="has not learnt to tell them"):
        finetune_task(build_settings(FinetuneConfig, hidden))
