"""Where text comes from: paths, folders, globs and URLs in, bounded blocks of bytes out.

What is named is read, whatever it is called. Of a folder those files are read whose name (.txt, .text, .jsonl, .ndjson,
.parquet, each also .gz or .zst) or whose first bytes (WikiExtractor, JSON lines, parquet) say that they are text.
Hidden files, links to folders and folders that bertsmith made are left alone, and what was passed over is reported. A
folder is walked in sorted order, so the same folder gives the same corpus everywhere.

A URL goes to fsspec, and to the network only if the URL that was typed says so.

Compression is what the first bytes show. gzip is read by the standard library and zstd by Arrow: both notice a file
that is cut short, and both give what can still be read of it (of zstd up to the last whole block of 64 KiB).
"""

import glob
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from bertsmith.core.artefact import MANIFEST, is_artefact
from bertsmith.core.errors import InputError
from bertsmith.text.formats import compression_of_content, compression_of_name, format_of_content, name_tells
from bertsmith.text.reading_report import OnError, ReadingFinding, ReadingReport

BLOCK_BYTES = 1 << 16
_HEAD_BYTES = 1 << 12  # enough to recognise a format


@dataclass(frozen=True)
class Source:
    """One file. `filesystem` is None for a local path."""

    name: str  # path or URL
    size: int | None  # bytes as stored; None if unknown, as for a pipe
    filesystem: Any = None  # fsspec has no types

    def open(self) -> io.BufferedReader:
        """Open for reading bytes; raises InputError."""
        try:
            if self.filesystem is None:
                return Path(self.name).open("rb")
            return io.BufferedReader(self.filesystem.open(self.name, "rb"), BLOCK_BYTES)
        except (OSError, ValueError) as error:
            raise _unreadable(self.name, error) from None


def find_sources(inputs: Sequence[str], wanted: str, report: ReadingReport) -> list[Source]:
    """Resolve what was typed to files, in order, each once. `wanted`: a format or "auto".

    raises  InputError for a path that is not there, a glob without a match, a folder without text
    """
    sources: dict[str, Source] = {}
    for given in inputs:
        for source in _remote(given, wanted, report) if "://" in given else _local(given, wanted, report):
            identity = source.name if source.filesystem else os.path.realpath(source.name)
            if identity in sources:
                report.note(ReadingFinding.REPEATED_FILE, source.name)
            else:
                sources[identity] = source
    return list(sources.values())


def byte_blocks(source: Source, on_error: OnError, report: ReadingReport) -> Iterator[bytes]:
    """Yield the content of a file, decompressed, in blocks of at most 64 KiB.

    raises  InputError if it cannot be read, and under `strict` if its compression is damaged
    """
    with source.open() as stored:
        try:
            head = stored.peek(4)[:4]
            compression = compression_of_content(head)
            if compression is None and compression_of_name(source.name) and head:
                promised = f"{source.name} is not the {compression_of_name(source.name)} data that its name promises."
                report.damage(ReadingFinding.NOT_TEXT, source.name, on_error, promised)
                return
            position, seekable = 0, stored.seekable()
            for block in _decompressed(stored, compression, source.name, on_error, report):
                if seekable:
                    position, before = stored.tell(), position
                    report.stored_bytes_read += position - before
                yield block
        except OSError as error:
            raise _unreadable(source.name, error) from None


def _decompressed(
    stored: BinaryIO, compression: str | None, name: str, on_error: OnError, report: ReadingReport
) -> Iterator[bytes]:
    try:
        match compression:
            case "gzip":
                with gzip.GzipFile(fileobj=stored) as stream:
                    yield from iter(lambda: stream.read1(BLOCK_BYTES), b"")
            case "zstd":
                with pa.CompressedInputStream(stored, "zstd") as stream:
                    yield from iter(lambda: stream.read(BLOCK_BYTES), b"")
            case _:
                yield from iter(lambda: stored.read(BLOCK_BYTES), b"")
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's or the network's, not the data's
            raise
        explanation = f"{name} is cut short or damaged: its {compression} data cannot be read to the end ({error})."
        report.damage(ReadingFinding.DAMAGED_COMPRESSION, name, on_error, explanation)


def _local(given: str, wanted: str, report: ReadingReport) -> Iterator[Source]:
    path = os.path.expanduser(given)  # noqa: PTH111 - Path would fold "a//b" and drop "./", and the name is shown
    if given and os.path.isdir(path):  # noqa: PTH112
        yield from _folder(path, wanted, report)
    elif os.path.exists(path):  # noqa: PTH110
        yield _local_source(path)
    else:
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
        if not matches:
            raise InputError(f"There is no file or folder '{given}'. Check the path, or quote the glob.")
        for match in matches:
            if Path(match).is_file():
                yield _local_source(match)
            elif "**" not in given:  # which names the files of the folder itself
                yield from _folder(match, wanted, report)


def _local_source(path: str) -> Source:
    return Source(path, Path(path).stat().st_size if Path(path).is_file() else None)


def _folder(folder: str, wanted: str, report: ReadingReport) -> Iterator[Source]:
    paths = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if MANIFEST in names and is_artefact(Path(parent)):
            report.note(ReadingFinding.OWN_FOLDER, parent)
            folders.clear()
            continue
        for path in (Path(parent, name) for name in folders):
            if path.is_symlink():
                report.note(ReadingFinding.LINKED_FOLDER, str(path))
        paths += [Path(parent, name) for name in names if not name.startswith(".")]
    links = (path for path in sorted(paths) if path.is_symlink() and name_tells(str(path), wanted))
    lost = next((path for path in links if not path.exists()), None)
    if lost is not None:
        raise InputError(f"{lost} is a link to {lost.readlink()}, which is not there. Mend the link, or remove it.")
    regular = [_local_source(str(path)) for path in sorted(paths) if path.is_file()]
    yield from _taken(folder, regular, wanted, report)


def _remote(given: str, wanted: str, report: ReadingReport) -> Iterator[Source]:
    try:
        filesystem, path = fsspec.core.url_to_fs(given)
        if isinstance(filesystem, LocalFileSystem):  # file://
            yield from _local(path, wanted, report)
            return
        is_folder = filesystem.isdir(path)
        if is_folder:
            found = filesystem.find(path, detail=True)
        elif filesystem.exists(path):
            found = {path: filesystem.info(path)}
        else:
            found = filesystem.glob(path, detail=True) if glob.has_magic(path) else {}
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{given} cannot be opened: {error}.") from None
    if not found and not is_folder:
        raise InputError(f"There is no file '{given}'. Check the URL.")
    files = [
        Source(filesystem.unstrip_protocol(name), details.get("size"), filesystem)
        for name, details in sorted(found.items())
        if details["type"] == "file"
    ]
    if is_folder:
        root = filesystem.unstrip_protocol(path)
        files = [source for source in files if "/." not in f"/{source.name.removeprefix(root)}"]
        yield from _taken(given, files, wanted, report)
    else:
        yield from files


def _taken(folder: str, sources: Sequence[Source], wanted: str, report: ReadingReport) -> Iterator[Source]:
    """Those files of a folder that are text, by name or by content."""
    taken = 0
    for source in sources:
        if name_tells(source.name, wanted) or _content_tells(source, wanted):
            taken += 1
            yield source
        else:
            report.note(ReadingFinding.PASSED_OVER, source.name)
    if not taken:
        kind = "text" if wanted == "auto" else wanted
        what = f"none of its {len(sources):,} files is {kind} by name or content" if sources else "it has no files"
        raise InputError(f"The folder {folder} holds no {kind}: {what}. Name files by a glob, such as '{folder}/*.md'.")


def _content_tells(source: Source, wanted: str) -> bool:
    try:
        head = next(byte_blocks(source, "strict", ReadingReport()), b"")[:_HEAD_BYTES]
    except InputError:
        return False
    found = format_of_content(head)
    return found is not None and wanted in ("auto", found)


def _raise(error: OSError) -> None:
    raise _unreadable(cast(str, error.filename), error) from None


def _unreadable(name: str, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InputError(f"{name} cannot be read: {reason}.")
