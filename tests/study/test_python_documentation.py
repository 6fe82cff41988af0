"""Reading docstrings: what is kept of them, literally, and what is left out."""

import ast
from textwrap import dedent

import pytest

from bertsmith.study.python_documentation import (
    CollectionCounts,
    collect,
    docstrings,
    help_topics,
    installed_libraries,
    prose,
    source_files,
)

NUMPYDOC = """\
Return a sorted copy of an array, `numpy style`.

Parameters
----------
a : array_like
    Array to be sorted, of :class:`~numpy.ndarray` or anything
    that can be turned into one.
kind : {'quicksort', 'mergesort'}, optional
    Short.

Notes
-----
The *worst* case takes ``n log n`` comparisons [1]_, as everyone knows.

.. math::

    f(n) = O(n log n) which reads as words but is a formula here.

.. note:: Sorting is stable for every kind that is offered.

References
----------
.. [1] A. Author, "A book about the sorting of many things."

Examples
--------
>>> sort([3, 1, 2])
this output line is made of plain words only.

The result of the example above is a list of numbers::

    this literal block is made of plain words only.

The text goes on after the literal block.
"""


def test_numpydoc_keeps_its_sentences_and_loses_the_rest():
    assert prose(NUMPYDOC) == [
        "Return a sorted copy of an array, numpy style.",
        "Array to be sorted, of numpy.ndarray or anything that can be turned into one.",
        "The worst case takes n log n comparisons, as everyone knows.",
        "Sorting is stable for every kind that is offered.",
        "The result of the example above is a list of numbers:",
        "The text goes on after the literal block.",
    ]


def test_google_and_sphinx_fields_lose_their_names():
    text = dedent("""\
        Open a file and read all of it.

        Args:
            path (str): Where the file is, as a string
                or as something like it.
            mode: The way in which it is opened.

        :param size: The number of bytes to be read.
        :returns: The bytes that were found in it.
        """)
    assert prose(text) == [
        "Open a file and read all of it.",
        "Where the file is, as a string or as something like it.",
        "The way in which it is opened.",
        "The number of bytes to be read.",
        "The bytes that were found in it.",
    ]


def test_list_items_are_paragraphs_of_their_own():
    text = "- the first of the two items;\n- the second one, which goes on\n  in the next line."
    assert prose(text) == ["the first of the two items;", "the second one, which goes on in the next line."]


@pytest.mark.parametrize(
    "left_out",
    [
        "Too short.",
        "a heading without a full stop at the end",
        "x = compute(a[0], b[1]) + 3 * (c ** 2) / d.",
        "+-----+-----+ | a b c | d e f | is a table.",
        "The value of \\alpha is given by the user.",
        "",
    ],
)
def test_what_does_not_read_as_prose_is_left_out(left_out):
    assert prose(left_out) == []


def test_docstrings_of_modules_classes_and_functions_come_with_their_qualified_names():
    source = dedent('''\
        """M."""
        if True:
            def guarded():
                """G."""
        class Outer:
            """O."""
            async def method(self):
                """A."""
                def inner():
                    """I."""
        x = """not a docstring"""
        ''')
    found = list(docstrings(ast.parse(source)))
    assert found == [
        ("", "M."),
        ("guarded", "G."),
        ("Outer", "O."),
        ("Outer.method", "A."),
        ("Outer.method.inner", "I."),
    ]


def test_help_topics_are_read_from_their_dictionary():
    tree = ast.parse("# comment\ntopics = {'while': 'The while statement\\n'\n 'repeats.', 'with': 'W'}\n")
    assert list(help_topics(tree)) == [("while", "The while statement\nrepeats."), ("with", "W")]


@pytest.fixture
def library(tmp_path):
    """A small package with everything that must be passed over."""

    def write(path, docstring, code="raise SystemExit('imported')"):
        target = tmp_path / "library" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f'"""{docstring}"""\n{code}\n')

    write("__init__.py", "This library does nothing at all.")
    write("zebra.py", "This module speaks about the zebra.")
    write("inner/apple.py", "This module speaks about the apple.\n\nThis library does nothing at all.")
    write("tests/test_zebra.py", "This test looks at the zebra closely.")
    write("inner/test_apple.py", "This test looks at the apple closely.")
    write("inner/newer.py", "This file is for a newer Python.", "def f[[[")
    (tmp_path / "library" / "data.txt").write_text("This file is no source file at all.")
    return {"library": tmp_path / "library"}


def test_source_files_are_sorted_and_without_tests(library):
    modules = [file.module for file in source_files(library)]
    assert modules == ["library", "library.inner.apple", "library.inner.newer", "library.zebra"]


def test_collecting_imports_nothing_and_keeps_each_paragraph_once(library):
    counts = CollectionCounts()
    found = [
        (docstring.module, docstring.paragraphs) for docstring in collect(source_files(library), counts, workers=1)
    ]
    assert found == [
        ("library", ("This library does nothing at all.",)),
        ("library.inner.apple", ("This module speaks about the apple.",)),
        ("library.zebra", ("This module speaks about the zebra.",)),
    ]
    assert (counts.files, counts.docstrings, counts.paragraphs, counts.repeated_paragraphs) == (4, 3, 3, 1)
    assert counts.words == 18


def test_the_standard_library_and_numpy_are_found_without_importing_them():
    libraries = installed_libraries()
    assert (libraries["python"] / "json" / "__init__.py").is_file()
    assert (libraries["numpy"] / "__init__.py").is_file()
