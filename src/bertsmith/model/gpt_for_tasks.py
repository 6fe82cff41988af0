"""GPT with one added layer, a network for each kind of task (Radford et al. 2018, 3.2, 3.3).

A sequence is scored by the last state of its last token, the only one that has seen all of it; tokens are scored by
their own, which have not seen what follows. Beside the task such a network goes on as a language model, whose loss is
added with a weight.

Legend: B sequences, T tokens of all sequences together, N tokens that are asked for, M tokens that have one after them,
H hidden size, C outputs.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention_backends import AttentionName
from bertsmith.model.bert_for_tasks import OutputsPer
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.dropout import dropout
from bertsmith.model.encoder import filled_up
from bertsmith.model.gpt import Gpt, vocabulary_scores
from bertsmith.model.gpt_configuration import GptConfig


class GptForSequenceClassification(nn.Module):
    """A label, several labels or a number for a text or a pair: last state, dropout, one matrix (equation 3)."""

    architecture: ClassVar[str] = "OpenAIGPTForSequenceClassification"
    config_class: ClassVar[type[GptConfig]] = GptConfig
    outputs_per: ClassVar[OutputsPer] = "sequence"

    def __init__(self, config: GptConfig, labels: ClassifierLabels):
        super().__init__()
        self.config = config
        self.labels = labels
        self.gpt = Gpt(config)
        self.classifier = nn.Linear(config.n_embd, len(labels.names), bias=False)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """Logits of each sequence, or its predicted number if the problem is a regression: [B, C]."""
        return self.outputs(self.gpt(inputs, inputs.last_tokens, attention=attention))

    def outputs(self, states: Tensor) -> Tensor:
        """[B, H] of the last tokens to [B, C]."""
        logits: Tensor = self.classifier(_dropped(states, self))
        return logits


class GptForMultipleChoice(nn.Module):
    """One of several texts: each is a sequence, and a linear layer scores its last state (3.3, figure 1)."""

    architecture: ClassVar[str] = "OpenAIGPTDoubleHeadsModel"
    config_class: ClassVar[type[GptConfig]] = GptConfig
    outputs_per: ClassVar[OutputsPer] = "sequence"

    def __init__(self, config: GptConfig):
        super().__init__()
        self.config = config
        self.gpt = Gpt(config)
        self.choice = nn.Linear(config.n_embd, 1)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """A score of each sequence, [B, 1]."""
        return self.outputs(self.gpt(inputs, inputs.last_tokens, attention=attention))

    def outputs(self, states: Tensor) -> Tensor:
        """[B, H] of the last tokens to [B, 1]."""
        scores: Tensor = self.choice(_dropped(states, self))
        return scores


class GptForQuestionAnswering(nn.Module):
    """Where a span begins and ends, told from left to right (the LTR rows of BERT's table 5)."""

    architecture: ClassVar[str] = "OpenAIGPTForQuestionAnswering"  # ours: transformers has none
    config_class: ClassVar[type[GptConfig]] = GptConfig
    outputs_per: ClassVar[OutputsPer] = "token"

    def __init__(self, config: GptConfig):
        super().__init__()
        self.config = config
        self.gpt = Gpt(config)
        self.qa_outputs = nn.Linear(config.n_embd, 2)

    def forward(self, inputs: FlatBatch, *, attention: AttentionName = "auto") -> Tensor:
        """Scores of each token as the first and as the last of the span: [T, 2]."""
        return self.outputs(self.gpt(inputs, attention=attention))

    def outputs(self, states: Tensor) -> Tensor:
        """[T, H] to [T, 2]."""
        scores: Tensor = self.qa_outputs(states)
        return scores


class GptForTokenClassification(nn.Module):
    """A label for each token, told from left to right."""

    architecture: ClassVar[str] = "OpenAIGPTForTokenClassification"  # ours: transformers has none
    config_class: ClassVar[type[GptConfig]] = GptConfig
    outputs_per: ClassVar[OutputsPer] = "token"

    def __init__(self, config: GptConfig, labels: ClassifierLabels):
        super().__init__()
        self.config = config
        self.labels = labels
        self.gpt = Gpt(config)
        self.classifier = nn.Linear(config.n_embd, len(labels.names), bias=False)

    def forward(self, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "auto") -> Tensor:
        """Logits of each token, [T, C], or of the tokens that are asked for, [N, C].

        rows  [N]  int64 indices into T: the tokens that carry a label
        """
        return self.outputs(self.gpt(inputs, rows, attention=attention))

    def outputs(self, states: Tensor) -> Tensor:
        """[N, H] to [N, C]."""
        logits: Tensor = self.classifier(_dropped(states, self))
        return logits


GptClassifier = GptForSequenceClassification | GptForTokenClassification
GptTaskNetwork = GptClassifier | GptForMultipleChoice | GptForQuestionAnswering


class OutputsAndLanguage(NamedTuple):
    """What a task network gives, and how well it tells its input.

    outputs        as its `forward` gives them
    language_loss  []  float32, the sum of the losses of the M tokens that follow another one
    num_tokens     M
    """

    outputs: Tensor
    language_loss: Tensor
    num_tokens: int


def with_language_model(
    network: GptTaskNetwork, inputs: FlatBatch, rows: Tensor | None = None, *, attention: AttentionName = "auto"
) -> OutputsAndLanguage:
    """The outputs of a network and, of the same states, the loss as a language model (Radford et al. 2018, equation 5).

    rows  [N]  int64 indices into T, of a network for tokens: those that carry a label; None: all
    """
    states = network.gpt(inputs, attention=attention)  # [T, H]
    has_next = torch.ones(inputs.num_tokens, dtype=torch.bool, device=states.device)
    has_next[inputs.last_tokens] = False
    before = has_next.nonzero().squeeze(1)  # [M]
    scores = vocabulary_scores(states.index_select(0, filled_up(before)), network.gpt, len(before))
    loss, _ = scores.judge(inputs.token_ids[before + 1])
    asked = inputs.last_tokens if network.outputs_per == "sequence" else rows
    outputs = network.outputs(states if asked is None else states.index_select(0, asked))
    return OutputsAndLanguage(outputs, loss, len(before))


def _dropped(states: Tensor, network: GptTaskNetwork) -> Tensor:
    """Dropout before the added layer (Radford et al. 2018, 4.1)."""
    return dropout(states, network.config.summary_first_dropout if network.training else 0.0)
