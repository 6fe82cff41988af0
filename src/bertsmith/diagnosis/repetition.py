"""Text that is there more than once: sentences, documents, and held-out text that was also trained on.

Sentences are compared by a 64-bit number that is computed from their token ids, so what differs only in what the
tokenizer drops (case, white space) counts as equal. Shares are shares of tokens. Sentences of fewer than 5 tokens
repeat by nature ("Yes.", "See also") and are left out. Why it matters: Lee et al., "Deduplicating training data makes
language models better", ACL 2022.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertsmith.diagnosis.finding import Finding, Level, Rows, graded
from bertsmith.text.block_sample import spread_blocks
from bertsmith.text.token_store import TokenBlock, TokenStore

MIN_TOKENS = 5
NOTE_SHARE, WARNING_SHARE = 0.02, 0.10
_SHOWN = 5
_SHOWN_CHARACTERS = 100
_Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Repetition:
    """Shares of tokens, 0 to 1."""

    tokens: int  # in the training sentences that were compared
    in_repeated_sentences: float  # in sentences that stand earlier in the training text, too
    in_repeated_documents: float  # the same of documents
    held_out_in_training: float | None  # of the held-out text: in sentences of the training text; None without any
    most_repeated: tuple[tuple[int, str], ...]  # times, sentence


@dataclass(frozen=True, eq=False)
class _Runs:
    """Sentences or documents: a number that stands for the content, and the tokens of each."""

    hashes: _Hashes
    lengths: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Iterable["_Runs"]) -> "_Runs":
        hashes, lengths = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for part in parts:
            hashes.append(part.hashes)
            lengths.append(part.lengths)
        return cls(np.concatenate(hashes), np.concatenate(lengths))

    def repeated_share(self) -> float:
        """Share of the tokens that stand in a copy of an earlier one."""
        _, first = np.unique(self.hashes, return_index=True)
        return 1.0 - float(self.lengths[first].sum()) / max(int(self.lengths.sum()), 1)

    def long_ones(self) -> "_Runs":
        """Those of MIN_TOKENS tokens and more."""
        keep = self.lengths >= MIN_TOKENS
        return _Runs(self.hashes[keep], self.lengths[keep])


def measure_repetition(store: TokenStore, max_tokens: int) -> Repetition:
    """Compare the sentences and documents of some `max_tokens` training tokens, and held-out sentences with them."""
    blocks = list(spread_blocks(store.train, max_tokens))  # views of mapped files
    hashed = [_hash_block(block) for block in blocks]
    sentences = _Runs.joined(sentences for sentences, _ in hashed)
    documents = _Runs.joined(documents for _, documents in hashed)
    held_out = _Runs.joined(_hash_block(block)[0] for block in spread_blocks(store.held_out, max_tokens)).long_ones()
    known = np.isin(held_out.hashes, sentences.hashes)
    return Repetition(
        tokens=int(sentences.long_ones().lengths.sum()),
        in_repeated_sentences=sentences.long_ones().repeated_share(),
        in_repeated_documents=documents.repeated_share(),
        held_out_in_training=float(held_out.lengths[known].sum() / held_out.lengths.sum()) if len(known) else None,
        most_repeated=tuple(_most_repeated(store, blocks, sentences)),
    )


def hash_runs(values: NDArray[np.unsignedinteger], offsets: NDArray[np.int64]) -> _Hashes:
    """A number for each run values[offsets[r]:offsets[r+1]] (none empty): the same for equal runs, else hardly ever.

    The sum of scrambled values, each times an odd number that belongs to its place, modulo 2^64.
    """
    places = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
    factors = _scramble(places.astype(np.uint64)) | np.uint64(1)
    return np.add.reduceat(_scramble(values.astype(np.uint64) + np.uint64(1 << 32)) * factors, offsets[:-1])


def _scramble(numbers: _Hashes) -> _Hashes:
    """SplitMix64 (Steele, Lea and Flood 2014): the n-th number of its sequence."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _hash_block(block: TokenBlock) -> tuple[_Runs, _Runs]:
    """The sentences and the documents of a block. A document that goes on in the next block counts as two."""
    sentences = hash_runs(block.token_ids, block.sentence_offsets)
    documents = hash_runs(sentences, block.document_offsets)
    document_lengths = np.diff(block.sentence_offsets[block.document_offsets])
    return _Runs(sentences, np.diff(block.sentence_offsets)), _Runs(documents, document_lengths)


def _most_repeated(store: TokenStore, blocks: list[TokenBlock], sentences: _Runs) -> Iterable[tuple[int, str]]:
    """The sentences whose copies take up most tokens, with how often they are there."""
    _, first, times = np.unique(sentences.hashes, return_index=True, return_counts=True)
    lengths = sentences.lengths[first]
    weights = np.where(lengths >= MIN_TOKENS, (times - 1) * lengths, 0)
    ends = np.cumsum([len(block.sentence_offsets) - 1 for block in blocks])
    for place in np.argsort(-weights, kind="stable")[:_SHOWN]:
        if weights[place] == 0:
            return
        number = int(np.searchsorted(ends, first[place], side="right"))
        block = blocks[number]
        within = int(first[place] - ends[number] + len(block.sentence_offsets) - 1)
        start, end = block.sentence_offsets[within : within + 2].tolist()
        text = store.tokenizer.decode(block.token_ids[start:end].tolist())
        shortened = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} ..."
        yield int(times[place]), shortened


def repetition_findings(repetition: Repetition) -> Iterable[Finding]:
    """Copies within the training text, and held-out text that is in it."""
    yield _training_finding(repetition)
    if repetition.held_out_in_training is not None:
        yield _held_out_finding(repetition.held_out_in_training)


def _training_finding(repetition: Repetition) -> Finding:
    about, sentences, documents = "repeated text", repetition.in_repeated_sentences, repetition.in_repeated_documents
    level = graded(max(sentences, documents), note_above=NOTE_SHARE, warning_above=WARNING_SHARE)
    measured = (
        f"{sentences:.1%} of the tokens stand in sentences, {documents:.1%} in whole documents, that are copies of "
        f"earlier ones ({repetition.tokens:,} tokens compared)."
    )
    values = {"in_repeated_sentences": sentences, "in_repeated_documents": documents, "tokens": repetition.tokens}
    rows = Rows(("times", "sentence"), tuple((f"{times:,}", text) for times, text in repetition.most_repeated))
    if level is Level.GOOD:
        return Finding(about, level, measured, "Little is read twice.", values=values, rows=rows)
    return Finding(
        about,
        level,
        measured,
        "The network learns these passages by heart, at the expense of the rest, and the training loss looks better "
        "than it is.",
        cause="Templates, navigation, licence texts, or the same files given twice.",
        remedy="Remove these sentences from the files, or the files that are there twice, and prepare the text again.",
        values=values,
        rows=rows,
    )


def _held_out_finding(share: float) -> Finding:
    about = "held-out text that was trained on"
    level = graded(share, note_above=NOTE_SHARE, warning_above=WARNING_SHARE)
    measured = f"{share:.1%} of the held-out tokens stand in sentences that the training text holds word for word."
    values = {"held_out_in_training": share}
    if level is Level.GOOD:
        meaning = "Held-out scores are of text that is new to the network."
        return Finding(about, level, measured, meaning, values=values)
    return Finding(
        about,
        level,
        measured,
        "Held-out scores are too good: in part they say what was learnt by heart.",
        cause="Repeated text: a whole document is held out, its copies are not.",
        remedy="Remove the copies from the files and prepare the text again.",
        values=values,
    )
