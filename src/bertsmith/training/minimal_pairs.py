"""Minimal pairs: does a network find the right sentence likelier than the same one with a single fault.

Chance is 50 %. A pair differs in one word, or has the same words in another order. bertsmith brings pairs for English
(`pairs/english.tsv`): agreement, negation and word order, in everyday words. In each kind the words that are changed
are balanced, so that a network that knows nothing but the frequency of words is at 50 % there: above it, it has
learned what goes with what. Anyone can give a file of their own, for any language:

    phenomenon  kind          good                       bad
    agreement   subject_verb  The dog runs to the river. The dog run to the river.

UTF-8, columns parted by tabs, the first line as here. `pseudo_likelihood` says what a sentence's score is.
"""

import importlib.resources
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bertsmith.core.errors import InputError
from bertsmith.model.bert import BertForMaskedLM, BertForPreTraining
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.pseudo_likelihood import pseudo_log_likelihoods

MinimalPairsName = Literal["english"]  # pairs that bertsmith brings
COLUMNS = ("phenomenon", "kind", "good", "bad")

_TIE = 1e-4  # nats: equal but for the rounding of float32


@dataclass(frozen=True, eq=False)
class MinimalPair:
    """Two sentences as token ids, [n] each, without [CLS] and [SEP]; the good one is acceptable, the bad one is not."""

    phenomenon: str
    kind: str
    good: NDArray[np.int32]
    bad: NDArray[np.int32]


@dataclass(frozen=True)
class PairAccuracy:
    """How many pairs there are, and the share of them in which the good sentence is likelier; a tie counts half."""

    pairs: int
    accuracy: float


@dataclass(frozen=True)
class MinimalPairScores:
    """Accuracy for each phenomenon, and for each kind of pair within it. Chance is 0.5."""

    phenomena: Mapping[str, PairAccuracy]
    kinds: Mapping[str, Mapping[str, PairAccuracy]]

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {score.accuracy:.1%}" for name, score in self.phenomena.items())

    def __rich__(self) -> Table:
        """The table for a terminal."""
        table = Table("phenomenon", "kind", "pairs", "right", title="Minimal pairs (chance: 50 %)")
        for phenomenon, score in self.phenomena.items():
            table.add_row(phenomenon, "all", f"{score.pairs:,}", f"{score.accuracy:.1%}")
            for kind, part in self.kinds[phenomenon].items():
                table.add_row("", kind, f"{part.pairs:,}", f"{part.accuracy:.1%}")
            table.add_section()
        return table


def read_minimal_pairs(
    source: MinimalPairsName | Path, tokenizer: Tokenizer, max_positions: int
) -> tuple[MinimalPair, ...]:
    """The pairs of a file, or those that bertsmith brings, as tokens.

    max_positions  tokens that the network can read, [CLS] and [SEP] included
    raises         InputError naming the line and what is wrong with it
    """
    if isinstance(source, Path):
        name, rows = str(source), _read_lines(source)
    else:
        name = f"{source}.tsv"
        rows = (importlib.resources.files("bertsmith.training") / "pairs" / name).read_bytes().split(b"\n")
    pairs = tuple(_parse(rows, name, tokenizer, max_positions))
    if not pairs:
        raise InputError(f"{name} holds no pair of sentences. Give at least one line below the names of the columns.")
    return pairs


def score_minimal_pairs(
    model: BertForPreTraining | BertForMaskedLM,
    tokenizer: Tokenizer,
    pairs: Sequence[MinimalPair],
    *,
    batch_tokens: int,
    stop: Callable[[], bool] = lambda: False,
) -> MinimalPairScores | None:
    """Find the likelier sentence of each pair. None if told to stop on the way.

    batch_tokens  tokens of one forward pass; a sentence of n tokens makes n of them
    """
    sentences = list(chain.from_iterable((pair.good, pair.bad) for pair in pairs))
    scores = pseudo_log_likelihoods(model, tokenizer, sentences, batch_tokens=batch_tokens, stop=stop)
    if scores is None:
        return None
    wins: dict[str, dict[str, list[float]]] = {}
    for pair, good, bad in zip(pairs, scores[::2], scores[1::2], strict=True):
        wins.setdefault(pair.phenomenon, {}).setdefault(pair.kind, []).append(_win(good, bad))
    return MinimalPairScores(
        phenomena={name: _accuracy([win for own in kinds.values() for win in own]) for name, kinds in wins.items()},
        kinds={name: {kind: _accuracy(own) for kind, own in kinds.items()} for name, kinds in wins.items()},
    )


def _accuracy(wins: Sequence[float]) -> PairAccuracy:
    return PairAccuracy(len(wins), sum(wins) / len(wins))


def _win(good: float, bad: float) -> float:
    """1 if the good sentence has the higher score, 0 if not, a half if they tie."""
    return 0.5 if abs(good - bad) < _TIE else float(good > bad)


def _read_lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise InputError(
            f"The minimal pairs {path} cannot be read: {error.strerror}. Give a tsv file, or english for those that "
            f"bertsmith brings."
        ) from None


def _parse(lines: Sequence[bytes], name: str, tokenizer: Tokenizer, max_positions: int) -> Iterator[MinimalPair]:
    for number, line in enumerate(lines, start=1):
        try:
            values = tuple(value.strip() for value in line.decode("utf-8").split("\t"))
        except UnicodeDecodeError:
            raise InputError(f"{name}, line {number}: not UTF-8. Save the file as UTF-8 text.") from None
        if number == 1 and values != COLUMNS:
            raise InputError(
                f"{name}: the first line of a file of minimal pairs names the columns {', '.join(COLUMNS)}, parted by "
                f"tabs; it is '{', '.join(values)}'."
            )
        if number == 1 or values == ("",):
            continue
        if len(values) != len(COLUMNS) or not all(values):
            raise InputError(
                f"{name}, line {number}: a minimal pair is {len(COLUMNS)} values parted by tabs "
                f"({', '.join(COLUMNS)}), none of them empty. Mend the line."
            )
        phenomenon, kind, *sentences = values
        good, bad = tokenizer.encode_plain(sentences)
        longest = max(len(good), len(bad)) + 2
        if longest > max_positions:
            raise InputError(
                f"{name}, line {number}: a sentence of {longest:,} tokens, and the model reads at most "
                f"{max_positions:,}. Shorten the pair."
            )
        if not len(good) or not len(bad) or np.array_equal(good, bad):
            raise InputError(
                f"{name}, line {number}: to the tokenizer the sentences are '{tokenizer.decode(good.tolist())}' and "
                f"'{tokenizer.decode(bad.tolist())}'. Two different ones are wanted; change the pair or take it out."
            )
        yield MinimalPair(phenomenon, kind, good, bad)
