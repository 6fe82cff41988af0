"""ELMo: the published network's outputs, torch's own LSTM, and what each direction may not see."""

import json
import os
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from bertsmith.batches.flat_words import FlatWords
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ArtefactError, ConfigurationError, DamagedArtefact
from bertsmith.model.character_encoder import CharacterEncoder
from bertsmith.model.elmo import Elmo, ScalarMix
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.elmo_weights import load_published_elmo
from bertsmith.model.lstm import Lstm, Steps
from bertsmith.model.recurrence import Clips, LstmState

assert_close = partial(torch.testing.assert_close, rtol=0, atol=1e-5)
SENTENCES = [["the", "cat", "sat", "on", "the", "mat"], ["dogs"], [], ["we", "saw", "it"]]


@pytest.fixture
def tiny_config():
    return ElmoConfig(
        character_size=5,
        filters=((1, 4), (2, 6), (3, 7)),
        max_characters=9,
        hidden_size=8,
        cell_size=20,
        num_layers=3,
        cell_clip=0.5,
        projection_clip=0.4,
        dropout=0.0,
    )


@pytest.fixture
def fixture_folder():
    folder = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache/bertsmith-data")) / "elmo-fixture"
    if not folder.is_dir():
        pytest.skip(f"the ELMo fixture is not here: {folder} (set BERTSMITH_DATA)")
    return folder


def test_the_published_network_gives_the_published_states(fixture_folder):
    """Both last layers of 30 sentences; each of the three texts goes on where its last sentence ended."""
    h5py = pytest.importorskip("h5py")
    model = load_published_elmo(fixture_folder / "model-options.json", fixture_folder / "model-lm_weights.hdf5").eval()
    texts = json.loads((fixture_folder / "model-lm_embeddings_sentences.json").read_text())
    width = model.config.hidden_size
    states = None
    with torch.no_grad():
        for number in range(10):
            inputs = FlatWords.from_sentences([text[number].split() for text in texts], model.config.max_characters)
            layers, states = model(inputs, states)
            ends = inputs.lengths.cumsum(0)
            for place, (end, length) in enumerate(zip(ends.tolist(), inputs.lengths.tolist(), strict=True)):
                with h5py.File(fixture_folder / f"model-lm_embeddings_{place}.hdf5") as file:
                    forward, backward = torch.from_numpy(file[str(number)][...])
                ours = layers[-1][end - length + 1 : end - 1]
                assert_close(ours[:, :width], forward)
                assert_close(ours[:, width:], backward)


@pytest.mark.parametrize("backward", [False, True])
def test_an_lstm_without_clipping_is_torchs_in_outputs_states_and_gradients(backward, randomise):
    lengths = torch.tensor([3, 9, 1, 9, 4])
    ours = randomise(Lstm(6, 11, 4))
    twin = nn.LSTM(6, 11, proj_size=4, batch_first=True)
    with torch.no_grad():
        twin.weight_ih_l0.copy_(ours.input_gates.weight)
        twin.bias_ih_l0.copy_(ours.input_gates.bias)
        twin.weight_hh_l0.copy_(ours.recurrent_gates.weight)
        twin.bias_hh_l0.zero_()
        twin.weight_hr_l0.copy_(ours.projection.weight)
    states = torch.randn(int(lengths.sum()), 6)
    begin = LstmState(torch.randn(5, 11), torch.randn(5, 4))
    steps = Steps.of(lengths, backward=backward)
    outputs, left = ours(states[steps.order], steps.counts, LstmState(*(part[steps.longest_first] for part in begin)))
    back = steps.longest_first.argsort()
    made = outputs[steps.places]

    sentences = [part.flip(0) if backward else part for part in states.split(lengths.tolist())]
    packed = nn.utils.rnn.pack_sequence(sentences, enforce_sorted=False)
    theirs, (output, memory) = twin(packed, (begin.output[None], begin.memory[None]))
    padded, _ = nn.utils.rnn.pad_packed_sequence(theirs, batch_first=True)
    flat = [row[:length].flip(0) if backward else row[:length] for row, length in zip(padded, lengths, strict=True)]
    assert_close(made, torch.cat(flat))
    assert_close(left.memory[back], memory[0])
    assert_close(left.output[back], output[0])

    weights = torch.randn_like(made)
    (made * weights).sum().backward()
    (torch.cat(flat) * weights).sum().backward()
    for mine, other in [
        (ours.input_gates.weight, twin.weight_ih_l0),
        (ours.input_gates.bias, twin.bias_ih_l0),
        (ours.recurrent_gates.weight, twin.weight_hh_l0),
        (ours.projection.weight, twin.weight_hr_l0),
    ]:
        assert_close(mine.grad, other.grad, atol=1e-4)


def test_clips_hold(tiny_config, randomise):
    layer = randomise(Lstm(8, 20, 8, Clips(0.5, 0.4)))
    with torch.no_grad():
        layer.projection.weight.mul_(5)
    steps = Steps.of(torch.tensor([30]), backward=False)
    outputs, left = layer(5 * torch.randn(30, 8), steps.counts)
    assert outputs.abs().max().item() == pytest.approx(0.4)
    assert left.memory.abs().max().item() == pytest.approx(0.5)


def test_no_direction_sees_what_it_is_to_tell(tiny_config, randomise):
    """A later word changes no bit of a forward state before it, an earlier one no bit of a backward state after it."""
    model = randomise(Elmo(tiny_config)).eval()
    before = model(FlatWords.from_sentences(SENTENCES, 9)).layers
    changed = [["the", "cat", "dog", "on", "the", "mat"], *SENTENCES[1:]]
    after = model(FlatWords.from_sentences(changed, 9)).layers
    width, place = tiny_config.hidden_size, 3  # of "dog", after the begin and two words
    for old, new in zip(before[1:], after[1:], strict=True):
        assert torch.equal(old[:place, :width], new[:place, :width])
        assert torch.equal(old[place + 1 :, width:], new[place + 1 :, width:])
        assert torch.equal(old[8:], new[8:])  # other sentences
        assert not torch.equal(old[place:8, :width], new[place:8, :width])
        assert not torch.equal(old[: place + 1, width:], new[: place + 1, width:])


def test_a_text_goes_on_where_its_last_sentence_ended(tiny_config, randomise):
    model = randomise(Elmo(tiny_config)).eval()
    _, (forward, _) = model(FlatWords.from_sentences([["the", "cat"], ["dogs"]], 9))
    fresh = model(FlatWords.from_sentences([["sat"], ["ran"]], 9)).layers[-1]
    gone_on = model(FlatWords.from_sentences([["sat"], ["ran"]], 9), (forward, forward)).layers[-1]
    assert not torch.allclose(fresh, gone_on, atol=1e-3)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_word_is_its_strongest_filters_through_highways(activation, tiny_config, randomise):
    model = randomise(CharacterEncoder(tiny_config.model_copy(update={"filter_activation": activation})))
    inputs = FlatWords.from_sentences([["saw", "it"]], 9)
    made = model(inputs.character_ids)
    characters = model.characters.weight[inputs.character_ids]  # [U, C, E]
    parts = []
    for convolution in model.filters:
        weight, length = convolution.weight, convolution.kernel_size[0]  # [count, E, length]
        windows = characters.unfold(1, length, 1)  # [U, C - length + 1, E, length]
        scores = torch.einsum("uwel,cel->uwc", windows, weight) + convolution.bias
        parts.append(getattr(torch, activation)(scores.amax(1)))
    states = torch.cat(parts, 1)
    for highway in model.highways:
        gate = torch.sigmoid(highway.gate(states))
        states = gate * torch.relu(highway.transform(states)) + (1 - gate) * states
    assert_close(made, model.projection(states))


def test_the_mix_is_its_formula():
    mix = ScalarMix(3)
    layers = [torch.randn(5, 4) for _ in range(3)]
    assert_close(mix(layers), sum(layers) / 3)
    with torch.no_grad():
        mix.weights.copy_(torch.tensor([1.0, -2.0, 0.5]))
        mix.gamma.fill_(2.5)
    shares = torch.tensor([1.0, -2.0, 0.5]).exp()
    shares /= shares.sum()
    assert_close(mix(layers), 2.5 * torch.einsum("k,ktd->td", shares, torch.stack(layers)))


def test_what_is_not_an_elmo_is_refused(tmp_path, fixture_folder):
    options = fixture_folder / "model-options.json"
    weights = tmp_path / "weights.hdf5"
    weights.write_bytes(b"no HDF5")
    with pytest.raises(DamagedArtefact, match="HDF5"):
        load_published_elmo(options, weights)
    (tmp_path / "options.json").write_text('{"lstm": {}}')
    with pytest.raises(ConfigurationError, match="'char_cnn' is missing"):
        load_published_elmo(tmp_path / "options.json", weights)
    wider = json.loads(options.read_text())
    wider["lstm"]["dim"] = 128
    (tmp_path / "options.json").write_text(json.dumps(wider))
    with pytest.raises(ArtefactError, match="does not go with"):
        load_published_elmo(tmp_path / "options.json", fixture_folder / "model-lm_weights.hdf5")
    with pytest.raises(ConfigurationError, match="does not fit a word of 4"):
        build_settings(ElmoConfig, {"max_characters": 4})


def test_clips_and_what_goes_on_have_the_gradients_of_the_formula(randomise):
    """Against the same steps written out in torch, float32 and both clips at work."""
    layer = randomise(Lstm(3, 5, 4, Clips(0.3, 0.2)))
    counts = [3, 3, 2, 1]
    rows = (3 * torch.randn(sum(counts), 3)).requires_grad_()
    begin = LstmState(torch.randn(3, 5).requires_grad_(), torch.randn(3, 4).requires_grad_())
    inputs = [rows, *begin, *layer.parameters()]

    def written_out():
        memory, output, found, ended = begin.memory, begin.output, [], []
        for step, count in zip(rows.split(counts), counts, strict=True):
            ended += list(zip(memory[count:].flip(0), output[count:].flip(0), strict=True))
            gates = layer.input_gates(step) + layer.recurrent_gates(output[:count])
            keep, forget, candidate, show = gates.chunk(4, dim=1)
            memory = (forget.sigmoid() * memory[:count] + keep.sigmoid() * candidate.tanh()).clamp(-0.3, 0.3)
            output = layer.projection(show.sigmoid() * memory.tanh()).clamp(-0.2, 0.2)
            found.append(output)
        ended += list(zip(memory.flip(0), output.flip(0), strict=True))
        return torch.cat(found), [torch.stack(part) for part in zip(*reversed(ended), strict=True)]

    outputs, left = layer(rows, counts, begin)
    expected, (memory, output) = written_out()
    for mine, other in ((outputs, expected), (left.memory, memory), (left.output, output)):
        assert_close(mine, other)
    weights = [torch.randn_like(part) for part in (expected, memory, output)]
    loss = sum((part * weight).sum() for part, weight in zip((outputs, *left), weights, strict=True))
    same = sum((part * weight).sum() for part, weight in zip((expected, memory, output), weights, strict=True))
    for mine, other in zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(same, inputs), strict=True):
        assert_close(mine, other)


def test_the_memory_is_exact_where_the_weights_are_not(randomise):
    layer = randomise(Lstm(3, 5)).bfloat16()
    outputs, left = layer(torch.randn(4, 3, dtype=torch.bfloat16), [2, 1, 1])
    assert (outputs.dtype, left.memory.dtype, left.output.dtype) == (torch.bfloat16, torch.float32, torch.bfloat16)
    outputs.float().sum().backward()
    assert layer.input_gates.weight.grad.isfinite().all()
