"""The verb `prepare`: text in, a token store out.

files -> blocks of bytes -> text -> paragraphs -> documents, in pieces        this process (`documents`)
      -> sentences -> token ids                                               worker processes (`encoding`)
      -> blocks of documents in Arrow files                                   this process (`token_store_writer`)
"""

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bertsmith.core.artefact import require_free, stage_artefact
from bertsmith.core.console import console, progress_line
from bertsmith.core.errors import InputError, StoppedBySignal
from bertsmith.text.documents import ReadingSettings, read_source
from bertsmith.text.encoding import EncodedPieces, Encoder, Encoding, encode_in_order
from bertsmith.text.reading_report import ReadingFinding, ReadingReport
from bertsmith.text.sentences import Splitter
from bertsmith.text.sources import Source, find_sources
from bertsmith.text.token_store import KIND
from bertsmith.text.token_store_writer import StoreStatistics, TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.worker_processes import available_cores

_PERCENTILES = (1, 10, 50, 90, 99)
_FEW_DOCUMENTS = 10
_DRY_RUN_FILES = 3
_DRY_RUN_CHARACTERS = 2_000_000
_DRY_RUN_SENTENCES = 5


class PrepareConfig(ReadingSettings):
    """Settings of `prepare`."""

    vocab: Path = Field(description="vocabulary: a folder made by `vocab`, a model folder, or a vocab.txt")
    out: Path = Field(description="folder of the token store, to be made")
    sentences: Splitter = Field("sentencex", description="how to find sentences: by rules, or one a line (newline)")
    language: str = Field("en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$", description="language code for sentencex")
    workers: int | None = Field(None, ge=1, description="worker processes; by default one per core")
    held_out: float = Field(0.01, ge=0, le=0.5, description="share of the documents kept from training")
    dry_run: bool = Field(False, description="read a little of the first files, show sentences, write nothing")


def prepare(config: PrepareConfig) -> Path:
    """Turn text into a token store. Returns its folder; if anything goes wrong, there is none.

    raises  InputError for text that cannot be read, for damage under `strict`, and if there is no text at all
    """
    require_free(config.out)
    tokenizer = Tokenizer.load(config.vocab)
    report = ReadingReport()
    sources = find_sources(config.inputs, config.format, report)
    if config.dry_run:
        _show_examples(config, sources[:_DRY_RUN_FILES], tokenizer)
        return config.out
    with (
        _stopped_by_signals(config.out),
        stage_artefact(
            config.out,
            kind=KIND,
            command="prepare",
            configuration=config.model_dump(mode="json", exclude={"out", "workers", "dry_run"}),
            made_from={"vocabulary": tokenizer.fingerprint},
        ) as staging,
    ):
        writer = TokenStoreWriter(staging.folder, tokenizer, config.held_out)
        sentence_lengths = _write_tokens(config, sources, writer, report)
        if not sentence_lengths.any():
            raise InputError(_nothing_found(report))
        staging.facts |= _facts(writer.close(), sentence_lengths, report)
    _summarise(config.out, staging.facts, report, config.held_out)
    return config.out


def _write_tokens(
    config: PrepareConfig, sources: Sequence[Source], writer: TokenStoreWriter, report: ReadingReport
) -> NDArray[np.int64]:
    """Read, encode and write everything; return how many sentences there are of each length, in tokens."""
    pieces = (
        piece
        for source in sources
        for piece in read_source(source, config, report, keep_lines=config.sentences == "newline")
    )
    encoding = Encoding(config.vocab, config.sentences, config.language)
    encoded = encode_in_order(pieces, encoding, config.workers or available_cores())
    sizes = [source.size for source in sources if source.size is not None]
    total = sum(sizes) if len(sizes) == len(sources) else None
    filler = _StoreFiller(writer, report)
    begun_at = time.monotonic()
    with progress_line("Preparing", total) as progress, closing(encoded):
        for item in encoded:
            filler.append(item)
            rate = report.bytes_read / (time.monotonic() - begun_at)
            progress.update(report.stored_bytes_read, f"{filler.num_tokens / 1e6:,.1f} M tokens, {rate / 1e6:.1f} MB/s")
    filler.end_document()
    return filler.sentence_lengths


class _StoreFiller:
    """Hands encoded pieces to the writer and keeps count.

    sentence_lengths  [longest + 1]  how many sentences have so many tokens
    """

    def __init__(self, writer: TokenStoreWriter, report: ReadingReport):
        self.sentence_lengths = np.zeros(1, dtype=np.int64)
        self.num_tokens = 0
        self._writer = writer
        self._report = report
        self._num_documents = 0  # of the input
        self._document_sentences = 0  # of the document at hand

    def append(self, item: EncodedPieces) -> None:
        """Write the pieces of one work item."""
        sentence_ends = np.cumsum(item.sentence_lengths)
        first = token = 0
        for num_sentences, continues in zip(item.piece_sentences, item.continues, strict=True):
            if not continues:
                self.end_document()
                self._num_documents += 1
            lengths = item.sentence_lengths[first : first + num_sentences]
            first += num_sentences
            end = int(sentence_ends[first - 1]) if first else 0
            self._writer.append_document(item.token_ids[token:end], lengths, continues=continues)
            self._document_sentences += num_sentences
            token = end
        self.num_tokens += token
        self.sentence_lengths = _add(self.sentence_lengths, np.bincount(item.sentence_lengths))

    def end_document(self) -> None:
        """Count the document at hand if nothing of it was written."""
        if self._num_documents and not self._document_sentences:
            self._report.note(ReadingFinding.TOKENLESS_DOCUMENT, f"document {self._num_documents:,} of the input")
        self._document_sentences = 0


def _facts(statistics: StoreStatistics, sentence_lengths: NDArray[np.int64], report: ReadingReport) -> dict[str, Any]:
    """What the manifest says about the corpus."""
    splits = (statistics.train, statistics.held_out)
    num_tokens = sum(split.tokens for split in splits)
    shares = np.cumsum(sentence_lengths) / sentence_lengths.sum()
    return {
        "documents": sum(split.documents for split in splits),
        "sentences": sum(split.sentences for split in splits),
        "tokens": num_tokens,
        "bytes_read": report.bytes_read,
        "characters": report.characters,
        "bytes_per_token": report.bytes_read / num_tokens,
        "characters_per_token": report.characters / num_tokens,
        "unknown_share": statistics.unknown_share,
        "sentence_length_percentiles": {
            str(percentile): int(np.searchsorted(shares, percentile / 100)) for percentile in _PERCENTILES
        },
        "reading": report.facts(),
        "store": asdict(statistics),
    }


def _summarise(out: Path, facts: Mapping[str, Any], report: ReadingReport, asked_share: float) -> None:
    store, percentiles = facts["store"], facts["sentence_length_percentiles"]
    formats = ", ".join(f"{count:,} {name}" for name, count in report.formats.items())
    lines = [
        f"Read {report.bytes_read / 1e6:,.1f} MB of text from {report.files:,} files ({formats}).",
        f"{out}: {facts['documents']:,} documents ({store['held_out']['documents']:,} held out), "
        f"{facts['sentences']:,} sentences, {facts['tokens']:,} tokens.",
        f"A token is {facts['bytes_per_token']:.2f} bytes of text and {store['bytes_per_token']:.2f} bytes of the "
        f"store; {store['unknown_share']:.3%} are [UNK].",
        f"Half of the sentences have at most {percentiles['50']:,} tokens, 99 % at most {percentiles['99']:,}.",
    ]
    if facts["documents"] < _FEW_DOCUMENTS:
        lines.append(
            f"{facts['documents']} documents are few: a next sentence is told from one of another document. If blank "
            "lines, or line ends, stand between documents, say --format blocks, or --format lines."
        )
    if not store["held_out"]["documents"] and asked_share:
        lines.append(
            f"No text is held out, so none can be scored: {asked_share:g} of {facts['documents']:,} is less than one "
            "document. Ask for more with --held-out."
        )
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    if report.findings:
        console.print(report)


def _nothing_found(report: ReadingReport) -> str:
    found = "; ".join(f"{finding.value}: {count.count:,}" for finding, count in report.findings.items())
    return f"There is no text: {report.files:,} files were read and no document has a token ({found or 'no findings'})."


def _show_examples(config: PrepareConfig, sources: Sequence[Source], tokenizer: Tokenizer) -> None:
    """Read the beginnings of some files and show what becomes of them."""
    encoder = Encoder(Encoding(config.vocab, config.sentences, config.language))
    for source in sources:
        report = ReadingReport()
        pieces, size = [], 0
        for piece in read_source(source, config, report, keep_lines=config.sentences == "newline"):
            pieces.append(piece)
            size += len(piece.text)
            if size >= _DRY_RUN_CHARACTERS:
                break
        encoded = encoder(pieces)
        num_tokens, num_sentences = len(encoded.token_ids), len(encoded.sentence_lengths)
        unknown = np.count_nonzero(encoded.token_ids == tokenizer.unk_id) / max(num_tokens, 1)
        console.print(
            f"{source.name}: the first {size:,} characters give {len(pieces) - sum(encoded.continues):,} documents, "
            f"{num_sentences:,} sentences, {num_tokens:,} tokens, {unknown:.3%} of them [UNK]. Sentences:",
            markup=False,
            soft_wrap=True,
        )
        ends = np.cumsum(encoded.sentence_lengths)
        for sentence in np.split(encoded.token_ids, ends)[:_DRY_RUN_SENTENCES]:
            console.print("  " + tokenizer.decode(sentence.tolist()), markup=False, overflow="ellipsis", no_wrap=True)
        if report.findings:
            console.print(report)
    console.print(f"Dry run: nothing was written to {config.out}.", markup=False, soft_wrap=True)


def _add(histogram: NDArray[np.int64], more: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add two histograms of any lengths."""
    total = np.zeros(max(len(histogram), len(more)), dtype=np.int64)
    total[: len(histogram)] += histogram
    total[: len(more)] += more
    return total


@contextmanager
def _stopped_by_signals(out: Path) -> Iterator[None]:
    """SIGTERM does what Ctrl-C does, and both leave with one message."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    main_thread = threading.current_thread() is threading.main_thread()  # no other can set handlers
    previous = signal.signal(signal.SIGTERM, interrupt) if main_thread else None
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedBySignal(f"Stopped. {out} was not made.") from None
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, previous)
