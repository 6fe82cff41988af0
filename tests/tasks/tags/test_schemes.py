"""Schemes of tags: what an entity is, how a scheme is found out, and that the way to IOB2 loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import InputError
from bertsmith.tasks.tags.schemes import (
    Entity,
    are_entity_labels,
    detect_scheme,
    entities_of,
    entity_labels,
    iob2_tags,
    is_tag,
    to_iob2,
)

IN_IOB2 = "O B-PER I-PER I-PER B-LOC O B-LOC B-LOC"
SAME = {
    "iob2": IN_IOB2,
    "iob1": "O I-PER I-PER I-PER I-LOC O I-LOC B-LOC",
    "iobes": "O B-PER I-PER E-PER S-LOC O S-LOC S-LOC",
    "bilou": "O B-PER I-PER L-PER U-LOC O U-LOC U-LOC",
}


@pytest.mark.parametrize("scheme", SAME)
def test_the_same_entities_in_each_scheme_are_detected_and_converted(scheme):
    tags = SAME[scheme].split()
    assert str(detect_scheme([tags])) == f"the tags are in {scheme.upper()}"
    assert to_iob2(tags, scheme) == tuple(IN_IOB2.split())
    assert all(is_tag(tag, scheme) for tag in tags)


@pytest.mark.parametrize("tags", ["O I-PER I-PER I-LOC O O", "O PER PER LOC O O"])
def test_io_may_do_without_its_letter_and_joins_neighbours(tags):
    assert detect_scheme([tags.split()]).scheme == "io"
    assert to_iob2(tags.split(), "io") == ("O", "B-PER", "I-PER", "B-LOC", "O", "O")


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        ("", []),
        ("O O", []),
        ("I-A I-A", [("A", 0, 2)]),
        ("O I-A", [("A", 1, 2)]),
        ("B-A I-B", [("A", 0, 1), ("B", 1, 2)]),
        ("B-A I-A I-B I-B B-B", [("A", 0, 2), ("B", 2, 4), ("B", 4, 5)]),
        ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
        ("B-A O I-A", [("A", 0, 1), ("A", 2, 3)]),
        ("B-creative-work I-creative-work", [("creative-work", 0, 2)]),
        ("I-A E-A I-A", [("A", 0, 2), ("A", 2, 3)]),
        ("S-A I-A U-A L-A", [("A", 0, 1), ("A", 1, 2), ("A", 2, 3), ("A", 3, 4)]),
    ],
)
def test_entities_are_grouped_whether_the_tags_are_well_formed_or_not(tags, entities):
    assert entities_of(tags.split()) == [Entity(*entity) for entity in entities]


@pytest.mark.parametrize(
    ("tags", "scheme", "exceptions"),
    [
        ("B-A I-A O I-A B-A O B-A", "iob2", 1),
        ("I-A B-A O I-A I-B O B-A", "iob1", 1),
        ("NN VB O NN", "classes", 0),
        ("O O NN", "io", 0),
        ("DET NOUN VERB", "classes", 0),
        ("O O", "io", 0),
    ],
)
def test_of_iob1_and_iob2_the_one_with_fewer_exceptions_and_no_letters_are_types_only_beside_many_o(
    tags, scheme, exceptions
):
    detection = detect_scheme([tags.split()])
    assert (detection.scheme, detection.exceptions) == (scheme, exceptions)
    if exceptions:
        assert f"1 entity begins as {scheme.upper()} does not have it" in str(detection)


def test_what_is_known_of_a_task_decides_for_a_file_that_is_not_clear():
    assert detect_scheme([["A", "B", "O"]], has_entities=True).scheme == "io"
    assert detect_scheme([["O", "O", "A"]], has_entities=False).scheme == "classes"
    assert str(detect_scheme([["A", "B"]])) == "the tags are classes of words, not entities"


def test_letters_of_two_schemes_are_refused():
    with pytest.raises(InputError, match="mix the letters E, S"):
        detect_scheme([["B-A", "E-A", "U-A"]])


@pytest.mark.parametrize(
    ("tag", "scheme", "expected"),
    [
        ("B-A", "io", False),
        ("A", "io", True),
        ("A", "iob2", False),
        ("I-", "iob2", False),
        ("E-A", "iob1", False),
        ("L-A", "iobes", False),
        ("S-A", "bilou", False),
        ("anything", "classes", True),
    ],
)
def test_a_tag_of_another_scheme_is_none_of_this_one(tag, scheme, expected):
    assert is_tag(tag, scheme) is expected


def test_the_labels_of_types_are_all_tags_that_they_may_have():
    assert entity_labels(["PER", "LOC", "PER"]) == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert are_entity_labels(entity_labels(["PER"]))
    assert not are_entity_labels(("DET", "O"))


@st.composite
def sentences_with_entities(draw):
    """The length of a sentence and its entities; some touch."""
    entities, place = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 3))
        entities.append(Entity(draw(st.sampled_from(["A", "B", "C-D"])), start, place))
    return place + draw(st.integers(0, 2)), entities


def written(length, entities, scheme):
    """Tags of a scheme, by its definition."""
    tags = ["O"] * length
    last = None
    for entity in entities:
        size = entity.end - entity.start
        touches = last is not None and last.end == entity.start and last.type == entity.type
        letters = {
            "iob2": "B" + "I" * (size - 1),
            "iob1": ("B" if touches else "I") + "I" * (size - 1),
            "iobes": "S" if size == 1 else "B" + "I" * (size - 2) + "E",
            "bilou": "U" if size == 1 else "B" + "I" * (size - 2) + "L",
        }[scheme]
        tags[entity.start : entity.end] = [f"{letter}-{entity.type}" for letter in letters]
        last = entity
    return tags


@given(sentences_with_entities())
def test_entities_written_in_any_scheme_come_back(sentence):
    length, entities = sentence
    expected = tuple(written(length, entities, "iob2"))
    assert iob2_tags(entities, length) == expected
    for scheme in SAME:
        tags = written(length, entities, scheme)
        assert entities_of(tags) == entities
        assert to_iob2(tags, scheme) == expected


@given(st.lists(st.sampled_from([f"{letter}-{kind}" for letter in "BIES" for kind in "AB"] + ["O"]), max_size=12))
def test_tags_that_are_not_well_formed_keep_their_entities_on_the_way_to_iob2(tags):
    converted = to_iob2(tags, "iobes")
    assert entities_of(converted) == entities_of(tags)
    assert to_iob2(converted, "iob2") == converted
    assert [tag == "O" for tag in converted] == [tag == "O" for tag in tags]
