"""Held-out loss after so many minutes: what transformers' own tools make of a token store, as a curve on the clock.

    pip install accelerate        # transformers' Trainer needs it, bertsmith does not
    python benchmarks/transformers_pretraining.py STORE --minutes 60 --threads 1 --size mini --out FILE.json
    python benchmarks/transformers_pretraining.py STORE --minutes 60 --threads 1 --setting tuned --precision bf16

The opponent is run_mlm.py, transformers' example for masked-LM pre-training from scratch: BertForMaskedLM, Trainer and
DataCollatorForLanguageModeling; documents as [CLS] text [SEP], end to end, cut into blocks of 128; dropout 0.1.

    example  the defaults of TrainingArguments: AdamW 5e-5 (0.9, 0.999, 1e-8, no decay), batch 8, linear decay, clipping
    tuned    what people on small budgets change: 5e-4 with 6 % warm-up, batch 32; the rest is the same

Where a choice had to be made, it was made in the opponent's favour:

- Their decay of the learning rate needs a number of steps, and nobody knows how many fit into an hour. Here the speed
  is measured first, off the clock, on a network that is thrown away: `planned_steps` = speed * minutes. The training
  ends with the last of them, or after the step in which the minutes run out, whichever comes first.
- The clock stands while text is scored (that of `bertsmith pretrain --hours` does not). The text is tokenised already.
  No checkpoints, logs or progress bar. The collator is told which tokens are special; Trainer by default drops that.

The score is that of `bertsmith pretrain`: the same held-out samples, masks and code, on weights from `save_pretrained`;
on the first batch it is held to transformers' own loss each time. The samples are pairs of segments, and this network
has seen one segment only: so the last score is also taken with all tokens in the first (`last_as_one_segment`).
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import BertConfig as TheirConfig
from transformers import BertForMaskedLM as TheirModel
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import is_accelerate_available

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.held_out import held_out_batches
from bertsmith.model.bert import BertForMaskedLM
from bertsmith.model.configuration import SIZES, BertConfig
from bertsmith.model.folder import load_model
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import RuntimeSettings, load_recipe
from bertsmith.training.evaluation import HeldOutScores, guess_held_out
from bertsmith.training.run_evaluation import EVALUATION_BATCH
from pretraining_step import pad

LENGTH = 128
SETTINGS: dict[str, dict[str, Any]] = {
    "example": {},
    "tuned": {"learning_rate": 5e-4, "warmup_steps": 0.06, "per_device_train_batch_size": 32},  # below 1: a share
}
POINTS = 10  # of the curve, after the one at 0
WARM_UP_STEPS, LEAST_SECONDS_TO_MEASURE, SHARE_TO_MEASURE = 5, 10.0, 0.03


class Blocks(torch.utils.data.Dataset[dict[str, Tensor]]):
    """The training text as `group_texts` of run_mlm.py cuts it; only the last block's remainder is dropped."""

    def __init__(self, store: TokenStore):
        self.special_ids = cls_id, sep_id = store.tokenizer.cls_id, store.tokenizer.sep_id
        parts, last_document = [], -1
        for block in map(store.train.block, range(store.train.num_blocks)):
            starts = block.sentence_offsets[block.document_offsets[:-1]]
            if block.first_document == last_document:  # goes on with the document of the block before
                starts = starts[1:]
            last_document = block.first_document + len(block.document_offsets) - 2
            parts.append(np.insert(block.token_ids, np.repeat(starts, 2), np.tile([sep_id, cls_id], len(starts))))
        end = np.array([sep_id], parts[0].dtype)
        self.token_ids = np.concatenate([*parts, end])[1:]  # no document ends where the first one starts

    def __len__(self) -> int:
        return len(self.token_ids) // LENGTH

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        token_ids = torch.from_numpy(self.token_ids[index * LENGTH : (index + 1) * LENGTH].astype(np.int64))
        cls_id, sep_id = self.special_ids
        return {"input_ids": token_ids, "special_tokens_mask": (token_ids == cls_id) | (token_ids == sep_id)}


class Speed(TrainerCallback):
    """Stops a training after some seconds; knows its steps per second, without the first few."""

    def __init__(self, seconds: float):
        self.seconds, self.steps_per_second = seconds, math.nan
        self.times: list[float] = []

    def on_step_end(self, args: object, state: object, control: TrainerControl, **rest: object) -> None:
        """Trainer calls this."""
        self.times.append(time.perf_counter())
        if len(self.times) > WARM_UP_STEPS:
            measured = self.times[-1] - self.times[WARM_UP_STEPS - 1]
            self.steps_per_second = (len(self.times) - WARM_UP_STEPS) / measured
            control.should_training_stop = measured >= self.seconds


class Curve(TrainerCallback):
    """Scores at equal shares of the minutes, and ends the training when they are over. The clock stands meanwhile."""

    def __init__(self, minutes: float, held_out: Sequence[PretrainingBatch]):
        self.minutes, self.held_out = minutes, held_out
        self.rows: list[dict[str, float]] = []

    def on_train_begin(self, args: object, state: object, control: object, model: TheirModel, **rest: object) -> None:
        """Trainer calls this: the score at 0, then the clock starts."""
        self.model = model
        self.add(0.0, 0)
        self.started = time.perf_counter()

    def on_step_end(self, args: object, state: TrainerState, control: TrainerControl, **rest: object) -> None:
        """Trainer calls this."""
        stopped = time.perf_counter()
        minutes = (stopped - self.started) / 60
        control.should_training_stop = minutes >= self.minutes or state.global_step >= state.max_steps
        if control.should_training_stop or minutes >= self.minutes * len(self.rows) / POINTS:
            self.add(minutes, state.global_step)
        self.started += time.perf_counter() - stopped

    def add(self, minutes: float, step: int) -> None:
        """One more point of the curve."""
        found = score(self.model, self.held_out)
        row = {"minutes": minutes, "step": step, "token_loss": found.token_loss, "token_accuracy": found.token_accuracy}
        self.rows.append(row)
        print(f"{minutes:7.2f} min  step {step:>7,}  held-out {found}", flush=True)


def score(model: TheirModel, batches: Sequence[PretrainingBatch]) -> HeldOutScores:
    """The held-out scores by bertsmith's code, which on the first batch must agree with transformers' own loss."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        ours = load_model(BertForMaskedLM, Path(folder))
        # read back, since `model` itself computes in bfloat16 once Trainer has had it with bf16
        theirs = TheirModel.from_pretrained(folder).eval()
    guesses, first = guess_held_out(ours, batches), guess_held_out(ours, batches[:1])
    assert guesses is not None and first is not None  # nobody asked to stop
    padded = {name: values for name, values in pad(batches[0]).items() if name != "next_sentence_label"}
    with torch.inference_mode():
        their_loss = float(theirs(**padded).loss)
    assert abs(first.scores.token_loss - their_loss) < 1e-4, (first.scores.token_loss, their_loss)
    return guesses.scores


def held_out_text(store: TokenStore) -> Sequence[PretrainingBatch]:
    """What `bertsmith pretrain --recipe mini` is scored on."""
    data, sequences = BatchSettings(**load_recipe("mini")["data"]), RuntimeSettings().evaluation_sequences
    held_out = held_out_batches(store, data, max_sequences=sequences, batch_size=EVALUATION_BATCH)
    if not held_out:
        raise SystemExit(f"{store.folder} has no held-out text to score")
    return held_out


def as_one_segment(batch: PretrainingBatch) -> PretrainingBatch:
    """The same tokens, all of them in the first segment."""
    return replace(batch, inputs=replace(batch.inputs, segment_ids=torch.zeros_like(batch.inputs.segment_ids)))


def their_model(store: TokenStore, choice: argparse.Namespace) -> TheirModel:
    """New weights, drawn by transformers."""
    pad_id, vocabulary_size = store.tokenizer.pad_id, store.tokenizer.vocabulary_size
    config = BertConfig.of_size(choice.size, vocab_size=vocabulary_size, pad_token_id=pad_id)
    return TheirModel(TheirConfig(**config.to_hugging_face()))


def their_collator(store: TokenStore, seed: int | None = None) -> transformers.DataCollatorForLanguageModeling:
    """Masks 15 % of the tokens of a batch; a generator of its own if given a seed."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(store.folder / "tokenizer")
    return transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, seed=seed)


def train(
    store: TokenStore, blocks: Blocks, choice: argparse.Namespace, steps: int, callback: TrainerCallback
) -> Trainer:
    """Train new weights as run_mlm.py does, with a learning rate that is 0 after `steps`."""
    transformers.set_seed(choice.seed)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            seed=choice.seed,
            use_cpu=True,
            bf16=choice.precision == "bf16",
            remove_unused_columns=False,  # special_tokens_mask is for the collator
            dataloader_pin_memory=False,  # means something on a GPU only
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **SETTINGS[choice.setting],
        )
        trainer = Trainer(
            model=their_model(store, choice),
            args=settings,
            train_dataset=blocks,
            data_collator=their_collator(store),
            callbacks=[callback],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return trainer


def measure(store: TokenStore, held_out: Sequence[PretrainingBatch], choice: argparse.Namespace) -> dict[str, Any]:
    """Measure the speed, train for the minutes, and tell what came of it."""
    blocks = Blocks(store)
    speed = Speed(max(LEAST_SECONDS_TO_MEASURE, SHARE_TO_MEASURE * 60 * choice.minutes))
    train(store, blocks, choice, 1_000_000, speed)
    planned_steps = max(1, round(speed.steps_per_second * 60 * choice.minutes))
    print(f"{choice.setting}, {choice.size}, {choice.precision}: {planned_steps:,} steps in {choice.minutes:g} minutes")
    curve = Curve(choice.minutes, held_out)
    trainer = train(store, blocks, choice, planned_steps, curve)
    steps = trainer.state.global_step
    tokens = steps * trainer.args.train_batch_size * LENGTH
    one_segment = score(curve.model, [as_one_segment(batch) for batch in held_out])
    chosen = ("setting", "size", "precision", "threads", "seed", "minutes")
    return {
        "tool": "transformers",
        "version": transformers.__version__,
        **{name: getattr(choice, name) for name in chosen},
        "steps": steps,
        "planned_steps": planned_steps,
        "tokens": tokens,
        "tokens_per_second": tokens / (60 * curve.rows[-1]["minutes"]),
        "curve": curve.rows,
        "last_as_one_segment": {"token_loss": one_segment.token_loss, "token_accuracy": one_segment.token_accuracy},
        "store": store.fingerprint,
    }


def settings_parser(description: str | None) -> argparse.ArgumentParser:
    """The flags of a training with transformers' settings, whoever computes it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", nargs="?", type=Path)
    parser.add_argument("--setting", choices=list(SETTINGS), default="example")
    parser.add_argument("--size", choices=list(SIZES), default="mini")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    return parser


def main() -> None:
    """Train, score and print; write JSON if asked."""
    parser = settings_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    choice = parser.parse_args()
    if choice.store is None:
        print("transformers_pretraining.py trains for --minutes on a token store: call it with one, or with --help.")
        return
    if not is_accelerate_available():
        parser.error("transformers' Trainer needs accelerate: pip install accelerate")
    torch.set_num_threads(choice.threads)
    transformers.utils.logging.disable_progress_bar()
    store = TokenStore.open(choice.store)
    held_out = held_out_text(store)
    result = measure(store, held_out, choice)
    scores = result["last_as_one_segment"]
    print(f"{result['tokens_per_second']:,.0f} tokens/s; as one segment {scores['token_loss']:.3f}", flush=True)
    if choice.out is not None:
        choice.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
