"""Artefacts: whole or not at all; any change of any byte is found; nothing that lives is removed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bertsmith.core.artefact import (
    MANIFEST,
    check_sizes,
    read_manifest,
    require_free,
    stage_artefact,
    verify_artefact,
)
from bertsmith.core.errors import ArtefactError, ArtefactExists, DamagedArtefact, MismatchedArtefact


def write(target: Path, seed: int = 0, **facts: object) -> Path:
    """An artefact with a file in a folder of its own, an empty file, and a few kilobytes that depend on the seed."""
    with stage_artefact(target, kind="thing", command="forge", configuration={"seed": seed}) as staging:
        (staging.folder / "weights.bin").write_bytes(random.Random(seed).randbytes(5_000))
        (staging.folder / "text").mkdir()
        (staging.folder / "text" / "words.txt").write_text(f"words {seed}\n")
        (staging.folder / "empty").touch()
        staging.facts.update(facts)
    return target


def partials(folder: Path) -> list[Path]:
    return list(folder.glob(".*.partial-*"))


def test_an_artefact_records_what_made_it_and_what_is_in_it(tmp_path):
    with stage_artefact(
        tmp_path / "a", kind="thing", command="forge", configuration={"seed": 7}, made_from={"iron": "ab" * 32}
    ) as staging:
        (staging.folder / "words.txt").write_bytes(b"abc")
        staging.facts["words"] = 1
    manifest = verify_artefact(tmp_path / "a", "thing")
    assert (manifest.kind, manifest.command, manifest.configuration) == ("thing", "forge", {"seed": 7})
    assert (manifest.made_from, manifest.facts) == ({"iron": "ab" * 32}, {"words": 1})
    assert manifest.files["words.txt"].bytes == 3
    assert manifest.files["words.txt"].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert set(manifest.versions) >= {"python", "bertsmith", "torch", "tokenizers"}


def test_the_manifest_is_canonical_json_with_a_checksum_of_itself(tmp_path):
    content = (write(tmp_path / "a") / MANIFEST).read_bytes()
    entries = json.loads(content)
    assert content == (json.dumps(entries, indent=2, sort_keys=True) + "\n").encode("ascii")
    assert sorted(entries) == [
        "checksum",
        "command",
        "configuration",
        "facts",
        "files",
        "fingerprint",
        "format_version",
        "kind",
        "made_from",
        "versions",
    ]


def test_the_fingerprint_depends_on_the_content_alone(tmp_path):
    first = read_manifest(write(tmp_path / "a", seed=1, made_on="Monday"), "thing").fingerprint
    assert read_manifest(write(tmp_path / "b", seed=1, made_on="Friday"), "thing").fingerprint == first
    assert read_manifest(write(tmp_path / "c", seed=2), "thing").fingerprint != first


def test_200_single_byte_changes_are_all_found(tmp_path):
    folder = write(tmp_path / "a", note="x" * 200)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    assert len(files) == 3
    chance = random.Random(0)
    for flip in range(200):
        path = files[flip % len(files)]
        intact = path.read_bytes()
        position = chance.randrange(len(intact))
        changed = bytearray(intact)
        changed[position] ^= chance.randrange(1, 256)
        path.write_bytes(changed)
        with pytest.raises(DamagedArtefact, match=path.name):
            verify_artefact(folder, "thing")
        path.write_bytes(intact)
    verify_artefact(folder, "thing")


def test_a_missing_a_foreign_and_a_shortened_file_are_named(tmp_path):
    folder = write(tmp_path / "a")
    (folder / "note.txt").touch()
    with pytest.raises(DamagedArtefact, match=r"holds note\.txt, which its manifest does not know"):
        verify_artefact(folder, "thing")
    (folder / "note.txt").unlink()
    (folder / "text" / "words.txt").unlink()
    with pytest.raises(DamagedArtefact, match=r"words\.txt is missing"):
        verify_artefact(folder, "thing")
    with pytest.raises(DamagedArtefact, match=r"words\.txt is missing"):
        check_sizes(folder, read_manifest(folder, "thing"))
    (folder / "text" / "words.txt").write_text("w")
    with pytest.raises(DamagedArtefact, match=r"words\.txt has 1 bytes instead of 8"):
        check_sizes(folder, read_manifest(folder, "thing"))


def test_a_partial_check_reads_only_what_it_is_asked_for(tmp_path):
    folder = write(tmp_path / "a")
    (folder / "weights.bin").write_bytes(b"changed")
    verify_artefact(folder, "thing", only=["text/words.txt"])
    with pytest.raises(DamagedArtefact, match=r"weights\.bin is damaged"):
        verify_artefact(folder, "thing", only=["weights.bin"])
    with pytest.raises(DamagedArtefact, match=r"unheard-of is missing"):
        verify_artefact(folder, "thing", only=["unheard-of"])


def test_a_folder_of_another_kind_or_of_no_kind_is_refused_by_name(tmp_path):
    folder = write(tmp_path / "a")
    with pytest.raises(MismatchedArtefact, match="is a thing, not a token store or vocabulary"):
        read_manifest(folder, "token_store", "vocabulary")
    with pytest.raises(ArtefactError, match=r"no readable manifest\.json"):
        read_manifest(tmp_path, "thing")
    with pytest.raises(ArtefactError, match=r"no readable manifest\.json"):
        read_manifest(tmp_path / "nowhere", "thing")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b'{"files": 1}', b"\xff", b'{"files": {"a": {}}}'])
def test_a_manifest_that_is_something_else_is_damaged_not_a_traceback(tmp_path, content):
    folder = write(tmp_path / "a")
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(DamagedArtefact, match="does not match its own checksum"):
        read_manifest(folder, "thing")


def test_an_existing_target_is_never_touched_and_an_empty_folder_is_free(tmp_path):
    folder = write(tmp_path / "a", seed=1)
    with pytest.raises(ArtefactExists, match="already exists"):
        write(folder, seed=2)
    assert read_manifest(folder, "thing").configuration == {"seed": 1}
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactExists):
        require_free(tmp_path / "file")
    (tmp_path / "free").mkdir()
    write(tmp_path / "free")
    verify_artefact(tmp_path / "free", "thing")


def test_a_target_behind_a_link_or_named_by_a_dot_is_written(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    write(tmp_path / "link")
    verify_artefact(tmp_path / "disk", "thing")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write(Path())
    verify_artefact(tmp_path / "here", "thing")
    assert partials(tmp_path) == []


def test_a_target_that_cannot_be_made_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match=r"file is a file\. Choose another --out"):
        require_free(tmp_path / "file" / "a")


def test_another_format_version_is_told_from_damage(tmp_path):
    folder = write(tmp_path / "a")
    content = json.loads((folder / "manifest.json").read_text()) | {"format_version": 2, "more": "things"}
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(MismatchedArtefact, match="has format version 2; this bertsmith reads version 1"):
        read_manifest(folder, "thing")


def test_a_target_that_appears_meanwhile_wins(tmp_path):
    target = tmp_path / "a"
    with (
        pytest.raises(ArtefactExists),
        stage_artefact(target, kind="thing", command="forge", configuration={}) as staging,
    ):
        (staging.folder / "late").touch()
        write(target, seed=1)
    assert read_manifest(target, "thing").configuration == {"seed": 1}
    assert partials(tmp_path) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_nothing(tmp_path, error):
    with (
        pytest.raises(error),
        stage_artefact(tmp_path / "a", kind="thing", command="forge", configuration={}) as staging,
    ):
        (staging.folder / "half").touch()
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_removed_by_the_next_of_the_same_name(tmp_path):
    for name in (".a.partial-00000000", ".b.partial-00000000"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    write(tmp_path / "a")
    assert [path.name for path in partials(tmp_path)] == [".b.partial-00000000"]


def test_a_writer_that_lives_keeps_its_folder(tmp_path):
    target = tmp_path / "a"
    with stage_artefact(target, kind="thing", command="forge", configuration={}) as first:
        (first.folder / "mine").write_text("first")
        with stage_artefact(target, kind="thing", command="forge", configuration={}) as second:
            (second.folder / "mine").write_text("second")
        assert (first.folder / "mine").read_text() == "first"
        shutil.rmtree(target)
    assert (target / "mine").read_text() == "first"


SAVER = textwrap.dedent(
    """
    import sys
    from itertools import count
    from pathlib import Path
    from bertsmith.core.artefact import stage_artefact

    folder, start = Path(sys.argv[1]), int(sys.argv[2])
    for number in count(start):
        with stage_artefact(folder / f"step-{number:06d}", kind="thing", command="save", configuration={}) as staging:
            for name in ("weights", "state"):
                (staging.folder / name).write_bytes(bytes([number % 256]) * 100_000)
        print(number, flush=True)
    """
)


def kill_while_saving(folder: Path, kills: int, seed: int) -> None:
    """Kill a process that saves in a loop, at random moments; after each, every folder under a final name is whole."""
    chance = random.Random(seed)
    published: set[int] = set()
    for _ in range(kills):
        start = max(published, default=-1) + 1
        with subprocess.Popen(
            [sys.executable, "-c", SAVER, str(folder), str(start)], stdout=subprocess.PIPE, text=True
        ) as saver:
            published.add(int(saver.stdout.readline()))  # it is under way
            time.sleep(chance.uniform(0, 0.02))
            os.kill(saver.pid, signal.SIGKILL)
            published |= {int(line) for line in saver.stdout.read().splitlines()}
        whole = {int(path.name.removeprefix("step-")) for path in folder.glob("step-*")}
        assert whole >= published  # nothing that was announced is lost
        for path in folder.glob("step-*"):
            assert set(verify_artefact(path, "thing").files) == {"weights", "state"}
            if path.name != f"step-{max(whole):06d}":
                shutil.rmtree(path)
        published = {max(whole)}
    assert len(partials(folder)) <= 1  # each saver removed what the one before it left


def test_kills_while_saving_never_show_a_half_made_folder(tmp_path):
    kill_while_saving(tmp_path, kills=20, seed=0)


@pytest.mark.slow
def test_200_kills_while_saving_never_show_a_half_made_folder(tmp_path):
    kill_while_saving(tmp_path, kills=200, seed=1)
