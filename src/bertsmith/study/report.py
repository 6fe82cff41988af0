"""The quickstart's report: what was done, how well the network guesses hidden words, and whether that was worth it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bertsmith.core import page, plots
from bertsmith.study.comparison import Comparison, Outcome

LEARNT_NSP_ACCURACY = 0.6  # a few hundred pairs are scored: up to here chance alone can come


@dataclass(frozen=True)
class Stage:
    """One step of the chain: what it made, in one line, and how long it took."""

    name: str
    made: str
    seconds: float


@dataclass(frozen=True)
class Pretraining:
    """How the pre-training went.

    training, held_out  (minutes, masked-LM loss in nats) along the way
    unigram_loss        nats: the held-out loss of guessing by word frequency alone
    """

    network: str
    training: Sequence[tuple[float, float]]
    held_out: Sequence[tuple[float, float]]
    unigram_loss: float
    token_loss: float
    token_accuracy: float
    nsp_accuracy: float | None

    @property
    def uses_context(self) -> bool:
        """Whether the loss got clearly below what guessing by word frequency costs."""
        return self.token_loss < self.unigram_loss - 0.1


@dataclass(frozen=True)
class TaskTrial:
    """A task, and what fine-tuning reached on it from both starts.

    examples     (text, label) to show what the task is
    guessing     accuracy of always giving the same answer
    word_counts  dev accuracy of logistic regression on counts of words and word pairs
    """

    title: str
    description: str
    examples: Sequence[tuple[str, str]]
    train_examples: int
    guessing: float
    word_counts: float
    comparison: Comparison


@dataclass(frozen=True)
class FilledMask:
    """A sentence with one [MASK], the word that stood there (None: nobody knows), and the best guesses."""

    text: str
    hidden_word: str | None
    guesses: Sequence[tuple[str, float]]  # word, probability


@dataclass(frozen=True)
class Findings:
    """Everything that the report tells."""

    made_at: str
    machine: str
    seconds: float
    pretraining: Pretraining
    trial: TaskTrial
    fills: Sequence[FilledMask]
    stages: Sequence[Stage]
    next_commands: str


def render(findings: Findings) -> str:
    """The report as one self-contained HTML page."""
    minutes = findings.seconds / 60
    return page.page(
        "Your first BERT",
        f"Raw text to a fine-tuned model in {minutes:.1f} minutes, with bertsmith quickstart.",
        [
            *_answer(findings),
            *_pretraining(findings.pretraining),
            *_fills(findings.fills),
            *_trial(findings.trial),
            *_stages(findings),
            *_next(findings),
        ],
        footer=f"Made by bertsmith on {findings.made_at}. {findings.machine}",
    )


def _answer(findings: Findings) -> list[page.Markup]:
    comparison, pretraining = findings.trial.comparison, findings.pretraining
    outcome = comparison.outcome
    numbers = [
        (f"{100 * comparison.gain:+.1f}", "points of accuracy on the task, by pre-training"),
        (f"{pretraining.token_accuracy:.0%}", "of hidden words guessed exactly, in text never seen"),
    ]
    if pretraining.nsp_accuracy is not None:
        numbers.append((f"{pretraining.nsp_accuracy:.0%}", "right on “does B follow A?” (guessing: 50 %)"))
    numbers.append((f"{findings.seconds / 60:.1f} min", "for everything on this page"))
    elements = [
        page.paragraph(
            "The documentation that comes with Python became a vocabulary, then training data, then a small BERT that "
            "learnt the language of that documentation by guessing hidden words. Then the network was fine-tuned "
            "on a task with few labels, beside an identical network that had read nothing."
        ),
        page.verdict(f"{outcome.value}.", comparison.in_words(), good=outcome is Outcome.HELPED),
        page.figures(numbers),
    ]
    if outcome is not Outcome.HELPED:
        elements.append(page.paragraph(_what_to_do(pretraining)))
    return elements


def _what_to_do(pretraining: Pretraining) -> str:
    if not pretraining.uses_context:
        return (
            "The loss never got clearly below what guessing by word frequency reaches, so the network learnt little "
            "that a task could use. It needs more time: run it again with a larger --minutes."
        )
    return (
        "The network did learn to guess words from their context, but on this task that was not worth enough to show "
        "in so few runs. More time (--minutes) and more seeds (--seeds) give a clearer answer."
    )


def _pretraining(pretraining: Pretraining) -> list[page.Markup]:
    drawing = plots.curves(
        [
            plots.Curve("training batches", pretraining.training, faint=True),
            plots.Curve("held-out text", pretraining.held_out),
        ],
        x_label="minutes of pre-training",
        y_label="loss on hidden words (nats)",
        floors={f"guessing by word frequency: {pretraining.unigram_loss:.2f}": pretraining.unigram_loss},
    )
    ends_at = f"The held-out loss ended at {pretraining.token_loss:.2f} nats"
    if pretraining.uses_context:
        sense = f"{ends_at}, below the dashed line: it uses the words around the gap."
    else:
        sense = f"{ends_at}, not clearly below the dashed line: it hardly uses the words around the gap yet."
    elements = [
        page.heading("Learning to guess hidden words"),
        page.paragraph(
            f"The network ({pretraining.network}) reads sentences in which some words are hidden and guesses them. "
            f"The dashed line is as far as anyone gets who ignores the sentence. {sense}"
        ),
        page.picture(drawing.svg(), "Loss on hidden words during pre-training, lower is better."),
    ]
    if pretraining.nsp_accuracy is not None and pretraining.nsp_accuracy < LEARNT_NSP_ACCURACY:
        elements.append(
            page.paragraph(
                f"BERT's second exercise, whether one passage follows another, it has not learnt yet "
                f"({pretraining.nsp_accuracy:.0%}, guessing gives 50 %). That takes longer than guessing words.",
                "note",
            )
        )
    return elements


def _fills(fills: Sequence[FilledMask]) -> list[page.Markup]:
    if not fills:
        return []
    rows = []
    for fill in fills:
        before, _, after = fill.text.partition("[MASK]")
        guesses = ", ".join(f"{word} {probability:.0%}" for word, probability in fill.guesses)
        rows.append((page.emphasised(before, "[MASK]", after), fill.hidden_word or "", guesses))
    return [
        page.heading("A few guesses"),
        page.paragraph("Sentences from modules that the network never read.", "note"),
        page.table(["sentence", "was", "best guesses"], rows),
    ]


def _trial(trial: TaskTrial) -> list[page.Markup]:
    comparison = trial.comparison
    seeds = len(comparison.pretrained)
    drawing = plots.scores_by_seed(
        {"pre-trained": comparison.pretrained, "random start": comparison.untrained},
        levels={"guessing": trial.guessing},
        x_label="accuracy on unseen examples",
    )
    best = max(sum(comparison.pretrained) / seeds, trial.word_counts)
    word_counts = (
        f"Logistic regression on counts of words and word pairs reaches {trial.word_counts:.1%} with the same labels"
    )
    if best == trial.word_counts:
        word_counts += ": more than this network, so here a much simpler method would do."
    else:
        word_counts += "."
    rows = [
        (str(seed), f"{with_it:.1%}", f"{without:.1%}", f"{100 * (with_it - without):+.1f}")
        for seed, (with_it, without) in enumerate(
            zip(comparison.pretrained, comparison.untrained, strict=True), start=1
        )
    ]
    return [
        page.heading(f"The task: {trial.title}"),
        page.paragraph(trial.description),
        page.table(["text", "answer"], trial.examples),
        page.picture(drawing.svg(), "One dot for each run, a bar at the mean."),
        page.table(["run", "pre-trained", "random start", "difference"], rows, numbers=(1, 2, 3)),
        page.paragraph(
            f"{trial.train_examples:,} labelled examples to learn from; {comparison.dev_examples:,} others to be "
            f"judged by, from modules that neither the pre-training nor the fine-tuning saw. Same network, same "
            f"settings, same seeds; only the starting weights differ. {word_counts}",
            "note",
        ),
    ]


def _stages(findings: Findings) -> list[page.Markup]:
    rows = [(stage.name, stage.made, f"{stage.seconds:.0f} s") for stage in findings.stages]
    return [
        page.heading("What was done, and how long it took"),
        page.table(["stage", "what it made", "time"], rows, numbers=(2,)),
    ]


def _next(findings: Findings) -> list[page.Markup]:
    return [
        page.heading("Now with your own text"),
        page.commands(findings.next_commands),
        page.paragraph(
            "An hour instead of minutes makes a far better network; so do a GPU, more text and a larger --size. "
            "The model folders open in transformers as they are.",
            "note",
        ),
    ]
