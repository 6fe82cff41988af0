"""The verb `features`: text in, frozen vectors out, some texts at a time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import Field

from bertsmith.core.artefact import require_free, stage_artefact
from bertsmith.core.configuration import Settings
from bertsmith.core.console import progress_line
from bertsmith.core.errors import InputError
from bertsmith.frozen_features.extraction import FeatureExtractor, Pooling, Unit
from bertsmith.frozen_features.feature_file import FEATURES_FILE, KIND, NumberFormat, write_features
from bertsmith.frozen_features.layer_choice import LayerChoice
from bertsmith.model.folder_configuration import model_fingerprint, resolve_model_folder
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.input_stream import guess_format, open_input
from bertsmith.tasks.tables import FORMATS, BadRows, OnError, TableFormat, decoded_lines, rows_of_stream

InputFormat = Literal["auto", "jsonl", "csv", "tsv", "lines"]


class FeaturesConfig(Settings):
    """Write the frozen vectors of text."""

    model: Path = Field(description="any encoder: a run, a model folder, a fine-tuned model, or Hugging Face's folder")
    input: Path = Field(Path("-"), description="file with one text a row, or - for standard input")
    out: Path = Field(description="new folder for features.arrow")
    format: InputFormat = Field(
        "auto", description="auto: by the ending (.jsonl, .csv, .tsv; else lines); lines: a text a line"
    )
    text: str = Field("text", description="column of the text in a table")
    unit: Unit = Field("token", description="what gets a vector: each piece, each word, or the whole text")
    pooling: Pooling | None = Field(
        None,
        description="words: first (piece) or mean; texts: mean (of the tokens) or cls ([CLS]; from left to right "
        "[SEP]; not of an ELMo); default: first, mean",
    )
    numbers: NumberFormat = Field("float32", description="how they are written; float16 takes half of the room")
    on_error: OnError = Field("strict", description="a row that cannot be used: strict = refuse, skip = count and list")
    max_seq_length: int | None = Field(
        None, ge=8, description="longest input in tokens; longer texts are read in windows; default: all positions"
    )
    vectors: LayerChoice = LayerChoice()
    runtime: InferenceSettings = InferenceSettings()


@dataclass(frozen=True)
class FeaturesResult:
    """What was written, and where."""

    out: Path
    texts: int
    rows: int
    width: int
    bytes: int

    def __rich__(self) -> str:
        size = f"{self.bytes / 1e6:,.1f} MB"
        return (
            f"{self.out / FEATURES_FILE}\n{self.texts:,} texts, {self.rows:,} vectors of {self.width:,} numbers, {size}"
        )


def features(config: FeaturesConfig) -> FeaturesResult:
    """Read texts, let a frozen network make vectors of them, write these down with their places in the text.

    raises  InputError for a file, row or column that cannot be used; ArtefactExists if `out` is there
    """
    require_free(config.out)
    out = config.out.resolve()  # of ".", which is another folder afterwards
    folder = resolve_model_folder(config.model)
    extractor = FeatureExtractor.load(
        folder,
        config.vectors,
        unit=config.unit,
        pooling=config.pooling,
        max_seq_length=config.max_seq_length,
        settings=config.runtime,
    )
    bad_rows = BadRows("standard input" if str(config.input) == "-" else str(config.input), config.on_error)
    text_hash = hashlib.sha256()
    kept = config.model_dump(mode="json", exclude={"out", "runtime"})
    with (
        open_input(config.input) as stream,
        stage_artefact(
            out,
            kind=KIND,
            command="features",
            configuration=kept,
            made_from={"model": model_fingerprint(folder)},
        ) as staging,
    ):
        input_format = _format(config) or guess_format(stream)
        texts = _texts(stream, input_format, config.text, bad_rows)
        with (
            write_features(staging.folder, extractor.width, config.numbers) as writer,
            progress_line("features", total=None) as line,
        ):
            for part in extractor.parts(texts):
                for text, _, _ in part:
                    text_hash.update(text.encode("utf-8", "surrogatepass") + b"\n")
                writer.write(extractor.features_of(part))
                line.update(0.0, f"{writer.num_texts:,} texts")
        staging.facts |= {
            "texts": writer.num_texts,
            "rows": writer.num_rows,
            "width": extractor.width,
            "layers": extractor.layers,
            "pooling": extractor.pooling,
            "text_sha256": text_hash.hexdigest(),
            "skipped_lines": [line for line, _ in bad_rows.skipped],
        }
    bad_rows.print_summary()
    size = (out / FEATURES_FILE).stat().st_size
    return FeaturesResult(config.out, writer.num_texts, writer.num_rows, extractor.width, size)


def _format(config: FeaturesConfig) -> InputFormat | None:
    """The format that was named, or that the file's ending names; None for standard input."""
    if config.format != "auto":
        return config.format
    if str(config.input) == "-":
        return None
    ending = config.input.suffix.lower()
    return "lines" if ending == ".txt" else FORMATS.get(ending, "lines")


def _texts(stream: BinaryIO, input_format: str, column: str, bad_rows: BadRows) -> Iterator[str]:
    if input_format == "lines":
        yield from (line.removesuffix("\n") for _, line in decoded_lines(stream, bad_rows))
        return
    table_format: TableFormat = "jsonl" if input_format == "jsonl" else "csv" if input_format == "csv" else "tsv"
    for row in rows_of_stream(stream, table_format, bad_rows):
        text = row.values.get(column)
        if text is None:
            present = ", ".join(f"'{name}'" for name in row.values)
            raise InputError(f"{bad_rows.name} has no column '{column}' among {present}; name the text's with --text.")
        if isinstance(text, str):
            yield text
        else:
            bad_rows.add(row.line, f"'{column}' is {text!r}, not a text")
