"""How much arithmetic a training step is: the yardstick for speed."""

from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.gpt_configuration import GptConfig


def flops_per_token(network: EncoderConfig, sequence_length: float, label_share: float) -> float:
    """Floating-point operations of forward and backward for one real token: the matrix products that are done.

    6 L 3 H^2                     queries, keys and values of L layers, H wide: 2 FLOP a weight, backward twice that
    6 (L - 1 + r) (H^2 + 2 H F)   attention outputs and feed-forward, F wide; in the last layer only for the share r of
                                  tokens whose last states are asked for: the labels' and the first of each sequence
    12 L S H                      attention scores and sums over a sequence of S tokens
    6 m (H^2 + H V)               transform (which a GPT has not) and vocabulary layer, on the share m of tokens that
                                  carry a label
    """
    if isinstance(network, ElmoConfig):
        return _flops_per_word(network)
    config = network.layers if isinstance(network, GptConfig) else network
    layers, hidden, feed_forward = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    whole_layers = layers - 1 + label_share + 1 / sequence_length
    projections = 6 * (layers * 3 * hidden**2 + whole_layers * (hidden**2 + 2 * hidden * feed_forward))
    attention = 12 * layers * sequence_length * hidden
    transform = 0 if isinstance(network, GptConfig) else hidden**2
    vocabulary = 6 * label_share * (transform + hidden * config.vocab_size)
    return projections + attention + vocabulary


def _flops_per_word(network: ElmoConfig) -> float:
    """The same of an ELMo for one word, as if each piece were one and no word came twice, so rather too much.

    6 * 2 L (4 M 2 P + M P)       the LSTM layers of both directions, M wide inside and P outside
    6 * (filters, highways, P)    the word of its characters: every filter at every place of it
    6 * 2 P (F + K)               the head of the softmax for both directions; few words are in its clusters
    """
    width, memory, filters = network.hidden_size, network.cell_size, network.num_filters
    recurrence = 12 * network.num_layers * (8 * memory * width + memory * width)
    places = network.max_characters * network.character_size
    convolutions = sum(length * count for length, count in network.filters) * places
    words = 6 * (convolutions + 2 * network.num_highway_layers * filters**2 + filters * width)
    head = network.cutoffs[0] + len(network.cutoffs) if network.cutoffs else network.num_words
    return recurrence + words + 12 * width * head
