"""Features on disk: one Arrow file that is mapped into memory, with a row for each token, word or text.

    features.arrow     text    int32                      number of the text, from 0, in the order of the input
                       begin   int32                      the unit is the characters begin:end of that text
                       end     int32
                       vector  fixed_size_list<float>[D]  16 or 32 bits
    manifest.json      what made them: the network, its layers, the SHA-256 of the text

Any tool that reads Arrow reads them (pyarrow, polars, datasets). Twelve bytes a row go to text and offsets: 1.6 % of a
16-bit vector of 384 numbers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bertsmith.core.artefact import check_sizes, read_manifest
from bertsmith.frozen_features.extraction import TextFeatures

KIND = "features"
FEATURES_FILE = "features.arrow"
NumberFormat = Literal["float16", "float32"]
_ARROW_TYPES = {"float16": pa.float16(), "float32": pa.float32()}


def feature_schema(width: int, numbers: NumberFormat) -> pa.Schema:
    """The columns of a file whose vectors have `width` numbers."""
    vector = pa.list_(pa.field("item", _ARROW_TYPES[numbers], nullable=False), width)
    integers = [pa.field(name, pa.int32(), nullable=False) for name in ("text", "begin", "end")]
    return pa.schema([*integers, pa.field("vector", vector, nullable=False)])


class FeatureWriter:
    """Appends texts to a file. Memory does not grow with it."""

    def __init__(self, writer: pa.RecordBatchFileWriter, schema: pa.Schema, numbers: NumberFormat):
        self.num_texts = 0
        self.num_rows = 0
        self._writer = writer
        self._schema = schema
        self._numbers = np.dtype(numbers)

    def write(self, texts: Sequence[TextFeatures]) -> None:
        """Append the features of the texts that follow those written so far."""
        counts = [len(text.offsets) for text in texts]
        number = np.repeat(np.arange(self.num_texts, self.num_texts + len(texts), dtype=np.int32), counts)
        offsets = np.concatenate([text.offsets for text in texts])
        vectors = _joined([text.vectors for text in texts], self._numbers)
        width = self._schema.field("vector").type.list_size
        columns = [
            pa.array(number),
            *(pa.array(np.ascontiguousarray(offsets[:, side])) for side in (0, 1)),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width).cast(self._schema.field("vector").type),
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self.num_texts += len(texts)
        self.num_rows += len(number)


@contextmanager
def write_features(folder: Path, width: int, numbers: NumberFormat) -> Iterator[FeatureWriter]:
    """Write `features.arrow` into a folder, usually the staging folder of an artefact."""
    schema = feature_schema(width, numbers)
    with pa.OSFile(str(folder / FEATURES_FILE), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        yield FeatureWriter(writer, schema, numbers)


class Features:
    """Features that were written, mapped into memory: no vector is read before it is asked for.

    table    all rows and columns, as pyarrow has them
    num_texts
    """

    def __init__(self, table: pa.Table, num_texts: int):
        self.table = table
        self.num_texts = num_texts
        self._row_text = table.column("text").to_numpy()

    @classmethod
    def open(cls, folder: Path | str) -> "Features":
        """Open what `features` wrote. Raises ArtefactError and its subclasses for anything else.

        Of its files only the sizes are checked.
        """
        folder = Path(folder)
        manifest = read_manifest(folder, KIND)
        check_sizes(folder, manifest)
        with pa.memory_map(str(folder / FEATURES_FILE)) as file:
            table = pa.ipc.open_file(file).read_all()
        return cls(table, manifest.facts["texts"])

    def __len__(self) -> int:
        return self.num_texts

    def __getitem__(self, text: int) -> TextFeatures:
        """Offsets [U, 2] and float32 vectors [U, D] of one text."""
        if not 0 <= text < self.num_texts:
            raise IndexError(f"there are {self.num_texts} texts, and no number {text}")
        first, end = np.searchsorted(self._row_text, [text, text + 1])
        rows = self.table.slice(first, end - first)
        offsets = np.stack([rows.column(side).to_numpy() for side in ("begin", "end")], axis=1)
        return TextFeatures(offsets, _vectors(rows).astype(np.float32))

    def vectors(self) -> npt.NDArray[np.floating]:
        """All vectors [rows, D] as they are stored."""
        return _vectors(self.table)


def _joined(parts: Sequence[npt.NDArray[np.float32]], numbers: np.dtype[np.floating]) -> npt.NDArray[np.floating]:
    """One array of several, [rows, D], as numbers of a format; one that has it already is not copied."""
    if len(parts) == 1:
        return parts[0].astype(numbers, copy=False)
    return np.concatenate(parts, dtype=numbers, casting="same_kind")


def _vectors(table: pa.Table) -> npt.NDArray[np.floating]:
    column = table.column("vector")
    width = column.type.list_size
    parts: list[npt.NDArray[np.floating]] = [
        chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, width) for chunk in column.chunks
    ]
    if len(parts) == 1:
        return parts[0]  # a view into the file
    return np.concatenate(parts) if parts else np.empty((0, width), column.type.value_type.to_pandas_dtype())
