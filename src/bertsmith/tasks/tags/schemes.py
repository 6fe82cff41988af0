"""How tags tell where an entity begins and ends.

| scheme | the three words of a person, a place beside it | |
|---|---|---|
| iob2 | B-PER I-PER I-PER B-LOC | B- begins every entity; the scheme that is used inside |
| iob1 | I-PER I-PER I-PER I-LOC | B- only where an entity of the same type stands right before (CoNLL-2003) |
| io | I-PER I-PER I-PER I-LOC, or PER PER PER LOC | two neighbours of the same type are one entity |
| iobes | B-PER I-PER E-PER S-LOC | E- ends an entity, S- is one of a single word |
| bilou | B-PER I-PER L-PER U-LOC | the same with other letters |
| classes | NNP NNP NNP NN | no entities: parts of speech and the like |

O is a word in no entity. Where tags do not keep to their scheme, they are read as the official evaluation of
CoNLL-2000 and 2003 (`conlleval`) reads them: a tag begins an entity if it is B- (or S-, U-), or if the word before is
in no entity, in one of another type, or in one that ended there.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bertsmith.core.errors import InputError

Scheme = Literal["iob1", "iob2", "io", "iobes", "bilou", "classes"]
SchemeName = Literal["auto"] | Scheme
Tags = Sequence[str]

OUTSIDE = "O"
_PREFIXES: dict[Scheme, str] = {"iob1": "BI", "iob2": "BI", "io": "I", "iobes": "BIES", "bilou": "BILU", "classes": ""}
_ANY_PREFIX = "BIESLU"


class Entity(NamedTuple):
    """A name of some type: words start:end of a sentence."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Detection:
    """The scheme of a file, and how many of its entities do not begin as the scheme has it."""

    scheme: Scheme
    exceptions: int = 0

    def __str__(self) -> str:
        if self.scheme == "classes":
            return "the tags are classes of words, not entities"
        told = f"the tags are in {self.scheme.upper()}"
        if not self.exceptions:
            return told
        entities = "1 entity begins" if self.exceptions == 1 else f"{self.exceptions:,} entities begin"
        return f"{told}, but {entities} as {self.scheme.upper()} does not have it (they are read as conlleval does)"


def detect_scheme(sentences: Iterable[Tags], *, has_entities: bool | None = None) -> Detection:
    """The scheme of the tags of a file.

    Tags with a hyphen after B, I, E, S, L or U tell of entities if they are half of those that are not O, or more.
    Which of these letters occur says which scheme: L or U is BILOU, E or S is IOBES, I alone is IO. B and I may be IOB1
    or IOB2: it is the one by which fewer entities begin wrongly. If most tags have no such letter, they are types of
    entities (IO) if O is the most frequent of all, else classes of words.

    has_entities  whether the tags are of entities, if that is known
    raises        InputError if letters of two schemes occur
    """
    sentences = list(sentences)
    counts = Counter(tag for tags in sentences for tag in tags)
    outside = counts.pop(OUTSIDE, 0)
    marked = sum(count for tag, count in counts.items() if _prefix(tag))
    if has_entities is False:
        return Detection("classes")
    if 2 * marked < counts.total() and not (marked and has_entities):
        most = max(counts.values(), default=0)
        return Detection("io" if has_entities or outside > most else "classes")
    letters = {_prefix(tag) for tag in counts}
    if letters & {"L", "U"} and letters & {"E", "S"}:
        raise InputError("The tags mix the letters E, S (IOBES) and L, U (BILOU), so their scheme cannot be told.")
    if letters & {"L", "U"}:
        return Detection("bilou")
    if letters & {"E", "S"}:
        return Detection("iobes")
    if "B" not in letters:
        return Detection("io")
    not_iob1, not_iob2 = _wrong_beginnings(sentences)
    return Detection("iob1", not_iob1) if not_iob1 < not_iob2 else Detection("iob2", not_iob2)


def is_tag(tag: str, scheme: Scheme) -> bool:
    """Whether a scheme has such a tag."""
    if scheme == "classes" or tag == OUTSIDE:
        return True
    prefix = _prefix(tag)
    return prefix in _PREFIXES[scheme] if prefix else scheme == "io"


def to_iob2(tags: Tags, scheme: Scheme) -> tuple[str, ...]:
    """Tags of a sentence in IOB2; classes of words stay as they are. Every tag `is_tag` of the scheme."""
    if scheme == "classes":
        return tuple(tags)
    if scheme == "io":
        tags = [tag if tag == OUTSIDE or _prefix(tag) else f"I-{tag}" for tag in tags]
    return iob2_tags(entities_of(tags), len(tags))


def iob2_tags(entities: Iterable[Entity], length: int) -> tuple[str, ...]:
    """The IOB2 tags of a sentence of `length` words."""
    tags = [OUTSIDE] * length
    for entity in entities:
        inside = f"I-{entity.type}"
        tags[entity.start : entity.end] = [f"B-{entity.type}"] + [inside] * (entity.end - entity.start - 1)
    return tuple(tags)


def entities_of(tags: Tags) -> list[Entity]:
    """The entities of a sentence, in order; of tags with letters of any scheme, well-formed or not."""
    entities: list[Entity] = []
    start, last, last_type = 0, OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        letter, type_ = (OUTSIDE, "") if tag == OUTSIDE else (tag[0], tag[2:])
        begins = letter in "BSU" or last in "OESLU" or type_ != last_type
        if last != OUTSIDE and (letter == OUTSIDE or begins):
            entities.append(Entity(last_type, start, place))
        if begins:
            start = place
        last, last_type = letter, type_
    return entities


def entity_labels(types: Iterable[str]) -> tuple[str, ...]:
    """All IOB2 tags of some types of entities: what a network that finds them has outputs for."""
    return (OUTSIDE, *(f"{letter}-{type_}" for type_ in sorted(set(types)) for letter in "BI"))


def are_entity_labels(labels: Iterable[str]) -> bool:
    """Whether labels are tags of entities, not classes of words."""
    return all(label == OUTSIDE or is_tag(label, "iob2") for label in labels)


def _prefix(tag: str) -> str:
    """The letter before the hyphen; empty if the tag has none that means something."""
    return tag[0] if len(tag) > 2 and tag[1] == "-" and tag[0] in _ANY_PREFIX else ""


def _wrong_beginnings(sentences: Iterable[Tags]) -> tuple[int, int]:
    """How many entities begin as IOB1 does not have it (B- without need), and as IOB2 does not (I-)."""
    not_iob1 = not_iob2 = 0
    for row in sentences:
        tags = [tag if _prefix(tag) else OUTSIDE for tag in row]
        previous = None
        for entity in entities_of(tags):
            needs_mark = previous is not None and (previous.type, previous.end) == (entity.type, entity.start)
            has_mark = tags[entity.start].startswith("B-")
            not_iob1 += has_mark and not needs_mark
            not_iob2 += not has_mark
            previous = entity
    return not_iob1, not_iob2
