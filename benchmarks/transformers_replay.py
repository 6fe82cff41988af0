"""What transformers makes of a token store in so many steps, several times sooner: with bertsmith's products.

    python benchmarks/transformers_replay.py STORE --steps 5770 --precision bf16 --out FILE.json

The same initial weights, blocks, collator, optimiser and rates as in `transformers_pretraining.py`, which says how many
steps transformers makes in a minute; forward and backward are bertsmith's. The two libraries' losses agree to 1e-5
(tests/model/test_bert_equals_transformers.py), so only the order of the blocks, the draws and the rounding differ.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch
from bertsmith.core.process_environment import start_tuned
from bertsmith.model.bert import BertForMaskedLM
from bertsmith.model.folder import load_model
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import guess_held_out
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.pretraining_objective import PretrainingObjective
from bertsmith.training.schedule import Duration
from transformers_pretraining import (
    LENGTH,
    POINTS,
    SETTINGS,
    Blocks,
    as_one_segment,
    held_out_text,
    settings_parser,
    their_collator,
    their_model,
)


class CollatedBlocks:
    """Blocks in random order, collated by transformers, as the training loop takes them. A cursor is a number."""

    def __init__(self, store: TokenStore, choice: argparse.Namespace):
        self.blocks = Blocks(store)
        self.order = np.random.default_rng(choice.seed).permutation(len(self.blocks))
        self.batch_size = SETTINGS[choice.setting].get("per_device_train_batch_size", 8)
        self.collator = their_collator(store, seed=choice.seed)

    def batch(self, cursor: int) -> tuple[PretrainingBatch, int]:
        """Batch number `cursor`; the draws of the collator depend on what was drawn before."""
        places = np.arange(cursor * self.batch_size, (cursor + 1) * self.batch_size) % len(self.order)
        made = self.collator([self.blocks[int(index)] for index in self.order[places]])
        token_ids, labels = made["input_ids"], made["labels"].flatten()
        inputs = FlatBatch.from_sequences(list(token_ids.numpy()), list(np.zeros(token_ids.shape, np.int64)))
        masked = (labels != -100).nonzero().squeeze(1)
        return PretrainingBatch(inputs, masked, labels[masked], None), cursor + 1


def replay(store: TokenStore, held_out: Sequence[PretrainingBatch], choice: argparse.Namespace) -> dict[str, Any]:
    """Make `choice.steps` steps of their training with bertsmith's products, and tell what came of it."""
    transformers.set_seed(choice.seed)
    with tempfile.TemporaryDirectory() as folder:
        their_model(store, choice).save_pretrained(folder)
        model = load_model(BertForMaskedLM, Path(folder))
    settings = OptimiserSettings(
        learning_rate=SETTINGS[choice.setting].get("learning_rate", 5e-5),
        warmup_share=SETTINGS[choice.setting].get("warmup_steps", 0.0),
        weight_decay=0.0,
        epsilon=1e-8,
        bias_correction=True,
    )
    dtype = torch.bfloat16 if choice.precision == "bf16" else torch.float32
    batches = CollatedBlocks(store, choice)
    rows: list[dict[str, float]] = []

    def add(step: int) -> None:
        guesses = guess_held_out(model, held_out)
        assert guesses is not None  # nobody asked to stop
        row = {"step": step, "token_loss": guesses.scores.token_loss, "token_accuracy": guesses.scores.token_accuracy}
        rows.append(row)
        print(f"step {step:>7,}  held-out {guesses.scores}", flush=True)

    add(0)
    steps = training_steps(
        PretrainingObjective(model),
        batches,
        Optimiser(model, settings, dtype),
        duration=Duration(steps=choice.steps),
        start=Position(0),
        seed=choice.seed,
        device=torch.device("cpu"),
        micro_batch_size=batches.batch_size,
    )
    for step in steps:
        done = step.position.steps_done
        if done == choice.steps or done % max(1, choice.steps // POINTS) == 0:
            add(done)
    one_segment = guess_held_out(model, [as_one_segment(batch) for batch in held_out])
    assert one_segment is not None
    chosen = ("setting", "size", "precision", "seed")
    return {
        "tool": "transformers, replayed by bertsmith",
        "version": transformers.__version__,
        **{name: getattr(choice, name) for name in chosen},
        "steps": choice.steps,
        "tokens": choice.steps * batches.batch_size * LENGTH,
        "curve": rows,
        "last_as_one_segment": {
            "token_loss": one_segment.scores.token_loss,
            "token_accuracy": one_segment.scores.token_accuracy,
        },
        "store": store.fingerprint,
    }


def main() -> None:
    """Train, score and print; write JSON if asked."""
    parser = settings_parser(__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    choice = parser.parse_args()
    if choice.store is None:
        print("transformers_replay.py makes --steps of training on a token store: call it with one, or with --help.")
        return
    torch.set_num_threads(choice.threads)
    store = TokenStore.open(choice.store)
    result = replay(store, held_out_text(store), choice)
    scores = result["last_as_one_segment"]
    print(f"{result['tokens']:,} tokens; as one segment {scores['token_loss']:.3f}", flush=True)
    if choice.out is not None:
        choice.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    start_tuned()
    main()
