"""The picture of docs/plateau.md, from results on file: `python docs/draw_small_budget.py`.

Held-out loss over tokens from three kinds of initial values: the two runs of the first run, and the study `lunch`.
"""

import json
from pathlib import Path

from matplotlib.figure import Figure

from bertsmith.study.cell import read_cell

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Draw."""
    first_run = json.loads((RESULTS / "first-run.json").read_text(encoding="utf-8"))["pretraining"]
    lunch = read_cell(RESULTS / "cells" / "lunch" / "lunch-seed0.json")
    tokens_a_step = lunch.tokens / lunch.curve[-1].step
    curves = {
        name: [(scores["step"] * run["tokens"] / run["steps"], scores["token_loss"]) for scores in run["held_out"]]
        for name, run in first_run.items()
    }
    curves["co-occurrence (recipe lunch)"] = [
        (scores.step * tokens_a_step, scores.token_loss) for scores in lunch.curve
    ]
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, points), colour in zip(curves.items(), ("tab:orange", "tab:blue", "tab:green"), strict=True):
        axes.plot([tokens / 1e6 for tokens, _ in points], [loss for _, loss in points], "o-", color=colour, label=name)
    floor = first_run["normal"]["unigram_loss"]
    axes.axhline(floor, linestyle="--", color="gray", label=f"guessing by frequency: {floor:.2f}")
    axes.set(xlabel="tokens seen (millions)", ylabel="held-out masked-LM loss (nats)")
    axes.set_ylim(top=floor + 0.3)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(RESULTS / "small-budget.png", dpi=110)


if __name__ == "__main__":
    main()
