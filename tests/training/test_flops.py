"""The count of a step's arithmetic, against torch's own counter."""

import numpy as np
import pytest
import torch
from small_runs import make_store
from torch.utils.flop_counter import FlopCounterMode

from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch
from bertsmith.batches.next_tokens import next_tokens
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.elmo_language_model import ElmoLanguageModel
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.study import budget
from bertsmith.text.token_store import TokenStore
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_list import WordList, word_keys
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.flops import flops_of_step
from bertsmith.training.network import new_network
from bertsmith.training.pretraining_objective import PretrainingObjective

WORDS = [f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(300)]
TOKENIZER = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ing"])
SPECIAL, ENDINGS = 5, (305, 306)


def counted(model, batch, micro_batch_size):
    """Operations of a step, by torch."""
    objective = PretrainingObjective(model)
    with FlopCounterMode(display=False) as counter:
        for start in range(0, batch.num_sequences, micro_batch_size):
            loss, _ = objective(batch.slice(start, min(start + micro_batch_size, batch.num_sequences)), batch)
            loss.backward()
    return counter.get_total_flops()


def left_to_right(sequences):
    """A batch in which the next token is told."""
    inputs = FlatBatch.from_sequences(sequences, [np.zeros_like(ids) for ids in sequences])
    positions, labels = next_tokens(inputs.token_ids.numpy(), inputs.cu_seqlens.numpy().astype(np.int64))
    return PretrainingBatch(inputs, torch.from_numpy(positions), torch.from_numpy(labels), None)


def running_text(num_sequences, length, seed=0):
    """[CLS] text [SEP] each: frequent words and rare ones, some with endings."""
    random = np.random.default_rng(seed)
    sequences = []
    for _ in range(num_sequences):
        ids = SPECIAL + (random.random(length) ** 3 * len(WORDS)).astype(np.int64)
        has_ending = (random.random(length) < 0.2) & (np.arange(length) > 0)
        ids[has_ending] = random.choice(ENDINGS, has_ending.sum())
        sequences.append(np.concatenate([[2], ids, [3]]))
    return sequences


@pytest.mark.parametrize("num_layers", [1, 3])
def test_the_formula_is_what_torch_counts_in_a_step_of_a_bert(num_layers):
    config = BertConfig(
        vocab_size=300,
        hidden_size=64,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=64,
    )
    sequences, length = 4, 32
    ids = np.arange(sequences * length).reshape(sequences, length)
    inputs = FlatBatch.from_sequences(list(ids), list(np.zeros_like(ids)))
    masked_positions = torch.arange(1, inputs.num_tokens, 8)
    batch = PretrainingBatch(inputs, masked_positions, torch.zeros_like(masked_positions), torch.zeros(4).long())
    model = BertForPreTraining(config)
    pooler_and_next_sentence = 6 * sequences * (64 * 64 + 64 * 2)
    expected = flops_of_step(model, batch, sequences) + pooler_and_next_sentence
    assert counted(model, batch, sequences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_the_formula_is_what_torch_counts_in_a_step_of_a_gpt(num_layers):
    config = GptConfig(vocab_size=307, n_embd=64, n_layer=num_layers, n_head=4, n_positions=32)
    batch = left_to_right(running_text(1, 27))  # 28 labels: up to 32 rows, none is added to come to a round number
    model = GptLanguageModel(config)
    assert counted(model, batch, 1) == pytest.approx(flops_of_step(model, batch, 1), rel=1e-9)


def elmo(cutoffs):
    """All words but the last hundred are in the list."""
    begins = np.arange(200)
    keys = word_keys(SPECIAL + begins, begins, begins + 1, TOKENIZER.vocabulary_size)
    config = ElmoConfig(
        character_size=6,
        filters=((1, 8), (3, 24)),
        max_characters=10,
        hidden_size=32,
        cell_size=48,
        num_layers=2,
        vocab_size=TOKENIZER.vocabulary_size,
        num_words=200,
        cutoffs=cutoffs,
    )
    return ElmoLanguageModel(config, TOKENIZER, WordList(keys, TOKENIZER.vocabulary_size))


@pytest.mark.parametrize("cutoffs", [(), (40, 120)], ids=["one softmax", "clusters"])
def test_the_formula_is_what_torch_counts_in_a_step_of_an_elmo(cutoffs):
    model = elmo(cutoffs)
    few = left_to_right(running_text(3, 6))
    assert counted(model, few, 3) == pytest.approx(flops_of_step(model, few, 3), rel=1e-9)
    many = left_to_right(running_text(12, 5))  # the rows of the softmax are filled up to round numbers
    assert counted(model, many, 6) == pytest.approx(flops_of_step(model, many, 6), rel=0.02)
    assert flops_of_step(model, many, 6) > flops_of_step(model, many, 12)  # words are spelled more often


def test_a_study_gives_an_elmo_the_work_that_its_steps_are(tmp_path, monkeypatch):
    settings = {
        "store": make_store(tmp_path / "store"),
        "out": tmp_path / "run",
        "recipe": "tiny",
        "model": {"network": "elmo", "max_positions": 64, "num_words": 100},
        "data": {"objective": "next", "next_sentence": False, "max_seq_length": 16, "batch_size": 16},
        "training": {"steps": 6},
        "runtime": {"micro_batch_size": 10},
    }
    config = PretrainConfig.from_layers(settings)
    store = TokenStore.open(config.store)
    batch, _ = PretrainingBatches(store.train, store.tokenizer, config.data, config.seed).batch(Cursor())
    monkeypatch.setattr(budget, "_SAMPLED_BATCHES", 1)
    cost = budget.step_cost(config)
    torchs = counted(new_network(config, store), batch, 10)
    assert cost.tokens == batch.num_tokens
    assert cost.flops == pytest.approx(torchs, rel=0.02)
