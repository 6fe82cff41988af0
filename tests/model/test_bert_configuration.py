"""Reading and writing the configuration: what is read, what is ignored, what is refused."""

import pytest
import transformers

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.configuration import SIZES, BertConfig, ClassifierLabels


@pytest.mark.parametrize("size", sorted(SIZES))
def test_a_size_is_its_layers_width_and_heads(size):
    config = BertConfig.of_size(size, vocab_size=1000)
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == SIZES[size]
    assert config.intermediate_size == 4 * config.hidden_size
    assert config.head_size == 64
    assert config.vocab_size == 1000


def test_the_defaults_are_berts_base_and_transformers():
    theirs = transformers.BertConfig().to_dict()
    assert BertConfig() == BertConfig.of_size("base")
    assert {name: theirs[name] for name in BertConfig.model_fields} == BertConfig().model_dump()


def test_a_configuration_written_is_read_again():
    config = BertConfig.of_size("tiny", vocab_size=77, classifier_dropout=0.2, hidden_act="relu")
    assert BertConfig.from_hugging_face(config.to_hugging_face(), "here") == config


def test_transformers_configuration_is_read_and_its_other_keys_ignored():
    theirs = transformers.BertConfig(hidden_size=96, num_attention_heads=3).to_dict()
    entries = theirs | {"transformers_version": "4.8.2", "gradient_checkpointing": False, "pad_token_id": None}
    config = BertConfig.from_hugging_face(entries, "here")
    assert (config.hidden_size, config.num_attention_heads, config.pad_token_id) == (96, 3, 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "roberta"),
        ("position_embedding_type", "relative_key"),
        ("add_cross_attention", True),
        ("hidden_act", "silu"),
        ("hidden_size", 100),
        ("num_hidden_layers", 0),
        ("hidden_dropout_prob", 1.0),
        ("vocab_size", "many"),
    ],
)
def test_a_network_that_we_do_not_build_is_refused_by_the_name_of_the_key(key, value):
    with pytest.raises(ConfigurationError, match=rf"^folder/config\.json .*{key}"):
        BertConfig.from_hugging_face(BertConfig().to_hugging_face() | {key: value}, "folder/config.json")


def test_an_unknown_size_or_setting_is_refused():
    with pytest.raises(ConfigurationError, match=r"no model size 'huge'\. The sizes are tiny, mini"):
        BertConfig.of_size("huge")
    with pytest.raises(ConfigurationError, match="Did you mean 'vocab_size'"):
        BertConfig.of_size("tiny", vocabsize=3)


@pytest.mark.parametrize("labels", [ClassifierLabels(("a", "b")), ClassifierLabels(("score",), "regression")])
def test_labels_written_are_read_again(labels):
    assert ClassifierLabels.from_hugging_face(labels.to_hugging_face(), "here") == labels


def test_labels_that_a_config_does_not_name_are_transformers():
    assert ClassifierLabels.from_hugging_face({}, "here") == ClassifierLabels(("LABEL_0", "LABEL_1"))
    assert ClassifierLabels.from_hugging_face({"id2label": {"0": "LABEL_0"}}, "here").problem == "regression"


@pytest.mark.parametrize(
    "entries",
    [
        {"problem_type": "token_salad"},
        {"id2label": {"1": "a", "2": "b"}},
        {"id2label": {"0": "a"}, "problem_type": "single_label_classification"},
        {"id2label": {"0": "a", "1": "b"}, "problem_type": "regression"},
    ],
)
def test_labels_that_cannot_be_are_refused(entries):
    with pytest.raises(ConfigurationError):
        ClassifierLabels.from_hugging_face(entries, "here")
