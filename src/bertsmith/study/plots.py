"""Drawings for a report: SVG that takes its colours and its font from the page, so that it follows dark mode.

matplotlib draws with stand-in colours; each is then replaced by the page's CSS variable of that role.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

_INK, _SOFT, _LINE, _FIRST, _SECOND = "#010101", "#020202", "#030303", "#040404", "#050505"
_ROLES = {_INK: "--ink", _SOFT: "--soft", _LINE: "--line", _FIRST: "--first", _SECOND: "--second"}
_STYLE: dict[Any, Any] = {  # keys: matplotlib's own list of literals
    "svg.fonttype": "none",  # text stays text: sharp, small, selectable
    "font.size": 11.0,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
}


@dataclass(frozen=True)
class Curve:
    """Points of a line: x ascending. `faint`: drawn thin and pale, as background of the others."""

    name: str
    points: Sequence[tuple[float, float]]
    faint: bool = False


def curves(lines: Sequence[Curve], *, x_label: str, y_label: str, floor: tuple[str, float] | None = None) -> str:
    """Lines over a common axis, and a dashed level with its name beside it."""
    with mpl.rc_context(_STYLE | {"svg.hashsalt": "curves"}):
        figure, axes = _drawing(height=3.2)
        for line in lines:
            if line.faint:
                axes.plot(*zip(*line.points, strict=True), label=line.name, color=_SOFT, linewidth=1.0, alpha=0.6)
            else:
                look: dict[str, Any] = {"color": _FIRST, "linewidth": 2.2, "marker": "o", "markersize": 3.5}
                axes.plot(*zip(*line.points, strict=True), label=line.name, **look)
        if floor is not None:
            name, level = floor
            axes.axhline(level, color=_SECOND, linestyle=(0, (5, 3)), linewidth=1.6)
            axes.annotate(
                name, (1.0, level), xycoords=("axes fraction", "data"), xytext=(0, -4), textcoords="offset points",
                color=_SECOND, ha="right", va="top", fontsize=10,
            )  # fmt: skip
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.margins(x=0.01)
        axes.grid(axis="y", linewidth=0.8)
        axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.0, 0.8), labelcolor=_INK)
        return _svg(figure)


def scores_by_seed(groups: Mapping[str, Sequence[float]], *, levels: Mapping[str, float], x_label: str) -> str:
    """One row a group, one dot a seed, a bar at the mean; `levels` are upright lines to compare with.

    groups  name -> score of each seed; the first is drawn in the page's first colour, the rest in the second
    """
    with mpl.rc_context(_STYLE | {"svg.hashsalt": "scores"}):
        figure, axes = _drawing(height=0.9 + 0.62 * len(groups))
        for name, level in levels.items():
            axes.axvline(level, color=_SOFT, linestyle=(0, (4, 3)), linewidth=1.2, alpha=0.6)
            axes.annotate(
                name, (level, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                color=_SOFT, ha="center", va="bottom", fontsize=10,
            )  # fmt: skip
        for row, scores in enumerate(groups.values()):
            colour = _FIRST if row == 0 else _SECOND
            mean = sum(scores) / len(scores)
            axes.scatter(scores, [-row] * len(scores), color=colour, s=46, alpha=0.65, linewidths=0)
            axes.plot([mean, mean], [-row - 0.26, -row + 0.26], color=colour, linewidth=2.6)
            axes.annotate(
                f"{mean:.1%}", (mean, -row + 0.26), xytext=(0, 2), textcoords="offset points",
                color=colour, ha="center", va="bottom", fontweight="bold",
            )  # fmt: skip
        axes.set_yticks([-row for row in range(len(groups))], list(groups))
        axes.tick_params(axis="y", labelcolor=_INK)
        axes.set_ylim(-len(groups) + 0.5, 0.75)
        axes.margins(x=0.08)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_xlabel(x_label)
        axes.spines["left"].set_visible(False)
        return _svg(figure)


def _drawing(height: float) -> tuple[Figure, Axes]:
    """A drawing of 5 x `height` inches: so narrow that its words can be read on a phone."""
    figure = Figure(figsize=(5.0, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0.0)
    return figure, axes


def _svg(figure: Figure) -> str:
    """The drawing as an SVG element for a page, equal bytes for equal drawings."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg)
    svg = re.sub(r"<style .*?</style>", "", svg, flags=re.DOTALL)  # it speaks of `*`: the whole page
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg)
    for stand_in, role in _ROLES.items():
        svg = svg.replace(stand_in, f"var({role})")
    return svg
