"""What stands on top of the encoder to pre-train it: the pooler and the masked-LM head (BERT 3.1).

The next-sentence head is one linear layer, in `bert`; the layers of tasks are in `bert_for_tasks`.

Legend: B sequences, M masked tokens, H hidden size, V vocabulary size.
"""

import torch
from torch import Tensor, nn

from bertsmith.model.configuration import BertConfig
from bertsmith.model.encoder import activate
from bertsmith.model.vocabulary_scores import VocabularyScores


class Pooler(nn.Module):
    """The sequence as one vector: the state of [CLS] through a linear layer and tanh (released code)."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, first_states: Tensor) -> Tensor:
        """States of the first tokens to vectors of the sequences, [B, H] to [B, H]."""
        pooled: Tensor = self.dense(first_states)
        return pooled.tanh()


class MaskedLanguageModelHead(nn.Module):
    """Scores over the vocabulary (BERT 3.1, task 1). The matrix is the token embeddings', the bias its own."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.activation = config.hidden_act
        self.transform = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, states: Tensor, token_embeddings: Tensor) -> Tensor:
        """Logits of some tokens: [M, H] and [V, H] to [M, V]."""
        return self.scores(states, token_embeddings, len(states)).logits

    def scores(self, states: Tensor, token_embeddings: Tensor, num_tokens: int) -> VocabularyScores:
        """The same, not yet made, of the first M of some rows [R, H]."""
        transformed = self.norm(activate(self.transform(states), self.activation))  # [R, H]
        return VocabularyScores(transformed, token_embeddings, self.bias, num_tokens)
