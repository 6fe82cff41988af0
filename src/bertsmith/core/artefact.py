"""Artefacts: folders that appear whole or not at all, and that can prove that they are what was written.

A folder is staged beside its final name, its files are flushed to the disk and hashed into `manifest.json`, and only
then it is renamed. Whoever is killed on the way leaves a hidden `.NAME.partial-*` folder, which the next writer of
the same name removes; the final name never shows a half-made folder.

The manifest is canonical JSON (sorted keys, two spaces, ASCII, final newline) and carries a checksum of itself, so a
change of any byte of any file, the manifest's own included, is found.
"""

import fcntl
import hashlib
import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bertsmith.core.errors import ArtefactError, ArtefactExists, DamagedArtefact, MismatchedArtefact

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_LIBRARIES = ("bertsmith", "torch", "numpy", "tokenizers", "safetensors", "pyarrow", "sentencex")


@dataclass(frozen=True)
class FileRecord:
    """Size and SHA-256 of one file of an artefact."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What made an artefact, from what, and what is in it."""

    kind: str
    command: str
    configuration: Mapping[str, Any]
    made_from: Mapping[str, str]
    facts: Mapping[str, Any]
    files: Mapping[str, FileRecord]
    versions: Mapping[str, str]
    format_version: int = FORMAT_VERSION

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content (kind and files): equal content has an equal fingerprint, whoever made it."""
        content = {
            "files": {name: asdict(record) for name, record in self.files.items()},
            "format_version": self.format_version,
            "kind": self.kind,
        }
        return hashlib.sha256(_canonical(content)).hexdigest()

    def to_bytes(self) -> bytes:
        """The manifest as it stands on disk."""
        body = asdict(self) | {"fingerprint": self.fingerprint}
        return _canonical(body | {"checksum": hashlib.sha256(_canonical(body)).hexdigest()})


@dataclass
class Staging:
    """A folder under construction. Write files into `folder`; put statistics into `facts`."""

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def stage_artefact(
    target: Path,
    *,
    kind: str,
    command: str,
    configuration: Mapping[str, Any],
    made_from: Mapping[str, str] | None = None,
) -> Iterator[Staging]:
    """Write an artefact: yields a staging folder; on a clean exit it becomes `target`, otherwise it vanishes.

    kind           what it is: "vocabulary", "token_store", "model", "checkpoint", ...
    command        the verb that makes it
    configuration  JSON-able settings that, with the inputs, determine the content (the seed among them)
    made_from      role -> fingerprint of each artefact it is made from
    raises         ArtefactExists if `target` is there and not an empty folder, ArtefactError if it cannot be made
    """
    require_free(target)
    target = Path(target).resolve()  # "." has a name then, and behind a link the staging is on the same disk
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target.parent, target.name)
    folder, lock = _new_staging_folder(target)
    try:
        staging = Staging(folder)
        yield staging
        _seal(staging, kind, command, configuration, made_from or {})
        require_free(target)
        folder.rename(target)
        _flush(target.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def remove_abandoned(parent: Path, name: str) -> None:
    """Remove what killed writers of `parent/name` left (a glob pattern will do). A living writer's folder is locked."""
    for folder in parent.glob(f".{name}.partial-*"):
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def require_free(target: Path) -> None:
    """Refuse a target that exists (nothing is ever overwritten), or that cannot be made. An empty folder is free.

    To be asked before the work that fills it.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ArtefactExists(f"{target} already exists. Choose another --out, or remove it first.")
    nearest = next(folder for folder in target.resolve().parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        reason = "may not be written to" if nearest.is_dir() else "is a file"
        raise ArtefactError(f"{target} cannot be made: {nearest} {reason}. Choose another --out.")


def read_manifest(folder: Path, *kinds: str) -> Manifest:
    """Read and check the manifest of `folder` (not its files), which must be of one of `kinds`.

    raises  ArtefactError without a manifest, DamagedArtefact if it was changed, MismatchedArtefact for another kind
    """
    path = Path(folder) / MANIFEST
    wanted = " or ".join(kind.replace("_", " ") for kind in kinds)
    try:
        content = path.read_bytes()
    except OSError:
        raise ArtefactError(f"{folder} is not a {wanted} made by bertsmith: it has no readable {MANIFEST}.") from None
    try:
        entries = json.loads(content)
        version = entries.get("format_version")
        if isinstance(version, int) and version != FORMAT_VERSION:
            raise MismatchedArtefact(
                f"{folder} has format version {version}; this bertsmith reads version {FORMAT_VERSION}."
            )
        files = {name: FileRecord(**record) for name, record in entries.pop("files").items()}
        entries.pop("fingerprint"), entries.pop("checksum")
        manifest = Manifest(files=files, **entries)
        intact = manifest.to_bytes() == content
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise DamagedArtefact(f"{path} is damaged: it does not match its own checksum. Restore the folder from a copy.")
    if manifest.kind not in kinds:
        raise MismatchedArtefact(f"{folder} is a {manifest.kind.replace('_', ' ')}, not a {wanted}.")
    return manifest


def is_artefact(folder: Path) -> bool:
    """Whether a folder was made by bertsmith: it has a manifest as ours are, damaged or not."""
    try:
        entries = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(entries, dict) and {"kind", "made_from", "fingerprint", "checksum"} <= set(entries)


def verify_artefact(folder: Path, *kinds: str, only: Iterable[str] | None = None) -> Manifest:
    """Check the manifest and the size and SHA-256 of all its files, or of those named in `only`.

    raises  DamagedArtefact naming the first file that differs, is missing, or does not belong (when `only` is None)
    """
    folder = Path(folder)
    manifest = read_manifest(folder, *kinds)
    if only is None:
        present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        strangers = sorted(present - set(manifest.files) - {MANIFEST})
        if strangers:
            raise DamagedArtefact(f"{folder} holds {strangers[0]}, which its manifest does not know.")
    for name in manifest.files if only is None else only:
        recorded = manifest.files.get(name)
        path = folder / name
        if recorded is None or not path.is_file():
            raise DamagedArtefact(f"{path} is missing. Restore the folder from a copy.")
        if record_file(path) != recorded:
            raise DamagedArtefact(
                f"{path} is damaged: its content does not have the SHA-256 {recorded.sha256[:16]}... that the manifest "
                f"records. Restore the file from a copy."
            )
    return manifest


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """The quick check for large artefacts: every file is there and has its recorded size."""
    for name, recorded in manifest.files.items():
        path = Path(folder) / name
        size = path.stat().st_size if path.is_file() else None
        if size != recorded.bytes:
            found = "is missing" if size is None else f"has {size:,} bytes instead of {recorded.bytes:,}"
            raise DamagedArtefact(f"{path} {found}. Restore the file from a copy.")


def record_file(path: Path) -> FileRecord:
    """Size and SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return FileRecord(bytes=stream.tell(), sha256=digest.hexdigest())


def _new_staging_folder(target: Path) -> tuple[Path, int]:
    """A hidden folder beside `target`, and a lock on it that tells other writers that it is not abandoned."""
    while True:
        folder = target.parent / f".{target.name}.partial-{secrets.token_hex(4)}"
        folder.mkdir()
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another writer took it for abandoned before we could lock it
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def _seal(
    staging: Staging, kind: str, command: str, configuration: Mapping[str, Any], made_from: Mapping[str, str]
) -> None:
    """Flush and hash every file, then write the manifest."""
    paths = sorted(path for path in staging.folder.rglob("*") if path.is_file())
    for path in paths:
        _flush(path)
    manifest = Manifest(
        kind=kind,
        command=command,
        configuration=configuration,
        made_from=made_from,
        facts=staging.facts,
        files={str(path.relative_to(staging.folder)): record_file(path) for path in paths},
        versions=_versions(),
    )
    (staging.folder / MANIFEST).write_bytes(manifest.to_bytes())
    _flush(staging.folder / MANIFEST)
    for path in [staging.folder, *(p for p in staging.folder.rglob("*") if p.is_dir())]:
        _flush(path)


def _canonical(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode("ascii")


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for library in _LIBRARIES:
        versions[library] = metadata.version(library)
    return versions


def _flush(path: Path) -> None:
    """Ask the disk to keep a file or a folder entry (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
