"""Training a network that is not BERT, for comparison only: the loop, the batches and the scores of `pretrain`.

Nothing is saved, so a run that is cut starts again.
"""

from dataclasses import dataclass

from bertsmith.batches.held_out import held_out_batches
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.console import console, progress_line
from bertsmith.model.bert import BertForPreTraining
from bertsmith.study.other_graphs import STACKED_AT, GraphName, other_graph, stack
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.evaluation import guess_held_out
from bertsmith.training.loop import Position
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.phases import evaluation_is_due, steps_of_all_phases
from bertsmith.training.precision import choose_precision
from bertsmith.training.pretraining_objective import PretrainingObjective
from bertsmith.training.run_evaluation import EVALUATION_BATCH


@dataclass(frozen=True)
class Scores:
    """Held-out scores at one moment of a run. `minutes` on the clock since it began."""

    step: int
    minutes: float
    token_loss: float
    token_accuracy: float
    nsp_accuracy: float | None


@dataclass(frozen=True)
class Outcome:
    """What a pre-training gave: its number format (None without any), the tokens seen, the scores on the way."""

    precision: str | None
    tokens: int
    curve: tuple[Scores, ...]


def train_other_graph(config: PretrainConfig, graph: GraphName) -> Outcome:
    """Train to the end, scoring the held-out text as often as `pretrain` does."""
    store = TokenStore.open(config.store)
    tokenizer = store.tokenizer
    device = config.runtime.take_device()
    precision = choose_precision(config.runtime.precision, device)
    batches = PretrainingBatches(store.train, tokenizer, config.data, config.seed)
    held_out = held_out_batches(
        store, config.data, max_sequences=config.runtime.evaluation_sequences, batch_size=EVALUATION_BATCH
    )
    curve: list[Scores] = []
    position, tokens, progress = Position(Cursor()), 0, 0.0

    def score(model: BertForPreTraining) -> None:
        guesses = guess_held_out(model, held_out)
        assert guesses is not None  # nobody asks to stop
        scores = guesses.scores
        minutes = position.elapsed_seconds / 60
        curve.append(
            Scores(position.steps_done, minutes, scores.token_loss, scores.token_accuracy, scores.nsp_accuracy)
        )
        console.print(f"step {position.steps_done:,}  held-out {scores}", soft_wrap=True)

    def train(model: BertForPreTraining, until: float) -> None:
        nonlocal position, tokens, progress
        optimiser = Optimiser(model.to(device), config.training, precision)
        objective = PretrainingObjective(model)
        steps = steps_of_all_phases(
            config, objective, batches, optimiser, position, device, stop=lambda: progress >= until
        )
        with progress_line(graph, total=1.0) as line:
            for step in steps:
                position, tokens, progress = step.position, tokens + step.num_tokens, step.progress
                line.update(progress, f"loss {step.loss:.3f}")
                if evaluation_is_due(step, config.runtime.evaluations):
                    score(model)

    model = other_graph(graph, config.model.bert_config(tokenizer.vocabulary_size, tokenizer.pad_id), config.seed)
    score(model)
    if graph == "stacked":
        train(model, until=STACKED_AT)
        model = stack(model.float())
    train(model, until=1.0)
    score(model)
    return Outcome(str(precision).removeprefix("torch."), tokens, tuple(curve))
