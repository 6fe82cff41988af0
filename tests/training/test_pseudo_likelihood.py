"""The pseudo-log-likelihood is that of a slow computation through transformers, one hidden token at a time."""

import math

import numpy as np
import pytest
import torch
import transformers

from bertsmith.model.bert import BertForMaskedLM, BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import save_model
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.pseudo_likelihood import pseudo_log_likelihoods

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES += ["the", "dog", "cat", "sat", "on", "un", "##want", "##ed", "##ing", "mat", ".", "##s", "a"]
SENTENCES = (
    "The dog sat.",
    "unwanted dogs sat on the mats.",
    "cat",
    "wanted",
    "a unwanteds sating dog the.",
    "zzz [MASK] dog",
    "the cats sat on a mat and an unwanting dog sat on the cat.",
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(PIECES)


def network(tokenizer: Tokenizer, model_class: type = BertForMaskedLM, **settings: int) -> torch.nn.Module:
    """Random weights far from the initial ones, so that every token matters to every other."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    size = {"vocab_size": tokenizer.vocabulary_size, "max_position_embeddings": 40}
    model = model_class(BertConfig(**(shape | size | settings)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if name.endswith("norm.weight") else 0.0
            parameter.copy_(centre + 0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def slow_score(model: transformers.BertForMaskedLM, tokenizer: Tokenizer, sentence: str) -> float:
    """As the papers say it, word by word, in strings and one sequence at a time."""
    pieces = ["[CLS]", *tokenizer.tokens(tokenizer.encode_plain([sentence])[0].tolist()), "[SEP]"]
    total = 0.0
    for place in range(1, len(pieces) - 1):
        shown = list(pieces)
        shown[place] = "[MASK]"
        rest = place + 1
        while pieces[rest].startswith("##"):
            shown[rest] = "[MASK]"
            rest += 1
        ids = torch.tensor([[PIECES.index(piece) for piece in shown]])
        logits = model(input_ids=ids).logits[0, place].double()
        total += (logits - logits.logsumexp(dim=0))[PIECES.index(pieces[place])].item()
    return total


def test_the_scores_are_those_of_transformers(tokenizer, tmp_path):
    model = network(tokenizer)
    save_model(model, tmp_path, tokenizer, model_card="")
    twin = transformers.BertForMaskedLM.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        expected = [slow_score(twin, tokenizer, sentence) for sentence in SENTENCES]
    ids = tokenizer.encode_plain(SENTENCES)
    assert pseudo_log_likelihoods(model, tokenizer, ids, batch_tokens=40) == pytest.approx(expected, abs=1e-4)
    assert len({round(score, 3) for score in expected}) == len(SENTENCES)


@pytest.mark.parametrize("batch_tokens", [1, 30, 10000])
def test_the_size_of_a_batch_does_not_matter(tokenizer, batch_tokens):
    model, ids = network(tokenizer, BertForPreTraining), tokenizer.encode_plain(SENTENCES)
    expected = pseudo_log_likelihoods(model, tokenizer, ids, batch_tokens=50)
    assert pseudo_log_likelihoods(model, tokenizer, ids, batch_tokens=batch_tokens) == pytest.approx(expected, abs=1e-4)


def test_rows_beyond_the_vocabulary_stand_for_nothing(tokenizer):
    """A vocabulary layer padded to a round number: the extra pieces get no probability."""
    model, padded = network(tokenizer), network(tokenizer, vocab_size=32)
    size = tokenizer.vocabulary_size
    with torch.no_grad():
        weights = dict(model.named_parameters())
        for name, parameter in padded.named_parameters():
            parameter[: len(weights[name])] = weights[name]
            if len(parameter) == 32 > size == len(weights[name]):
                parameter[size:] = 9.0
    ids = tokenizer.encode_plain(SENTENCES)
    expected = pseudo_log_likelihoods(model, tokenizer, ids, batch_tokens=50)
    assert pseudo_log_likelihoods(padded, tokenizer, ids, batch_tokens=50) == pytest.approx(expected, abs=1e-4)


def test_a_network_that_knows_only_frequencies_gives_the_sum_of_their_logarithms(tokenizer):
    model = network(tokenizer)
    frequencies = np.arange(1, tokenizer.vocabulary_size + 1) / sum(range(1, tokenizer.vocabulary_size + 1))
    with torch.no_grad():
        model.bert.embeddings.tokens.weight.zero_()
        model.masked_lm.bias.copy_(torch.from_numpy(np.log(frequencies)))
    for ids in tokenizer.encode_plain(SENTENCES):
        (score,) = pseudo_log_likelihoods(model, tokenizer, [ids], batch_tokens=20)
        assert score == pytest.approx(math.fsum(np.log(frequencies)[ids]), abs=1e-4)


def test_the_stop_is_obeyed_between_batches(tokenizer):
    asked = iter([False, False, True])
    ids = tokenizer.encode_plain(SENTENCES)
    assert pseudo_log_likelihoods(network(tokenizer), tokenizer, ids, batch_tokens=20, stop=lambda: next(asked)) is None
