"""With the co-occurrence initialisation a network knows what pairs of words tell before its first step."""

import numpy as np
import pytest
import torch
from scipy import sparse
from small_runs import make_chain_store
from transformers import AutoModelForPreTraining

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.held_out import held_out_batches
from bertsmith.core.errors import ConfigurationError, MismatchedArtefact
from bertsmith.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.cooccurrence import DISTANCES
from bertsmith.model.folder import save_model
from bertsmith.model.initialisation import initialise
from bertsmith.model.neighbour import head_offset
from bertsmith.text.pair_counts import TextCounts, count_text
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import guess_held_out, unigram_loss

MASKED = BatchSettings(max_seq_length=64)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> TokenStore:
    """A text in which the word before and the word after tell nearly everything."""
    return TokenStore.open(make_chain_store(tmp_path_factory.mktemp("chain") / "store"))


@pytest.fixture(scope="module")
def counts(store) -> TextCounts:
    return count_text(store, DISTANCES)


def network(counts, *, layers=2, hidden_size=64, heads=4, seed=0, kind=BertForPreTraining):
    config = BertConfig(
        vocab_size=len(counts.tokens),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden_size,
        max_position_embeddings=128,
    )
    model = kind(config).eval()
    initialise(model, "cooccurrence", seed, counts)
    return model


def sequence(tokens, first_segment):
    segments = [0] * first_segment + [1] * (len(tokens) - first_segment)
    return FlatBatch.from_sequences([np.asarray(tokens)], [np.asarray(segments)])


@pytest.mark.parametrize(
    ("layers", "hidden_size", "heads", "share"),
    [(1, 64, 2, 0.6), (2, 64, 4, 0.65), (4, 128, 4, 0.6), (2, 96, 12, 0.8)],  # heads of 8 hold little of a link
    ids=str,
)
def test_before_the_first_step_it_guesses_from_neighbours_what_frequency_cannot(
    store, counts, layers, hidden_size, heads, share
):
    batches = held_out_batches(store, MASKED, max_sequences=128, batch_size=32)
    scores = guess_held_out(network(counts, layers=layers, hidden_size=hidden_size, heads=heads), batches).scores
    assert scores.token_loss < share * unigram_loss(batches, store.token_counts)
    ordinary = BertForPreTraining(network(counts).config)
    initialise(ordinary, "normal", 0)
    assert scores.token_accuracy > 0.35
    assert guess_held_out(ordinary.eval(), batches).scores.token_accuracy < 0.1


@pytest.mark.parametrize(("length", "share"), [(32, 0.8), (128, 0.6)])
def test_the_heads_of_layer_2_look_at_their_offsets(counts, length, share):
    model = network(counts, hidden_size=256)
    tokens = np.random.default_rng(0).integers(5, 45, size=length)
    with torch.inference_mode():
        attention = model.bert.attention_probabilities(sequence(tokens, length // 2))[1][0]  # [A, S, S]
    for head in range(4):
        assert attention[head].diagonal(head_offset(head)).mean() > share


def test_half_of_the_heads_of_layer_1_find_the_same_word_in_the_other_segment(counts):
    model = network(counts, hidden_size=256)
    words = np.random.default_rng(0).permutation(np.arange(5, 45))[:20]
    second = np.random.default_rng(1).permutation(words)
    with torch.inference_mode():
        attention = model.bert.attention_probabilities(sequence([*words, *second], 20))[0][0]  # [A, S, S]
    twin = torch.tensor([20 + int(np.flatnonzero(second == word)[0]) for word in words])
    for head in range(4):
        found = attention[head, torch.arange(20), twin].mean()
        assert found > 0.8 if head < 2 else found < 0.05


def test_only_values_differ_and_what_is_not_named_is_ordinary(counts):
    model, ordinary = network(counts, layers=3), BertForPreTraining(network(counts, layers=3).config)
    initialise(ordinary, "normal", 0)
    changed = {
        name
        for (name, mine), other in zip(model.named_parameters(), ordinary.parameters(), strict=True)
        if not torch.equal(mine, other)
    }
    embeddings = {f"bert.embeddings.{table}.weight" for table in ("tokens", "positions", "segments")}
    attention = {f"bert.encoder.layers.{n}.attention.{part}.weight" for n in (0, 1) for part in ("qkv", "output")}
    assert changed == embeddings | attention | {"masked_lm.transform.weight", "masked_lm.bias"}


def test_pieces_that_do_not_occur_keep_ordinary_values_smaller_than_those_of_words(store, counts):
    table = network(counts, hidden_size=128).bert.embeddings.tokens.weight
    norms = table.norm(dim=1)
    assert norms[store.tokenizer.mask_id] > 0
    assert norms[store.tokenizer.mask_id] < 0.5 * norms[counts.tokens > 0].min()


def test_it_is_a_function_of_counts_and_seed(counts):
    first, again, other = (dict(network(counts, seed=seed).named_parameters()) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["bert.embeddings.tokens.weight"], other["bert.embeddings.tokens.weight"])


def test_stock_transformers_load_it_and_guess_the_same(store, counts, tmp_path):
    model = network(counts)
    save_model(model, tmp_path, store.tokenizer, model_card="A test.\n")
    theirs = AutoModelForPreTraining.from_pretrained(tmp_path).eval()
    tokens = np.random.default_rng(0).integers(5, 45, size=30)
    with torch.inference_mode():
        mine = model(sequence(tokens, 15), torch.arange(30)).token_logits
        segments = torch.tensor([[0] * 15 + [1] * 15])
        logits = theirs(torch.from_numpy(tokens)[None], token_type_ids=segments).prediction_logits[0]
    torch.testing.assert_close(mine, logits, rtol=1e-5, atol=1e-4)  # logits of some 10


def test_a_masked_language_model_without_next_sentence_head_can_have_it_too(counts):
    assert network(counts, kind=BertForMaskedLM).bert.pooler is None


def test_what_it_cannot_do_is_said(counts):
    with pytest.raises(ConfigurationError, match="needs the counts of the text"):
        initialise(BertForPreTraining(BertConfig.of_size("tiny", vocab_size=9)), "cooccurrence", 0)
    with pytest.raises(ConfigurationError, match="models with a masked-LM head"):
        initialise(Bert(BertConfig.of_size("tiny", vocab_size=len(counts.tokens))), "cooccurrence", 0, counts)
    with pytest.raises(ConfigurationError, match="states of 4 and heads of 4"):
        network(counts, hidden_size=4, heads=1)
    empty = sparse.csr_array((3, 3), dtype=np.float64)
    wrong = TextCounts(np.ones(3, dtype=np.int64), [empty, empty])
    with pytest.raises(MismatchedArtefact, match="counts are of 3 pieces"):
        initialise(BertForPreTraining(BertConfig.of_size("tiny", vocab_size=9)), "cooccurrence", 0, wrong)
