"""How much arithmetic a training step is: the yardstick for speed.

Counted are products of matrices: 2 operations for each weight and row, and twice that in the backward pass.
"""

from itertools import pairwise

from torch import nn

from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch
from bertsmith.model.configuration import BertConfig
from bertsmith.model.elmo_language_model import ElmoLanguageModel
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.training.network import PretrainedNetwork


def flops_of_step(model: PretrainedNetwork, batch: PretrainingBatch, micro_batch_size: int) -> float:
    """Floating-point operations of a step on a batch, forward and backward.

    micro_batch_size  sequences of one pass; in each, an ELMo makes a word that comes often of its characters once
    """
    if isinstance(model, ElmoLanguageModel):
        starts = range(0, batch.num_sequences, micro_batch_size)
        passes = (batch.slice(start, min(start + micro_batch_size, batch.num_sequences)) for start in starts)
        return sum(_flops_of_words(model, one.inputs) for one in passes)
    mean_length = batch.num_tokens / batch.num_sequences
    label_share = len(batch.masked_labels) / batch.num_tokens
    return batch.num_tokens * flops_per_token(model.config, mean_length, label_share)


def flops_per_token(network: BertConfig | GptConfig, sequence_length: float, label_share: float) -> float:
    """Floating-point operations of forward and backward for one real token: the matrix products that are done.

    6 L 3 H^2                     queries, keys and values of L layers, H wide
    6 (L - 1 + r) (H^2 + 2 H F)   attention outputs and feed-forward, F wide; in the last layer only for the share r of
                                  tokens whose last states are asked for: the labels' and, of a BERT, the first of each
                                  sequence
    12 L S H                      attention scores and sums over a sequence of S tokens
    6 m (H^2 + H V)               transform (which a GPT has not) and vocabulary layer, on the share m of tokens that
                                  carry a label
    """
    is_gpt = isinstance(network, GptConfig)
    config = network.layers if isinstance(network, GptConfig) else network
    layers, hidden, feed_forward = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    whole_layers = layers - 1 + label_share + (0 if is_gpt else 1 / sequence_length)
    projections = 6 * (layers * 3 * hidden**2 + whole_layers * (hidden**2 + 2 * hidden * feed_forward))
    attention = 12 * layers * sequence_length * hidden
    vocabulary = 6 * label_share * ((0 if is_gpt else hidden**2) + hidden * config.vocab_size)
    return projections + attention + vocabulary


def _flops_of_words(model: ElmoLanguageModel, inputs: FlatBatch) -> float:
    """The same of an ELMo for all words of a pass, begins and ends included.

    LSTM layers of both directions           for each word
    filters, highway layers and projection   for each different word; a filter is at every place where it fits
    the softmax's head, both directions      for each word that is told: all but one of a text
    its clusters, both directions            for the words in them
    """
    config, elmo, vocabulary = model.config, model.elmo, model.vocabulary
    words = elmo.reader.words(inputs)
    num_words, num_different = len(words.words.word_index), len(words.words.character_ids)
    recurrence = num_words * (_weights(elmo.forward_model) + _weights(elmo.backward_model))
    filters = sum(
        length * count * config.character_size * (config.max_characters - length + 1)
        for length, count in config.filters
    )
    characters = num_different * (filters + _weights(elmo.words.highways) + _weights(elmo.words.projection))
    told = 2 * (num_words - len(words.words.lengths)) * _weights(vocabulary.head)
    numbers = model.numbers(words)
    for (begin, end), narrow, tail in zip(
        pairwise(vocabulary.borders), vocabulary.narrow, vocabulary.tails, strict=True
    ):
        members = int(((numbers >= begin) & (numbers < end)).sum())
        told += 2 * members * (_weights(narrow) + _weights(tail))
    return 6.0 * (recurrence + characters + told)


def _weights(module: nn.Module) -> int:
    """Numbers in its matrices."""
    return sum(weight.numel() for weight in module.parameters() if weight.ndim > 1)
