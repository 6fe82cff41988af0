"""Finding out early that a fine-tuning run learns nothing.

On small data sets fine-tuning sometimes ends in a network that gives every example the same answer (BERT 4.1 tells of
it for Large and restarts). Two signs are looked for while the run goes on: a training loss that is not below that of
blind guessing on the same examples, and dev predictions that are all the same. A run counts as collapsed if it ends
with the second, or with the first and dev predictions no better than blind ones. It is reported as such and kept;
nothing is restarted behind anyone's back.
"""

from dataclasses import dataclass, field

from bertsmith.core.console import console

_WATCH_FROM = 0.3  # the first tenth of a run warms up, the second learns with the full rate; the third is judged first


@dataclass
class LossComparison:
    """The loss of the model and that of blind guessing, over the same examples."""

    total: float = 0.0
    blind_total: float = 0.0
    examples: int = 0

    def add(self, loss: float, blind_loss: float, num_examples: int) -> None:
        """Take in the mean losses over some examples."""
        self.total += loss * num_examples
        self.blind_total += blind_loss * num_examples
        self.examples += num_examples

    @property
    def mean(self) -> float:
        """The model's mean loss."""
        return self.total / self.examples

    def sign(self) -> str | None:
        """In words, that the model is no better than blind guessing; None if it is better."""
        if self.total < self.blind_total:
            return None
        blind = self.blind_total / self.examples
        return f"the training loss, {self.mean:.3f}, is not below {blind:.3f}, what guessing blindly costs"


@dataclass
class CollapseWatch:
    """Watches one run; says on the screen, once, when it first looks as if nothing is learnt.

    first_sign  the optimiser step after which the first sign was seen; None: none yet
    tenth       how many tenths of the run are over
    losses      of the tenth that is under way
    """

    seed: int
    first_sign: int | None = None
    tenth: int = 0
    losses: LossComparison = field(default_factory=LossComparison)

    def after_step(self, step: int, progress: float, loss: float, blind_loss: float, num_examples: int) -> None:
        """Take in a step (mean losses over `num_examples`). At the end of each tenth of the run it is judged."""
        self.losses.add(loss, blind_loss, num_examples)
        tenth = int(progress * 10 + 1e-9)
        if tenth > self.tenth:
            sign = self.losses.sign()
            if progress >= _WATCH_FROM - 1e-9 and sign is not None:
                self.note(step, sign)
            self.tenth, self.losses = tenth, LossComparison()

    def note(self, step: int, sign: str) -> None:
        """Say that a sign was seen after `step`, if it is the first."""
        if self.first_sign is not None:
            return
        self.first_sign = step
        console.print(
            f"seed {self.seed}, step {step:,}: {sign}. So far it is no better than guessing; the run goes on.",
            style="yellow",
            soft_wrap=True,
        )
