"""Drawings for a report: as SVG they take colours and font from the page, so that they follow dark mode; or as PNG.

A drawing is drawn when it is asked for. For a page it has stand-in colours, and each is then replaced by the page's CSS
variable of that role; a PNG has the colours of the light page.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter


@dataclass(frozen=True)
class Palette:
    """Colours by the role that they have on the page."""

    ink: str
    soft: str
    line: str
    first: str
    second: str


_STAND_INS = Palette("#010101", "#020202", "#030303", "#040404", "#050505")
_LIGHT = Palette("#21242b", "#646a76", "#e2dfd7", "#1f6feb", "#d1752a")  # as page.html has them
_STYLE: dict[Any, Any] = {  # keys: matplotlib's own list of literals
    "svg.fonttype": "none",  # text stays text: sharp, small, selectable
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
}
_PNG_DPI = 160
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.5)))


@dataclass(frozen=True)
class Drawing:
    """A picture of one kind and how to draw it."""

    kind: str
    draw: Callable[[Palette], Figure]

    def svg(self) -> str:
        """An SVG element for a page; equal bytes for equal drawings."""
        buffer = io.StringIO()
        with mpl.rc_context(_style(_STAND_INS) | {"svg.hashsalt": self.kind}):
            metadata = {"Date": None, "Creator": None, "Type": None, "Format": None}
            self.draw(_STAND_INS).savefig(buffer, format="svg", metadata=metadata, transparent=True)
        return _for_the_page(buffer.getvalue())

    def save_png(self, target: Path) -> None:
        """Write a picture file in the colours of the light page."""
        with mpl.rc_context(_style(_LIGHT)):
            self.draw(_LIGHT).savefig(target, format="png", dpi=_PNG_DPI)


@dataclass(frozen=True)
class Curve:
    """Points of a line: x ascending. `faint`: drawn thin and pale, as background of the others."""

    name: str
    points: Sequence[tuple[float, float]]
    faint: bool = False


def curves(lines: Sequence[Curve], *, x_label: str, y_label: str, floors: Mapping[str, float]) -> Drawing:
    """Lines over a common axis, and dashed levels with their names on them."""

    def draw(palette: Palette) -> Figure:
        figure, axes = _drawing(height=3.2)
        for line in lines:
            if line.faint:
                look: dict[str, Any] = {"color": palette.soft, "linewidth": 1.0, "alpha": 0.6}
            else:
                look = {"color": palette.first, "linewidth": 2.2, "marker": "o", "markersize": 3.5}
            axes.plot(*zip(*line.points, strict=True), label=line.name, **look)
        for name, level in floors.items():
            axes.axhline(level, color=palette.second, linestyle=(0, (5, 3)), linewidth=1.6)
            axes.annotate(
                name, (1.0, level), xycoords=("axes fraction", "data"), xytext=(0, -4), textcoords="offset points",
                color=palette.second, ha="right", va="top", fontsize=10,
            )  # fmt: skip
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.margins(x=0.01, y=0.1)  # below the lowest level there is room for its name
        axes.grid(axis="y", linewidth=0.8)
        axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.0, 0.8), labelcolor=palette.ink)
        return figure

    return Drawing("curves", draw)


@dataclass(frozen=True)
class ComparedCurve:
    """One of several lines that are compared: x ascending."""

    name: str
    points: Sequence[tuple[float, float]]


def compared_curves(lines: Sequence[ComparedCurve], *, x_label: str, y_label: str) -> Drawing:
    """Lines of equal rank, told apart by colour and dash."""

    def draw(palette: Palette) -> Figure:
        figure, axes = _drawing(height=3.4)
        colours = (palette.first, palette.second, palette.ink, palette.soft)
        for number, line in enumerate(lines):
            axes.plot(
                *zip(*line.points, strict=True),
                label=line.name,
                color=colours[number % len(colours)],
                linestyle=_DASHES[number // len(colours) % len(_DASHES)],
                linewidth=2.0,
                marker="o",
                markersize=3.0,
            )
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(axis="y", linewidth=0.8)
        axes.legend(frameon=False, labelcolor=palette.ink)
        return figure

    return Drawing("compared-curves", draw)


def scores_by_seed(groups: Mapping[str, Sequence[float]], *, levels: Mapping[str, float], x_label: str) -> Drawing:
    """One row a group, one dot a seed, a bar at the mean; `levels` are upright lines to compare with.

    groups  name -> score of each seed; the first is drawn in the page's first colour, the rest in the second
    """

    def draw(palette: Palette) -> Figure:
        figure, axes = _drawing(height=0.9 + 0.62 * len(groups))
        for name, level in levels.items():
            axes.axvline(level, color=palette.soft, linestyle=(0, (4, 3)), linewidth=1.2, alpha=0.6)
            axes.annotate(
                name, (level, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                color=palette.soft, ha="center", va="bottom", fontsize=10,
            )  # fmt: skip
        for row, scores in enumerate(groups.values()):
            colour = palette.first if row == 0 else palette.second
            mean = sum(scores) / len(scores)
            axes.scatter(scores, [-row] * len(scores), color=colour, s=46, alpha=0.65, linewidths=0)
            axes.plot([mean, mean], [-row - 0.26, -row + 0.26], color=colour, linewidth=2.6)
            axes.annotate(
                f"{mean:.1%}", (mean, -row + 0.26), xytext=(0, 2), textcoords="offset points",
                color=colour, ha="center", va="bottom", fontweight="bold",
            )  # fmt: skip
        axes.set_yticks([-row for row in range(len(groups))], list(groups))
        axes.tick_params(axis="y", labelcolor=palette.ink)
        axes.set_ylim(-len(groups) + 0.5, 0.75)
        axes.margins(x=0.08)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_xlabel(x_label)
        axes.spines["left"].set_visible(False)
        return figure

    return Drawing("scores", draw)


def shades(maps: Mapping[str, Sequence[Sequence[float]]], *, x_label: str, y_label: str) -> Drawing:
    """Small maps side by side; a cell is as strong as its value, from nothing at 0 to the full colour at 1.

    maps  name -> rows of equal length, all maps of the same size
    """

    def draw(palette: Palette) -> Figure:
        rows, columns = len(next(iter(maps.values()))), len(next(iter(maps.values()))[0])
        width = 5.0 / len(maps)
        figure = Figure(figsize=(5.0, 0.8 + width * max(0.6, min(rows / columns, 3.0))), layout="constrained")
        for place, (name, values) in enumerate(maps.items()):
            axes = figure.add_subplot(1, len(maps), place + 1)
            for row, cells in enumerate(values):
                for column, value in enumerate(cells):
                    axes.add_patch(Rectangle((column + 0.5, row + 0.5), 1, 1, color=palette.first, alpha=value, lw=0))
            axes.set(xlim=(0.5, columns + 0.5), ylim=(rows + 0.5, 0.5), xticks=[1, columns], yticks=[])
            axes.set_title(name, color=palette.ink, fontsize=9.5)
            axes.tick_params(labelsize=8.5)
            axes.spines[:].set(visible=True, color=palette.line)
            if place == 0:
                axes.set(yticks=[1, rows], ylabel=y_label)
        figure.supxlabel(x_label, color=palette.soft, fontsize=10)
        return figure

    return Drawing("shades", draw)


def _drawing(height: float) -> tuple[Figure, Axes]:
    """A drawing of 5 x `height` inches: so narrow that its words can be read on a phone."""
    figure = Figure(figsize=(5.0, height), layout="constrained")
    return figure, figure.add_subplot()


def _style(palette: Palette) -> dict[Any, Any]:
    colours = {
        "axes.edgecolor": palette.line,
        "axes.labelcolor": palette.soft,
        "grid.color": palette.line,
        "text.color": palette.ink,
        "xtick.color": palette.soft,
        "ytick.color": palette.soft,
    }
    return _STYLE | colours


def _for_the_page(svg: str) -> str:
    """Leave the element alone, sized by the page, with its variables for the stand-in colours."""
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg)
    svg = re.sub(r"<style .*?</style>", "", svg, flags=re.DOTALL)  # it speaks of `*`: the whole page
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg)
    for role, stand_in in vars(_STAND_INS).items():
        svg = svg.replace(stand_in, f"var(--{role})")
    return svg
