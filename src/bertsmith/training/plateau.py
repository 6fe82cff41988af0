"""The plateau: does the network use the words beside a hidden word yet, or does it guess from a bag of words.

A network that sees a bag of words gets somewhat below the unigram entropy (the loss of guessing by frequency), and
slowly: it learns what a text is about. Only when heads look at neighbours does the loss fall for good. The line between
both is drawn at a fifth below the unigram entropy, a rule of thumb. What it rests on: on English text with 30,522
pieces a mini from `normal` initial values ended 16 % below after 10,000 steps, and none of its heads looked at a
neighbour; from `neighbour` it ended 37 % below, with heads that do; a bigram model, which knows the word before and
nothing else, stands 22 % below (docs/doctor.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertsmith.core.console import console
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.metrics_log import MetricsLog, with_minutes

LEFT_SHARE = 0.2  # of the unigram entropy: so far below it a held-out loss has left the plateau
LATE_SHARE = 1 / 3  # of the training: who is still on the plateau then is told so
GROUP = "plateau"  # of the records in metrics.jsonl: `left` is 1 when it was left, 0 when that was found to be late
_LARGE_BATCH = 64


@dataclass(frozen=True)
class HeldOutLoss:
    """A held-out masked-LM loss, and when it was measured."""

    step: int
    minutes: float  # of training
    token_loss: float  # nats


def has_left(token_loss: float, unigram_loss: float) -> bool:
    """Whether a held-out loss is past the plateau."""
    return token_loss < (1.0 - LEFT_SHARE) * unigram_loss


def held_out_losses(records: Iterable[Mapping[str, Any]]) -> list[HeldOutLoss]:
    """The held-out losses of a run."""
    return [
        HeldOutLoss(record["step"], minutes, record["held_out"]["token_loss"])
        for minutes, record in with_minutes(records)
        if "held_out" in record
    ]


def describe(loss: HeldOutLoss, unigram_loss: float) -> str:
    """Where a loss stands: `held-out loss 6.1 is 1.1 below the unigram entropy 7.2, after 500 steps, 3 minutes`."""
    distance = unigram_loss - loss.token_loss
    side = "below" if distance >= 0 else "above"
    return (
        f"held-out loss {loss.token_loss:.3f} is {abs(distance):.2f} {side} the unigram entropy {unigram_loss:.3f}, "
        f"after {loss.step:,} steps, {loss.minutes:.1f} minutes"
    )


def advice(config: PretrainConfig) -> str:
    """Why a run with these settings may stay on the plateau, and what to change first."""
    training, reasons = config.training, []
    if config.init is None and config.model.initialisation == "normal":
        reasons.append(
            "Normal initial values make every head average over all positions, and finding the neighbours takes "
            "millions of tokens: start a run with --initialisation cooccurrence."
        )
    if not training.bias_correction and _warms_up_within(config, steps=2.0 / (1.0 - training.beta2)):
        reasons.append(
            "Adam's running means start at 0 and, after a short warm-up, make the steps too long: add "
            "--bias-correction --beta2 0.98."
        )
    if config.data.batch_size > _LARGE_BATCH:
        reasons.append(f"Batches of {config.data.batch_size} leave few updates: try --batch-size 32.")
    if not reasons:
        reasons.append(
            "Train longer (--steps or --hours), or try another --learning-rate: `bertsmith doctor` measures it."
        )
    return " ".join(reasons)


class PlateauWatch:
    """Says once, on the screen and in metrics.jsonl, that the plateau is left, or that by now it should have been."""

    def __init__(
        self, config: PretrainConfig, unigram_loss: float, log: MetricsLog, written: Sequence[Mapping[str, Any]]
    ):
        """`written`: what metrics.jsonl holds already; a resumed run does not repeat itself."""
        self._config = config
        self._unigram_loss = unigram_loss
        self._log = log
        said = [record[GROUP]["left"] for record in written if GROUP in record]
        self._left, self._late = 1 in said, 0 in said

    def look(self, loss: HeldOutLoss, progress: float) -> None:
        """Take in a held-out loss. `progress`: share of the training that is done."""
        if self._left:
            return
        where = describe(loss, self._unigram_loss)
        if has_left(loss.token_loss, self._unigram_loss):
            self._left = True
            self._write(loss, left=1)
            console.print(f"{'left' if loss.step else 'begins past'} the plateau: {where}", soft_wrap=True)
        elif progress >= LATE_SHARE and not self._late:
            self._late = True
            self._write(loss, left=0)
            console.print(f"still on the plateau: {where}. {advice(self._config)}", soft_wrap=True)

    def _write(self, loss: HeldOutLoss, left: int) -> None:
        values = {"left": left, "token_loss": loss.token_loss, "unigram_loss": self._unigram_loss}
        self._log.write(loss.step, GROUP, values)


def _warms_up_within(config: PretrainConfig, steps: float) -> bool:
    """Whether the warm-up is known to be shorter than so many steps. On the clock it is not known: taken for short."""
    total = config.training.steps
    return total is None or total * config.training.warmup_share < steps
