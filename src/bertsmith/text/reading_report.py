"""What reading met: how much there was, and everything that was mended or left out, with a first example of each kind.

The policy for damaged text, `on_error`, is stated once, here:

    strict   stop at the first damage, with an error that says where it is
    replace  mend what can be mended (U+FFFD for bytes that are not UTF-8), leave out what cannot, count both
    skip     leave out the line or row that holds the damage, and count it

Some things are no damage, so they are settled in the same way under every policy, and counted all the same: byte order
marks and NULs are removed, CR and CRLF become LF, empty documents and files are left out.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from rich.table import Table

from bertsmith.core.errors import InputError

OnError = Literal["strict", "replace", "skip"]


class ReadingFinding(StrEnum):
    """A kind of thing that was mended or left out; the value is what the screen and the manifest call it."""

    BYTE_ORDER_MARK = "byte order mark removed"
    NUL = "NUL character removed"
    LINE_END = "CR or CRLF line end changed to LF"
    EMPTY_FILE = "empty file left out"
    EMPTY_DOCUMENT = "empty document left out"
    TOKENLESS_DOCUMENT = "document without a token left out"
    PASSED_OVER = "file of a folder passed over: neither its name nor its first bytes say text"
    LINKED_FOLDER = "link to a folder passed over: name the folder itself to read it"
    OWN_FOLDER = "folder that bertsmith made passed over"
    REPEATED_FILE = "file named twice, read once"
    WIKI_HEADING = "title or section heading of a Wikipedia article left out"
    INVALID_UTF8 = "bytes that are not UTF-8 replaced by U+FFFD"
    DAMAGED_LINE = "line or row with bytes that are not UTF-8 left out"
    NOT_TEXT = "file that is not text left out"
    DAMAGED_COMPRESSION = "compressed file cut short or damaged; its readable part was used"
    NOT_JSON = "line that is not a JSON object left out"
    NO_TEXT_FIELD = "record without the text field left out"
    LONG_LINE = "JSON line that is too long left out"
    OUTSIDE_DOC = "line outside <doc> ... </doc> left out"
    UNCLOSED_DOC = "<doc> without </doc>"
    DAMAGED_PARQUET = "parquet file cut short or damaged; its readable part was used"


@dataclass
class Occurrences:
    """How often something was found, and where first."""

    count: int
    first: str


class ReadingReport:
    """Filled while documents are read; final when the reader is exhausted.

    files              files read
    documents          documents that had text
    characters         of those documents
    bytes_read         of text, after decompression
    stored_bytes_read  as stored, before decompression: what a progress bar counts
    formats            format -> files
    """

    def __init__(self) -> None:
        self.files = 0
        self.documents = 0
        self.characters = 0
        self.bytes_read = 0
        self.stored_bytes_read = 0
        self.formats: dict[str, int] = {}
        self.findings: dict[ReadingFinding, Occurrences] = {}

    def note(self, finding: ReadingFinding, where: str, count: int = 1) -> None:
        """Count something; the first place is kept as an example."""
        if finding in self.findings:
            self.findings[finding].count += count
        else:
            self.findings[finding] = Occurrences(count, where)

    def damage(self, finding: ReadingFinding, where: str, on_error: OnError, explanation: str) -> None:
        """Count damage, or under `strict` raise InputError with `explanation` (whole sentences)."""
        if on_error == "strict":
            raise InputError(f"{explanation} Mend it, or choose --on-error replace or skip.")
        self.note(finding, where)

    def facts(self) -> dict[str, Any]:
        """What the manifest keeps."""
        findings = {finding.value: asdict(found) for finding, found in self.findings.items()}
        return {"files": self.files, "formats": dict(self.formats), "findings": findings}

    def __rich__(self) -> Table:
        """The table of everything that was mended or left out."""
        table = Table(title="Mended or left out", title_justify="left", box=None, pad_edge=False)
        table.add_column("count", justify="right")
        table.add_column("what")
        table.add_column("first in", overflow="fold")
        for finding, found in self.findings.items():
            table.add_row(f"{found.count:,}", finding.value, found.first)
        return table
