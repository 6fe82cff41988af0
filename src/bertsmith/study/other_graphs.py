"""Networks that are not BERT, as yardsticks for what it learns in a given time.

They have BERT's parts, sizes and heads, and are trained on the same batches by the same loop. They are not saved: no
model folder can hold them, and no recipe uses them.

    pre-norm  LayerNorm before attention and feed-forward, and one at the end (Xiong et al. 2020)
    rotary    queries and keys turned by their positions (Su et al. 2021), in the place of the position table
    stacked   BERT in the end, but half of its layers for half of the training, and then each layer twice, one copy of
              the half on the other (Gong et al. 2019)

Legend: T tokens, H hidden size, A heads, D = H / A head size.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention import Attend
from bertsmith.model.attention_backends import AttentionName, attention_over
from bertsmith.model.bert import Bert, BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.dropout import dropout
from bertsmith.model.encoder import Encoder, EncoderLayer, padded_rows
from bertsmith.model.initialisation import initialise

GraphName = Literal["pre-norm", "rotary", "stacked"]
STACKED_AT = 0.5  # share of the training

_ROTARY_BASE = 10_000.0


def other_graph(name: GraphName, config: BertConfig, seed: int) -> BertForPreTraining:
    """A network with another graph and the released code's initial values; of the stacked one the lower half."""
    if name == "stacked":
        config = config.model_copy(update={"num_hidden_layers": config.num_hidden_layers // 2})
    model = BertForPreTraining(config)
    if name == "rotary":
        model.bert = _RotaryBert(config)
    elif name == "pre-norm":
        model.bert.encoder = _PreNormEncoder(config)
    initialise(model, "normal", seed)
    if name == "rotary":
        model.bert.embeddings.positions.weight.requires_grad_(False).zero_()
    return model


def stack(half: BertForPreTraining) -> BertForPreTraining:
    """A network of twice the depth, whose upper half is a copy of the lower one."""
    depth = half.config.num_hidden_layers
    model = BertForPreTraining(half.config.model_copy(update={"num_hidden_layers": 2 * depth}))
    model.load_state_dict(half.state_dict(), strict=False)
    for lower, upper in zip(half.bert.encoder.layers, model.bert.encoder.layers[depth:], strict=True):
        upper.load_state_dict(lower.state_dict())
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
    def forward(self, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "auto") -> Tensor:
        num_heads = self.config.num_attention_heads
        attend = attention_over(inputs, num_heads, self.embeddings.tokens.weight, attention)
        num_more = padded_rows(inputs.num_tokens) - inputs.num_tokens
        sines, cosines = _angles(nn.functional.pad(inputs.positions, (0, num_more)), self.config.head_size)

        def attend_by_distance(qkv: Tensor, dropout_rate: float) -> Tensor:
            parts = qkv.view(len(qkv), 3, num_heads, -1)  # [R, 3, A, D], R tokens and rows after them
            turned = _turn(parts[:, :2], sines.to(qkv.dtype), cosines.to(qkv.dtype))
            return attend(torch.cat([turned, parts[:, 2:]], dim=1).view_as(qkv), dropout_rate)

        for states in self._states(inputs, attend_by_distance, rows):
            last = states
        return last


def _angles(positions: Tensor, head_size: int) -> tuple[Tensor, Tensor]:
    """Sine and cosine of each row's angles, [R, 1, 1, D / 2] each."""
    frequencies = _ROTARY_BASE ** -(torch.arange(0, head_size, 2, device=positions.device) / head_size)
    angles = (positions[:, None] * frequencies)[:, None, None]
    return angles.sin(), angles.cos()


def _turn(vectors: Tensor, sines: Tensor, cosines: Tensor) -> Tensor:
    """Turn the pairs (i, i + D / 2) of vectors, [R, 2, A, D], by their row's angles."""
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
