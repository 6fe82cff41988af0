"""The tables and the picture of docs/benchmarks.md, from what `make bench` wrote into results/benchmarks.

`python docs/benchmark_tables.py` draws the picture.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

BENCHMARKS = Path(__file__).parent / "results" / "benchmarks"
SIZES = ("tiny", "mini", "small", "base")


def step_table(folder: Path = BENCHMARKS) -> str:
    """A pre-training step: a row for each size and side.

    folder  of the results: those of another machine are in one of their own
    """
    sides = {size: found["results"] for size, found in _steps(folder).items()}
    return _beside_each_other("size", sides, "of the peak", lambda side: f"{side['share_of_peak']:.0%}")


def profile_table() -> str:
    """Where a step's time goes, for each size that was profiled; at the end what bounds it."""
    profiles = {size: _read(f"profile-{size}") for size in SIZES if (BENCHMARKS / f"profile-{size}.json").is_file()}
    totals = {size: sum(found["seconds"].values()) for size, found in profiles.items()}
    first, *_ = profiles.values()
    rows = []
    for kind in sorted(first["seconds"], key=lambda kind: -first["seconds"][kind]):
        cells = [
            f"{1000 * found['seconds'][kind]:,.0f} | {found['seconds'][kind] / totals[size]:.0%}"
            for size, found in profiles.items()
        ]
        rows.append(f"| {kind} | {' | '.join(cells)} |")
    products = {size: found["seconds"]["products of matrices"] for size, found in profiles.items()}
    for name, seconds in (("the step", totals), ("the products alone", products)):
        shares = [f" | {_share_of_peak(found, seconds[size]):.0%}" for size, found in profiles.items()]
        rows.append(f"| **{name}, of the peak** | {' | '.join(shares)} |")
    heads = " | ".join(f"{size}, ms | share" for size in profiles)
    return _table(f"| kind of work | {heads} |", rows)


def _share_of_peak(found: Mapping[str, Any], seconds: float) -> float:
    share: float = found["flops"] / found["peak_flops"] / seconds
    return share


def encoding_table() -> str:
    """Texts to vectors: a row for each kind of text and side."""
    sides = {kind: found["sides"] for kind, found in _read("encoding")["results"].items()}
    return _beside_each_other("texts", sides, "smallest cosine", lambda side: f"{side['smallest_cosine']:.4f}")


def preparation_table() -> str:
    """Text to tokens on disk."""
    rounds = _read("preparation")["rounds"]
    speeds = {name: [one["tokens"] / one["seconds"] for one in found] for name, found in rounds.items()}
    ratios = [ours / theirs for ours, theirs in zip(speeds["bertsmith"], speeds["datasets"], strict=True)]
    rows = []
    for name, found in rounds.items():
        memory = max(one["peak_bytes"] for one in found) / 2**20
        stored = found[0]["stored_bytes"] / found[0]["tokens"]
        ratio = "" if name == "bertsmith" else _ratios(ratios)
        rows.append(f"| {name} | {statistics.median(speeds[name]):,.0f} | {memory:,.0f} | {stored:.2f} | {ratio} |")
    head = "| who | tokens a second | MiB of memory | bytes a token on disk | bertsmith is so many times as fast |"
    return _table(head, rows)


def elmo_table() -> str:
    """A step of an ELMo: tokens and its share of the machine's own matrix product, by size."""
    found = _read("elmo")
    rows = [
        f"| {size} | {one['tokens_per_second']:,.0f} | {one['share_of_peak']:.0%} "
        f"({min(one['shares']):.0%} to {max(one['shares']):.0%}) | {one['peak_flops'] / 1e9:,.0f} |"
        for size, one in found["sizes"].items()
    ]
    head = f"of the peak in {found['precision']}, {found['threads']} threads"
    return _table(f"| size | tokens a second | {head} | the peak, GFLOP/s |", rows)


def machine(folder: Path = BENCHMARKS) -> str:
    """What multiplied, in a sentence."""
    peaks = [found["peak_flops"] / 1e9 for found in _steps(folder).values()]
    speed = f"{min(peaks):,.0f} to {max(peaks):,.0f} GFLOP/s in bfloat16"
    return f"{speed} on {_threads(folder)} threads, measured beside each size.\n"


def main() -> None:
    """Draw how many times as fast bertsmith is, step by step."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.add_subplot()
    others = ("transformers float32", "transformers bfloat16 autocast")
    for place, other in enumerate(others):
        ratios = [statistics.median(found["results"][other]["ratios"]) for found in _steps().values()]
        bars = axes.bar(
            [at + 0.38 * (place - 0.5) for at in range(len(ratios))], ratios, 0.36, label=f"against {other}"
        )
        axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.axhline(1, color="gray", linewidth=0.8)
    axes.set_xticks(range(len(_steps())), list(_steps()))
    axes.set_ylabel("times as fast")
    axes.set_title(f"A pre-training step of bertsmith on {_threads()} CPU threads", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(BENCHMARKS.parent / "benchmarks.png", dpi=110)


def _beside_each_other(
    head: str, sides: Mapping[str, Mapping[str, Any]], figure_head: str, figure: Callable[[Mapping[str, Any]], str]
) -> str:
    """A row for each case and side of a script: speed, one more figure, and the lead of bertsmith in bfloat16."""
    ours = "bertsmith bfloat16"
    rows = [
        f"| {case} | {name} | {side['tokens_per_second']:,.0f} | {figure(side)} | "
        f"{'' if name == ours else _ratios(side['ratios'])} |"
        for case, by_name in sides.items()
        for name, side in by_name.items()
    ]
    return _table(f"| {head} | who | tokens a second | {figure_head} | {ours} is so many times as fast |", rows)


def _threads(folder: Path = BENCHMARKS) -> str:
    """How many, of all sizes."""
    return " or ".join(sorted({str(found["threads"]) for found in _steps(folder).values()}))


def _steps(folder: Path = BENCHMARKS) -> Mapping[str, Any]:
    return {size: _read(f"step-{size}", folder) for size in SIZES if (folder / f"step-{size}.json").is_file()}


def _read(name: str, folder: Path = BENCHMARKS) -> Any:  # noqa: ANN401 - as JSON has it
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _ratios(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _table(head: str, rows: Sequence[str]) -> str:
    return "\n".join([head, f"|{'---|' * (head.count('|') - 1)}", *rows]) + "\n"


if __name__ == "__main__":
    main()
