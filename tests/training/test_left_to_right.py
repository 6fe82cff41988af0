"""Pre-training from left to right: GPT, and BERT without a look to the right; the same loop, store and folders."""

import math

import numpy as np
import pytest
import torch
import transformers
from small_runs import make_chain_store, small_config

from bertsmith.batches.held_out import held_out_batches
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.errors import ArtefactError, BertsmithError, ConfigurationError
from bertsmith.diagnosis.doctor import DoctorConfig, doctor
from bertsmith.model.bert import BertForMaskedLM, BertForPreTraining
from bertsmith.model.folder import load_model
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
from bertsmith.tasks.filling import FillConfig, fill
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import guess_held_out
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.pretraining import pretrain, resume_pretraining

NEXT = {"objective": "next", "next_sentence": False}
GPT = {"model": {"network": "gpt"}, "data": NEXT | {"special_pieces": False}}
LEFT_TO_RIGHT = {"data": NEXT}
kinds = pytest.mark.parametrize("kind", [GPT, LEFT_TO_RIGHT], ids=["gpt", "bert"])


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Text in which a word all but determines the next one."""
    return make_chain_store(tmp_path_factory.mktemp("chain") / "store")


def learning(store, out, kind):
    learns = {
        "model": {"hidden_dropout": 0.0, "attention_dropout": 0.0, "num_hidden_layers": 1, "hidden_size": 64},
        "data": {"phases": [{"share": 1.0}], "batch_size": 16},
        "training": {"steps": 150, "learning_rate": 4e-3},
        "runtime": {"checkpoint_steps": 150, "precision": "float32", "micro_batch_size": 16},
    }
    merged = {group: learns.get(group, {}) | kind.get(group, {}) for group in {*learns, *kind}}
    return small_config(store, out, **merged)


@pytest.fixture(scope="module", params=[GPT, LEFT_TO_RIGHT], ids=["gpt", "bert"])
def learnt(request, chain, tmp_path_factory):
    config = learning(chain, tmp_path_factory.mktemp("learnt") / "run", request.param)
    return config, pretrain(config)


def test_it_learns_what_follows_what(learnt):
    """Nine words in ten follow from the one before: an accuracy of nearly 0.9, where there is one before."""
    config, result = learnt
    assert result.held_out.token_accuracy > 0.7
    assert result.held_out.perplexity == pytest.approx(math.exp(result.held_out.token_loss))
    assert result.held_out.nsp_accuracy is None
    assert not any("plateau" in record for record in read_metrics(config.out))


def test_evaluate_scores_it_on_next_words_as_its_run_did(learnt):
    config, result = learnt
    sequences = config.runtime.evaluation_sequences
    runtime = InferenceSettings(precision="float32")
    scored = evaluate(EvaluateConfig(model=config.out, data=config.store, max_sequences=sequences, runtime=runtime))
    assert scored.sequences == sequences
    assert scored.scores.token_loss == pytest.approx(result.held_out.token_loss, rel=1e-5)
    assert scored.scores.token_accuracy == pytest.approx(result.held_out.token_accuracy)
    assert scored.scores.nsp_accuracy is None
    assert scored.breakdown.by_frequency
    assert not scored.breakdown.whole_words


def test_what_hides_words_is_refused_with_it(learnt):
    config, _ = learnt
    with pytest.raises(BertsmithError, match=r"holds a GPT, .* needs a BERT|reads from left to right"):
        fill(FillConfig(model=config.out, texts=("a [MASK]",)))


def test_transformers_reads_the_folder_and_has_the_same_loss(learnt):
    config, result = learnt
    store = TokenStore.open(config.store)
    batches = held_out_batches(store, config.data, max_sequences=16, batch_size=16)
    is_gpt = config.model.network == "gpt"
    twin_class = transformers.OpenAIGPTLMHeadModel if is_gpt else transformers.BertForPreTraining
    twin, info = twin_class.from_pretrained(result.model, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    losses = []
    for batch in batches:
        for number in range(batch.num_sequences):
            sample = batch.slice(number, number + 1)
            with torch.no_grad():
                output = twin.eval()(sample.inputs.token_ids[None])
            logits = (output.logits if is_gpt else output.prediction_logits)[0, sample.masked_positions]
            losses.append(torch.nn.functional.cross_entropy(logits, sample.masked_labels, reduction="none"))
    assert torch.cat(losses).mean().item() == pytest.approx(result.held_out.token_loss, abs=1e-5)


@kinds
def test_samples_are_text_as_it_is_and_every_piece_of_it_is_told_once(kind, chain, tmp_path):
    config = learning(chain, tmp_path / "run", kind)
    store = TokenStore.open(chain)
    batch, _ = PretrainingBatches(store.train, store.tokenizer, config.data, 0).batch(Cursor())
    has_special = np.isin(batch.inputs.token_ids.numpy(), list(store.tokenizer.special_ids))
    assert has_special.sum() == (0 if config.model.network == "gpt" else 2 * batch.num_sequences)
    assert len(batch.masked_labels) == batch.num_tokens - batch.num_sequences
    assert batch.not_next is None
    assert batch.inputs.max_seqlen <= config.data.max_seq_length


@kinds
def test_a_cut_run_goes_on_bit_for_bit(kind, chain, tmp_path):
    whole, cut = (small_config(chain, tmp_path / name, **kind) for name in ("whole", "cut"))
    pretrain(whole)
    pretrain(cut)
    (cut.out / "model" / "model.safetensors").unlink()
    for path in (cut.out / "model").iterdir():
        path.unlink()
    (cut.out / "model").rmdir()
    resume_pretraining(cut.out / "checkpoints" / "step-00000004", {})
    weights = [(config.out / "model" / "model.safetensors").read_bytes() for config in (whole, cut)]
    assert weights[0] == weights[1]


def test_a_masked_network_may_go_on_from_left_to_right(chain, tmp_path):
    pretrain(small_config(chain, tmp_path / "masked"))
    result = pretrain(small_config(chain, tmp_path / "next", init=tmp_path / "masked", **LEFT_TO_RIGHT))
    assert load_model(BertForPreTraining, result.model).config.is_decoder


def test_who_must_see_both_sides_refuses_it(chain, tmp_path):
    result = pretrain(small_config(chain, tmp_path / "run", **LEFT_TO_RIGHT))
    with pytest.raises(ArtefactError, match="reads from left to right"):
        load_model(BertForMaskedLM, result.model)
    with pytest.raises(ConfigurationError, match="the doctor examines masked language models"):
        doctor(DoctorConfig(subject=tmp_path / "run"))


def test_the_scores_of_a_text_do_not_depend_on_what_stands_beside_it(learnt):
    config, result = learnt
    network = GptLanguageModel if config.model.network == "gpt" else BertForPreTraining
    model = load_model(network, result.model)
    store = TokenStore.open(config.store)
    (together,) = held_out_batches(store, config.data, max_sequences=8, batch_size=8)
    alone = [together.slice(number, number + 1) for number in range(8)]
    first, second = (guess_held_out(model, batches).tokens.losses for batches in ([together], alone))
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"network": "gpt"}}, "a GPT tells the next piece: set data.objective = next"),
        (LEFT_TO_RIGHT | {"model": {"initialisation": "neighbour"}}, "set it to normal"),
        (LEFT_TO_RIGHT | {"runtime": {"minimal_pairs": "english"}}, "minimal pairs are scored by masks"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message, chain, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        small_config(chain, tmp_path / "run", **changes)
