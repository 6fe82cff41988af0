# ruff: noqa: N803 - X is what scikit-learn calls the examples
"""BERT as a scikit-learn estimator of tags: names, parts of speech (BERT 5.3).

tagger = BertTagger("out/run").fit([["Ada", "lives"]], [["B-PER", "O"]])
tagger.predict([["Ada", "writes"]])

Legend: W words of a sentence, C tags.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from bertsmith.core.console import console
from bertsmith.core.errors import InputError, MismatchedArtefact
from bertsmith.tasks.estimators.fitted_model import IN_MEMORY, FitSettings, FittedModel, fit_examples, load_fitted
from bertsmith.tasks.estimators.inputs import as_value_error, require_same_length, require_value, rows_of
from bertsmith.tasks.tags.decoding import Probabilities, TagPrediction
from bertsmith.tasks.tags.schemes import Detection, detect_scheme, is_tag, to_iob2
from bertsmith.tasks.tags.sentence import Sentence, sentence_of_words
from bertsmith.tasks.tags.task import TagTask
from bertsmith.tasks.task import Examples
from bertsmith.training.precision import PrecisionName

_WORDS = "a sequence of sentences, each a sequence of words"
_TAGS = "a sequence of tags for each sentence"


class BertTagger(BaseEstimator):  # type: ignore[misc]
    """A tag for each word of a sentence.

    X is a sequence of sentences, each a sequence of words; y has a sequence of tags for each. Tags of entities may be
    in any scheme that `schemes` knows; inside, and in what is predicted, they are IOB2. Parameters are as for
    `BertClassifier`; a sentence longer than `max_seq_length` is read in windows, and every word gets its tag from the
    one where it has most context. `stride` is half of the default length, as in `finetune` with tags.

    After `fit`: classes_ [C], the tags that may be predicted; fitted_ (the network with its tokenizer and its task).
    """

    classes_: npt.NDArray[np.str_]
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
        stride: int = 64,
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
        self.stride = stride
        self.micro_batch_size = micro_batch_size
        self.seed = seed
        self.precision = precision
        self.device = device
        self.threads = threads

    def fit(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> Self:
        """Fine-tune a fresh copy of the pre-trained model.

        raises  EstimatorInputError, a ValueError, for words or tags that are missing or none;
                ConfigurationError for a parameter that cannot be used
        """
        with as_value_error():
            sentences, detection = _tagged(X, y, has_entities=None)
            if detection != Detection("iob2"):
                console.print(f"y: {detection}.", soft_wrap=True)
            task = TagTask.of_files("tagging").with_labels_of(Examples(IN_MEMORY, sentences))
            settings = FitSettings.of(self.get_params(deep=False), task.recommended)
            self.fitted_ = fit_examples(settings, task, sentences)
        self.classes_ = np.array(task.labels)
        return self

    def predict(self, X: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tag of each word of each sentence."""
        check_is_fitted(self)
        with as_value_error():
            return [list(made.tags) for made in _predict(self, _sentences(X))]

    def predict_proba(self, X: Sequence[Sequence[str]]) -> list[Probabilities]:
        """How likely each tag is for each word: an array [W, C] for each sentence, C in the order of `classes_`."""
        check_is_fitted(self)
        with as_value_error():
            predictions = _predict(self, _sentences(X))
        probabilities = []
        for made in predictions:
            assert made.probabilities is not None  # they come from a network
            probabilities.append(made.probabilities)
        return probabilities

    def score(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> float:
        """The F1 of entities as `conlleval` has it; of classes of words, the share of right ones."""
        check_is_fitted(self)
        task = self.fitted_.model.task
        assert isinstance(task, TagTask)
        with as_value_error():
            sentences, _ = _tagged(X, y, has_entities=task.has_entities)
            return task.score(_predict(self, sentences), sentences)[task.metrics[0]]

    def save(self, folder: str | Path) -> None:
        """Write a task model folder, as `finetune` does. Raises ArtefactExists if it is there."""
        check_is_fitted(self)
        self.fitted_.save(Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """What `save` wrote, or `finetune` on a task of the kind *tags*. Raises ArtefactError for another folder."""
        fitted, arguments, _ = load_fitted(Path(folder), cls)
        task = fitted.model.task
        if not isinstance(task, TagTask):
            raise MismatchedArtefact(f"{folder} does not give tags for words: it is a model for {task.name}.")
        estimator = cls(**arguments)
        estimator.fitted_ = fitted
        estimator.classes_ = np.array(task.labels)
        return estimator


def _predict(tagger: BertTagger, sentences: Sequence[Sentence]) -> list[TagPrediction]:
    return tagger.fitted_.predict([sentence.words for sentence in sentences], tagger.get_params(deep=False))


def _sentences(X: Sequence[Sequence[str]]) -> list[Sentence]:
    """Words without tags. Raises InputError by the place in X."""
    return [_sentence(words, None, place) for place, words in enumerate(rows_of(X, "X", _WORDS))]


def _tagged_sentences(X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> list[Sentence]:
    """Words with their tags as they are. Raises InputError by the place in X or y."""
    rows, tags = rows_of(X, "X", _WORDS), rows_of(y, "y", _TAGS)
    require_same_length(len(rows), len(tags))
    for place, its_tags in enumerate(tags):
        require_value(its_tags, f"y[{place}]", "a tag for each word")
    return [_sentence(words, its_tags, place) for place, (words, its_tags) in enumerate(zip(rows, tags, strict=True))]


def _sentence(words: Any, tags: Any, place: int) -> Sentence:  # noqa: ANN401 - it may be anything
    """A sentence. tags: None where they are not asked for."""
    if isinstance(words, str) or isinstance(tags, str):
        raise InputError(f"X[{place}] or its tags are a text. Give the words, and the tags, one by one.")
    try:
        its_tags = None if tags is None else _plain(tags)
        for word, tag in enumerate(its_tags or ()):
            require_value(tag, f"y[{place}][{word}]", "a tag")
        return sentence_of_words(_plain(words), place + 1, its_tags)
    except (TypeError, ValueError) as error:
        raise InputError(f"X[{place}] is not a sequence of words, or its tags are none: {error}.") from None


def _plain(values: Iterable[object]) -> list[object]:
    """Python's texts in the place of numpy's; what is no text stays what it is."""
    return [str(value) if isinstance(value, str) else value for value in values]


def _tagged(
    X: Sequence[Sequence[str]], y: Sequence[Sequence[str]], *, has_entities: bool | None
) -> tuple[list[Sentence], Detection]:
    """Sentences whose tags are in IOB2, or classes of words; and in which scheme they were.

    has_entities  whether the tags are of entities, if that is known
    """
    sentences = _tagged_sentences(X, y)
    detection = detect_scheme((sentence.tags or () for sentence in sentences), has_entities=has_entities)
    for place, sentence in enumerate(sentences):
        for tag in sentence.tags or ():
            if not is_tag(tag, detection.scheme):
                raise InputError(f"y[{place}] has the tag '{tag}', which is not one of {detection.scheme.upper()}.")
    return [replace(sentence, tags=to_iob2(sentence.tags or (), detection.scheme)) for sentence in sentences], detection
