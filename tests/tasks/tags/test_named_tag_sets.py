"""The official files of the sets with a name: how many sentences, words and entities they give."""

import os
from pathlib import Path

import pytest

from bertsmith.core.errors import InputError
from bertsmith.tasks.parts import require_part
from bertsmith.tasks.tags.entity_scores import score_entities
from bertsmith.tasks.tags.named import TAG_TASKS
from bertsmith.tasks.tags.task import TagTask


@pytest.fixture(scope="module")
def real_data():
    folder = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache/bertsmith-data"))
    if not (folder / "conll2003").is_dir():
        pytest.skip(f"the real files with tags are not here: {folder} (set BERTSMITH_DATA)")
    return folder


@pytest.mark.parametrize(
    ("name", "folder", "part", "sentences", "words", "entities"),
    [
        ("conll2003", "conll2003", "train", 14041, 203621, 23499),
        ("conll2003", "conll2003", "dev", 3250, 51362, 5942),
        ("conll2003", "conll2003", "test", 3453, 46435, 5648),
        ("wnut17", "wnut17", "train", 3394, 62730, 1975),
        ("wnut17", "wnut17", "dev", 1009, 15733, 836),
        ("wnut17", "wnut17", "test", 1287, 23394, 1079),
        ("germeval2014", "germeval2014", "dev", 2200, 41653, 2674),
        ("germeval2014", "germeval2014", "test", 5100, 96499, 6178),
        ("bc5cdr", "bc5cdr", "dev", 3949, 94437, 9455),
        ("anem", "anem", "train", 2815, 71697, 1879),
        ("sec-filings", "sec_filings", "train", 1164, 41010, 1168),
        ("re3d", "re3d", "test", 200, 5258, 676),
        ("klue-ner", "klue/klue-ner-v1.1", "dev", 5000, 285929, 14257),
    ],
)
def test_the_official_files_are_read_whole(real_data, name, folder, part, sentences, words, entities):
    task = TAG_TASKS[name]
    rows = task.read(require_part(real_data / folder, task, part), "strict").rows
    tags = [sentence.tags for sentence in rows]
    assert (len(rows), sum(map(len, tags))) == (sentences, words)
    assert score_entities(tags, tags).overall.gold == entities
    assert {tag for row in tags for tag in row} <= set(task.labels)


def test_documents_of_conll2003_are_counted(real_data):
    rows = TAG_TASKS["conll2003"].read(real_data / "conll2003" / "eng.testb", "strict").rows
    assert sorted({sentence.document for sentence in rows}) == list(range(1, 232))
    assert rows[0].words[:4] == ("SOCCER", "-", "JAPAN", "GET")
    assert rows[0].tags[:4] == ("O", "O", "B-LOC", "O")


def test_lines_of_the_broad_twitter_corpus_that_are_no_rows_are_listed(real_data):
    folder = real_data / "btc" / "CONLL-format" / "data"
    task = TagTask.of_files("btc")
    bad = {name: task.read(folder / f"{name}.conll", "skip").skipped for name in "abefgh"}
    assert {name: [line for line, _ in rows] for name, rows in bad.items() if rows} == {
        "f": [16301, 16302],
        "h": [22918, 30879, 30881, 30882, 30883, 30884, 30885, 30888],
    }
    with pytest.raises(InputError, match=r"f\.conll, line 16301: its word is empty"):
        task.read(folder / "f.conll", "strict")


def test_a_test_file_without_tags_is_read_for_prediction(real_data):
    rows = TAG_TASKS["wnut17"].read(real_data / "wnut17" / "emerging.test", "strict", labelled=False).rows
    assert len(rows) == 1287
    assert all(row.tags is None for row in rows)
