"""`fill` gives the pieces and probabilities that transformers' fill-mask pipeline gives; `evaluate` reads a store."""

import numpy as np
import pytest
from transformers import pipeline

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import ArtefactError, ConfigurationError, InputError, MismatchedArtefact
from bertsmith.model.bert import Bert
from bertsmith.model.folder import save_model
from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
from bertsmith.tasks.filling import FillConfig, fill
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.text.token_store_writer import TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer

FLOAT32 = InferenceSettings(precision="float32")


def test_the_candidates_are_those_of_transformers_fill_mask(pretrained):
    texts = ("the [MASK] sat on the mat .", "a dog [MASK] .")
    result = fill(FillConfig(model=pretrained, texts=texts, top=4, runtime=FLOAT32))
    reference = pipeline("fill-mask", model=str(pretrained), device="cpu")
    for filled, text in zip(result.texts, texts, strict=True):
        assert filled.text == text
        expected = reference(text, top_k=4)
        (candidates,) = filled.masks
        assert [candidate.piece for candidate in candidates] == [entry["token_str"] for entry in expected]
        for candidate, entry in zip(candidates, expected, strict=True):
            assert candidate.probability == pytest.approx(entry["score"], abs=1e-6)


def test_several_masks_are_filled_each_on_its_own(pretrained):
    text = "[MASK] cat [MASK] on [MASK]"
    (filled,) = fill(FillConfig(model=pretrained, texts=(text,), top=3, runtime=FLOAT32)).texts
    reference = pipeline("fill-mask", model=str(pretrained), device="cpu")(text, top_k=3)
    pieces = [[entry["token_str"] for entry in mask] for mask in reference]
    assert [[candidate.piece for candidate in candidates] for candidates in filled.masks] == pieces


def test_a_text_without_a_mask_or_too_long_is_refused(pretrained):
    with pytest.raises(InputError, match=r"There is no \[MASK\] in the text 'the cat'"):
        fill(FillConfig(model=pretrained, texts=("the cat",)))
    with pytest.raises(InputError, match="has 73 tokens, and the model reads at most 64"):
        fill(FillConfig(model=pretrained, texts=("[MASK]" + " cat" * 70,)))


def test_a_model_without_a_masked_lm_head_is_refused(tokenizer, tmp_path, tiny_config):
    with stage_artefact(tmp_path / "encoder", kind="model", command="test", configuration={}) as staging:
        save_model(Bert(tiny_config(tokenizer)), staging.folder, tokenizer, model_card="")
    with pytest.raises(ArtefactError, match="lacks what a BertForMaskedLM needs"):
        fill(FillConfig(model=tmp_path / "encoder", texts=("a [MASK]",)))


def make_store(folder, tokenizer, held_out=0.1):
    texts = ["the cat sat on the mat .", "it was a good dog .", "the film is fine !"]
    sentences = tokenizer.encode_plain(texts)
    with stage_artefact(folder, kind="token_store", command="prepare", configuration={}) as staging:
        writer = TokenStoreWriter(staging.folder, tokenizer, held_out=held_out)
        for index in range(40):
            document = [sentences[(index + offset) % 3] for offset in range(4)]
            writer.append_document(np.concatenate(document), np.array([len(ids) for ids in document]))
        writer.close()
    return folder


def test_evaluate_on_a_store_scores_its_held_out_text(pretrained, tokenizer, tmp_path):
    store = make_store(tmp_path / "store", tokenizer)
    config = EvaluateConfig(model=pretrained, data=store, max_seq_length=32, runtime=FLOAT32)
    result = evaluate(config)
    assert result.sequences > 0
    assert result.scores.token_loss == pytest.approx(4.3, abs=0.4)  # ln 72: an untrained network knows nothing
    assert 0.0 <= result.scores.nsp_accuracy <= 1.0
    for bands in (result.breakdown.by_frequency, result.breakdown.by_sentence_edge):
        assert sum(band.share * band.loss for band in bands) == pytest.approx(result.scores.token_loss)
    assert evaluate(config) == result


def test_evaluate_scores_minimal_pairs_of_a_file(pretrained, tmp_path):
    rows = ["phenomenon\tkind\tgood\tbad"]
    rows += [f"order\t{noun}\tthe {noun} sat .\tsat the {noun} ." for noun in ("cat", "dog", "man")]
    (tmp_path / "pairs.tsv").write_text("\n".join([*rows, "choice\tverb\tthe cat ran .\tthe cat and ."]) + "\n")
    scores = evaluate(EvaluateConfig(model=pretrained, minimal_pairs=tmp_path / "pairs.tsv", runtime=FLOAT32))
    assert {name: score.pairs for name, score in scores.phenomena.items()} == {"order": 3, "choice": 1}
    assert list(scores.kinds["order"]) == ["cat", "dog", "man"]
    mean = sum(score.accuracy for score in scores.kinds["order"].values()) / 3
    assert scores.phenomena["order"].accuracy == pytest.approx(mean)


@pytest.mark.parametrize("settings", [{}, {"data": "store", "minimal_pairs": "english"}])
def test_a_model_is_scored_on_one_thing(pretrained, settings):
    with pytest.raises(ConfigurationError, match="scored either on data or on minimal_pairs"):
        EvaluateConfig.from_layers({"model": pretrained}, settings)


def test_settings_that_say_nothing_of_what_is_scored_are_refused(pretrained, tmp_path):
    with pytest.raises(ConfigurationError, match="--part says nothing of minimal pairs"):
        evaluate(EvaluateConfig(model=pretrained, minimal_pairs="english", part="test"))
    (tmp_path / "dev.tsv").write_text("text\tlabel\nthe cat\tgood\n")
    with pytest.raises(ConfigurationError, match="--part says nothing of a file"):
        evaluate(EvaluateConfig(model=pretrained, data=tmp_path / "dev.tsv", part="test"))
    with pytest.raises(InputError, match="nowhere is not there"):
        evaluate(EvaluateConfig(model=pretrained, data=tmp_path / "nowhere"))


def test_a_store_without_held_out_text_or_of_another_vocabulary_is_refused(pretrained, tokenizer, tmp_path):
    empty = make_store(tmp_path / "empty", tokenizer, held_out=0.0)
    with pytest.raises(InputError, match="holds no held-out text"):
        evaluate(EvaluateConfig(model=pretrained, data=empty))
    other = make_store(tmp_path / "other", Tokenizer([*tokenizer.pieces, "extra"]))
    with pytest.raises(MismatchedArtefact, match=r"has the vocabulary .*, the token store .* has"):
        evaluate(EvaluateConfig(model=pretrained, data=other))
