"""An ELMo is pre-trained by the same loop on the same store, and its states go where those of others go."""

import numpy as np
import pytest
import torch
from small_runs import make_chain_store

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.batches.held_out import held_out_batches
from bertsmith.core.errors import ArtefactError, ConfigurationError
from bertsmith.frozen_features.extraction import FeatureExtractor
from bertsmith.frozen_features.layer_choice import LayerChoice
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.bilstm_for_tasks import BiLstmForTokenClassification
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.elmo_language_model import ElmoLanguageModel, ElmoOnPieces
from bertsmith.model.folder import load_model
from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.pretraining import pretrain, resume_pretraining

NEXT = {"objective": "next", "next_sentence": False}


def configure(store, out, **changes):
    settings = {
        "store": store,
        "out": out,
        "recipe": "tiny",
        "model": {"network": "elmo", "max_positions": 64, "hidden_dropout": 0.0, "num_words": 30},
        "data": NEXT | {"max_seq_length": 32, "batch_size": 16},
        "training": {"steps": 6, "learning_rate": 1e-2, "warmup_share": 0.1},
        "runtime": {"evaluations": 1, "evaluation_sequences": 32, "precision": "float32", "threads": 1},
    }
    return PretrainConfig.from_layers(settings, changes)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Text in which a word all but determines the next one, and so the one before: 40 words in turn."""
    return make_chain_store(tmp_path_factory.mktemp("chain") / "store")


@pytest.fixture(scope="module")
def learnt(chain, tmp_path_factory):
    return pretrain(configure(chain, tmp_path_factory.mktemp("learnt") / "run", training={"steps": 100}))


def test_it_learns_what_stands_before_and_after(learnt):
    assert learnt.held_out.token_accuracy > 0.5  # ten of the forty words are unknown, and told alike
    assert learnt.held_out.nsp_accuracy is None


def test_evaluate_scores_it_as_its_run_did(chain, learnt):
    runtime = InferenceSettings(precision="float32", threads=1)
    scored = evaluate(EvaluateConfig(model=learnt.model, data=chain, max_sequences=32, runtime=runtime))
    assert scored.scores.token_loss == pytest.approx(learnt.held_out.token_loss, rel=1e-5)
    assert scored.scores.token_accuracy == pytest.approx(learnt.held_out.token_accuracy)


def test_its_loss_is_that_of_both_directions_word_by_word(chain, learnt):
    """Written out for one sequence after another, and against the frequencies of the softmax's classes."""
    model = load_model(ElmoLanguageModel, learnt.model).eval()
    store = TokenStore.open(chain)
    (batch, *_) = held_out_batches(store, configure(chain, "x").data, max_sequences=8, batch_size=8)
    known = (learnt.model / "words.txt").read_text().splitlines()
    assert len(known) == 30
    losses, told = model(batch.inputs, batch.masked_positions).token_scores.guesses(batch.masked_labels)
    total, correct = model(batch.inputs, batch.masked_positions).token_scores.judge(batch.masked_labels)
    torch.testing.assert_close(losses.sum(), total)
    assert torch.equal(told, correct)
    place = 0
    for number in range(batch.num_sequences):
        inputs = batch.slice(number, number + 1).inputs
        words = store.tokenizer.tokens(inputs.token_ids.tolist())[1:-1]
        numbers = [0, *(3 + known.index(word) if word in known else 2 for word in words), 1]
        last = model.elmo.read(inputs)[1].layers[-1]
        width = model.config.hidden_size
        logits = [model.vocabulary.head(side) for side in (last[:, :width], last[:, width:])]
        forward = torch.log_softmax(logits[0], dim=1)[torch.arange(len(words) + 1), numbers[1:]]
        backward = torch.log_softmax(logits[1], dim=1)[torch.arange(1, len(words) + 2), numbers[:-1]]
        expected = -(forward + torch.cat([backward[1:], backward[:1]])) / 2
        torch.testing.assert_close(losses[place : place + len(expected)], expected)
        place += len(expected)
    assert place == len(losses)


def test_pairs_are_refused_since_each_text_is_told_by_itself(learnt):
    model = load_model(ElmoLanguageModel, learnt.model)
    pair = FlatBatch.from_sequences([[2, 9, 3, 8, 3]], [[0, 0, 0, 1, 1]])
    with pytest.raises(ValueError, match="not pairs"):
        model(pair, torch.arange(4)).token_scores.judge(torch.zeros(4))


def test_a_cut_run_goes_on_bit_for_bit(chain, tmp_path):
    runtime = {"checkpoint_steps": 2, "keep_checkpoints": 5}
    whole, cut = (configure(chain, tmp_path / name, runtime=runtime) for name in ("whole", "cut"))
    pretrain(whole)
    pretrain(cut)
    (cut.out / "model").rename(cut.out / "old")
    resume_pretraining(cut.out / "checkpoints" / "step-00000004", {})
    weights = [(config.out / "model" / "model.safetensors").read_bytes() for config in (whole, cut)]
    assert weights[0] == weights[1]


def test_its_states_are_features_of_pieces_words_and_tasks(learnt):
    encoder = load_model(ElmoOnPieces, learnt.model).eval()
    pair = FlatBatch.from_sequences([[2, 9, 8, 3, 7, 3]], [[0, 0, 0, 0, 1, 1]])
    words, states, last = encoder.states_of(pair, [0, 1, 2])
    assert words.shape == states.shape == last.shape == (6, 128)
    alone = encoder.states_of(FlatBatch.from_sequences([[2, 9, 8, 3]], [[0] * 4]), [2])[0]
    torch.testing.assert_close(last[:4], alone)  # each text by itself
    assert torch.equal(words[:, :64], words[:, 64:])
    with pytest.raises(ValueError, match="the layers are 0 to 2"):
        encoder.states_of(pair, [3])

    layers, exact = LayerChoice(layers=("embeddings", "all")), InferenceSettings(precision="float32")
    extractor = FeatureExtractor.load(learnt.model, layers, unit="word", settings=exact)
    (features,) = extractor.features(["word3 word4"])
    assert features.vectors.shape == (2, 3 * 128)
    read = FlatBatch.from_sequences([[2, 8, 9, 3]], [[0] * 4])
    expected = torch.cat(encoder.states_of(read, [0, 1, 2]), dim=1)[1:3]
    np.testing.assert_allclose(features.vectors, expected.detach().numpy(), atol=1e-5)

    tagger = load_model(
        BiLstmForTokenClassification,
        learnt.model,
        seed=0,
        labels=ClassifierLabels(("a", "b")),
        bilstm=BiLstmConfig(layers=(0, 1, 2), combine="weighted-sum", size=8),
    )
    assert tagger(pair).shape == (6, 2)
    assert not any(parameter.requires_grad for parameter in tagger.encoder.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"objective": "masked"}}, "tells the next and the previous word: set data.objective = next"),
        ({"data": {"special_pieces": False}}, "have a begin and an end"),
        ({"model": {"hidden_size": 32}}, "has its shape by its size alone"),
        ({"model": {"initialisation": "neighbour"}}, "is for masked language models"),
    ],
)
def test_what_it_cannot_be_is_refused(chain, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        configure(chain, "out", **changes)


def test_a_folder_without_words_has_no_language_model(learnt, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"):
        (folder / name).write_bytes((learnt.model / name).read_bytes())
    load_model(ElmoOnPieces, folder)
    with pytest.raises(ArtefactError, match=r"has no readable words\.txt"):
        load_model(ElmoLanguageModel, folder)
