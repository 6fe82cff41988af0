"""The verb `vocab`: learn a WordPiece vocabulary from text (BERT 3: "a 30,000 token vocabulary").

    text -> words and their counts -> alphabet -> pieces, the most frequent pair of neighbours merged first

Words are counted in bounded memory (`word_counts`); the merging is the `tokenizers` library's. Three things are
arranged around its trainer. It breaks ties by an order that changes from run to run, unless every character piece has
its place beforehand: it is given them, so the same text gives the same vocabulary, on any number of threads. It counts
in 32 bits: no more than 67 million words reach it, larger counts are scaled down. And it takes words, not counts: each
word is handed over as often as it occurs.

The order of the pieces is that of the published vocabularies: [PAD] [unused0] ... [unused98] [UNK] [CLS] [SEP] [MASK],
then the alphabet, then what was learned, the most useful first.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import tokenizers
from pydantic import Field, model_validator
from tokenizers import models, pre_tokenizers, trainers

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.console import console, progress_line
from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.text.documents import ReadingSettings, read_source
from bertsmith.text.pieces import CLS, CONTINUATION, MASK, PAD, SEP, UNK
from bertsmith.text.reading_report import ReadingReport
from bertsmith.text.sources import find_sources
from bertsmith.text.tokenizer import Tokenizer, word_stages
from bertsmith.text.vocabulary_report import measure_vocabulary
from bertsmith.text.word_counts import WordCounts

ALPHABET_SHARE = 0.99995  # of all characters: Chinese needs 6,800 for it, English with its loans 600, German 60
MAX_TRAINED_WORDS = 1 << 26
_REPEATS = 4096  # of a word in one string for the trainer


class VocabConfig(ReadingSettings):
    """Settings of `vocab`."""

    out: Path = Field(description="folder to write the vocabulary to")
    size: int = Field(30_522, ge=1, description="pieces in the vocabulary, reserved ones included")
    cased: bool = Field(False, description="keep capital letters, and accents too unless strip-accents is set")
    strip_accents: bool | None = Field(None, description="remove accents; by default where capitals are folded")
    handle_chinese_chars: bool = Field(True, description="make each Chinese character a word of its own")
    unused: int = Field(99, ge=0, description="reserved pieces [unused0], ... to give a meaning to later")
    min_frequency: int = Field(2, ge=1, description="occurrences that a piece needs to be learned")
    limit_alphabet: int | None = Field(
        None,
        ge=1,
        description="characters in the alphabet at most; by default those that make up 99.995 % of the text",
    )

    @model_validator(mode="after")
    def _size_has_room(self) -> "VocabConfig":
        if self.size <= len(reserved_pieces(self.unused)):
            raise ValueError(f"size {self.size} has no room beside {len(reserved_pieces(self.unused))} reserved pieces")
        return self


def vocab(config: VocabConfig) -> Path:
    """Learn a vocabulary from text. Returns its folder, an artefact of kind "vocabulary"."""
    reading = ReadingReport()
    configuration = config.model_dump(mode="json", exclude={"out"})
    with stage_artefact(config.out, kind="vocabulary", command="vocab", configuration=configuration) as staging:
        counts = _count_words(config, reading)
        words = counts.finish()
        if not words:
            raise InputError(f"There are no words in {', '.join(config.inputs)}, so there is no vocabulary to learn.")
        reserved = reserved_pieces(config.unused)
        console.print(f"Learning from {counts.num_words:,} words, {len(words):,} of them different")
        learned = learn_pieces(
            words,
            config.size - len(reserved),
            min_frequency=config.min_frequency,
            alphabet=choose_alphabet(words, config.limit_alphabet),
        )
        tokenizer = Tokenizer(
            [*reserved, *learned],
            lowercase=not config.cased,
            strip_accents=config.strip_accents,
            handle_chinese_chars=config.handle_chinese_chars,
        )
        report = measure_vocabulary(tokenizer, words, counts)
        tokenizer.save(staging.folder)
        staging.facts.update(report.facts() | {"text": reading.facts()})
    if reading.findings:
        console.print(reading)
    console.print(report)
    if tokenizer.vocabulary_size < config.size:
        console.print(
            f"The text gave {tokenizer.vocabulary_size:,} pieces, not {config.size:,}: no other pair of neighbours "
            f"occurs {config.min_frequency} times. More text gives more."
        )
    return config.out


def reserved_pieces(unused: int) -> list[str]:
    """The pieces that every vocabulary begins with; with 99 unused ones [UNK] is 100, as in the published ones."""
    return [PAD, *(f"[unused{number}]" for number in range(unused)), UNK, CLS, SEP, MASK]


def choose_alphabet(words: Mapping[str, int], limit: int | None) -> list[str]:
    """The most frequent characters, in the order of their code points.

    words  word -> occurrences
    limit  how many; None: as many as make up 99.995 % of all characters
    """
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    ranked = sorted(characters, key=lambda character: (-characters[character], character))
    if limit is None:
        needed, limit = ALPHABET_SHARE * characters.total(), 0
        while needed > 0:
            needed -= characters[ranked[limit]]
            limit += 1
    return sorted(ranked[:limit])


def learn_pieces(
    words: Mapping[str, int], num_pieces: int, *, min_frequency: int, alphabet: Sequence[str]
) -> list[str]:
    """The alphabet, then merged pieces until there are `num_pieces` or no pair occurs `min_frequency` times.

    Words with a character outside the alphabet are [UNK] whatever is learned, and are left out.
    """
    known = frozenset(alphabet)
    words = {word: count for word, count in words.items() if known.issuperset(word)}
    if not words:
        raise ConfigurationError(
            f"An alphabet of {len(alphabet):,} characters has no word of the text in it, so there is nothing to learn "
            "from. Choose a larger --limit-alphabet."
        )
    inner = {character for word in words for character in word[1:]}
    characters = [*alphabet, *(CONTINUATION + character for character in alphabet if character in inner)]
    if len(characters) > num_pieces:
        raise ConfigurationError(
            f"The alphabet alone takes {len(characters):,} pieces ({len(alphabet):,} characters, at the start of a "
            f"word and within one), and there is room for {num_pieces:,}. Choose a larger --size or a smaller "
            "--limit-alphabet."
        )
    total = sum(words.values())
    trainer = trainers.WordPieceTrainer(
        vocab_size=num_pieces,
        special_tokens=characters,  # a place for each before the trainer looks at words: see the top
        min_frequency=max(1, min_frequency * min(total, MAX_TRAINED_WORDS) // total),
        show_progress=False,
    )
    learner = tokenizers.Tokenizer(models.WordPiece(unk_token=UNK))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(_repeated(scale_counts(words, MAX_TRAINED_WORDS)), trainer)
    ids = learner.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def scale_counts(words: Mapping[str, int], limit: int) -> Mapping[str, int]:
    """The same words with counts that add up to `limit` at most; of the rarest words an even share remains."""
    total = sum(words.values())
    if total <= limit:
        return words
    ends = [0]
    for count in words.values():
        ends.append(ends[-1] + count)
    scaled = (stop * limit // total - start * limit // total for start, stop in pairwise(ends))
    return {word: count for word, count in zip(words, scaled, strict=True) if count}


def _count_words(config: VocabConfig, reading: ReadingReport) -> WordCounts:
    normaliser, pre_tokeniser = word_stages(
        lowercase=not config.cased,
        strip_accents=config.strip_accents,
        handle_chinese_chars=config.handle_chinese_chars,
    )
    counts = WordCounts(normaliser, pre_tokeniser)
    sources = find_sources(config.inputs, config.format, reading)
    sizes = [source.size for source in sources]
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    with progress_line("Counting words", total) as progress:
        for source in sources:
            for piece in read_source(source, config, reading):
                counts.add(piece.text)
                progress.update(reading.stored_bytes_read, f"{reading.bytes_read / 1e6:,.0f} MB")
    return counts


def _repeated(words: Mapping[str, int]) -> Iterator[str]:
    """Strings in which each word stands as often as it was counted, for a trainer that counts by itself."""
    for word, count in words.items():
        full, rest = divmod(count, _REPEATS)
        for repeats in (*[_REPEATS] * full, rest):
            yield f"{word} " * repeats
