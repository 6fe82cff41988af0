"""Files -> sentences whose tags are in IOB2 and are among the labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bertsmith.core.console import console
from bertsmith.core.errors import InputError
from bertsmith.tasks.tables import BadRows, read_rows
from bertsmith.tasks.tags.schemes import (
    Detection,
    Scheme,
    SchemeName,
    are_entity_labels,
    detect_scheme,
    entities_of,
    entity_labels,
    is_tag,
    to_iob2,
)
from bertsmith.tasks.tags.sentence import Sentence, sentence_of_values
from bertsmith.tasks.task import Examples

_MOST_CLASSES = 1000  # more distinct tags than this are a wrong column


def read_json_lines(path: Path, bad_rows: BadRows, *, labelled: bool) -> list[Sentence]:
    """The sentences of a file with a JSON object a line: "words" and "tags", or without tags "words" or "text"."""
    sentences = []
    for row in read_rows(path, bad_rows):
        try:
            sentences.append(sentence_of_values(row.values, row.line, labelled=labelled))
        except ValueError as error:
            bad_rows.add(row.line, str(error))
        except KeyError as error:
            bad_rows.add(row.line, f"it has no '{error.args[0]}'")
    return sentences


def unify_tags(
    sentences: Sequence[Sentence], scheme: SchemeName, labels: Sequence[str], bad_rows: BadRows, *, word_per_line: bool
) -> list[Sentence]:
    """The sentences with their tags in IOB2, or with classes of words as they are.

    labels         those that are known; (): any will do
    word_per_line  whether each word has a line of its own, for the messages
    raises         InputError, or lists in `bad_rows`, by line: a tag that the scheme does not have or that is no label
    """
    found = _scheme_of(sentences, scheme, labels, bad_rows.name)
    distinct = {tag for sentence in sentences for tag in sentence.tags or ()}
    wrong = {tag: reason for tag in distinct if (reason := _why_not(tag, found, labels)) is not None}
    unified = []
    for sentence in sentences:
        tags = sentence.tags or ()
        for place, tag in enumerate(tags):
            if tag in wrong:
                bad_rows.add(sentence.line + place * word_per_line, wrong[tag])
        if wrong.keys().isdisjoint(tags):
            unified.append(replace(sentence, tags=to_iob2(tags, found)))
    return unified


def infer_labels(examples: Examples[Sentence]) -> tuple[str, ...]:
    """The IOB2 tags of all types of entities that occur, or the classes in code-point order.

    raises  InputError if there are no entities, or fewer than two classes, or too many
    """
    tags = sorted({tag for sentence in examples.rows for tag in sentence.tags or ()})
    if are_entity_labels(tags):
        labels = entity_labels(entity.type for tag in tags for entity in entities_of([tag]))
        if len(labels) == 1:
            raise InputError(f"{examples.source}: every tag is O. There is nothing to learn without an entity.")
        return labels
    if not 1 < len(tags) <= _MOST_CLASSES:
        raise InputError(
            f"{examples.source}: the tag column has {len(tags):,} distinct values, '{tags[0]}' the first of them. "
            f"Choose another column with --label."
        )
    return tuple(tags)


def _scheme_of(sentences: Sequence[Sentence], scheme: SchemeName, labels: Sequence[str], name: str) -> Scheme:
    """The scheme that is given, or that the tags tell; what they tell is shown."""
    if scheme != "auto":
        return scheme
    has_entities = are_entity_labels(labels) if labels else None
    try:
        detection = detect_scheme((sentence.tags or () for sentence in sentences), has_entities=has_entities)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    _show(detection, name)
    return detection.scheme


def _show(detection: Detection, name: str) -> None:
    if detection != Detection("iob2"):
        console.print(f"{name}: {detection}.", soft_wrap=True)


def _why_not(tag: str, scheme: Scheme, labels: Sequence[str]) -> str | None:
    """Why a tag cannot be used, or None."""
    if not is_tag(tag, scheme):
        return f"the tag '{tag}' is not one of {scheme.upper()}"
    if labels and any(label not in labels for label in to_iob2([tag], scheme)):
        known = labels if scheme == "classes" else sorted({label[2:] for label in labels if label[2:]})
        return f"the tag '{tag}' is not one of {', '.join(known)}"
    return None
