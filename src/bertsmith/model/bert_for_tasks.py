"""BERT with one added layer, a network for each kind of task (BERT 4, figure 4).

Legend: B sequences, T tokens of all sequences together, N tokens that are asked for, H hidden size, V vocabulary size,
C outputs.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention_backends import AttentionName
from bertsmith.model.bert import Bert, BertForMaskedLM, BertForPreTraining
from bertsmith.model.configuration import BertConfig, ClassifierLabels
from bertsmith.model.dropout import dropout
from bertsmith.model.heads import MaskedLanguageModelHead

OutputsPer = Literal["sequence", "token"]


class BertForSequenceClassification(nn.Module):
    """A label, several labels or a number for a text or a pair (BERT 4.1): pooled state, dropout, linear layer.

    The pooled state is that of the first token; from left to right only the last one has seen the text, so it is its.
    """

    architecture: ClassVar[str] = "BertForSequenceClassification"
    config_class: ClassVar[type[BertConfig]] = BertConfig
    outputs_per: ClassVar[OutputsPer] = "sequence"

    def __init__(self, config: BertConfig, labels: ClassifierLabels):
        super().__init__()
        self.config = config
        self.labels = labels
        self.dropout_rate = _classifier_dropout(config)
        self.bert = Bert(config)
        self.classifier = nn.Linear(config.hidden_size, len(labels.names))

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """Logits of each sequence, or its predicted number if the problem is a regression: [B, C]."""
        pooled = self.bert.pool(self.bert(inputs, self.bert.summary_tokens(inputs), attention=attention))
        logits: Tensor = self.classifier(dropout(pooled, self.dropout_rate if self.training else 0.0))
        return logits


class BertForMultipleChoice(nn.Module):
    """One of several texts (BERT 4.4): each is a sequence, whose pooled state times one vector is its score."""

    architecture: ClassVar[str] = "BertForMultipleChoice"
    config_class: ClassVar[type[BertConfig]] = BertConfig
    outputs_per: ClassVar[OutputsPer] = "sequence"

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.dropout_rate = _classifier_dropout(config)
        self.bert = Bert(config)
        self.classifier = nn.Linear(config.hidden_size, 1)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """The score of each sequence, [B, 1]. Whoever knows which of them are choices of one question compares them."""
        pooled = self.bert.pool(self.bert(inputs, self.bert.summary_tokens(inputs), attention=attention))
        scores: Tensor = self.classifier(dropout(pooled, self.dropout_rate if self.training else 0.0))
        return scores


class BertForQuestionAnswering(nn.Module):
    """Where a span begins and ends (BERT 4.2).

    Two vectors: one times a token's state is its score as the first token of the span, the other as the last.
    """

    architecture: ClassVar[str] = "BertForQuestionAnswering"
    config_class: ClassVar[type[BertConfig]] = BertConfig
    outputs_per: ClassVar[OutputsPer] = "token"

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config, pooler=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """Scores of each token as the first and as the last of the span: [T, 2]."""
        scores: Tensor = self.qa_outputs(self.bert(inputs, attention=attention))
        return scores


class BertForTokenClassification(nn.Module):
    """A label for each token (BERT 5.3): last state, dropout, linear layer."""

    architecture: ClassVar[str] = "BertForTokenClassification"
    config_class: ClassVar[type[BertConfig]] = BertConfig
    outputs_per: ClassVar[OutputsPer] = "token"

    def __init__(self, config: BertConfig, labels: ClassifierLabels):
        super().__init__()
        self.config = config
        self.labels = labels
        self.dropout_rate = _classifier_dropout(config)
        self.bert = Bert(config, pooler=False)
        self.classifier = nn.Linear(config.hidden_size, len(labels.names))

    def forward(self, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "auto") -> Tensor:
        """Logits of each token, [T, C], or of the tokens that are asked for, [N, C].

        rows  [N]  int64 indices into T: the tokens that carry a label
        """
        states = self.bert(inputs, rows, attention=attention)
        logits: Tensor = self.classifier(dropout(states, self.dropout_rate if self.training else 0.0))
        return logits


@dataclass(frozen=True)
class MaskedWordIds:
    """What the network has to know of the vocabulary.

    mask   the id of [MASK]
    words  the ids of the pieces that may stand there, one for each output, in order; (): all of the vocabulary may
    """

    mask: int
    words: tuple[int, ...] = ()


class BertForMaskedWord(nn.Module):
    """Which piece stands at the [MASK] of a sequence: the weights and names of `BertForMaskedLM`, and no new layer."""

    architecture: ClassVar[str] = "BertForMaskedLM"
    config_class: ClassVar[type[BertConfig]] = BertConfig
    outputs_per: ClassVar[OutputsPer] = "sequence"

    def __init__(self, config: BertConfig, ids: MaskedWordIds):
        super().__init__()
        self.config = config
        self.ids = ids
        self.bert = Bert(config, pooler=False)
        self.masked_lm = MaskedLanguageModelHead(config)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """Logits of the pieces that may stand at the [MASK] of each sequence: [B, C], or [B, V] if all may.

        raises  ValueError unless there are as many [MASK]s as sequences; each is to have one
        """
        places = (inputs.token_ids == self.ids.mask).nonzero().squeeze(1)  # [B]
        if len(places) != inputs.num_sequences:
            raise ValueError(f"{inputs.num_sequences} sequences have {len(places)} [MASK]s, and each is to have one")
        states = self.bert(inputs, places, attention=attention)  # [B, H]
        logits: Tensor = self.masked_lm(states, self.bert.embeddings.tokens.weight)  # [B, V]
        if not self.ids.words:
            return logits
        return logits.index_select(1, torch.tensor(self.ids.words, device=logits.device))


def _classifier_dropout(config: BertConfig) -> float:
    rate = config.classifier_dropout
    return config.hidden_dropout_prob if rate is None else rate


ClassifierModel = BertForSequenceClassification | BertForTokenClassification  # their outputs are labels with names
BertTaskNetwork = ClassifierModel | BertForMultipleChoice | BertForQuestionAnswering | BertForMaskedWord
BertModel = Bert | BertForPreTraining | BertForMaskedLM | BertTaskNetwork
