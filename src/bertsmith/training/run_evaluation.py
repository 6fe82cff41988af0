"""What is scored while a run trains: the same held-out text and the same minimal pairs each time.

Nothing here touches the training: what is scored is fixed when the run starts, and no random number is drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.held_out import held_out_batches
from bertsmith.batches.pretraining import Cursor
from bertsmith.batches.token_budget import BATCH_TOKENS
from bertsmith.core.console import console
from bertsmith.model.bert import BertForPreTraining
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.evaluation import HeldOutGuesses, guess_held_out, unigram_loss
from bertsmith.training.held_out_breakdown import HeldOutBreakdown, break_down, by_frequency, loss_by_band
from bertsmith.training.loop import Position
from bertsmith.training.metrics_log import MetricsLog
from bertsmith.training.minimal_pairs import MinimalPair, read_minimal_pairs, score_minimal_pairs
from bertsmith.training.network import PretrainedNetwork
from bertsmith.training.plateau import HeldOutLoss, PlateauWatch

EVALUATION_BATCH = 32


def _never() -> bool:
    return False


@dataclass(frozen=True, eq=False)
class RunEvaluation:
    """The held-out batches (none if the store holds no such text) and the minimal pairs (none if not asked for)."""

    store: TokenStore
    settings: BatchSettings
    held_out: Sequence[PretrainingBatch]
    minimal_pairs: Sequence[MinimalPair]

    @classmethod
    def prepare(cls, config: PretrainConfig, store: TokenStore) -> "RunEvaluation":
        """Read all that will be scored. Raises InputError for minimal pairs that cannot be used."""
        source = config.runtime.minimal_pairs
        pairs = read_minimal_pairs(source, store.tokenizer, config.model.max_positions) if source is not None else ()
        if not store.held_out.num_blocks:
            console.print("The store has no held-out text, so none is scored. See `bertsmith prepare --held-out`.")
        batches = held_out_batches(
            store, config.data, max_sequences=config.runtime.evaluation_sequences, batch_size=EVALUATION_BATCH
        )
        return cls(store, config.data, batches, pairs)

    def guess(self, model: PretrainedNetwork, stop: Callable[[], bool] = _never) -> HeldOutGuesses | None:
        """What the network makes of the held-out text. None where there is none, or if told to stop."""
        return guess_held_out(model, self.held_out, stop) if self.held_out else None

    def record(
        self,
        model: PretrainedNetwork,
        log: MetricsLog,
        plateau: PlateauWatch | None,
        position: Position[Cursor],
        progress: float,
        stop: Callable[[], bool] = _never,
    ) -> HeldOutGuesses | None:
        """Score everything, write it down and show it. Returns what the network made of the held-out text.

        plateau   told of the held-out loss; None without such text
        progress  share of the training that is done
        """
        step = position.steps_done
        guesses = self.guess(model, stop)
        if guesses is not None:
            scores = guesses.scores
            log.write(step, "held_out", {name: value for name, value in asdict(scores).items() if value is not None})
            bands = by_frequency(guesses.tokens, self.store.token_counts)
            log.write(step, "held_out_by_frequency", loss_by_band(bands))
            console.print(f"step {step:,}  held-out {scores}", soft_wrap=True)
            if plateau is not None:
                plateau.look(HeldOutLoss(step, position.elapsed_seconds / 60, scores.token_loss), progress)
        if self.minimal_pairs:
            self._record_minimal_pairs(model, log, step, stop)
        return guesses

    def break_down(self, model: PretrainedNetwork, guesses: HeldOutGuesses) -> HeldOutBreakdown:
        """The held-out scores by kind of label."""
        return break_down(model, self.store, self.settings, self.held_out, guesses)

    @cached_property
    def unigram_loss(self) -> float | None:
        """The held-out loss of guessing by frequency alone; None without held-out text."""
        return unigram_loss(self.held_out, self.store.token_counts) if self.held_out else None

    def _record_minimal_pairs(
        self, model: PretrainedNetwork, log: MetricsLog, step: int, stop: Callable[[], bool]
    ) -> None:
        assert isinstance(model, BertForPreTraining)  # the settings see to it
        scores = score_minimal_pairs(
            model, self.store.tokenizer, self.minimal_pairs, batch_tokens=BATCH_TOKENS, stop=stop
        )
        if scores is not None:
            log.write(step, "minimal_pairs", {name: score.accuracy for name, score in scores.phenomena.items()})
            console.print(f"step {step:,}  minimal pairs: {scores}", soft_wrap=True)
