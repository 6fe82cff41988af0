"""Networks that are not BERT, as yardsticks for what it learns in a given time.

They have BERT's parts, sizes and heads, and are trained on the same batches by the same loop. They are not saved: no
model folder can hold them, and no recipe uses them.

    pre-norm  LayerNorm before attention and feed-forward, and one at the end (Xiong et al. 2020)
    rotary    queries and keys turned by their positions (Su et al. 2021), in the place of the position table

Legend: T tokens, H hidden size, A heads, D = H / A head size.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention import ATTENTION_BACKENDS, Attend, AttentionName
from bertsmith.model.bert import Bert, BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.dropout import dropout
from bertsmith.model.encoder import Encoder, EncoderLayer
from bertsmith.model.initialisation import initialise

GraphName = Literal["pre-norm", "rotary"]

_ROTARY_BASE = 10_000.0


def other_graph(name: GraphName, config: BertConfig, seed: int) -> BertForPreTraining:
    """A network with another graph and the released code's initial values."""
    model = BertForPreTraining(config)
    if name == "rotary":
        model.bert = _RotaryBert(config)
    else:
        model.bert.encoder = _PreNormEncoder(config)
    initialise(model, "normal", seed)
    if name == "rotary":
        model.bert.embeddings.positions.weight.requires_grad_(False).zero_()
    return model


class _PreNormLayer(EncoderLayer):
    def forward(self, states: Tensor, attend: Attend, rows: Tensor | None) -> Tensor:
        rate = self.dropout_rate if self.training else 0.0
        attended = self.attention(self.attention_norm(states), attend, rows)  # [N, H]
        states = (states if rows is None else states.index_select(0, rows)) + dropout(attended, rate)
        return states + dropout(self.feed_forward(self.feed_forward_norm(states)), rate)


class _PreNormEncoder(Encoder):
    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.layers = nn.ModuleList(_PreNormLayer(config) for _ in range(config.num_hidden_layers))
        self.last_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: Tensor, attend: Attend, rows: Tensor | None = None) -> Iterator[Tensor]:
        *before, last = super().forward(states, attend, rows)
        yield from before
        yield self.last_norm(last)


class _RotaryBert(Bert):
    def forward(self, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "dense") -> Tensor:
        num_heads = self.config.num_attention_heads
        attend = ATTENTION_BACKENDS[attention](inputs, num_heads)
        sines, cosines = _angles(inputs.positions, self.config.head_size)

        def attend_by_distance(qkv: Tensor, dropout_rate: float) -> Tensor:
            parts = qkv.view(len(qkv), 3, num_heads, -1)  # [T, 3, A, D]
            turned = _turn(parts[:, :2], sines.to(qkv.dtype), cosines.to(qkv.dtype))
            return attend(torch.cat([turned, parts[:, 2:]], dim=1).view_as(qkv), dropout_rate)

        for states in self._states(inputs, attend_by_distance, rows):
            last = states
        return last


def _angles(positions: Tensor, head_size: int) -> tuple[Tensor, Tensor]:
    """Sine and cosine of each token's angles, [T, 1, 1, D / 2] each."""
    frequencies = _ROTARY_BASE ** -(torch.arange(0, head_size, 2, device=positions.device) / head_size)
    angles = (positions[:, None] * frequencies)[:, None, None]
    return angles.sin(), angles.cos()


def _turn(vectors: Tensor, sines: Tensor, cosines: Tensor) -> Tensor:
    """Turn the pairs (i, i + D / 2) of vectors, [T, 2, A, D], by their token's angles."""
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
