"""The network that a run trains, as its settings say."""

from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from bertsmith.core.configuration import build_settings
from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.elmo_language_model import ElmoLanguageModel
from bertsmith.model.folder import load_model
from bertsmith.model.folder_configuration import load_any_config, resolve_model_folder
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.text.token_store import TokenStore
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_list import frequent_words
from bertsmith.training.configuration import PretrainConfig

Network = TypeVar("Network", bound=nn.Module)
PretrainedNetwork = BertForPreTraining | GptLanguageModel | ElmoLanguageModel


def network_config(config: PretrainConfig, tokenizer: Tokenizer) -> EncoderConfig:
    """The complete configuration of the network, for the pieces of a tokenizer."""
    if config.model.network == "gpt":
        return config.model.gpt_config(tokenizer.vocabulary_size)
    if config.model.network == "elmo":
        return config.model.elmo_config(tokenizer.vocabulary_size)
    network = config.model.bert_config(tokenizer.vocabulary_size, tokenizer.pad_id)
    return network.model_copy(update={"is_decoder": config.data.objective == "next"})


def new_network(config: PretrainConfig, store: TokenStore) -> PretrainedNetwork:
    """The network, its weights not yet set. The words that an ELMo tells are counted in the text, in some seconds."""
    shape = network_config(config, store.tokenizer)
    if isinstance(shape, ElmoConfig):
        words = frequent_words(store, shape.num_words)
        return ElmoLanguageModel(shape.for_words(len(words)), store.tokenizer, words)
    network = GptLanguageModel(shape) if isinstance(shape, GptConfig) else BertForPreTraining(shape)
    return _adapted(network, config)


def load_network(config: PretrainConfig, folder: Path) -> PretrainedNetwork:
    """The network with the weights of a folder and the dropout of the settings.

    Heads that are not there begin anew, as the seed says.
    """
    hidden, attention = config.model.hidden_dropout, config.model.attention_dropout
    if config.model.network == "gpt":
        rates: dict[str, Any] = {"resid_pdrop": hidden, "embd_pdrop": hidden, "attn_pdrop": attention}
        return _adapted(load_model(GptLanguageModel, folder, seed=config.seed, **rates), config)
    if config.model.network == "elmo":
        return load_model(ElmoLanguageModel, folder, seed=config.seed, dropout=hidden)
    is_decoder = config.data.objective == "next"
    rates = {"hidden_dropout_prob": hidden, "attention_probs_dropout_prob": attention}
    network = load_model(BertForPreTraining, folder, seed=config.seed, is_decoder=is_decoder, **rates)
    return _adapted(network, config)


def _adapted(network: Network, config: PretrainConfig) -> Network:
    config.runtime.adapt(network)
    return network


def load_pretrained(folder: Path) -> PretrainedNetwork:
    """The network in a folder with the heads that it was pre-trained with, of any family."""
    config = load_any_config(folder)
    if isinstance(config, GptConfig):
        return load_model(GptLanguageModel, folder)
    if isinstance(config, ElmoConfig):
        return load_model(ElmoLanguageModel, folder)
    return load_model(BertForPreTraining, folder)


def with_shape_of_init(config: PretrainConfig) -> PretrainConfig:
    """The settings with the shape of the model of `--init`, which a recipe may have another one of; the screen says so.

    raises  ConfigurationError for sequences that are longer than that model has positions
    """
    if config.init is None or config.model.network == "elmo":  # an ELMo has its shape by its size
        return config
    shape = shape_of(config.init)
    asked = _shape(network_config(config, Tokenizer.load(resolve_model_folder(config.init))))
    if asked == shape:
        return config
    console.print(
        f"The network is that of {config.init}: {shape['num_hidden_layers']} layers of {shape['hidden_size']}, not "
        f"{asked['num_hidden_layers']} of {asked['hidden_size']} as the settings have it.",
        soft_wrap=True,
    )
    return build_settings(PretrainConfig, config.model_dump(exclude_unset=True), {"model": shape})


def shape_of(folder: Path) -> dict[str, Any]:
    """The shape of the model in a folder, a BERT or a GPT, as the settings of a run say it."""
    network = load_any_config(resolve_model_folder(folder))
    if isinstance(network, ElmoConfig):
        raise ConfigurationError(f"{folder} is an ELMo: to train it on, give --network elmo.")
    return _shape(network)


def _shape(network: EncoderConfig) -> dict[str, Any]:
    assert not isinstance(network, ElmoConfig)
    return {
        "num_hidden_layers": network.num_hidden_layers,
        "hidden_size": network.state_size,
        "num_attention_heads": network.n_head if isinstance(network, GptConfig) else network.num_attention_heads,
        "max_positions": network.max_position_embeddings,
    }
