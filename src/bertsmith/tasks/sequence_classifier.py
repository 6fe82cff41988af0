"""A fine-tuned model in use: texts or pairs in, labels with probabilities or scores out.

Legend: N texts, B texts of one batch, C outputs of the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from bertsmith.core.errors import ArtefactError, ConfigurationError, InputError
from bertsmith.model.bert import BertForSequenceClassification
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.folder import load_model, resolve_model_folder
from bertsmith.tasks.encoding import EncodedExamples, encode_texts
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.metrics import Values, predictions_of, score
from bertsmith.tasks.task import SentenceTask
from bertsmith.text.tokenizer import Tokenizer

Outputs = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelPrediction:
    """The likeliest label, and how likely each is."""

    label: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class ScorePrediction:
    """The predicted number."""

    score: float


Prediction = LabelPrediction | ScorePrediction


class SequenceClassifier:
    """A model with its tokenizer and its task.

    >>> classifier = SequenceClassifier.load(Path("out/sst-2"))
    >>> classifier.predict(["a charming film"])[0].label
    """

    def __init__(
        self, model: BertForSequenceClassification, tokenizer: Tokenizer, task: SentenceTask, max_seq_length: int
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.task = task
        self.max_seq_length = max_seq_length

    @classmethod
    def load(
        cls, folder: Path, settings: InferenceSettings | None = None, max_seq_length: int | None = None
    ) -> "SequenceClassifier":
        """Load what `finetune` wrote: its `--out` folder, or the `model/` in it.

        max_seq_length  longest input in tokens; default: as in fine-tuning
        raises          ArtefactError for a folder that is not a fine-tuned model
        """
        folder = resolve_model_folder(Path(folder))
        task, facts = SentenceTask.load(folder)
        model = load_model(BertForSequenceClassification, folder)
        if model.labels != classifier_labels(task):
            raise ArtefactError(
                f"{folder} contradicts itself: config.json has the outputs {', '.join(model.labels.names)}, task.json "
                f"describes {', '.join(classifier_labels(task).names)}. Restore the folder from a copy."
            )
        (settings or InferenceSettings()).place(model)
        positions = model.config.max_position_embeddings
        if max_seq_length is not None and max_seq_length > positions:
            raise ConfigurationError(
                f"--max-seq-length {max_seq_length} is more than the {positions} positions that {folder} has. Lower it."
            )
        return cls(model, Tokenizer.load(folder), task, max_seq_length or facts["max_seq_length"])

    def predict(self, texts: Sequence[str] | Sequence[tuple[str, str]], batch_size: int = 32) -> list[Prediction]:
        """A prediction for each text, or each (text, text) of a task on pairs, in the given order."""
        for text in texts:
            if isinstance(text, str) == self.task.is_pair:
                wanted = "a pair (text, text)" if self.task.is_pair else "one text"
                raise InputError(f"The task {self.task.name} takes {wanted} for each example, not {text!r}.")
        firsts = [text if isinstance(text, str) else text[0] for text in texts]
        seconds = [text[1] for text in texts] if self.task.is_pair else None
        encoded = encode_texts(firsts, seconds, self.tokenizer, self.max_seq_length)
        return self.predictions(self.outputs(encoded, batch_size))

    def outputs(self, encoded: EncodedExamples, batch_size: int) -> Outputs:
        """Logits or scores [N, C] in float32, in the order of the examples, without gradients."""
        return model_outputs(self.model, encoded, batch_size)

    def predictions(self, outputs: Outputs) -> list[Prediction]:
        """Outputs [N, C] as predictions."""
        if self.task.labels is None:
            return [ScorePrediction(float(score)) for score in outputs[:, 0]]
        probabilities = torch.from_numpy(outputs).softmax(dim=1).numpy()
        return [
            LabelPrediction(
                self.task.labels[int(row.argmax())],
                {label: float(value) for label, value in zip(self.task.labels, row, strict=True)},
            )
            for row in probabilities
        ]


@torch.inference_mode()
def model_outputs(model: BertForSequenceClassification, encoded: EncodedExamples, batch_size: int) -> Outputs:
    """Outputs [N, C] of a model for examples; texts of similar length share a batch, which is faster."""
    model.eval()
    device = next(model.parameters()).device
    outputs = np.empty((len(encoded), len(model.labels.names)), dtype=np.float32)
    order = np.argsort(encoded.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        outputs[indices] = model(encoded.inputs(indices.tolist()).to(device)).float().cpu().numpy()
    return outputs


def score_examples(
    model: BertForSequenceClassification, task: SentenceTask, encoded: EncodedExamples, batch_size: int = 32
) -> tuple[dict[str, float], Values]:
    """The task's metrics for labelled examples, and the predictions [N]."""
    assert encoded.labels is not None
    predictions = predictions_of(model_outputs(model, encoded, batch_size), is_regression=task.is_regression)
    return score(task.metrics, encoded.labels, predictions), predictions


def classifier_labels(task: SentenceTask) -> ClassifierLabels:
    """What the outputs of a model for this task mean, as config.json says it."""
    if task.labels is None:
        return ClassifierLabels(("score",), "regression")
    return ClassifierLabels(task.labels)
