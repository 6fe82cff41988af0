"""Files from paths, folders, globs and URLs; blocks of bytes from plain, gzip and zstd files."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import InputError
from bertsmith.text.reading_report import ReadingFinding, ReadingReport
from bertsmith.text.sources import BLOCK_BYTES, Source, byte_blocks, find_sources


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def plant(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def names(inputs, folder: Path, wanted="auto", report=None) -> list[str]:
    sources = find_sources([str(given) for given in inputs], wanted, report or ReadingReport())
    return [os.path.relpath(source.name, folder) for source in sources]


def read(path: Path, on_error="strict", report=None) -> bytes:
    return b"".join(byte_blocks(Source(str(path), path.stat().st_size), on_error, report or ReadingReport()))


def test_a_folder_is_walked_in_sorted_order_whatever_order_the_disk_has(tmp_path):
    plant(tmp_path, dict.fromkeys(["b.txt", "a/z.txt", "a/b/c.txt", "a.txt", "c/a.jsonl", "B.TXT.GZ"], "text"))
    assert names([tmp_path], tmp_path) == ["B.TXT.GZ", "a/b/c.txt", "a/z.txt", "a.txt", "b.txt", "c/a.jsonl"]


def test_of_a_folder_what_is_text_by_name_or_by_its_first_bytes_is_taken_and_the_rest_is_reported(tmp_path):
    plant(
        tmp_path,
        {
            "notes.txt": "text",
            "AA/wiki_00": '<doc id="1" url="u" title="T">\nT\n\nText.\n</doc>\n',
            "AA/wiki_01.gz": gzip.compress(b'{"text": "json lines"}\n'),
            "records.json": '{"text": "one"}\n{"text": "two"}\n',
            "README.md": "# about",
            "SHA256SUMS": "0123 notes.txt",
            "pretty.json": '{\n  "text": "not lines"\n}\n',
            "picture.png": b"\x89PNG\r\n",
            "damaged.gz": b"\x1f\x8b\x08",
            ".hidden.txt": "no",
            ".git/config.txt": "no",
            "empty": "",
        },
    )
    report = ReadingReport()
    assert names([tmp_path], tmp_path, report=report) == ["AA/wiki_00", "AA/wiki_01.gz", "notes.txt", "records.json"]
    assert report.findings[ReadingFinding.PASSED_OVER].count == 6


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("text", ["a.txt", "plain"]),
        ("blocks", ["a.txt", "plain"]),
        ("jsonl", ["b.jsonl", "c.json.zst"]),
        ("wiki", ["a.txt", "plain", "wiki.xml"]),
        ("parquet", ["d.parquet"]),
    ],
)
def test_a_format_that_is_named_takes_the_names_that_fit_it(tmp_path, wanted, expected):
    files = {"a.txt": "a", "plain": "a", "b.jsonl": "{}", "c.json.zst": zstd(b"{}"), "d.parquet": b"PAR1", "e.md": "e"}
    plant(tmp_path, files | {"wiki.xml": '<doc id="1">\n'})
    assert names([tmp_path], tmp_path, wanted) == expected


def test_what_is_named_is_taken_whatever_it_is_called(tmp_path):
    plant(tmp_path, {"README.md": "a", ".hidden": "b", "a[1].txt": "c"})
    inputs = [tmp_path / "README.md", tmp_path / ".hidden", tmp_path / "a[1].txt"]
    assert names(inputs, tmp_path) == ["README.md", ".hidden", "a[1].txt"]


def test_globs_name_files_and_folders(tmp_path):
    plant(tmp_path, {"a/1.md": "x", "a/b/2.md": "x", "c/3.txt": "x", "c/4.md": "x"})
    assert names([tmp_path / "a" / "*.md"], tmp_path) == ["a/1.md"]
    assert names([tmp_path / "**" / "*.md"], tmp_path) == ["a/1.md", "a/b/2.md", "c/4.md"]
    assert names([tmp_path / "[c]"], tmp_path) == ["c/3.txt"]
    assert names([tmp_path / "a" / "**"], tmp_path) == ["a/1.md", "a/b/2.md"]


def test_inputs_keep_the_order_in_which_they_were_typed_and_a_file_named_twice_is_read_once(tmp_path):
    plant(tmp_path, {"b.txt": "b", "a.txt": "a"})
    (tmp_path / "link.txt").symlink_to(tmp_path / "b.txt")
    report = ReadingReport()
    assert names([tmp_path / "b.txt", tmp_path], tmp_path, report=report) == ["b.txt", "a.txt"]
    assert report.findings[ReadingFinding.REPEATED_FILE].count == 2


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    plant(tmp_path, {"a.txt": "a"})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names(["~/a.txt"], tmp_path) == ["a.txt"]


@pytest.mark.parametrize("given", ["nothing.txt", "*.txt", "", "a/b/c", "memory://nothing/here.txt", "memory://no/*"])
def test_a_path_that_is_not_there_is_an_error_that_names_it(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="There is no file"):
        find_sources([given], "auto", ReadingReport())


@pytest.mark.parametrize("files", [{}, {"a.md": "x", "b/c.png": "y"}])
def test_a_folder_without_text_is_an_error(tmp_path, files):
    plant(tmp_path, files)
    with pytest.raises(InputError, match="holds no text"):
        find_sources([str(tmp_path)], "auto", ReadingReport())


@pytest.mark.parametrize("url", ["nosuchprotocol://a/b", "s3://bucket/key"])
def test_a_url_that_cannot_be_opened_is_an_error_that_names_it(url):
    with pytest.raises(InputError, match=url):
        find_sources([url], "auto", ReadingReport())


def test_urls_go_to_fsspec(tmp_path):
    memory = fsspec.filesystem("memory")
    for name in ("/sources/b.txt", "/sources/deep/a.txt.gz", "/sources/README.md", "/sources/.hidden/c.txt"):
        memory.pipe(name, gzip.compress(b"packed") if name.endswith(".gz") else b"plain")
    report = ReadingReport()
    sources = find_sources(["memory://sources"], "auto", report)
    assert [source.name for source in sources] == ["memory:///sources/b.txt", "memory:///sources/deep/a.txt.gz"]
    assert [b"".join(byte_blocks(source, "strict", report)) for source in sources] == [b"plain", b"packed"]
    assert len(find_sources(["memory://sources/*.md"], "auto", report)) == 1
    plant(tmp_path, {"a.txt": "a"})
    assert names([f"file://{tmp_path}"], tmp_path) == ["a.txt"]


def test_a_pipe_can_be_read():
    command = "import sys; from bertsmith.text.sources import *; from bertsmith.text.reading_report import *\n"
    command += "sources = find_sources(['/dev/stdin'], 'auto', ReadingReport())\n"
    command += "print(sum(map(len, byte_blocks(sources[0], 'strict', ReadingReport()))))"
    content = gzip.compress(b"abc" * 100_000)
    done = subprocess.run([sys.executable, "-c", command], input=content, capture_output=True, check=True)
    assert done.stdout == b"300000\n"


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a.txt", lambda content: content),
        ("a.txt.gz", gzip.compress),
        ("a.txt.zst", zstd),
        ("unnamed", gzip.compress),
        ("also_unnamed", zstd),
        ("two_members.gz", lambda content: gzip.compress(content[:1000]) + gzip.compress(content[1000:])),
        ("two_frames.zst", lambda content: zstd(content[:1000]) + zstd(content[1000:])),
        ("padded.gz", lambda content: gzip.compress(content) + bytes(512)),
    ],
)
def test_compression_is_what_the_first_bytes_show(tmp_path, name, stored):
    content = b"".join(b"line %d\n" % number for number in range(50_000))
    plant(tmp_path, {name: stored(content)})
    report = ReadingReport()
    blocks = list(byte_blocks(find_sources([str(tmp_path / name)], "auto", report)[0], "strict", report))
    assert b"".join(blocks) == content
    assert max(map(len, blocks)) <= BLOCK_BYTES
    assert report.stored_bytes_read == (tmp_path / name).stat().st_size


@pytest.mark.parametrize("cut", [0.9, 0.5, 0.01])
@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_a_compressed_file_that_is_cut_short_is_noticed_and_its_readable_part_used(tmp_path, suffix, pack, cut):
    content = b"".join(b"line %d\n" % (number * number) for number in range(100_000))
    packed = pack(content)
    path = plant(tmp_path, {f"a{suffix}": packed[: int(cut * len(packed))]}) / f"a{suffix}"
    with pytest.raises(InputError, match="cut short or damaged"):
        read(path)
    for on_error in ("replace", "skip"):
        report = ReadingReport()
        readable = read(path, on_error, report)
        assert content.startswith(readable)
        assert len(readable) > (cut - 0.2) * len(content)
        assert report.findings[ReadingFinding.DAMAGED_COMPRESSION].count == 1


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_even_the_last_byte_of_a_gzip_file_is_missed(tmp_path, missing):
    path = plant(tmp_path, {"a.gz": gzip.compress(b"some text")[:-missing]}) / "a.gz"
    with pytest.raises(InputError, match="cut short"):
        read(path)
    assert read(path, "replace") == b"some text"


def test_a_flipped_bit_in_gzip_data_is_noticed(tmp_path):
    packed = bytearray(gzip.compress(os.urandom(10_000)))
    packed[5_000] ^= 1
    with pytest.raises(InputError, match="damaged"):
        read(plant(tmp_path, {"a.gz": bytes(packed)}) / "a.gz")


def test_a_name_that_promises_compression_which_is_not_there_is_damage(tmp_path):
    path = plant(tmp_path, {"a.txt.gz": "plain text"}) / "a.txt.gz"
    with pytest.raises(InputError, match="not the gzip data that its name promises"):
        read(path)
    report = ReadingReport()
    assert read(path, "skip", report) == b""
    assert report.findings[ReadingFinding.NOT_TEXT].count == 1


@pytest.mark.parametrize("name", ["gone.txt", "folder"])
def test_a_file_that_cannot_be_read_is_an_error_under_every_policy(tmp_path, name):
    (tmp_path / "folder").mkdir()
    for on_error in ("strict", "replace", "skip"):
        with pytest.raises(InputError, match="cannot be read"):
            list(byte_blocks(Source(str(tmp_path / name), None), on_error, ReadingReport()))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc: a file whose reading fails")
def test_an_error_of_the_disk_is_not_taken_for_damaged_text():
    with pytest.raises(InputError, match="cannot be read: Input/output error"):
        list(byte_blocks(Source("/proc/self/mem", None), "replace", ReadingReport()))


def test_a_link_to_nothing_is_an_error_and_a_link_to_a_folder_is_reported(tmp_path):
    plant(tmp_path / "far", {"c.txt": "text"})
    folder = plant(tmp_path / "here", {"a.txt": "text"})
    (folder / "sub").symlink_to(tmp_path / "far")
    (folder / "picture.png").symlink_to(tmp_path / "nowhere.png")
    report = ReadingReport()
    assert names([folder], folder, report=report) == ["a.txt"]
    assert report.findings[ReadingFinding.LINKED_FOLDER].first == str(folder / "sub")
    (folder / "b.txt").symlink_to(tmp_path / "nowhere.txt")
    with pytest.raises(InputError, match=r"b\.txt is a link to .*nowhere\.txt, which is not there"):
        names([folder], folder)


def test_folders_that_bertsmith_made_are_no_corpus(tmp_path):
    plant(tmp_path, {"a.txt": "text", "mine/manifest.json": "{}", "mine/b.txt": "text"})
    with stage_artefact(tmp_path / "v", kind="vocabulary", command="vocab", configuration={}) as staging:
        plant(staging.folder, {"vocab.txt": "[PAD]"})
    report = ReadingReport()
    assert names([tmp_path], tmp_path, report=report) == ["a.txt", "mine/b.txt"]
    assert report.findings[ReadingFinding.OWN_FOLDER].first == str(tmp_path / "v")
