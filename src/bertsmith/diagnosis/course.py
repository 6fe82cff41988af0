"""What the record of a run tells: spikes, a loss that rises again, next sentence prediction at chance."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bertsmith.diagnosis.finding import Finding, Level
from bertsmith.training.plateau import LATE_SHARE

FEWEST_RECORDS = 30
SPIKE_NATS = 1.0  # above the median of the records before ...
SPIKE_DEVIATIONS = 6.0  # ... and so many of their standard deviations
SPIKE_SHARE = 0.01  # of the records: more spikes than that are a warning
RISE_NATS = 0.3  # mean of the last tenth of the records above that of the lowest tenth
STANDARD_ERRORS = 3.0  # that an NSP accuracy must be above one half to be more than chance
_BEFORE = 20
_DEVIATION_OF_MEDIAN = 1.4826  # standard deviation of a normal distribution, in median absolute deviations

Records = Sequence[Mapping[str, Any]]


def course_finding(records: Records, gradient_clip: float) -> Finding:
    """Whether the training loss came down smoothly."""
    about = "course of the loss"
    train = [record["train"] for record in records if "train" in record]
    scored = [record["held_out"]["token_loss"] for record in records if "held_out" in record]
    losses = [record["token_loss"] for record in train]
    broken = sum(not math.isfinite(loss) for loss in [*losses, *scored])
    if broken:
        return Finding(
            about,
            Level.WARNING,
            f"{broken} of {len(losses) + len(scored)} recorded losses are not numbers.",
            "The weights are spoilt.",
            cause="Overflow: a learning rate that is far too high, or damaged weights.",
            remedy="Go on from an older checkpoint, or start again with a lower --learning-rate or in float32.",
            values={"not_finite": broken},
        )
    if len(losses) < FEWEST_RECORDS:
        return Finding(
            about,
            Level.NOTE,
            f"{len(losses)} records of the training loss.",
            "Too few to say whether the loss comes down smoothly.",
            values={"records": len(losses)},
        )
    spikes, rise = len(find_spikes(losses)), rise_of(losses)
    norms = [record["gradient_norm"] for record in train]
    clipped = sum(norm > gradient_clip for norm in norms) / len(norms)
    measured = (
        f"{spikes} spikes in {len(losses):,} records; the last tenth is {rise:.2f} nats above the lowest. Gradient "
        f"norm {statistics.median(norms):.2f} (median), {clipped:.0%} of the steps clipped at {gradient_clip:g}."
    )
    values = {
        "spikes": spikes,
        "records": len(losses),
        "rise": rise,
        "gradient_norm": statistics.median(norms),
        "clipped_share": clipped,
    }
    if not spikes and rise <= RISE_NATS:
        return Finding(
            about,
            Level.GOOD,
            measured,
            "The loss comes down smoothly. Clipping alone is no bad sign: Adam divides the gradient's size out again.",
            values=values,
        )
    severe = rise > RISE_NATS or spikes > SPIKE_SHARE * len(losses)
    return Finding(
        about,
        Level.WARNING if severe else Level.NOTE,
        measured,
        "Training is unstable: single steps, or all of the late ones, undo what was learnt.",
        cause="A learning rate that is too high, a warm-up that is too short, or single damaged documents.",
        remedy="Start again with half the --learning-rate, a larger --warmup-share, and --bias-correction.",
        values=values,
    )


def find_spikes(losses: Sequence[float]) -> list[int]:
    """Places of the losses that jump out of the 20 before them."""
    spikes = []
    for place in range(_BEFORE, len(losses)):
        before = losses[place - _BEFORE : place]
        middle = statistics.median(before)
        deviation = _DEVIATION_OF_MEDIAN * statistics.median(abs(loss - middle) for loss in before)
        if losses[place] > middle + max(SPIKE_NATS, SPIKE_DEVIATIONS * deviation):
            spikes.append(place)
    return spikes


def rise_of(losses: Sequence[float]) -> float:
    """How far the mean of the last tenth is above that of the lowest tenth."""
    size = max(1, len(losses) // 10)
    means = [statistics.fmean(losses[end - size : end]) for end in range(len(losses), size - 1, -size)]
    return means[0] - min(means)


def next_sentence_finding(accuracy: float, pairs: int, progress: float) -> Finding:
    """Whether the network tells next sentences from others.

    accuracy  on held-out pairs, `pairs` of them
    progress  share of the training that is done
    """
    about = "next sentences told"
    error = 0.5 / pairs**0.5
    measured = f"{accuracy:.1%} of {pairs:,} held-out pairs right; chance is 50 % ± {error:.1%}."
    values = {"nsp_accuracy": accuracy, "standard_error": error}
    if accuracy > 0.5 + STANDARD_ERRORS * error:
        return Finding(about, Level.GOOD, measured, "The network tells whether B follows A.", values=values)
    return Finding(
        about,
        Level.WARNING if progress >= LATE_SHARE else Level.NOTE,
        measured,
        "The network cannot tell whether B follows A.",
        cause="It is learnt after the words, so a run on the plateau or a short one has not come to it; or the "
        "documents are so short or so alike that nobody could tell.",
        remedy="Leave the plateau first; if it stays at chance, train with --no-next-sentence and save its cost.",
        values=values,
    )
