"""BERT in the flat layout: the encoder, and the encoder with the heads of pre-training (Devlin et al. 2019, 3).

Legend: B sequences, T tokens of all sequences together, M masked tokens, N tokens whose states are asked for, H hidden
size, V vocabulary size, A heads, L layers.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention import Attend, reference_attention
from bertsmith.model.attention_backends import AttentionName, attention_over
from bertsmith.model.configuration import BertConfig
from bertsmith.model.embeddings import Embeddings
from bertsmith.model.encoder import Encoder, chosen_states, filled_up
from bertsmith.model.heads import MaskedLanguageModelHead, Pooler
from bertsmith.model.vocabulary_scores import TokenScores, VocabularyScores


class Bert(nn.Module):
    """The encoder, with or without a pooler. Weights are torch's until `initialise` or `load_weights`."""

    architecture: ClassVar[str] = "BertModel"
    config_class: ClassVar[type[BertConfig]] = BertConfig

    def __init__(self, config: BertConfig, *, pooler: bool = True):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.pooler = Pooler(config) if pooler else None

    def forward(self, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "auto") -> Tensor:
        """States after the last layer: [T, H], or [N, H] of the tokens that are asked for, which is less work.

        rows  [N]  int64 indices into T
        """
        for states in self._states(inputs, self._attention(inputs, attention), rows):
            last = states
        return last

    def hidden_states(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> list[Tensor]:
        """States of the embeddings and after each layer: L + 1 tensors [T, H]."""
        return list(self._states(inputs, self._attention(inputs, attention)))

    def states_of(self, inputs: FlatBatch, layers: Sequence[int], *, attention: AttentionName = "auto") -> list[Tensor]:
        """States of some layers in the order asked, [T, H] each: 0 the embeddings, L the last; none above is computed.

        raises  ValueError for a layer that is not there
        """
        states = self._states(inputs, self._attention(inputs, attention))
        return chosen_states(states, layers, self.config.num_hidden_layers)

    def attention_probabilities(self, inputs: FlatBatch) -> list[list[Tensor]]:
        """For each layer, for each sequence b of length S_b: who looks at whom, [A, S_b, S_b]; rows sum to 1."""
        layers: list[list[Tensor]] = []
        config = self.config
        attend = reference_attention(inputs, config.num_attention_heads, causal=config.is_decoder, record=layers.append)
        for _ in self._states(inputs, attend):
            pass
        return layers

    def pool(self, first_states: Tensor) -> Tensor:
        """Sequences as vectors: the last states of their first tokens, [B, H], to [B, H]."""
        if self.pooler is None:
            raise ValueError("this encoder has no pooler")
        pooled: Tensor = self.pooler(first_states)
        return pooled

    def summary_tokens(self, inputs: FlatBatch) -> Tensor:
        """The token of each sequence that has seen all of it, [B] indices: the first; from left to right, the last."""
        return inputs.last_tokens if self.config.is_decoder else inputs.first_tokens

    def _attention(self, inputs: FlatBatch, name: AttentionName) -> Attend:
        config, weights = self.config, self.embeddings.tokens.weight
        return attention_over(inputs, config.num_attention_heads, weights, name, causal=config.is_decoder)

    def _states(self, inputs: FlatBatch, attend: Attend, rows: Tensor | None = None) -> Iterator[Tensor]:
        states = self.embeddings(inputs)
        yield states
        yield from self.encoder(states, attend, rows)


class PreTrainingOutput(NamedTuple):
    """Logits of both pre-training tasks."""

    token_scores: TokenScores  # of the pieces that stand at the masked places, or after them
    nsp_logits: Tensor | None  # [B, 2], index 0: B follows A; None for a model without this head

    @property
    def token_logits(self) -> Tensor:
        """The scores themselves, [M, V]."""
        assert isinstance(self.token_scores, VocabularyScores)  # an ELMo has none
        return self.token_scores.logits


class BertForPreTraining(nn.Module):
    """Masked language model and next sentence prediction (BERT 3.1)."""

    architecture: ClassVar[str] = "BertForPreTraining"
    config_class: ClassVar[type[BertConfig]] = BertConfig

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config)
        self.masked_lm = MaskedLanguageModelHead(config)
        self.next_sentence = nn.Linear(config.hidden_size, 2)

    def forward(
        self, inputs: FlatBatch, masked_positions: Tensor, *, attention: AttentionName = "auto"
    ) -> PreTrainingOutput:
        """Logits of the masked tokens and of the sequences.

        masked_positions  [M]  int64 indices into T
        """
        rows = torch.cat([inputs.first_tokens, filled_up(masked_positions)])
        first_states, masked_states = self.bert(inputs, rows, attention=attention).tensor_split([inputs.num_sequences])
        token_scores = self.masked_lm.scores(masked_states, self.bert.embeddings.tokens.weight, len(masked_positions))
        return PreTrainingOutput(token_scores, self.next_sentence(self.bert.pool(first_states)))


class BertForMaskedLM(nn.Module):
    """Masked language model alone: no pooler, no next-sentence head (BERT 5.1, "no NSP")."""

    architecture: ClassVar[str] = "BertForMaskedLM"
    config_class: ClassVar[type[BertConfig]] = BertConfig

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config, pooler=False)
        self.masked_lm = MaskedLanguageModelHead(config)

    def forward(
        self, inputs: FlatBatch, masked_positions: Tensor, *, attention: AttentionName = "auto"
    ) -> PreTrainingOutput:
        """Logits of the masked tokens.

        masked_positions  [M]  int64 indices into T
        """
        masked_states = self.bert(inputs, filled_up(masked_positions), attention=attention)
        token_scores = self.masked_lm.scores(masked_states, self.bert.embeddings.tokens.weight, len(masked_positions))
        return PreTrainingOutput(token_scores, None)
