"""How good a vocabulary is for its text: pieces per word, unknown words, and both for each Unicode script."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from fontTools import unicodedata
from numpy.typing import NDArray
from rich.table import Table

from bertsmith.text.pieces import CONTINUATION
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_counts import WordCounts

_SCRIPTS_SHOWN = 10
_NO_SCRIPT = ("Zyyy", "Zinh", "Zzzz")  # common, inherited, unknown: digits, marks, symbols


@dataclass(frozen=True)
class ScriptCoverage:
    """One script. A word belongs to the script of its first letter, and to "Common" if it has none.

    words             occurrences
    known_words       share of them that encode without [UNK]
    known_characters  share of their characters that are pieces
    fertility         pieces per known word
    """

    script: str
    words: int
    known_words: float
    known_characters: float
    fertility: float


@dataclass(frozen=True)
class VocabularyReport:
    """What a vocabulary makes of the text that it was learned from. All counts are of occurrences.

    pieces           in the vocabulary, reserved ones included
    alphabet         pieces of one character that start a word
    continuations    pieces with ##
    words            in the text
    different_words  that the vocabulary was learned from
    fertility        pieces per word, [UNK] being one
    unknown_words    share of words that are [UNK]
    too_long_words   of more than 100 characters; they are [UNK], and counted in unknown_words
    forgotten_words  rare words dropped to bound the memory; they are in no other figure but words
    scripts          the most frequent first
    """

    pieces: int
    alphabet: int
    continuations: int
    words: int
    different_words: int
    fertility: float
    unknown_words: float
    too_long_words: int
    forgotten_words: int
    scripts: tuple[ScriptCoverage, ...]

    def facts(self) -> dict[str, Any]:
        """What the manifest keeps."""
        return asdict(self) | {"scripts": [asdict(script) for script in self.scripts]}

    def __rich__(self) -> Table:
        """The table for the screen."""
        table = Table(
            title=f"{self.pieces:,} pieces: {self.alphabet:,} characters, {self.continuations:,} continuations\n"
            f"{self.words:,} words: {self.fertility:.3f} pieces a word, {self.unknown_words:.3%} unknown",
            title_justify="left",
            box=None,
            pad_edge=False,
        )
        table.add_column("script")
        for heading in ("words", "known words", "known characters", "pieces a word"):
            table.add_column(heading, justify="right")
        for script in self.scripts[:_SCRIPTS_SHOWN]:
            table.add_row(
                script.script,
                f"{script.words:,}",
                f"{script.known_words:.3%}",
                f"{script.known_characters:.3%}",
                f"{script.fertility:.3f}",
            )
        if len(self.scripts) > _SCRIPTS_SHOWN:
            rest = sum(script.words for script in self.scripts[_SCRIPTS_SHOWN:])
            table.add_row(f"{len(self.scripts) - _SCRIPTS_SHOWN} more", f"{rest:,}")
        return table


def measure_vocabulary(tokenizer: Tokenizer, words: Mapping[str, int], counts: WordCounts) -> VocabularyReport:
    """Encode every different word once and weigh it by its occurrences: the whole text, measured in seconds."""
    tallies: dict[str, Counter[str]] = {}
    alphabet = {piece for piece in tokenizer.pieces if len(piece) == 1}
    scripts = {character: unicodedata.script(character) for character in {c for word in words for c in word}}
    for word, ids in _encoded(tokenizer, words):
        count = words[word]
        tally = tallies.setdefault(next((s for c in word if (s := scripts[c]) not in _NO_SCRIPT), "Zyyy"), Counter())
        tally["words"] += count
        tally["characters"] += count * len(word)
        tally["known_characters"] += count * sum(character in alphabet for character in word)
        if not np.any(ids == tokenizer.unk_id):
            tally["known_words"] += count
            tally["pieces"] += count * len(ids)
    coverage = [
        ScriptCoverage(
            script=unicodedata.script_name(script).replace("_", " "),
            words=tally["words"],
            known_words=tally["known_words"] / tally["words"],
            known_characters=tally["known_characters"] / tally["characters"],
            fertility=tally["pieces"] / max(tally["known_words"], 1),
        )
        for script, tally in tallies.items()
    ]
    total = sum(tallies.values(), Counter())
    unknown = total["words"] - total["known_words"] + counts.num_too_long
    measured = total["words"] + counts.num_too_long
    return VocabularyReport(
        pieces=tokenizer.vocabulary_size,
        alphabet=len(alphabet),
        continuations=sum(piece.startswith(CONTINUATION) for piece in tokenizer.pieces),
        words=counts.num_words,
        different_words=len(words),
        fertility=(total["pieces"] + unknown) / measured,
        unknown_words=unknown / measured,
        too_long_words=counts.num_too_long,
        forgotten_words=counts.num_forgotten,
        scripts=tuple(sorted(coverage, key=lambda script: (-script.words, script.script))),
    )


def _encoded(tokenizer: Tokenizer, words: Iterable[str]) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """Each word with its ids, encoded some thousands at a time."""
    words = iter(words)
    while batch := list(islice(words, 1 << 13)):
        yield from zip(batch, tokenizer.encode_plain(batch), strict=True)
