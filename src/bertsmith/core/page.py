"""The frame of a report: one self-contained HTML page, and the few elements that reports are made of.

Every function takes plain text and escapes it. What it returns is a `Markup`, the only thing that the page takes as it
is, so that no text reaches the page unescaped.
"""

import html
import importlib.resources
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import Template


@dataclass(frozen=True)
class Markup:
    """A piece of finished HTML."""

    html: str

    def __add__(self, other: "Markup") -> "Markup":
        return Markup(f"{self.html}\n{other.html}")


def text(content: str) -> Markup:
    """Plain text."""
    return Markup(html.escape(content))


def page(title: str, subtitle: str, content: Iterable[Markup], footer: str) -> str:
    """A whole page, without any reference to the outside: styles and pictures are in it."""
    template = Template((importlib.resources.files("bertsmith.core") / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=html.escape(title),
        subtitle=html.escape(subtitle),
        content="\n".join(element.html for element in content),
        footer=html.escape(footer),
    )


def heading(content: str) -> Markup:
    """The heading of a section."""
    return Markup(f"<h2>{html.escape(content)}</h2>")


def paragraph(content: str | Markup, kind: str | None = None) -> Markup:
    """A paragraph; kind "note" is small and pale."""
    opening = f'<p class="{html.escape(kind)}">' if kind else "<p>"
    return Markup(f"{opening}{_inner(content)}</p>")


def verdict(headline: str, explanation: str, *, good: bool) -> Markup:
    """The answer of the whole page in a box: green if it is what the reader hoped for, amber if not."""
    kind = "good" if good else "doubt"
    return Markup(
        f'<div class="verdict {kind}"><strong>{html.escape(headline)}</strong>{html.escape(explanation)}</div>'
    )


def figures(values: Sequence[tuple[str, str]]) -> Markup:
    """Large numbers, each with what it is: (value, label)."""
    cells = "".join(
        f"<div><b>{html.escape(value)}</b><span>{html.escape(label)}</span></div>" for value, label in values
    )
    return Markup(f'<div class="figures">{cells}</div>')


def table(header: Sequence[str], rows: Sequence[Sequence[str | Markup]], *, numbers: Iterable[int] = ()) -> Markup:
    """A table. `numbers`: the columns that are aligned to the right."""
    right = set(numbers)

    def cell(tag: str, column: int, content: str | Markup) -> str:
        kind = ' class="number"' if column in right else ""
        return f"<{tag}{kind}>{_inner(content)}</{tag}>"

    head = "".join(cell("th", column, content) for column, content in enumerate(header))
    body = "".join(
        "<tr>" + "".join(cell("td", column, content) for column, content in enumerate(row)) + "</tr>\n" for row in rows
    )
    return Markup(f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>')


def picture(svg: str, caption: str) -> Markup:
    """A drawing of `plots.py` with a line under it, which also describes it to those who do not see it."""
    described = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(caption)}" ', 1)
    return Markup(f"<figure>{described}<figcaption>{html.escape(caption)}</figcaption></figure>")


def commands(content: str) -> Markup:
    """Lines to type."""
    return Markup(f"<pre>{html.escape(content)}</pre>")


def emphasised(before: str, middle: str, after: str) -> Markup:
    """A text with one stretch of it marked."""
    return Markup(f"{html.escape(before)}<mark>{html.escape(middle)}</mark>{html.escape(after)}")


def _inner(content: str | Markup) -> str:
    return content.html if isinstance(content, Markup) else html.escape(content)
