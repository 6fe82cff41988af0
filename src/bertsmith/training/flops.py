"""How much arithmetic a training step is: the yardstick for speed."""

from bertsmith.model.configuration import BertConfig
from bertsmith.model.gpt_configuration import GptConfig


def flops_per_token(network: BertConfig | GptConfig, sequence_length: float, label_share: float) -> float:
    """Floating-point operations of forward and backward for one real token: the matrix products that are done.

    6 L 3 H^2                     queries, keys and values of L layers, H wide: 2 FLOP a weight, backward twice that
    6 (L - 1 + r) (H^2 + 2 H F)   attention outputs and feed-forward, F wide; in the last layer only for the share r of
                                  tokens whose last states are asked for: the labels' and the first of each sequence
    12 L S H                      attention scores and sums over a sequence of S tokens
    6 m (H^2 + H V)               transform (which a GPT has not) and vocabulary layer, on the share m of tokens that
                                  carry a label
    """
    config = network.layers if isinstance(network, GptConfig) else network
    layers, hidden, feed_forward = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    whole_layers = layers - 1 + label_share + 1 / sequence_length
    projections = 6 * (layers * 3 * hidden**2 + whole_layers * (hidden**2 + 2 * hidden * feed_forward))
    attention = 12 * layers * sequence_length * hidden
    transform = 0 if isinstance(network, GptConfig) else hidden**2
    vocabulary = 6 * label_share * (transform + hidden * config.vocab_size)
    return projections + attention + vocabulary
