"""Text that every Python installation ships: docstrings and the language reference behind `help()`, as clean prose.

Source files are read and parsed, never imported: no code of theirs runs. The libraries are the standard library and
those that bertsmith itself needs, so that the text is the same wherever the same versions are installed. What is kept
of a docstring is its prose: examples, tables, formulas, signatures and headings are left out, markup is taken off.
"""

import ast
import importlib.util
import inspect
import re
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertsmith.text.worker_processes import available_cores, map_in_order

STANDARD_LIBRARY = "python"
LIBRARIES = (
    "fontTools",
    "fsspec",
    "matplotlib",
    "networkx",
    "numpy",
    "pyarrow",
    "pydantic",
    "scipy",
    "sklearn",
    "sympy",
    "torch",
)
SKIPPED_FOLDERS = frozenset(
    {
        "__pycache__",
        "_vendor",
        "conftest",
        "dist-packages",
        "idle_test",
        "lib2to3",
        "site-packages",
        "test",
        "testing",
        "tests",
    }
)
MAX_SOURCE_BYTES = 2_000_000  # larger files are generated tables


@dataclass(frozen=True)
class SourceFile:
    """A Python file, the library it belongs to and the module it defines."""

    path: Path
    library: str
    module: str


@dataclass(frozen=True)
class Docstring:
    """The prose of one docstring.

    name        qualified name inside the module ("Axes.plot"); "" for the module's own docstring
    paragraphs  each on one line, in order
    """

    library: str
    module: str
    name: str
    paragraphs: tuple[str, ...]


@dataclass
class CollectionCounts:
    """What was read and what was left out, for the screen and the report."""

    files: int = 0
    docstrings: int = 0
    paragraphs: int = 0
    repeated_paragraphs: int = 0
    words: int = 0
    characters: int = 0


def installed_libraries() -> dict[str, Path]:
    """The standard library and those of LIBRARIES that are installed: name -> folder. Imports none of them."""
    roots = {STANDARD_LIBRARY: Path(sysconfig.get_path("stdlib"))}
    for name in LIBRARIES:
        specification = importlib.util.find_spec(name)
        if specification is not None and specification.submodule_search_locations:
            roots[name] = Path(specification.submodule_search_locations[0])
    return roots


def source_files(roots: dict[str, Path]) -> list[SourceFile]:
    """Every Python file under `roots`, sorted, without tests and without other people's vendored code."""
    found = []
    for library, root in roots.items():
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if SKIPPED_FOLDERS.intersection(parts) or parts[-1].startswith("test_") or parts[-1].endswith("_test"):
                continue
            if path.stat().st_size > MAX_SOURCE_BYTES:
                continue
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            prefix = () if library == STANDARD_LIBRARY else (library,)
            found.append(SourceFile(path, library, ".".join(prefix + parts)))
    return found


def collect(
    files: Sequence[SourceFile], counts: CollectionCounts, *, workers: int | None = None
) -> Iterator[Docstring]:
    """The prose of all docstrings of `files`, in their order, each paragraph only the first time it is met.

    counts   added to on the way
    workers  processes that read; by default one per core, eight at most
    """
    seen: set[str] = set()
    for found in map_in_order(_reader, files, workers or min(available_cores(), 8)):
        counts.files += 1
        for docstring in found:
            new = tuple(paragraph for paragraph in docstring.paragraphs if paragraph not in seen)
            seen.update(new)
            counts.repeated_paragraphs += len(docstring.paragraphs) - len(new)
            if not new:
                continue
            counts.docstrings += 1
            counts.paragraphs += len(new)
            counts.words += sum(len(paragraph.split()) for paragraph in new)
            counts.characters += sum(map(len, new))
            yield Docstring(docstring.library, docstring.module, docstring.name, new)


def _reader() -> Callable[[SourceFile], list[Docstring]]:
    return read_source


def read_source(file: SourceFile) -> list[Docstring]:
    """The prose of the docstrings of one file. A file that this Python cannot parse has none."""
    try:
        tree = ast.parse(file.path.read_bytes())
    except (SyntaxError, ValueError):  # another Python's syntax, kept by some libraries; a NUL byte
        return []
    texts = help_topics(tree) if file.module == "pydoc_data.topics" else docstrings(tree)
    found = []
    for name, text in texts:
        paragraphs = tuple(prose(text))
        if paragraphs:
            found.append(Docstring(file.library, file.module, name, paragraphs))
    return found


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Qualified name and docstring of a module, its classes and its functions, in the order of the file."""
    todo: list[tuple[str, ast.AST]] = [("", tree)]
    while todo:
        name, node = todo.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield name, text
        inner = [
            (f"{name}.{child.name}".lstrip("."), child)
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            else (name, child)
            for block in ("body", "handlers", "orelse", "finalbody")
            for child in getattr(node, block, ())
            if isinstance(child, ast.stmt | ast.excepthandler)
        ]
        todo.extend(reversed(inner))


def help_topics(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The topics of `help()`: a module that is one dictionary of topic -> text of the language reference."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for topic, text in ast.literal_eval(node.value).items():
                yield topic, inspect.cleandoc(text)


_ITEM = re.compile(r"(?:[-*+•]|\(?\d+[.)])\s+|:\w+(?: [^:]*)?:\s+|\*{0,2}\w+ ?(?:\([^()]*\))?:\s+(?=[A-Z])")
_DIRECTIVE = re.compile(r"\.\. (?:(?:note|warning|tip|important|deprecated)::)?\s*")
_UNDERLINE = re.compile(r"([-=~^\"'*+#])\1{2,}")
_MARKUP = (
    (re.compile(r":[\w:]+:`~?\.?([^`<]*?)(?:\s*<[^`]*>)?`"), r"\1"),  # :class:`~module.Name`, :ref:`text <label>`
    (re.compile(r"`~?\.?([^`<]+?)(?:\s*<[^`]*>)?`_{0,2}"), r"\1"),  # `name`, `text <address>`_
    (re.compile(r"[`|]"), ""),
    (re.compile(r"(?<![\w*])\*{1,2}([^*\s][^*]*)\*{1,2}(?![\w*])"), r"\1"),  # *emphasis*
    (re.compile(r"\s*\[[\w*]+\]_"), ""),  # a reference to the bibliography
    (re.compile(r"\s+"), " "),
)
_SENTENCE_END = re.compile(r"[.!?:;][)\"']*$")


def prose(docstring: str) -> list[str]:
    """The paragraphs of a docstring that read as sentences, each on one line, without markup.

    A paragraph is a run of lines with the same indentation; list markers and `name (type):` in front are taken off.
    Left out: examples (`>>>`), blocks after `::`, directives with their bodies, and whatever is not mostly words or has
    no sentence's end: tables, formulas, signatures, headings.
    """
    paragraphs: list[list[str]] = []
    indent = -1  # of the open paragraph; -1: none is open
    hanging = False  # the open paragraph has only its first line, of an item, so that the next may be deeper
    literal: int | None = None  # indentation that introduced a literal block: everything deeper belongs to it
    example = False
    for line in docstring.expandtabs().splitlines():
        text = line.strip()
        if not text:
            indent, example = -1, False
            continue
        depth = len(line) - len(line.lstrip())
        if literal is not None and depth > literal:
            continue
        literal = None
        if example or text.startswith((">>>", "...  ")):
            indent, example = -1, True
            continue
        if _UNDERLINE.fullmatch(text):
            if indent >= 0:
                paragraphs[-1].pop()  # the heading
            indent = -1
            continue
        directive = _DIRECTIVE.match(text)
        if directive:
            if not directive[0].rstrip().endswith("::"):
                literal = depth
            indent, text = -1, text[directive.end() :] if literal is None else ""
        elif text.endswith("::"):
            literal, text = depth, text[:-1]
        item = _ITEM.match(text)
        if item or not (depth == indent or (hanging and depth > indent)):
            paragraphs.append([])
        paragraphs[-1].append(text[item.end() :] if item else text)
        indent, hanging = depth, bool(item)
    joined = (_without_markup(" ".join(lines)) for lines in paragraphs)
    return [paragraph for paragraph in joined if _reads_as_prose(paragraph)]


def _without_markup(paragraph: str) -> str:
    for pattern, replacement in _MARKUP:
        paragraph = pattern.sub(replacement, paragraph)
    return paragraph.strip()


def _reads_as_prose(paragraph: str) -> bool:
    """At least five words, mostly letters, no brackets of code, no control characters, ending as a sentence does."""
    letters = sum(character.isalpha() or character == " " for character in paragraph)
    return (
        paragraph.count(" ") >= 4
        and letters >= 0.88 * len(paragraph)
        and paragraph.isprintable()
        and not re.search(r"[\\{}$|]|%\(|__|>>>", paragraph)
        and _SENTENCE_END.search(paragraph) is not None
    )
