"""The same pre-training in bfloat16 and in float32: are the losses the same, and how long did each wait for batches.

    python benchmarks/loss_curves.py STORE --out FOLDER [--steps 2000] [--recipe mini] [--threads 2] [--json FILE]

Two runs of `pretrain` with all else equal. Stopped, the same command goes on.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from bertsmith.core.process_environment import start_tuned
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.metrics_log import read_metrics
from bertsmith.training.pretraining import pretrain, resume_pretraining
from bertsmith.training.run import RUN_FILE

PRECISIONS = ("bfloat16", "float32")


def run(arguments: argparse.Namespace, precision: str) -> dict[str, Any]:
    """Held-out losses by the step, seconds a step, and the share of them that was spent waiting."""
    out = arguments.out / precision
    settings = {
        "recipe": arguments.recipe,
        "store": arguments.store,
        "out": out,
        "training": {"steps": arguments.steps},
        "runtime": {"precision": precision, "threads": arguments.threads, "evaluations": 10, "log_steps": 1},
    }
    if not (out / RUN_FILE).exists():
        pretrain(PretrainConfig.from_layers(settings))
    elif not (out / "model").exists():
        resume_pretraining(out, {})
    records = read_metrics(out)
    steps = [record["train"] for record in records if "train" in record]
    seconds = sum(step["seconds"] for step in steps)
    return {
        "curve": {record["step"]: record["held_out"]["token_loss"] for record in records if "held_out" in record},
        "seconds_a_step": seconds / len(steps),
        "waited_share": sum(step["waited"] for step in steps) / seconds,
    }


def main() -> None:
    """Train twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--recipe", default="mini")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {precision: run(arguments, precision) for precision in PRECISIONS}
    low, full = (found[precision]["curve"] for precision in PRECISIONS)
    for step in full:
        print(f"step {step:>6,}  bfloat16 {low[step]:.4f}  float32 {full[step]:.4f}  {low[step] / full[step] - 1:+.2%}")
    for precision, side in found.items():
        print(f"{precision}: {side['seconds_a_step']:.3f} s a step, {side['waited_share']:.2%} of it waiting")
    if arguments.json is not None:
        what = {"recipe": arguments.recipe, "steps": arguments.steps, "threads": arguments.threads}
        arguments.json.write_text(json.dumps(what | found, indent=2) + "\n")


if __name__ == "__main__":
    start_tuned()
    main()
