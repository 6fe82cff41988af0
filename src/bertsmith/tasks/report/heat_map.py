"""A confusion matrix as a table with coloured cells: its labels stay text, whatever their script."""

from bertsmith.core import page
from bertsmith.tasks.findings import Confusion

_STRONGEST = 60  # percent of colour, so that figures can be read on it
_FEW, _SEVERAL = 6, 12  # labels: few are drawn large with their names level, more than several are drawn small
_LONGEST_NAME = 20  # characters
_BARE = "border:0;white-space:nowrap;font-size:1em"


def heat_map(confusion: Confusion) -> page.Markup:
    """Right answers in the page's first colour, mistakes in the second; as strong as a cell's share of its row.

    Where the rest meets itself, both are counted, so that cell is grey.
    """
    num_labels = len(confusion.labels)
    rest = num_labels - 1 if confusion.num_others else None
    size, cell_width = (1.0, 4.2) if num_labels <= _FEW else (0.9, 2.6) if num_labels <= _SEVERAL else (0.7, 1.9)
    turned = "" if num_labels <= _FEW else "writing-mode:vertical-rl;transform:rotate(180deg)"
    below = f"{_BARE};padding:.35em .1em;line-height:1.2;text-align:center;vertical-align:bottom"
    names = [page.text(shortened(label, _LONGEST_NAME)).html for label in confusion.labels]
    heads = "".join(f'<th style="{below}"><span style="{turned}">{name}</span></th>' for name in names)
    rows = []
    for gold, (name, counts) in enumerate(zip(names, confusion.counts, strict=True)):
        total = sum(counts)
        right = "var(--soft)" if gold == rest else "var(--first)"
        cells = "".join(
            _cell(count, count / max(total, 1), cell_width, right if predicted == gold else "var(--second)")
            for predicted, count in enumerate(counts)
        )
        beside = f"{_BARE};padding:.35em .6em;text-align:right;vertical-align:middle"
        rows.append(f'<tr><th style="{beside}">{name}</th>{cells}<td class="note" style="{beside}">{total:,}</td></tr>')
    looks = f"font-size:{size}rem;width:auto;margin:1.2rem auto;border-collapse:separate;border-spacing:2px"
    return page.Markup(
        f'<div class="scroll"><table style="{looks}"><thead><tr><td style="{_BARE}"></td>{heads}'
        f'<td class="note" style="{below}">in all</td></tr></thead>\n<tbody>{"".join(rows)}</tbody></table></div>'
    )


def shortened(text: str, longest: int) -> str:
    """A text of at most `longest` characters, with an ellipsis where some are left out."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _cell(count: int, share: float, width: float, colour: str) -> str:
    paper = f"color-mix(in srgb,{colour} {round(_STRONGEST * share)}%,var(--card))"
    looks = f"{_BARE};padding:.45em .2em;min-width:{width}em;border-radius:.3rem;text-align:center;background:{paper}"
    return f'<td style="{looks}">{f"{count:,}" if count else ""}</td>'
