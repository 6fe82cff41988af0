"""The ways to compute attention, and which one a network takes where none is named."""

from typing import Literal

from torch import Tensor

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model import varlen_attention
from bertsmith.model.attention import Attend, AttentionBackend, reference_attention
from bertsmith.model.dense_attention import dense_attention

BackendName = Literal["dense", "reference", "varlen"]
AttentionName = Literal["auto", BackendName]
ATTENTION_BACKENDS: dict[BackendName, AttentionBackend] = {
    "dense": dense_attention,
    "reference": reference_attention,
    "varlen": varlen_attention.varlen_attention,
}


def attention_over(
    inputs: FlatBatch, num_heads: int, weights: Tensor, name: AttentionName = "auto", *, causal: bool = False
) -> Attend:
    """Attention over a batch by the backend of this name; "auto" is the fastest for a network with such weights.

    weights  any matrix of the network [.., H]: its dtype and device are those of the states
    """
    if name == "auto":
        name = "varlen" if varlen_attention.takes(weights, weights.shape[-1] // num_heads) else "dense"
    return ATTENTION_BACKENDS[name](inputs, num_heads, causal=causal)
