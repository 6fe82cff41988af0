"""GPT in the flat layout: BERT's layers, in which a token sees itself and those before it (Radford et al. 2018).

It differs from BERT in the direction of attention, in its embeddings (no segments, no LayerNorm) and in its head: the
next piece is told of every token, by the token embeddings alone.

Legend: B sequences, T tokens of all sequences together, N tokens that are asked for, H hidden size, V vocabulary size,
L layers.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention_backends import AttentionName, attention_over
from bertsmith.model.bert import PreTrainingOutput
from bertsmith.model.dropout import dropout
from bertsmith.model.embeddings import embedding_table, require_positions, sum_of_embeddings
from bertsmith.model.encoder import Encoder, chosen_states, filled_up
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.vocabulary_scores import VocabularyScores


class GptEmbeddings(nn.Module):
    """Token ids to states: sum of two tables, dropout. Segment ids are not read."""

    def __init__(self, config: GptConfig):
        super().__init__()
        self.dropout_rate = config.embd_pdrop
        self.tokens = embedding_table(config.vocab_size, config.n_embd)
        self.positions = embedding_table(config.n_positions, config.n_embd)

    def forward(self, inputs: FlatBatch) -> Tensor:
        """The states that enter the first layer, [T, H].

        raises  InputError for a sequence longer than the table of positions
        """
        require_positions(inputs, self.positions.num_embeddings)
        tables = (self.tokens.weight, self.positions.weight)
        states = sum_of_embeddings(tables, (inputs.token_ids, inputs.positions))
        return dropout(states, self.dropout_rate if self.training else 0.0)


class Gpt(nn.Module):
    """The decoder without a head. Weights are torch's until `initialise_normal` or `load_weights`."""

    architecture: ClassVar[str] = "OpenAIGPTModel"
    config_class: ClassVar[type[GptConfig]] = GptConfig

    def __init__(self, config: GptConfig):
        super().__init__()
        self.config = config
        self.embeddings = GptEmbeddings(config)
        self.decoder = Encoder(config.layers)

    def forward(self, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "auto") -> Tensor:
        """States after the last layer: [T, H], or [N, H] of the tokens that are asked for, which is less work.

        rows  [N]  int64 indices into T
        """
        for states in self._states(inputs, attention, rows):
            last = states
        return last

    def hidden_states(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> list[Tensor]:
        """States of the embeddings and after each layer: L + 1 tensors [T, H]."""
        return list(self._states(inputs, attention))

    def states_of(self, inputs: FlatBatch, layers: Sequence[int], *, attention: AttentionName = "auto") -> list[Tensor]:
        """States of some layers in the order asked, [T, H] each, as `Bert.states_of` gives them."""
        return chosen_states(self._states(inputs, attention), layers, self.config.num_hidden_layers)

    def _states(self, inputs: FlatBatch, attention: AttentionName, rows: Tensor | None = None) -> Iterator[Tensor]:
        attend = attention_over(inputs, self.config.n_head, self.embeddings.tokens.weight, attention, causal=True)
        states = self.embeddings(inputs)
        yield states
        yield from self.decoder(states, attend, rows)


class GptLanguageModel(nn.Module):
    """The next piece, told of every token before it (Radford et al. 2018, equation 1)."""

    architecture: ClassVar[str] = "OpenAIGPTLMHeadModel"
    config_class: ClassVar[type[GptConfig]] = GptConfig

    def __init__(self, config: GptConfig):
        super().__init__()
        self.config = config
        self.gpt = Gpt(config)

    def forward(self, inputs: FlatBatch, rows: Tensor, *, attention: AttentionName = "auto") -> PreTrainingOutput:
        """Logits of the piece after each token that is asked for, [N, V].

        rows  [N]  int64 indices into T
        """
        states = self.gpt(inputs, filled_up(rows), attention=attention)
        return PreTrainingOutput(vocabulary_scores(states, self.gpt, len(rows)), None)


GptModel = Gpt | GptLanguageModel


def vocabulary_scores(states: Tensor, gpt: Gpt, num_tokens: int) -> VocabularyScores:
    """Scores of the piece after each of the first N tokens of some rows [R, H], by the token embeddings."""
    return VocabularyScores(states, gpt.embeddings.tokens.weight, None, num_tokens)
