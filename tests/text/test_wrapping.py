"""Paragraphs out of lines that were wrapped at a fixed width."""

import os
import textwrap
from itertools import islice
from pathlib import Path

import pytest

from bertsmith.text.wrapping import join_wrapped, wrapped_width

PARAGRAPHS = [
    "The old harbour lies where the river, slow and brown with the clay of the upper valley, meets the sea, and where "
    "for as long as anybody can remember the boats have been drawn up on the shingle in winter, keel to the sky.",
    "Nobody goes there now.",
    '"I should like to see it," said the girl, "before the winter comes and the road is closed again for the snow, as '
    'it has been closed each year since the bridge went."',
    "He thought about it for a while, looked at the clock over the door, which had stopped, and at the rain, which had "
    "not, and then he took his coat from the hook, and hers, and blew out the lamp that stood on the window sill.",
]


def wrap(paragraphs, width, between) -> list[str]:
    return between.join("\n".join(textwrap.wrap(paragraph, width)) for paragraph in paragraphs).split("\n")


@pytest.mark.parametrize("width", [60, 72, 100])
@pytest.mark.parametrize("between", ["\n\n", "\n\n\n", "\n"], ids=["a blank line", "two blank lines", "no blank line"])
def test_wrapped_lines_are_joined_to_the_paragraphs_that_they_were(width, between):
    assert list(join_wrapped(wrap(PARAGRAPHS * 5, width, between))) == PARAGRAPHS * 5


def test_indents_and_trailing_blanks_do_not_matter():
    lines = [f"   {line}  " if line else line for line in wrap(PARAGRAPHS * 3, 72, "\n\n")]
    assert list(join_wrapped(lines)) == PARAGRAPHS * 3


@pytest.mark.parametrize(
    "lines",
    [
        PARAGRAPHS,
        [line for paragraph in PARAGRAPHS * 5 for line in (paragraph, "")],
        ["Yes.", "No.", "Perhaps so.", "He left."] * 10,
        ["A sentence a line, of one length or of another.", "Short one.", "And now one that is quite a bit longer."]
        * 9,
        ["一" * length for length in (20, 55, 90, 31, 70, 44, 65, 82, 24, 50)] * 5,
        ["alpha", "beta", "gamma", "delta"] * 20,
        [],
        [""] * 20,
    ],
    ids=["paragraphs", "blank lines", "dialogue", "sentences", "chinese", "words", "nothing", "blank"],
)
def test_text_that_is_not_wrapped_stays_as_it_is(lines):
    assert wrapped_width(lines) is None
    assert list(join_wrapped(lines)) == [line for line in lines if line]


def test_a_line_that_goes_on_with_a_small_letter_belongs_to_the_same_paragraph():
    lines = wrap(PARAGRAPHS * 5, 72, "\n\n")
    lines[1:2] = lines[1].split(" ", 3)[:2]  # ragged: two short lines inside the first paragraph
    assert next(join_wrapped(lines)).startswith("The old harbour lies")
    assert wrapped_width(lines) in range(66, 73)


def test_long_text_is_read_as_a_stream():
    def endless():
        while True:
            yield from wrap(PARAGRAPHS, 72, "\n\n")
            yield ""

    assert list(islice(join_wrapped(endless()), 8)) == PARAGRAPHS * 2


DATA = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache" / "bertsmith-data"))


@pytest.mark.skipif(not (DATA / "books_english_novels").is_dir(), reason=f"needs {DATA}/books_english_novels")
@pytest.mark.parametrize(
    ("book", "width"),
    [
        ("Dickens_Bleak_1853", 67),  # no blank lines at all
        ("Conrad_Rover_1923", 72),
        ("Forster_Howards_1910", 59),
        ("Anon_Clara_1864", None),
        ("Barclay_Ladies_1917", None),
        ("Eliot_Daniel_1876", None),
    ],
)
def test_novels_are_recognised(book, width):
    lines = (DATA / "books_english_novels" / f"{book}.txt").read_text(encoding="utf-8-sig").split("\n")
    found = wrapped_width(lines)
    assert found is None if width is None else abs(found - width) <= 1
    paragraphs = list(join_wrapped(lines))
    assert sum(paragraph[0].islower() for paragraph in paragraphs) < 0.01 * len(paragraphs)
