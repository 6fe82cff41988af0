"""Which format a file has, from its name and its first bytes.

    text     one document a file; lines that were wrapped at a fixed width are joined to paragraphs again
    blocks   documents with blank lines between them, a paragraph or a sentence a line (the input of the original code)
    lines    one document a line
    wiki     WikiExtractor's <doc ...> ... </doc>
    jsonl    one JSON object a line, the text in one of its fields
    parquet  one document a row, the text in one column

Blank lines stand between paragraphs in one file and between documents in the next, and nothing in them tells which:
`auto` never chooses `blocks` or `lines`.
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

Format = Literal["text", "blocks", "lines", "wiki", "jsonl", "parquet"]

COMPRESSIONS: Mapping[str, tuple[str, bytes]] = {  # name: suffix, first bytes
    "gzip": (".gz", b"\x1f\x8b"),
    "zstd": (".zst", b"\x28\xb5\x2f\xfd"),
}

_PLAIN = frozenset({".txt", ".text"})
_SUFFIXES: Mapping[str, frozenset[str]] = {
    "auto": _PLAIN | {".jsonl", ".ndjson", ".parquet"},  # a .json may be anything: its content decides
    "text": _PLAIN | {""},
    "blocks": _PLAIN | {""},
    "lines": _PLAIN | {""},
    "wiki": _PLAIN | {""},
    "jsonl": frozenset({".jsonl", ".ndjson", ".json"}),
    "parquet": frozenset({".parquet"}),
}

_FOREIGN: Mapping[bytes, str] = {  # first bytes of files that people take for text
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive (.zip, .docx, .xlsx, .epub)",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ": "xz data",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"{\\rtf": "an RTF document",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "a database",
    b"\xff\xfe\x00\x00": "UTF-32 text",
    b"\x00\x00\xfe\xff": "UTF-32 text",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_FEW_NULS, _SHARE_OF_NULS = 16, 0.05  # of the bytes; blanks and punctuation of any script are more
_TAR_MAGIC = slice(257, 262), b"ustar"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def name_suffix(name: str) -> str:
    """The suffix that tells the format, without that of the compression: "a.TXT.gz" -> ".txt"."""
    path = PurePosixPath(name.lower())
    if path.suffix in {suffix for suffix, _ in COMPRESSIONS.values()}:
        path = path.with_suffix("")
    return path.suffix


def compression_of_name(name: str) -> str | None:
    """The compression that the name promises."""
    return next((kind for kind, (suffix, _) in COMPRESSIONS.items() if name.lower().endswith(suffix)), None)


def compression_of_content(head: bytes) -> str | None:
    """The compression that the first bytes show."""
    return next((kind for kind, (_, magic) in COMPRESSIONS.items() if head.startswith(magic)), None)


def name_tells(name: str, wanted: str) -> bool:
    """Whether a file that was found in a folder is taken for its name alone. `wanted`: a format or "auto"."""
    return name_suffix(name) in _SUFFIXES[wanted]


def foreign_content(head: bytes) -> str | None:
    """What the file is, if it is none of ours."""
    where, magic = _TAR_MAGIC
    if head[where] == magic:
        return "a tar archive"
    kind = next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None)
    return kind or ("UTF-16 text without a byte order mark" if _looks_like_utf16(head) else None)


def _looks_like_utf16(head: bytes) -> bool:
    """Whether there are NULs as between ASCII characters of two bytes: many, and all at even or all at odd places."""
    at_even, at_odd = head[0::2].count(0), head[1::2].count(0)
    fewest, most = sorted((at_even, at_odd))
    return most > max(_FEW_NULS, _SHARE_OF_NULS * len(head)) and 20 * fewest < most


def format_of_content(head: bytes) -> Format | None:
    """The format that the first bytes show; None for plain text."""
    head = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"<doc "):
        return "wiki"
    return "jsonl" if _starts_with_json_object(head) else None


def decide_format(name: str, head: bytes) -> Format:
    """What `auto` means for a file."""
    suffix = name_suffix(name)
    if suffix in _SUFFIXES["jsonl"]:
        return "jsonl"
    if suffix in _SUFFIXES["parquet"]:
        return "parquet"
    return format_of_content(head) or "text"


def _starts_with_json_object(head: bytes) -> bool:
    line, newline, _ = head.partition(b"\n")
    if not newline:  # one line only, or a line longer than what we see of it
        return line.startswith(b'{"') and b'":' in line
    try:
        return line.startswith(b"{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
