"""The pictures of a fine-tuning's report: how the runs went, whether confidence can be believed, scores against gold.

No text of a person's files is drawn, so no script and no dollar sign of theirs meets the drawing library's fonts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from bertsmith.core.plots import Drawing, Palette
from bertsmith.tasks.findings import Calibration, ScoreComparison

MOST_POINTS = 1000  # that a picture of scores shows

RunKind = Literal["kept", "other", "collapsed"]


@dataclass(frozen=True)
class RunCurve:
    """A run's way: points (epochs done, value), ascending."""

    kind: RunKind
    points: Sequence[tuple[float, float]]


def run_curves(runs: Sequence[RunCurve], *, y_label: str, marked: bool) -> Drawing:
    """A line for each run; the kept one is in the foreground.

    marked  whether each point is marked, as a value that was measured once
    """

    def draw(palette: Palette) -> Figure:
        looks: dict[RunKind, dict[str, Any]] = {
            "other": {"color": palette.soft, "linewidth": 1.2, "alpha": 0.55, "label": "other runs"},
            "collapsed": {"color": palette.second, "linewidth": 1.6, "linestyle": (0, (4, 2)), "label": "collapsed"},
            "kept": {"color": palette.first, "linewidth": 2.4, "label": "kept"},
        }
        figure = Figure(figsize=(5.0, 2.7), layout="constrained")
        axes = figure.add_subplot()
        for kind, look in looks.items():
            for run in runs:
                if run.kind == kind:
                    axes.plot(*zip(*run.points, strict=True), **look, marker="o" if marked else "", markersize=4)
        axes.set(xlabel="epochs", ylabel=y_label)
        axes.margins(x=0.03, y=0.12)
        axes.set_xlim(left=None if marked else 0.0)
        axes.grid(axis="y", linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if len(runs) > 1:
            named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one entry for each kind
            figure.legend(
                named.values(), named, loc="outside upper right", ncols=3, frameon=False, labelcolor=palette.ink
            )
        return figure

    return Drawing("run curves", draw)


def reliability(calibration: Calibration) -> Drawing:
    """The share of right answers over confidence, and below it how many answers there are of each confidence."""

    def draw(palette: Palette) -> Figure:
        figure = Figure(figsize=(5.0, 4.0), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
        lowest = [bin_.lowest for bin_ in calibration.bins]
        widths = [bin_.highest - bin_.lowest for bin_ in calibration.bins]
        upper.plot([0, 1], [0, 1], color=palette.second, linestyle=(0, (5, 3)), linewidth=1.6)
        upper.vlines(
            [bin_.confidence for bin_ in calibration.bins],
            [bin_.confidence for bin_ in calibration.bins],
            [bin_.share_right for bin_ in calibration.bins],
            color=palette.first, linewidth=5, alpha=0.25,
        )  # fmt: skip
        upper.plot(
            [bin_.confidence for bin_ in calibration.bins],
            [bin_.share_right for bin_ in calibration.bins],
            color=palette.first, linewidth=2.2, marker="o", markersize=5,
        )  # fmt: skip
        upper.set(ylabel="of these, right", ylim=(-0.03, 1.03), xlim=(-0.02, 1.02))
        upper.grid(linewidth=0.8)
        upper.xaxis.set_major_formatter(PercentFormatter(1.0))
        upper.yaxis.set_major_formatter(PercentFormatter(1.0))
        counts = [bin_.count for bin_ in calibration.bins]
        lower.bar(lowest, counts, widths, align="edge", color=palette.first, alpha=0.35, edgecolor=palette.first)
        lower.set(xlabel="confidence", ylabel="how many")
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        figure.align_ylabels()
        return figure

    return Drawing("reliability", draw)


def against_gold(comparison: ScoreComparison) -> Drawing:
    """A dot for each example; of very many examples every so-manieth is drawn."""
    step = -(-len(comparison.gold) // MOST_POINTS)
    gold, predicted = comparison.gold[::step], comparison.predicted[::step]
    lowest, highest = min(*gold, *predicted), max(*gold, *predicted)

    def draw(palette: Palette) -> Figure:
        figure = Figure(figsize=(5.0, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([lowest, highest], [lowest, highest], color=palette.second, linestyle=(0, (5, 3)), linewidth=1.6)
        axes.scatter(gold, predicted, color=palette.first, s=16, alpha=0.35, linewidths=0)
        axes.set(xlabel="right score", ylabel="predicted score")
        axes.margins(0.04)
        axes.grid(linewidth=0.8)
        return figure

    return Drawing("against gold", draw)
