"""The table of names is reversible and complete."""

import torch
import transformers

from bertsmith.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertsmith.model.bert_for_tasks import BertForSequenceClassification
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.weight_names import BERT_NAMES, ELMO_NAMES

LABELS = ClassifierLabels(("a", "b"))


def our_models(config):
    pairs = {
        Bert: transformers.BertModel,
        BertForPreTraining: transformers.BertForPreTraining,
        BertForMaskedLM: transformers.BertForMaskedLM,
        BertForSequenceClassification: transformers.BertForSequenceClassification,
    }
    for ours, theirs in pairs.items():
        model = ours(config, LABELS) if ours is BertForSequenceClassification else ours(config)
        yield model, theirs(transformers.BertConfig(**config.to_hugging_face()))


def test_every_weight_of_every_model_has_the_name_and_shape_of_transformers(tiny_config):
    for model, twin in our_models(tiny_config):
        ours = {name: tuple(tensor.shape) for name, tensor in BERT_NAMES.to_hugging_face(model.state_dict()).items()}
        theirs = {
            name: tuple(tensor.shape) for name, tensor in twin.state_dict().items() if name not in BERT_NAMES.tied
        }
        assert ours == theirs


def test_putting_the_parts_end_to_end_gives_the_tensor_back(tiny_config, randomise):
    model = randomise(BertForPreTraining(tiny_config))
    theirs = BERT_NAMES.to_hugging_face(model.state_dict())
    assert len(theirs) > len(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(torch.cat([theirs[other] for other in BERT_NAMES.of(name)]), tensor), name


def test_names_of_all_versions_have_one_plain_form():
    plain = "encoder.layer.11.output.LayerNorm.weight"
    for name in (plain, f"bert.{plain}", "bert.encoder.layer.11.output.LayerNorm.gamma"):
        assert BERT_NAMES.plain(name) == plain
    assert BERT_NAMES.plain("cls.predictions.transform.LayerNorm.beta") == "cls.predictions.transform.LayerNorm.bias"


def test_only_heads_and_copies_may_be_left_unread():
    harmless = ["pooler.dense.bias", "cls.seq_relationship.weight", "classifier.bias", "embeddings.position_ids"]
    harmful = ["encoder.layer.12.output.dense.bias", "embeddings.word_embeddings.weight", "cls.other.weight", "lm_head"]
    assert all(map(BERT_NAMES.is_harmless, harmless))
    assert not any(map(BERT_NAMES.is_harmless, harmful))


def test_an_encoder_is_read_from_a_folder_with_any_head_on_it():
    heads = [
        "vocabulary.head.bias",
        "vocabulary.tails.1.weight",
        "bilstm.first.forward_lstm.input_gates.weight",
        "mix.gamma",
    ]
    assert all(map(ELMO_NAMES.is_harmless, heads))
    assert not ELMO_NAMES.is_harmless("words.filters.0.weight")
    assert not ELMO_NAMES.is_harmless("vocabulary.head.other")
    assert ELMO_NAMES.of("elmo.words.highways.1.gate.bias") == ("elmo.words.highways.1.gate.bias",)
    assert ELMO_NAMES.of("elmo.words.filters.3.weight") == ("elmo.words.filters.3.weight",)
