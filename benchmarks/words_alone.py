"""How far words alone lead on two tasks where an untrained network is better, or a trained one worse, than one thinks.

    python benchmarks/words_alone.py TASKS [--json FILE]

TASKS is the folder that `every_task.py data` lays out. On CODAH a naive Bayes chooses among the endings by their words,
without the sentence that they end. On WNLI each dev pair gets the label of the training pair that has most words in
common with it, text with text and hypothesis with hypothesis (Jaccard).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import pairwise_distances
from sklearn.naive_bayes import MultinomialNB

from bertsmith.tasks.catalogue import find_task
from bertsmith.tasks.parts import require_part


def read(tasks: Path, name: str, part: str) -> list[Any]:
    """The examples of a part of a task."""
    task = find_task(name)
    return task.read(require_part(tasks / name, task, part), "strict").rows


def codah(tasks: Path) -> dict[str, float]:
    """Accuracy on dev of choosing an ending by its own words."""
    train, dev = (read(tasks, "codah", part) for part in ("train", "dev"))
    words = CountVectorizer(binary=True, token_pattern=r"[^\s.,]+")
    endings = [choice for example in train for choice in example.choices]
    is_right = [place == example.label for example in train for place in range(len(example.choices))]
    model = MultinomialNB(fit_prior=False).fit(words.fit_transform(endings), is_right)
    right = [model.predict_log_proba(words.transform(one.choices))[:, 1].argmax() == one.label for one in dev]
    return {"examples": len(dev), "accuracy": float(np.mean(right))}


def wnli(tasks: Path) -> dict[str, float]:
    """Accuracy of the nearest training pair's label, and how many dev texts are training texts, too."""
    train, dev = (read(tasks, "wnli", part) for part in ("train", "dev"))
    distances = sum(
        _jaccard([getattr(example, side) for example in dev], [getattr(example, side) for example in train])
        for side in ("text", "text_pair")
    )
    nearest = np.asarray(distances).argmin(axis=1)
    right = [train[place].label == example.label for place, example in zip(nearest, dev, strict=True)]
    known = {example.text for example in train}
    return {
        "examples": len(dev),
        "right": int(np.sum(right)),
        "texts_in_train": sum(example.text in known for example in dev),
    }


def _jaccard(ones: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """[len(ones), len(others)]: the share of the words of both that only one has."""
    words = CountVectorizer(binary=True, token_pattern=r"[^\s.,]+").fit([*ones, *others])
    sides = (words.transform(texts).toarray().astype(bool) for texts in (ones, others))
    found: np.ndarray = pairwise_distances(*sides, metric="jaccard")
    return found


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {"codah": codah(given.tasks), "wnli": wnli(given.tasks)}
    print(json.dumps(found, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
