"""The decision behind a plan: from measured figures to settings, and the sentences that say why.

Everything here is a function of its arguments; `planning` measures.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bertsmith.model.configuration import SIZES
from bertsmith.training.expected_loss import CURVES
from bertsmith.training.schedule import SECONDS_PER_HOUR

CANDIDATES = ("tiny", "mini", "small", "medium", "base")  # smallest first

_LEARNING_RATES = {"tiny": 2e-3, "mini": 1e-3, "small": 7e-4, "medium": 4e-4, "base": 2e-4, "large": 1e-4}
_INITIALISATION = "cooccurrence"
_BATCH_SIZES = (32, 64, 128, 256)
_MOST_STEPS = 100_000  # with more of them, larger batches: the updates are then accurate rather than many
_READ_OFTEN = 10  # times that a text is read, from which on a network begins to know it by heart
_READ_TOO_OFTEN = 40  # times from which on more of the same text teaches next to nothing
_DIMENSIONS = ("num_hidden_layers", "hidden_size", "num_attention_heads")  # in the order of SIZES


@dataclass(frozen=True)
class Situation:
    """What a plan depends on.

    speeds               of the sizes that may be chosen, smallest first, in tokens a second
    tokens_per_sequence  mean, as batches hold them
    corpus_tokens        of the training text
    unigram_loss         nats, of guessing each held-out piece by its frequency
    """

    hours: float
    speeds: Mapping[str, float]
    tokens_per_sequence: float
    corpus_tokens: int
    unigram_loss: float

    def tokens(self, size: str) -> float:
        """How many tokens a size is trained on in the hours."""
        return self.speeds[size] * self.hours * SECONDS_PER_HOUR

    def reads(self, size: str) -> float:
        """How often it reads the text."""
        return self.tokens(size) / self.corpus_tokens

    def loss(self, size: str) -> float:
        """Where it is expected to end, in nats."""
        return self.unigram_loss * CURVES[size].share(self.tokens(size))


@dataclass(frozen=True)
class Plan:
    """Settings for `build_settings`, sentences that say why, and the held-out loss at the end if it can be foretold."""

    settings: Mapping[str, Any]
    reasons: tuple[str, ...]
    expected_loss: float | None


def choose(situation: Situation, given: Mapping[str, Any]) -> Plan:
    """The size with the least expected loss, and what follows from it.

    given  settings that the user decided, which will be laid over the plan: the sentences speak of what results
    """
    best = min(situation.speeds, key=situation.loss)
    sizes = list(situation.speeds)
    is_too_often = situation.reads(best) > _READ_TOO_OFTEN and best != sizes[0]
    size = sizes[sizes.index(best) - 1] if is_too_often else best
    settings = settings_of(size, _batch_size(situation, size), 0.1 if situation.reads(size) > _READ_OFTEN else 0.0)
    result = {group: {**values, **given.get(group, {})} for group, values in settings.items()}
    expected = None if given.get("init") else situation.loss(size)
    reasons = [_headline(situation, size, result, expected), _why_this_size(situation, given)]
    if is_too_often:
        reasons.append(
            f"{best} would read the text {situation.reads(best):,.0f} times, which teaches it that text and little "
            f"more, so the next smaller size is taken. More text would help more than more hours."
        )
    reasons += [_the_rest(situation, size, result), _dropout(situation, size, result)]
    if kept := [
        f"{name} = {value}"
        for group, values in settings.items()
        for name, value in given.get(group, {}).items()
        if name in values or name in _DIMENSIONS
    ]:
        reasons.append(f"Given, and not planned: {', '.join(kept)}.")
    return Plan(settings, tuple(reasons), expected)


def settings_of(size: str, batch_size: int = _BATCH_SIZES[0], dropout: float = 0.0) -> dict[str, dict[str, Any]]:
    """What a plan sets, for a size."""
    return {
        "model": {
            "size": size,
            "hidden_dropout": dropout,
            "attention_dropout": dropout,
            "initialisation": _INITIALISATION,
        },
        "data": {"max_seq_length": 128, "batch_size": batch_size, "masking_rate": 0.2},
        "training": {
            "learning_rate": _LEARNING_RATES[size],
            "warmup_share": 0.02,
            "beta2": 0.98,  # with bias correction: the warm-up is short, see docs/recipes.md
            "bias_correction": True,
        },
    }


def given_size(given: Mapping[str, Any]) -> str | None:
    """The size that the user chose, or the one nearest to a network of other dimensions; None if the choice is ours."""
    model = given.get("model", {})
    if model.get("size") is not None:
        return str(model["size"])
    wanted = [(place, model[name]) for place, name in enumerate(_DIMENSIONS) if model.get(name) is not None]
    if not wanted:
        return None
    return min(SIZES, key=lambda size: sum(abs(math.log(value / SIZES[size][place])) for place, value in wanted))


def _batch_size(situation: Situation, size: str) -> int:
    sequences = situation.tokens(size) / situation.tokens_per_sequence
    return next((batch for batch in _BATCH_SIZES if sequences / batch <= _MOST_STEPS), _BATCH_SIZES[-1])


def _headline(situation: Situation, size: str, result: Mapping[str, Any], expected: float | None) -> str:
    model = result["model"]
    layers, width, _ = (model.get(name) or usual for name, usual in zip(_DIMENSIONS, SIZES[size], strict=True))
    hours = f"{situation.hours:g} hour" if situation.hours == 1 else f"{situation.hours:g} hours"
    plan = f"Plan for {hours} on this machine: {size} ({layers} layers of {width})"
    if expected is None:
        return f"{plan}, from the model that was given; where it ends depends on that model."
    start = "" if model["initialisation"] == _INITIALISATION else f" if it began as {_INITIALISATION}"
    return (
        f"{plan}, with an expected held-out loss of about {expected:.1f}{start} "
        f"(guessing by frequency alone: {situation.unigram_loss:.2f})."
    )


def _why_this_size(situation: Situation, given: Mapping[str, Any]) -> str:
    if given_size(given) is not None:
        ((size, speed),) = situation.speeds.items()
        return f"The network is given; it trains at {_rounded(speed)} tokens/s, {_seen(situation, size)} in all."
    parts = [
        f"{size} trains at {_rounded(speed)} tokens/s and would end at {situation.loss(size):.2f} after "
        f"{_seen(situation, size)}"
        for size, speed in situation.speeds.items()
    ]
    return f"{'; '.join(parts)}."


def _the_rest(situation: Situation, size: str, result: Mapping[str, Any]) -> str:
    model, data, training = result["model"], result["data"], result["training"]
    steps = situation.tokens(size) / situation.tokens_per_sequence / data["batch_size"]
    return (
        f"About {_rounded(round(steps))} steps of {data['batch_size']} sequences, "
        f"learning rate {training['learning_rate']:g} after a warm-up of {training['warmup_share']:.0%}, "
        f"{data['masking_rate']:.0%} of the tokens to guess, "
        f"initialisation {model['initialisation']}."
    )


def _dropout(situation: Situation, size: str, result: Mapping[str, Any]) -> str:
    rate, reads = result["model"]["hidden_dropout"], situation.reads(size)
    if reads > _READ_OFTEN:
        return (
            f"The text is read {reads:,.0f} times: dropout {rate:g}, against learning it by heart. "
            f"Expected losses are those of new text; this run will end higher."
        )
    often = "less than once" if reads < 1 else f"{_rounded(reads)} times"
    return f"The text is read {often}, too little to be learned by heart: dropout {rate:g}."


def _seen(situation: Situation, size: str) -> str:
    tokens = situation.tokens(size)
    return f"{_rounded(tokens / 1e6)} million tokens" if tokens >= 1e6 else f"{_rounded(tokens)} tokens"


def _rounded(value: float) -> str:
    """Two digits that count: 31,000, 9,100, 0.25."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
