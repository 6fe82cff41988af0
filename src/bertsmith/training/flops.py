"""How much arithmetic a training step is: the yardstick for speed."""

from bertsmith.model.configuration import BertConfig


def flops_per_token(config: BertConfig, sequence_length: float, label_share: float) -> float:
    """Floating-point operations of forward and backward for one real token, matrix products only.

    6 L (4 H^2 + 2 H F)  projections and feed-forward of L layers, H wide, F = 4 H: 2 FLOP a weight, backward twice that
    12 L S H             attention scores and sums over a sequence of S tokens
    6 m (H^2 + H V)      transform and vocabulary layer, on the share m of tokens that carry a label
    """
    layers, hidden, feed_forward = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    projections = 6 * layers * (4 * hidden**2 + 2 * hidden * feed_forward)
    attention = 12 * layers * sequence_length * hidden
    vocabulary = 6 * label_share * (hidden**2 + hidden * config.vocab_size)
    return projections + attention + vocabulary
