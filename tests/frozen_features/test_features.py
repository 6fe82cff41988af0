"""The verb: a file in, an Arrow file out that holds exactly what the network made."""

import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from bertsmith.core.artefact import read_manifest, verify_artefact
from bertsmith.core.errors import ArtefactExists, BertsmithError, DamagedArtefact, InputError
from bertsmith.frozen_features import extraction
from bertsmith.frozen_features.extraction import FeatureExtractor
from bertsmith.frozen_features.feature_file import FEATURES_FILE, Features
from bertsmith.frozen_features.features import FeaturesConfig, features
from bertsmith.frozen_features.layer_choice import LayerChoice
from bertsmith.tasks.inference import InferenceSettings

EXACT = InferenceSettings(precision="float32", threads=1)
TEXTS = ["The cat sat on the mat.", "", "Dogs, cats!", "the " * 80, *(["run cats"] * 600)]  # more than a window


@pytest.fixture
def texts_file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    return path


def write(encoder, source, out, **given):
    return features(FeaturesConfig(model=encoder, input=source, out=out, runtime=EXACT, **given))


@pytest.mark.parametrize("numbers", ["float16", "float32"])
@pytest.mark.parametrize("unit", ["token", "word", "text"])
def test_what_is_read_is_what_the_network_made(numbers, unit, encoder, texts_file, tmp_path):
    result = write(encoder, texts_file, tmp_path / "out", unit=unit, numbers=numbers)
    stored = Features.open(tmp_path / "out")
    made = FeatureExtractor.load(encoder, LayerChoice(), unit=unit, settings=EXACT).features(TEXTS)
    assert len(stored) == result.texts == len(TEXTS)
    assert result.rows == sum(len(text.offsets) for text in made) == stored.table.num_rows
    assert stored.vectors().dtype == numbers
    for number in (0, 1, 2, 3, 511, 512, 603):
        assert np.array_equal(stored[number].offsets, made[number].offsets)
        np.testing.assert_allclose(
            stored[number].vectors, made[number].vectors, atol=1e-5 if numbers == "float32" else 0.01
        )


def test_the_round_trip_is_exact(encoder, tmp_path):
    (tmp_path / "one.txt").write_text("The cat sat on the mat.\n")
    exact = FeatureExtractor.load(encoder, LayerChoice(), settings=EXACT).features(["The cat sat on the mat."])[0]
    for numbers in ("float32", "float16"):
        write(encoder, tmp_path / "one.txt", tmp_path / numbers, numbers=numbers)
        assert np.array_equal(Features.open(tmp_path / numbers).vectors(), exact.vectors.astype(numbers))


def test_memory_is_bounded_whatever_is_written(encoder, tmp_path, monkeypatch):
    text = "the cat sat on the mat " * 10
    (tmp_path / "long.txt").write_text(f"{text}\n" * 20)
    monkeypatch.setattr(extraction, "_MOST_BYTES", 1 << 19)
    (tmp_path / "one.txt").write_text(f"{text}\n")
    write(encoder, tmp_path / "one.txt", tmp_path / "one")  # imports are not measured
    one = Features.open(tmp_path / "one")[0]
    runtime = EXACT.model_copy(update={"batch_tokens": 64})
    config = FeaturesConfig(model=encoder, input=tmp_path / "long.txt", out=tmp_path / "out", runtime=runtime)
    tracemalloc.start()
    try:
        result = features(config)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.bytes > 20 * 60 * 4096
    assert peak < 1.5 * 2**20  # the vectors of a part, once more as they are written, and little else
    for number in (0, 19):
        np.testing.assert_allclose(Features.open(config.out)[number].vectors, one.vectors, atol=1e-5)


def test_the_file_is_within_a_tenth_of_the_numbers_in_it(encoder, tmp_path):
    (tmp_path / "many.txt").write_text("The cat sat on the mat.\n" * 2000)
    result = write(
        encoder, tmp_path / "many.txt", tmp_path / "out", numbers="float16", vectors=LayerChoice(layers=("last",))
    )
    assert result.rows * result.width * 2 < result.bytes < 1.1 * result.rows * result.width * 2


def test_any_reader_of_arrow_reads_it(encoder, texts_file, tmp_path):
    write(encoder, texts_file, tmp_path / "out", unit="word")
    table = pa.ipc.open_file(pa.memory_map(str(tmp_path / "out" / FEATURES_FILE))).read_all()
    assert table.column_names == ["text", "begin", "end", "vector"]
    words = [TEXTS[row["text"]][row["begin"] : row["end"]] for row in table.slice(0, 9).to_pylist()]
    assert words == ["The", "cat", "sat", "on", "the", "mat", ".", "Dogs", ","]


def test_the_manifest_says_what_made_it(encoder, texts_file, tmp_path):
    write(encoder, texts_file, tmp_path / "out", vectors=LayerChoice(layers=("last", "embeddings"), combine="mean"))
    manifest = read_manifest(tmp_path / "out", "features")
    assert manifest.made_from["model"] == read_manifest(encoder, "model").fingerprint
    assert manifest.facts["layers"] == [5, 0]
    assert manifest.configuration["vectors"]["combine"] == "mean"
    verify_artefact(tmp_path / "out", "features")
    stored = tmp_path / "out" / FEATURES_FILE
    changed = bytearray(stored.read_bytes())
    changed[len(changed) // 2] ^= 1
    stored.write_bytes(changed)
    Features.open(tmp_path / "out")  # as long as before
    with pytest.raises(DamagedArtefact, match=FEATURES_FILE):
        verify_artefact(tmp_path / "out", "features")
    stored.write_bytes(changed[:-1])
    with pytest.raises(DamagedArtefact, match="instead of"):
        Features.open(tmp_path / "out")


def test_columns_of_tables_are_read(encoder, tmp_path):
    rows = [{"review": "the cat"}, {"review": "dogs"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.csv").write_text('review,stars\n"the cat",1\ndogs,2\n')
    for name in ("a.jsonl", "a.csv"):
        assert write(encoder, tmp_path / name, tmp_path / f"{name}-out", text="review").rows == 4
    with pytest.raises(InputError, match="no column 'text' among 'review', 'stars'"):
        write(encoder, tmp_path / "a.csv", tmp_path / "no")
    (tmp_path / "b.jsonl").write_text('{"text": "the cat"}\n{"text": 3}\n')
    with pytest.raises(InputError, match="line 2: 'text' is 3, not a text"):
        write(encoder, tmp_path / "b.jsonl", tmp_path / "no")
    (tmp_path / "b.jsonl").write_text('{"text": "the cat"}\n{"text": 3}\n{"text": "the"}\n')
    assert write(encoder, tmp_path / "b.jsonl", tmp_path / "skipped", on_error="skip").texts == 2
    assert read_manifest(tmp_path / "skipped", "features").facts["skipped_lines"] == [2]


def test_nothing_half_made_is_left_and_nothing_is_overwritten(encoder, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"the cat\n" * 600 + b"\xff\n")
    with pytest.raises(InputError, match="line 601"):
        write(encoder, tmp_path / "bad.txt", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.txt"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(ArtefactExists):
        write(encoder, tmp_path / "bad.txt", tmp_path / "out")


def test_an_empty_file_makes_an_empty_table(encoder, tmp_path):
    (tmp_path / "empty.txt").touch()
    assert write(encoder, tmp_path / "empty.txt", tmp_path / "out").rows == 0
    stored = Features.open(tmp_path / "out")
    assert len(stored) == 0
    assert stored.vectors().shape == (0, 1024)
    with pytest.raises(BertsmithError, match="features"):
        Features.open(encoder)
