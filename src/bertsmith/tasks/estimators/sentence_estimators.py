# ruff: noqa: N803 - X is what scikit-learn calls the examples
"""BERT as scikit-learn estimators: fine-tune on texts in memory, predict, and be part of its machinery.

    classifier = BertClassifier("out/run", epochs=3).fit(texts, labels)
    classifier.predict(["a charming film"])
    cross_val_score(classifier, texts, labels, cv=5)

A fit is what the verb `finetune` does with one seed: the same examples and settings give the same weights. The
estimator of tags is in `tag_estimator`.

Legend: N examples, C classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bertsmith.core.errors import MismatchedArtefact
from bertsmith.tasks.catalogue import own_task
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.estimators.fitted_model import FitSettings, FittedModel, fit_examples, load_fitted
from bertsmith.tasks.estimators.inputs import (
    Text,
    as_value_error,
    read_labels,
    read_scores,
    read_texts,
    require_same_length,
)
from bertsmith.tasks.input_limits import LongTexts
from bertsmith.tasks.sentences.examples import Label
from bertsmith.tasks.sentences.task import SentenceTask
from bertsmith.tasks.task import Task
from bertsmith.training.precision import PrecisionName

Values = npt.NDArray[Any]


class BertClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A label, or several, for a text or a pair of texts (BERT 4.1).

    X is a sequence of texts, or of pairs (text, text): a list, a numpy array [N] or [N, 2], a pandas Series or the
    columns of a DataFrame. y is a label for each, text, whole number or truth value; or, for texts with any number of
    labels, a matrix [N, C] of 0 and 1.

    model            folder of a pre-trained model: a run of `pretrain`, a model folder, or Hugging Face's
    learning_rate    peak rate; small models want 1e-4 to 3e-4
    epochs           times that every example is seen
    batch_size       examples per optimiser step
    max_seq_length   longest input in tokens, [CLS] and [SEP] included
    dropout          everywhere in the network
    class_weights    "balanced": a rare label's errors count more, in inverse proportion
    label_smoothing  share of the probability that is asked for all labels alike
    layer_decay      learning rate of each layer as a share of that of the layer above it
    frozen_layers    0: the embeddings stay as they are; n: and the first n layers; None: all learn
    patience         stop after so many epochs without a better score on examples that are held out for that, and keep
                     the best epoch; None: learn from all, keep the last
    dev_share        share of the examples that is held out, with patience
    long_texts       longer ones are cut; or read in windows whose outputs are pooled: "mean", "max", "first"
    stride           tokens from the beginning of a window to that of the next
    micro_batch_size examples of one forward and backward pass, for memory; None: 32, fewer of long ones
    seed             of the added layer, the order of examples and dropout
    precision        format of matrix products; "auto" measures this machine once
    device           "auto" takes a GPU if there is one
    threads          of the CPU, for the whole process; None: as they are

    After `fit`: classes_ [C], fitted_ (the network with its tokenizer and its task).
    """

    classes_: Values
    fitted_: FittedModel

    def __init__(
        self,
        model: str | Path,
        *,
        learning_rate: float = 5e-5,
        epochs: int = 3,
        batch_size: int = 32,
        max_seq_length: int = 128,
        dropout: float = 0.1,
        class_weights: Literal["equal", "balanced"] = "equal",
        label_smoothing: float = 0.0,
        layer_decay: float = 1.0,
        frozen_layers: int | None = None,
        patience: int | None = None,
        dev_share: float = 0.1,
        long_texts: LongTexts = "cut",
        stride: int = 128,
        micro_batch_size: int | None = None,
        seed: int = 0,
        precision: PrecisionName = "auto",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int | None = None,
    ):
        self.model = model
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.max_seq_length = max_seq_length
        self.dropout = dropout
        self.class_weights = class_weights
        self.label_smoothing = label_smoothing
        self.layer_decay = layer_decay
        self.frozen_layers = frozen_layers
        self.patience = patience
        self.dev_share = dev_share
        self.long_texts = long_texts
        self.stride = stride
        self.micro_batch_size = micro_batch_size
        self.seed = seed
        self.precision = precision
        self.device = device
        self.threads = threads

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Fine-tune a fresh copy of the pre-trained model.

        raises  EstimatorInputError, a ValueError, for texts or labels that are missing or none;
                ConfigurationError for a parameter that cannot be used
        """
        with as_value_error():
            texts, known = read_texts(X), read_labels(y)
            task = own_task("sentences", "classification", _columns(texts), several_labels=known.several)
            assert isinstance(task, SentenceTask)
            task = replace(task, labels=known.names)
            settings = FitSettings.of(self.get_params(deep=False), task.recommended)
            self.fitted_ = fit_examples(settings, task, _examples(task, texts, known.labels))
        self.classes_ = known.classes
        return self

    def predict(self, X: npt.ArrayLike) -> Values:
        """The likeliest class of each text, [N]; or 1 for each label that is likelier than not, [N, C]."""
        predictions = _predict(self, X)
        task = self.fitted_.model.task
        assert isinstance(task, SentenceTask) and task.labels is not None
        if task.several:
            return np.array([[int(name in made.labels) for name in task.labels] for made in predictions])
        index = {name: place for place, name in enumerate(task.labels)}
        return self.classes_[[index[made.label] for made in predictions]]

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """How likely each class is, [N, C], in the order of `classes_`. Several labels of a text do not add up to 1."""
        return np.array([list(made.probabilities.values()) for made in _predict(self, X)], dtype=np.float32)

    def save(self, folder: str | Path) -> None:
        """Write a task model folder, as `finetune` does. Raises ArtefactExists if it is there."""
        check_is_fitted(self)
        self.fitted_.save(Path(folder), classes=self.classes_.tolist())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """What `save` wrote, or `finetune` on a task with labels; then the classes are their names, texts.

        raises  ArtefactError for another folder
        """
        fitted, arguments, facts = load_fitted(Path(folder), cls)
        task = fitted.model.task
        if not isinstance(task, SentenceTask) or task.labels is None:
            raise MismatchedArtefact(f"{folder} does not give labels for texts: it is a model for {task.name}.")
        estimator = cls(**arguments)
        estimator.fitted_ = fitted
        estimator.classes_ = np.array(facts.get("classes", task.labels))
        return estimator

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        return _takes_texts(super().__sklearn_tags__(), several_labels=True)


class BertRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A number for a text or a pair of texts (BERT 4.1): what the output layer gives, learnt by its squared error.

    X and all parameters are as for `BertClassifier`; y is a number for each, [N]. They are learnt as they are: numbers
    that lie far from 0, or far apart, are learnt sooner if scikit-learn's TransformedTargetRegressor scales them.

    After `fit`: fitted_ (the network with its tokenizer and its task).
    """

    fitted_: FittedModel

    def __init__(
        self,
        model: str | Path,
        *,
        learning_rate: float = 5e-5,
        epochs: int = 3,
        batch_size: int = 32,
        max_seq_length: int = 128,
        dropout: float = 0.1,
        layer_decay: float = 1.0,
        frozen_layers: int | None = None,
        patience: int | None = None,
        dev_share: float = 0.1,
        long_texts: LongTexts = "cut",
        stride: int = 128,
        micro_batch_size: int | None = None,
        seed: int = 0,
        precision: PrecisionName = "auto",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int | None = None,
    ):
        self.model = model
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.max_seq_length = max_seq_length
        self.dropout = dropout
        self.layer_decay = layer_decay
        self.frozen_layers = frozen_layers
        self.patience = patience
        self.dev_share = dev_share
        self.long_texts = long_texts
        self.stride = stride
        self.micro_batch_size = micro_batch_size
        self.seed = seed
        self.precision = precision
        self.device = device
        self.threads = threads

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Fine-tune a fresh copy of the pre-trained model.

        raises  EstimatorInputError, a ValueError, for texts or numbers that are missing or none;
                ConfigurationError for a parameter that cannot be used
        """
        with as_value_error():
            texts, scores = read_texts(X), read_scores(y)
            task = own_task("sentences", "regression", _columns(texts), regression=True)
            settings = FitSettings.of(self.get_params(deep=False), task.recommended)
            self.fitted_ = fit_examples(settings, task, _examples(task, texts, scores))
        return self

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The number of each text, [N]."""
        return np.array([made.score for made in _predict(self, X)], dtype=np.float64)

    def save(self, folder: str | Path) -> None:
        """Write a task model folder, as `finetune` does. Raises ArtefactExists if it is there."""
        check_is_fitted(self)
        self.fitted_.save(Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """What `save` wrote, or `finetune` on a task with numbers. Raises ArtefactError for another folder."""
        fitted, arguments, _ = load_fitted(Path(folder), cls)
        task = fitted.model.task
        if not isinstance(task, SentenceTask) or task.labels is not None:
            raise MismatchedArtefact(f"{folder} does not give numbers for texts: it is a model for {task.name}.")
        estimator = cls(**arguments)
        estimator.fitted_ = fitted
        return estimator

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        return _takes_texts(super().__sklearn_tags__())


def _columns(texts: Sequence[Text]) -> ColumnSettings:
    """Where a file with such examples would have its texts."""
    return ColumnSettings(text_pair=None if isinstance(texts[0], str) else "text_pair")


def _examples(task: Task[Any, Any], texts: Sequence[Text], labels: Sequence[Label]) -> list[Any]:
    require_same_length(len(texts), len(labels))
    return [
        replace(task.example_of(text), label=label, line=line)
        for line, (text, label) in enumerate(zip(texts, labels, strict=True), start=1)
    ]


def _predict(estimator: BertClassifier | BertRegressor, X: npt.ArrayLike) -> list[Any]:
    check_is_fitted(estimator)
    with as_value_error():
        return estimator.fitted_.predict(read_texts(X), estimator.get_params(deep=False))


def _takes_texts(tags: Any, *, several_labels: bool = False) -> Any:  # noqa: ANN401 - scikit-learn has no types
    tags.input_tags.string = tags.input_tags.one_d_array = True
    if several_labels:
        tags.classifier_tags.multi_label = True
    return tags
