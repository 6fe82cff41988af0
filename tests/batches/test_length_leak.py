"""How well the lengths of A and B alone tell whether B follows A: not better than in the released code's samples.

What can be told from the form is nothing that a network has to learn from the text.
"""

import random

import numpy as np
import pytest
from corpora import random_documents
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.pretraining import Cursor, PretrainingBatches

NUM_DOCUMENTS = 5000


def released_code_lengths(documents: list[list[int]], max_seq_length: int) -> np.ndarray:
    """A, B and label of each sample as google-bert's `create_instances_from_document` makes them; lengths only."""
    rng = random.Random(0)
    max_tokens = max_seq_length - 3
    samples = []
    for number, document in enumerate(documents):
        target = rng.randint(2, max_tokens) if rng.random() < 0.1 else max_tokens
        chunk: list[int] = []
        i = 0
        while i < len(document):
            chunk.append(document[i])
            if i == len(document) - 1 or sum(chunk) >= target:
                a_end = rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
                length_a = sum(chunk[:a_end])
                not_next = len(chunk) == 1 or rng.random() < 0.5
                if not_next:
                    other = rng.choice([n for n in (rng.randrange(len(documents)) for _ in range(10)) if n != number])
                    length_b = 0
                    for sentence in documents[other][rng.randrange(len(documents[other])) :]:
                        length_b += sentence
                        if length_b >= target - length_a:
                            break
                    i -= len(chunk) - a_end
                else:
                    length_b = sum(chunk[a_end:])
                while length_a + length_b > max_tokens:
                    length_a, length_b = (length_a - 1, length_b) if length_a > length_b else (length_a, length_b - 1)
                samples.append((length_a, length_b, not_next))
                chunk = []
            i += 1
    return np.array(samples)


def our_lengths(store, max_seq_length: int) -> np.ndarray:
    settings = BatchSettings(max_seq_length=max_seq_length, batch_size=10_000)
    batch, _ = PretrainingBatches(store.train, store.tokenizer, settings, seed=0).batch(Cursor())
    segment_lengths = []
    for start, end in zip(batch.inputs.borders[:-1], batch.inputs.borders[1:], strict=True):
        length_b = int(batch.inputs.segment_ids[start:end].sum())
        segment_lengths.append((end - start - length_b - 2, length_b - 1))
    return np.column_stack([segment_lengths, batch.not_next])


def area_under_the_curve(samples: np.ndarray) -> float:
    """Of a classifier that sees the two lengths: 0.5 says that they tell nothing."""
    lengths, labels = samples[:, :2], samples[:, 2]
    classifier = HistGradientBoostingClassifier(max_iter=50, class_weight="balanced", random_state=0)
    scores = cross_val_predict(classifier, lengths, labels, cv=3, method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, scores))


@pytest.mark.parametrize("max_seq_length", [128, 512])
def test_the_lengths_tell_the_label_less_than_in_the_released_code(make_store, max_seq_length):
    documents = random_documents(NUM_DOCUMENTS, seed=9, sentences=5)
    released = area_under_the_curve(released_code_lengths(documents, max_seq_length))
    ours = area_under_the_curve(our_lengths(make_store(documents), max_seq_length))
    assert ours < released - 0.02, (ours, released)


def test_in_long_documents_the_lengths_tell_nothing(make_store):
    store = make_store(random_documents(60, seed=9, sentences=300))
    assert area_under_the_curve(our_lengths(store, 128)) < 0.56
