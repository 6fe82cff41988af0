"""The network that a run trains, as its settings say."""

from pathlib import Path

from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.elmo_language_model import ElmoLanguageModel
from bertsmith.model.folder import load_model
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.text.token_store import TokenStore
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_list import frequent_words
from bertsmith.training.configuration import PretrainConfig

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
    network = network_config(config, store.tokenizer)
    if isinstance(network, ElmoConfig):
        words = frequent_words(store, network.num_words)
        return ElmoLanguageModel(network.for_words(len(words)), store.tokenizer, words)
    return GptLanguageModel(network) if isinstance(network, GptConfig) else BertForPreTraining(network)


def load_network(config: PretrainConfig, folder: Path) -> PretrainedNetwork:
    """The network with the weights of a folder; heads that are not there begin anew, as the seed says."""
    if config.model.network == "gpt":
        return load_model(GptLanguageModel, folder, seed=config.seed)
    if config.model.network == "elmo":
        return load_model(ElmoLanguageModel, folder, seed=config.seed)
    return load_model(BertForPreTraining, folder, seed=config.seed, is_decoder=config.data.objective == "next")
