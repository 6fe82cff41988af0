"""A BiLSTM on an encoder, a network for each kind of task.

The encoder stays as it is (the feature-based approach: BERT 5.3), or is trained along (BERT 5.1, "+ BiLSTM").

Legend: B sequences, T tokens of all sequences together, N tokens that are asked for, H hidden size, W width of a state
of the BiLSTM, C outputs.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention_backends import AttentionName
from bertsmith.model.bert import Bert
from bertsmith.model.bert_for_tasks import OutputsPer
from bertsmith.model.bilstm import BiLstm
from bertsmith.model.bilstm_configuration import BiLstmConfig
from bertsmith.model.configuration import BertConfig, ClassifierLabels
from bertsmith.model.dropout import dropout
from bertsmith.model.elmo import ScalarMix
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.elmo_language_model import ElmoOnPieces
from bertsmith.model.gpt import Gpt
from bertsmith.model.gpt_configuration import GptConfig
from bertsmith.model.segments import Segments
from bertsmith.text.tokenizer import Tokenizer

EncoderConfig = BertConfig | GptConfig | ElmoConfig
Encoder = Bert | Gpt | ElmoOnPieces


def new_encoder(config: EncoderConfig, tokenizer: Tokenizer | None = None) -> Encoder:
    """An encoder of any family, with torch's weights.

    tokenizer  of the pieces that an ELMo joins to words, which needs it
    """
    if isinstance(config, BertConfig):
        return Bert(config, pooler=False)
    if isinstance(config, GptConfig):
        return Gpt(config)
    if tokenizer is None:
        raise ValueError("an ELMo needs the tokenizer whose pieces it joins")
    return ElmoOnPieces(config, tokenizer)


class _BiLstmOnEncoder(nn.Module):
    """Encoder, what is made of its layers, and the BiLSTM. The encoder has the name that its family gives it."""

    def __init__(
        self, config: EncoderConfig, bilstm: BiLstmConfig, tokenizer: Tokenizer | None = None, *, compares: bool
    ):
        super().__init__()
        self.config = config
        self.bilstm_config = bilstm
        self._encoder_name = config.weight_names.prefixes[0].removesuffix(".")
        encoder = new_encoder(config, tokenizer)
        self.add_module(self._encoder_name, encoder.requires_grad_(not bilstm.frozen))
        is_sum = bilstm.combine == "weighted-sum"
        self.mix = ScalarMix(len(bilstm.layers)) if is_sum else None
        width = config.state_size * (1 if is_sum else len(bilstm.layers))
        self.bilstm = BiLstm(width, bilstm.size, bilstm.dropout, compares=compares)

    @property
    def encoder(self) -> Encoder:
        """What reads the text."""
        encoder = self.get_submodule(self._encoder_name)
        assert isinstance(encoder, Encoder)
        return encoder

    def train(self, mode: bool = True) -> "_BiLstmOnEncoder":
        """As any module; a frozen encoder stays as it is in use."""
        super().train(mode)
        if self.bilstm_config.frozen:
            self.encoder.eval()
        return self

    def states(self, inputs: FlatBatch, segments: Segments, attention: AttentionName) -> Tensor:
        """States of the BiLSTM, [T, W]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.bilstm_config.frozen):
            layers = self.encoder.states_of(inputs, self.bilstm_config.layers, attention=attention)  # [T, H] each
        features: Tensor = torch.cat(layers, dim=1) if self.mix is None else self.mix(layers)
        states: Tensor = self.bilstm(features, segments)
        return states

    def dropped(self, states: Tensor) -> Tensor:
        """What the output layer reads."""
        return dropout(states, self.bilstm_config.dropout if self.training else 0.0)


class _BiLstmForTexts(_BiLstmOnEncoder):
    """A vector of each sequence: what is strongest in either text, where both differ, and what they share."""

    def __init__(self, config: EncoderConfig, bilstm: BiLstmConfig, tokenizer: Tokenizer | None = None):
        super().__init__(config, bilstm, tokenizer, compares=True)
        self.summary = nn.Linear(4 * bilstm.size, bilstm.size)

    def summarised(self, inputs: FlatBatch, attention: AttentionName) -> Tensor:
        """[B, W]."""
        segments = Segments.of(inputs)
        strongest = segments.strongest(self.states(inputs, segments, attention))  # [G, W]
        one, other = strongest[segments.first], strongest[segments.opposite[segments.first]]  # [B, W] each
        both = torch.cat([one, other, (one - other).abs(), one * other], dim=1)  # [B, 4 W]
        return self.dropped(torch.tanh(self.summary(both)))


class BiLstmForSequenceClassification(_BiLstmForTexts):
    """A label, several labels or a number for a text or a pair."""

    architecture: ClassVar[str] = "BiLstmForSequenceClassification"
    outputs_per: ClassVar[OutputsPer] = "sequence"

    def __init__(
        self,
        config: EncoderConfig,
        bilstm: BiLstmConfig,
        labels: ClassifierLabels,
        tokenizer: Tokenizer | None = None,
    ):
        super().__init__(config, bilstm, tokenizer)
        self.labels = labels
        self.classifier = nn.Linear(bilstm.size, len(labels.names))

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """Logits of each sequence, or its predicted number if the problem is a regression: [B, C]."""
        logits: Tensor = self.classifier(self.summarised(inputs, attention))
        return logits


class BiLstmForMultipleChoice(_BiLstmForTexts):
    """One of several texts: each is a sequence with a score."""

    architecture: ClassVar[str] = "BiLstmForMultipleChoice"
    outputs_per: ClassVar[OutputsPer] = "sequence"

    def __init__(self, config: EncoderConfig, bilstm: BiLstmConfig, tokenizer: Tokenizer | None = None):
        super().__init__(config, bilstm, tokenizer)
        self.classifier = nn.Linear(bilstm.size, 1)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """The score of each sequence, [B, 1]."""
        scores: Tensor = self.classifier(self.summarised(inputs, attention))
        return scores


class BiLstmForQuestionAnswering(_BiLstmOnEncoder):
    """Where a span begins and ends: question and passage look at each other (after Seo et al. 2017)."""

    architecture: ClassVar[str] = "BiLstmForQuestionAnswering"
    outputs_per: ClassVar[OutputsPer] = "token"

    def __init__(self, config: EncoderConfig, bilstm: BiLstmConfig, tokenizer: Tokenizer | None = None):
        super().__init__(config, bilstm, tokenizer, compares=True)
        self.qa_outputs = nn.Linear(bilstm.size, 2)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """Scores of each token as the first and as the last of the span: [T, 2]."""
        states = self.states(inputs, Segments.of(inputs), attention)
        scores: Tensor = self.qa_outputs(self.dropped(states))
        return scores


class BiLstmForTokenClassification(_BiLstmOnEncoder):
    """A label for each token (BERT 5.3)."""

    architecture: ClassVar[str] = "BiLstmForTokenClassification"
    outputs_per: ClassVar[OutputsPer] = "token"

    def __init__(
        self,
        config: EncoderConfig,
        bilstm: BiLstmConfig,
        labels: ClassifierLabels,
        tokenizer: Tokenizer | None = None,
    ):
        super().__init__(config, bilstm, tokenizer, compares=False)
        self.labels = labels
        self.classifier = nn.Linear(bilstm.size, len(labels.names))

    def forward(self, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "auto") -> Tensor:
        """Logits of each token, [T, C], or of the tokens that are asked for, [N, C].

        rows  [N]  int64 indices into T
        """
        states = self.states(inputs, Segments.of(inputs), attention)
        logits: Tensor = self.classifier(self.dropped(states if rows is None else states.index_select(0, rows)))
        return logits


BiLstmClassifier = BiLstmForSequenceClassification | BiLstmForTokenClassification
BiLstmTaskNetwork = BiLstmClassifier | BiLstmForMultipleChoice | BiLstmForQuestionAnswering
