"""With the neighbour initialisation each head of layer 1 looks at its own offset, and nothing but values differs."""

import numpy as np
import pytest
import torch

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.core.errors import ConfigurationError, MismatchedArtefact
from bertsmith.model.bert import Bert, BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.initialisation import initialise
from bertsmith.model.neighbour import PEAK_LOGIT, head_offset
from bertsmith.text.pair_counts import TextCounts

VOCABULARY = 3000


def neighbour_encoder(layers, hidden_size, heads):
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden_size,
    )
    model = Bert(config).eval()
    initialise(model, "neighbour", seed=0)
    return model


def zipf_batch(length, sequences=4):
    """Two segments of tokens as frequent as words are: the commonest makes up an eighth."""
    generator = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, VOCABULARY + 1)
    ids = generator.choice(VOCABULARY, size=(sequences, length), p=weights / weights.sum())
    segments = np.tile(np.arange(length) >= length // 2, (sequences, 1))
    return FlatBatch.from_sequences(list(ids), list(segments))


def attention_by_offset(probabilities, head):
    """Mean attention of one head at each offset from -8 to 8."""
    means = {}
    for offset in range(-8, 9):
        diagonals = [sequence[head].diagonal(offset) for sequence in probabilities]
        means[offset] = torch.cat(diagonals).mean().item()
    return means


def test_the_offsets_of_the_heads_alternate_and_grow():
    assert [head_offset(head) for head in range(6)] == [-1, 1, -2, 2, -3, 3]


@pytest.mark.parametrize("length", [128, 512])
@pytest.mark.parametrize(("hidden_size", "heads"), [(128, 2), (256, 4), (256, 8), (384, 12), (128, 8)], ids=str)
def test_every_head_of_layer_1_looks_most_at_its_offset(hidden_size, heads, length):
    model = neighbour_encoder(1, hidden_size, heads)
    with torch.inference_mode():
        probabilities = model.attention_probabilities(zipf_batch(length))[0]
    for head in range(heads):
        means = attention_by_offset(probabilities, head)
        offset = head_offset(head)
        others = [mean for other, mean in means.items() if other != offset]
        assert means[offset] > 4 * max(others), (head, means)


@pytest.mark.parametrize(("length", "share_of_rows", "mean"), [(128, 0.9, 0.45), (512, 0.8, 0.2)])
@pytest.mark.parametrize(("hidden_size", "heads"), [(128, 2), (512, 8)])
def test_with_heads_of_64_the_offset_is_nearly_always_the_first_choice(hidden_size, heads, length, share_of_rows, mean):
    model = neighbour_encoder(1, hidden_size, heads)
    with torch.inference_mode():
        probabilities = torch.stack(model.attention_probabilities(zipf_batch(length))[0])  # [B, A, S, S]
    for head in range(heads):
        offset = head_offset(head)
        rows = torch.arange(max(0, -offset), min(length, length - offset))
        of_head = probabilities[:, head, rows]
        assert (of_head.argmax(-1) == rows + offset).float().mean() > share_of_rows
        assert of_head[:, torch.arange(len(rows)), rows + offset].mean() > mean


@pytest.mark.parametrize(("hidden_size", "heads"), [(128, 2), (256, 4), (256, 8)])
def test_the_logit_at_the_offset_is_near_the_peak_after_layer_norm(hidden_size, heads):
    model = neighbour_encoder(1, hidden_size, heads)
    inputs = zipf_batch(512, sequences=1)
    with torch.inference_mode():
        qkv = model.encoder.layers[0].attention.qkv(model.embeddings(inputs))
        query, key, _ = qkv.view(512, 3, heads, -1).permute(1, 2, 0, 3)
        logits = query @ key.mT / query.shape[-1] ** 0.5
    for head in range(heads):
        assert logits[head].diagonal(head_offset(head)).mean().item() == pytest.approx(PEAK_LOGIT, rel=0.1)


def test_the_ordinary_initialisation_looks_nowhere():
    model = neighbour_encoder(1, 256, 4)
    initialise(model, "normal", seed=0)
    with torch.inference_mode():
        probabilities = model.attention_probabilities(zipf_batch(128))[0]
    for head in range(4):
        assert max(attention_by_offset(probabilities, head).values()) < 2 / 128


def test_values_and_outputs_of_all_layers_are_wider_and_the_rest_is_ordinary():
    model = neighbour_encoder(3, 256, 4)
    ordinary = Bert(model.config)
    initialise(ordinary, "normal", seed=0)
    for index, (layer, other) in enumerate(zip(model.encoder.layers, ordinary.encoder.layers, strict=True)):
        query, key, value = layer.attention.qkv.weight.chunk(3)
        assert value.std().item() == pytest.approx(0.05, rel=0.02)
        assert layer.attention.output.weight.std().item() == pytest.approx(0.05, rel=0.02)
        assert torch.equal(query, other.attention.qkv.weight[:256]) == (index > 0)
        assert torch.equal(key, other.attention.qkv.weight[256:512]) == (index > 0)
        assert torch.equal(layer.feed_forward.expand.weight, other.feed_forward.expand.weight)
    assert torch.equal(model.embeddings.tokens.weight, ordinary.embeddings.tokens.weight)


def test_positions_are_as_large_as_tokens_and_alike_only_at_equal_distance():
    model = neighbour_encoder(1, 256, 4)
    tokens, positions = model.embeddings.tokens.weight, model.embeddings.positions.weight
    assert positions.square().mean().item() == pytest.approx(tokens.square().mean().item(), rel=0.01)
    for head in range(4):
        rows = positions[:, 64 * head : 64 * (head + 1)]
        products = rows @ rows.T
        similarity = products / products[0, 0]
        torch.testing.assert_close(similarity.diagonal(), torch.ones(512))
        assert similarity.fill_diagonal_(0).abs().max() < 0.5


def test_the_output_bias_is_the_log_of_the_frequencies():
    model = BertForPreTraining(BertConfig.of_size("tiny", vocab_size=4))
    initialise(model, "neighbour", seed=0, counts=TextCounts(np.array([0, 1, 6, 89]), ()))
    torch.testing.assert_close(model.masked_lm.bias.exp(), torch.tensor([0.01, 0.02, 0.07, 0.90]))


def test_what_the_scheme_cannot_do_is_said():
    model = BertForPreTraining(BertConfig.of_size("tiny", vocab_size=4))
    with pytest.raises(ConfigurationError, match="needs the counts of the text"):
        initialise(model, "neighbour", seed=0)
    with pytest.raises(MismatchedArtefact, match="counts are of 3 pieces, and the model has 4"):
        initialise(model, "neighbour", seed=0, counts=TextCounts(np.ones(3, dtype=np.int64), ()))
    with pytest.raises(ConfigurationError, match="heads of an even size; 30 / 2 = 15"):
        neighbour_encoder(1, 30, 2)
