"""The loss curve of a run as a picture, with the floor that a network without context cannot pass."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bertsmith.training.metrics_log import read_metrics


def plot_loss(run_folder: Path, target: Path, unigram_floor: float | None) -> None:
    """Draw the language model's loss on training and held-out text against steps.

    unigram_floor  nats: loss of guessing by frequency alone; None without held-out text
    """
    records = read_metrics(run_folder)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for group, style in (("train", {"alpha": 0.35, "linewidth": 1.0}), ("held_out", {"marker": "o", "markersize": 3})):
        points = [(record["step"], record[group]["token_loss"]) for record in records if group in record]
        if points:
            axes.plot(*zip(*points, strict=True), label=group.replace("_", "-"), **style)
    if unigram_floor is not None:
        axes.axhline(unigram_floor, linestyle="--", color="gray", label=f"unigram entropy {unigram_floor:.2f}")
    axes.set(xlabel="step", ylabel="loss (nats)", title=run_folder.name)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    figure.savefig(target, dpi=120)
