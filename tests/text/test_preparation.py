"""The verb `prepare`: equal bytes for any number of workers, and all or nothing, however it ends."""

import json
import os
import random
import signal
import string
import subprocess
import sys
import threading
import time
import uuid
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError
from test_sources import plant

from bertsmith.core.artefact import verify_artefact
from bertsmith.core.errors import ArtefactExists, InputError
from bertsmith.text import encoding
from bertsmith.text.pieces import SPECIAL_PIECES
from bertsmith.text.preparation import PrepareConfig, prepare
from bertsmith.text.token_store import TokenStore
from bertsmith.text.tokenizer import Tokenizer

LETTERS = string.ascii_lowercase + string.digits + string.punctuation
PIECES = [*SPECIAL_PIECES, *LETTERS, *(f"##{letter}" for letter in LETTERS), "the", "cat", "sat", "on", "mat"]

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    Tokenizer(PIECES).save(folder)
    return folder


@pytest.fixture
def make(tmp_path, vocabulary):
    """Prepare files given as name -> content."""

    def run(files, out="store", **setting) -> TokenStore:
        plant(tmp_path / "corpus", files)
        setting = {"inputs": (str(tmp_path / "corpus"),), "vocab": vocabulary, "workers": 1} | setting
        return TokenStore.open(prepare(PrepareConfig(out=tmp_path / out, **setting)))

    return run


def documents(store: TokenStore) -> list[list[str]]:
    """The decoded sentences of each document of both splits."""
    texts = []
    for table in (store.train, store.held_out):
        for index in range(table.num_blocks):
            block = table.block(index)
            ends = block.sentence_offsets
            sentences = [store.tokenizer.decode(block.token_ids[a:b].tolist()) for a, b in pairwise(ends)]
            borders = block.document_offsets
            texts += [sentences[a:b] for a, b in pairwise(borders)]
    return texts


def some_text(seed: int, num_documents: int) -> str:
    generator = random.Random(seed)
    words = ["the", "cat", "sat", "on", "mat", *("".join(generator.choices(LETTERS[:26], k=6)) for _ in range(300))]
    lines = []
    for _ in range(num_documents):
        for _ in range(generator.randint(1, 9)):
            lines.append(" ".join(generator.choices(words, k=generator.randint(2, 30))) + ".")
        lines.append("")
    return "\n".join(lines)


def test_documents_and_sentences_arrive_in_the_store_in_order(make):
    store = make({"a.txt": "The cat sat. On the mat!\n\nMat", "b.txt": "Mr. X sat on the mat."}, held_out=0)
    assert documents(store) == [["the cat sat .", "on the mat !", "mat"], ["mr . x sat on the mat ."]]
    assert store.tokenizer.fingerprint == Tokenizer(PIECES).fingerprint


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_where_a_line_is_a_sentence_no_lines_are_joined(make, name):
    lines = ["the cat sat on the mat and the man on the other mat"] * 12  # as long as lines that were wrapped
    content = "\n".join(lines)
    store = make(
        {name: json.dumps({"text": content}) if name == "a.jsonl" else content}, held_out=0, sentences="newline"
    )
    assert [len(document) for document in documents(store)] == [12]


def test_special_pieces_in_the_text_are_ordinary_text(make):
    assert documents(make({"a.txt": "[MASK] the [SEP]"}, held_out=0)) == [["[ mask ] the [ sep ]"]]


def test_a_corpus_of_one_word_is_a_store(make, capsys):
    store = make({"a.txt": "cat"})
    assert (store.train.num_documents, store.train.num_tokens, store.held_out.num_documents) in {(1, 1, 0), (0, 0, 1)}
    assert "--format blocks" in capsys.readouterr().err


def test_documents_longer_than_a_piece_or_a_work_item_stay_whole(make, monkeypatch):
    monkeypatch.setattr("bertsmith.text.documents.PIECE_CHARACTERS", 50)
    monkeypatch.setattr(encoding, "ITEM_CHARACTERS", 120)
    lines = [f"the cat sat on mat {number} ." for number in range(100)]
    store = make({"a.txt": "\n".join(lines), "b.txt": "mat"}, held_out=0)
    assert [" ".join(document) for document in documents(store)] == [
        " ".join(store.tokenizer.decode(store.tokenizer.encode(line)) for line in lines),
        "mat",
    ]


def test_sentences_and_documents_without_a_token_are_left_out_and_counted(make):
    control = "\u200b\x01"
    store = make({"a.txt": f"the\n\n{control}\n\ncat\n{control}\nsat\n\n{control}"}, format="blocks", held_out=0)
    assert documents(store) == [["the"], ["cat", "sat"]]
    found = store.manifest.facts["reading"]["findings"]["document without a token left out"]
    assert found == {"count": 2, "first": "document 2 of the input"}


def test_the_manifest_says_what_was_read_and_left_out(make):
    files = {
        "a.txt": b"\xef\xbb\xbfthe cat.\r\nthe \xff mat.",
        "b.jsonl": '{"text": "sat"}\nno\n',
        "c.txt": "",
        "d.md": "x",
    }
    facts = make(files, on_error="skip", held_out=0).manifest.facts
    assert facts["documents"] == 2
    assert facts["sentences"] == 2
    assert facts["tokens"] == 4
    assert facts["bytes_read"] == 23 + 19
    assert facts["sentence_length_percentiles"] == {"1": 1, "10": 1, "50": 1, "90": 3, "99": 3}
    assert facts["reading"]["formats"] == {"text": 1, "jsonl": 1}
    assert {name: found["count"] for name, found in facts["reading"]["findings"].items()} == {
        "file of a folder passed over: neither its name nor its first bytes say text": 1,
        "byte order mark removed": 1,
        "CR or CRLF line end changed to LF": 1,
        "line or row with bytes that are not UTF-8 left out": 1,
        "line that is not a JSON object left out": 1,
        "empty file left out": 1,
    }


def test_the_store_is_the_same_in_every_byte_for_any_number_of_workers(make, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "ITEM_CHARACTERS", 5_000)  # some 30 work items
    files = {f"{number}.txt": some_text(number, 100) for number in range(3)} | {"long.txt": "the cat. " * 2_000}
    stores = [make(files, f"store-{workers}", format="blocks", workers=workers) for workers in (1, 2, 3)]
    content = [{path.name: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} for store in stores]
    assert content[0] == content[1] == content[2]
    assert stores[0].train.num_documents + stores[0].held_out.num_documents == 301
    verify_artefact(stores[1].folder, "token_store")


@pytest.mark.parametrize(
    ("files", "setting", "message"),
    [
        ({"a.txt": "", "b.txt": "\n \n"}, {}, "There is no text: 1 files were read"),
        ({"a.txt": "\u200b"}, {}, "no document has a token"),
        ({"a.jsonl": "{}"}, {"on_error": "skip"}, "record without the text field left out: 1"),
        ({"a.md": "x"}, {}, "holds no text"),
        ({"a.txt": b"ok\n\xff"}, {}, "a.txt, byte 3: not UTF-8"),
        ({"a.txt": "x"}, {"workers": 2, "inputs": ("/nowhere/at/all",)}, "There is no file"),
        ({"a.txt": "x"}, {"vocab": Path("/nowhere")}, "No tokenizer can be loaded"),
    ],
)
def test_what_cannot_be_prepared_is_an_error_and_leaves_nothing(make, tmp_path, files, setting, message):
    with pytest.raises(InputError, match=message):
        make(files, **setting)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_damage_at_the_end_of_a_corpus_stops_the_workers_and_leaves_nothing(make, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "ITEM_CHARACTERS", 5_000)
    with pytest.raises(InputError, match="not UTF-8"):
        make({"a.txt": some_text(0, 100), "b.txt": b"\xff"}, format="blocks", workers=2)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_nothing_is_overwritten(make):
    make({"a.txt": "the cat"})
    with pytest.raises(ArtefactExists):
        make({"a.txt": "the cat"})


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"held_out": 0.6}, {"language": ""}, {"sentences": "spacy"}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        PrepareConfig(**({"inputs": ("a",), "vocab": "v", "out": "o"} | wrong))


def test_a_dry_run_shows_sentences_and_writes_nothing(tmp_path, vocabulary, capsys):
    plant(tmp_path, {f"{number}.txt": "The cat sat. On the mat." for number in range(5)})
    before = sorted(tmp_path.iterdir())
    prepare(PrepareConfig(inputs=(str(tmp_path),), vocab=vocabulary, out=tmp_path / "store", dry_run=True))
    assert sorted(tmp_path.iterdir()) == before
    shown = capsys.readouterr().err
    assert shown.count("the cat sat .") == shown.count("on the mat .") == 3
    assert "Dry run" in shown


def test_a_dry_run_reads_only_the_beginning_of_a_file(tmp_path, vocabulary, monkeypatch, capsys):
    monkeypatch.setattr("bertsmith.text.preparation._DRY_RUN_CHARACTERS", 100)
    plant(tmp_path, {"a.txt": b"the cat.\n\n" * 20_000 + b"\xff"})
    config = PrepareConfig(
        inputs=(str(tmp_path / "a.txt"),), vocab=vocabulary, out=tmp_path / "o", format="blocks", dry_run=True
    )
    prepare(config)
    assert "13 documents" in capsys.readouterr().err


def test_another_thread_than_the_main_one_may_prepare(make):
    stores = []
    thread = threading.Thread(target=lambda: stores.append(make({"a.txt": "the cat"})))
    thread.start()
    thread.join()
    assert len(stores) == 1


# Real processes from here on.


@pytest.fixture
def start(tmp_path, vocabulary):
    """Start `bertsmith prepare` on some MB with two workers; every process of it carries a mark of its own."""
    plant(tmp_path / "corpus", {f"{number}.txt": some_text(number, 9_000) for number in range(4)})
    started = []

    def run(out: Path) -> tuple[subprocess.Popen, str]:
        mark = uuid.uuid4().hex
        command = [sys.executable, "-m", "bertsmith", "prepare", str(tmp_path / "corpus"), "--format", "blocks"]
        command += ["--vocab", str(vocabulary), "--out", str(out), "--workers", "2"]
        environment = os.environ | {"BERTSMITH_TEST_MARK": mark}
        # whoever runs the tests in the background of a script has SIGINT ignored, and so would what they start
        command = ["env", "--default-signal=INT", *command]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, start_new_session=True)
        started.append(process)
        return process, mark

    yield run
    for process in started:
        process.kill()
        process.wait()


def marked(mark: str) -> list[int]:
    """The processes that carry a mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"BERTSMITH_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def workers_of(process: subprocess.Popen, mark: str) -> list[int]:
    """Wait until the workers are there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        workers = []
        for number in marked(mark):
            command = Path(f"/proc/{number}/cmdline").read_bytes() if Path(f"/proc/{number}").exists() else b""
            if b"spawn_main" in command:
                workers.append(number)
        if len(workers) == 2 or process.poll() is not None:
            return workers
        time.sleep(0.01)
    raise TimeoutError


def gone(mark: str) -> bool:
    deadline = time.monotonic() + 30
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not marked(mark)


def assert_whole_or_absent(out: Path) -> bool:
    if not out.exists():
        return False
    verify_artefact(out, "token_store")
    return True


@needs_proc
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to one", "to all"])  # Ctrl-C of a terminal goes to all
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_one_message_and_leaves_no_folder_and_no_process(start, tmp_path, number, send):
    process, mark = start(tmp_path / "store")
    workers_of(process, mark)
    send(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"Stopped. {tmp_path / 'store'} was not made." in errors.decode().replace("\n", " ")
    assert "Traceback" not in errors.decode()
    assert gone(mark)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


@needs_proc
def test_a_worker_that_dies_ends_it_with_one_message_and_leaves_no_folder_and_no_process(start, tmp_path):
    process, mark = start(tmp_path / "store")
    os.kill(workers_of(process, mark)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "A worker process was killed" in errors.decode()
    assert "Traceback" not in errors.decode()
    assert gone(mark)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def kill_and_check(start, tmp_path, trial: int, seconds: float) -> bool:
    """Whether it was ready before it was killed."""
    out = tmp_path / f"store-{trial}"
    process, mark = start(out)
    time.sleep(seconds)
    process.kill()
    process.communicate(timeout=60)
    assert gone(mark), "a worker survived"
    return assert_whole_or_absent(out)


@needs_proc
def test_kill_9_leaves_no_half_made_store_and_no_process(start, tmp_path):
    process, mark = start(tmp_path / "store-0")
    workers_of(process, mark)
    process.kill()
    process.communicate(timeout=60)
    assert gone(mark)
    assert not assert_whole_or_absent(tmp_path / "store-0")
    kill_and_check(start, tmp_path, 1, random.Random(1).uniform(0.5, 4))


@needs_proc
def test_what_a_killed_run_left_is_removed_by_the_next(start, tmp_path):
    process, mark = start(tmp_path / "store")
    workers_of(process, mark)
    process.kill()
    process.communicate(timeout=60)
    assert len(list(tmp_path.glob(".store.partial-*"))) == 1
    process, mark = start(tmp_path / "store")
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert assert_whole_or_absent(tmp_path / "store")
    assert not list(tmp_path.glob(".store.partial-*"))


@needs_proc
@pytest.mark.slow
def test_kill_9_at_40_random_moments_leaves_a_whole_store_or_none(start, tmp_path):
    started = time.monotonic()
    process, _ = start(tmp_path / "store")
    process.communicate(timeout=120)
    duration = time.monotonic() - started
    moments = random.Random(0)
    whole = [kill_and_check(start, tmp_path, trial, moments.uniform(0, 1.1 * duration)) for trial in range(40)]
    assert not all(whole)


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("layout", ["text", "lines", "jsonl"])
def test_a_line_of_one_gigabyte_without_a_line_break_passes_within_one_and_a_half(tmp_path, vocabulary, layout):
    words = " ".join(random.Random(0).choices(some_text(0, 500).split(), k=150_000)).encode()[: 1 << 20]
    with (tmp_path / "corpus").open("wb") as file:
        for _ in range(1 << 10):
            file.write(words)
    command = [sys.executable, "-m", "bertsmith", "prepare", str(tmp_path / "corpus"), "--format", layout]
    command += ["--vocab", str(vocabulary), "--out", str(tmp_path / "store"), "--workers", "2", "--on-error", "skip"]
    mark = uuid.uuid4().hex
    with subprocess.Popen(command, env=os.environ | {"BERTSMITH_TEST_MARK": mark}, stderr=subprocess.PIPE) as process:
        peak_bytes = 0
        while process.poll() is None:
            peak_bytes = max(peak_bytes, sum(map(resident_bytes, marked(mark))))
            time.sleep(0.2)
        errors = process.stderr.read().decode()
    print(f"{layout}: peak of all processes {peak_bytes >> 20} MiB")  # noqa: T201
    assert peak_bytes < 1.5 * 2**30
    if layout == "jsonl":  # such a line has to be in memory as a whole: it is left out
        assert "JSON line that is too long left out: 1" in errors
    else:
        facts = json.loads((tmp_path / "store" / "manifest.json").read_bytes())["facts"]
        assert facts["documents"] == 1
        assert facts["bytes_read"] == 1 << 30


def resident_bytes(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def test_a_share_that_holds_nothing_out_is_told(make, capsys):
    make({f"{name}.txt": "The cat sat." for name in "abc"}, held_out=0.001)
    assert "No text is held out, so none can be scored: 0.001 of 3 is less than one document" in capsys.readouterr().err
