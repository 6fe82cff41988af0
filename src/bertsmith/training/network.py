"""The network that a run trains, as its settings say."""

from pathlib import Path

from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.folder import load_model
from bertsmith.model.gpt import GptLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.configuration import PretrainConfig

PretrainedNetwork = BertForPreTraining | GptLanguageModel


def network_config(config: PretrainConfig, tokenizer: Tokenizer) -> BertConfig | GptConfig:
    """The complete configuration of the network, for the pieces of a tokenizer."""
    if config.model.network == "gpt":
        return config.model.gpt_config(tokenizer.vocabulary_size)
    network = config.model.bert_config(tokenizer.vocabulary_size, tokenizer.pad_id)
    return network.model_copy(update={"is_decoder": config.data.objective == "next"})


def new_network(config: PretrainConfig, tokenizer: Tokenizer) -> PretrainedNetwork:
    """The network, its weights not yet set."""
    network = network_config(config, tokenizer)
    return GptLanguageModel(network) if isinstance(network, GptConfig) else BertForPreTraining(network)


def load_network(config: PretrainConfig, folder: Path) -> PretrainedNetwork:
    """The network with the weights of a folder; heads that are not there begin anew, as the seed says."""
    if config.model.network == "gpt":
        return load_model(GptLanguageModel, folder, seed=config.seed)
    return load_model(BertForPreTraining, folder, seed=config.seed, is_decoder=config.data.objective == "next")
