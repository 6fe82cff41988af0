"""Where the held-out loss of a run stands: above the unigram entropy, on the plateau below it, or past it."""

from collections.abc import Sequence

from bertsmith.diagnosis.finding import Finding, Level
from bertsmith.diagnosis.text_entropy import TextEntropy
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.plateau import LATE_SHARE, LEFT_SHARE, HeldOutLoss, advice, describe, has_left

ABOVE = 0.1  # nats above the unigram entropy: worse than never looking at the text
_STILL_FALLING = 0.02  # nats, from one held-out loss to the next
_ABOUT = "plateau"


def plateau_finding(
    config: PretrainConfig, losses: Sequence[HeldOutLoss], unigram: float, entropy: TextEntropy | None, progress: float
) -> Finding:
    """Whether the network has left the plateau, when, and if not, what to do.

    losses    in order, at least one
    unigram   nats
    entropy   of the same held-out labels, where the text was read
    progress  share of the training that is done
    """
    last = losses[-1]
    left = next((loss for loss in losses if has_left(loss.token_loss, unigram)), None)
    where = describe(last, unigram)
    end = (1.0 - LEFT_SHARE) * unigram
    measured = f"{where[0].upper()}{where[1:]}; the plateau ends at {end:.2f}."
    if entropy is not None:
        measured += (
            f" Counting pairs of words gives {entropy.before:.2f} from the word before a gap, {entropy.between:.2f} "
            "from the words on both sides."
        )
    values = {"token_loss": last.token_loss, "unigram": unigram, "below_unigram": unigram - last.token_loss}
    if left is not None:
        values |= {"left_at_step": left.step, "left_at_minute": left.minutes}
        if has_left(last.token_loss, unigram):
            meaning = f"The network uses the words around a gap: it had left the plateau by step {left.step:,}"
            return Finding(_ABOUT, Level.GOOD, measured, f"{meaning} ({left.minutes:.1f} minutes).", values=values)
        return Finding(
            _ABOUT,
            Level.WARNING,
            measured,
            f"The network had left the plateau by step {left.step:,} and fell back to it.",
            cause="Steps that were too long destroyed what it had learnt.",
            remedy="Start again with half the --learning-rate and with --bias-correction.",
            values=values,
        )
    if last.token_loss > unigram + ABOVE and progress > config.training.warmup_share:
        meaning = "The network is worse than one that never looks at the text."
        if len(losses) > 1 and last.token_loss < losses[-2].token_loss - _STILL_FALLING:
            return Finding(
                _ABOUT,
                Level.WARNING if progress >= LATE_SHARE else Level.NOTE,
                measured,
                meaning,
                cause="The loss is still falling: so far there were too few steps, or too short ones.",
                remedy=advice(config),
                values=values,
            )
        return Finding(
            _ABOUT,
            Level.WARNING,
            measured,
            meaning,
            cause="A learning rate that is far too high.",
            remedy="See the size of the updates, and start again with a tenth of the --learning-rate.",
            values=values,
        )
    return Finding(
        _ABOUT,
        Level.WARNING if progress >= LATE_SHARE else Level.NOTE,
        measured,
        "The network is on the plateau: it guesses from a bag of words and hardly uses the neighbours of a hidden "
        "word. Where that was tried, it was worth little to a task.",
        cause=f"After {progress:.0%} of the training the heads have not learnt to look at neighbours.",
        remedy=advice(config),
        values=values,
    )
