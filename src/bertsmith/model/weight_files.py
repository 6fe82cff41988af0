"""Reading the weights of a Hugging Face folder: one .safetensors file, or several with an index.

Only safetensors is read. A pickle (`pytorch_model.bin`) can run any program when it is opened, so it is refused.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from bertsmith.core.errors import ArtefactError, DamagedArtefact

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


class WeightFiles:
    """The tensors of a folder under their plain names (`WeightNames.plain`), read one at a time."""

    def __init__(self, sources: dict[str, tuple[Any, str]]):
        self._sources = sources

    @property
    def names(self) -> set[str]:
        """Plain names of all tensors."""
        return set(self._sources)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        file, stored_name = self._sources[name]
        return tuple(file.get_slice(stored_name).get_shape())

    def read(self, name: str) -> Tensor:
        """A tensor as float32, whatever it is stored as."""
        file, stored_name = self._sources[name]
        tensor: Tensor = file.get_tensor(stored_name)
        return tensor.float()


def weight_file_names(folder: Path) -> list[str]:
    """The files that hold the weights of a folder.

    raises  ArtefactError if there are none, or none that are safe to open
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [WEIGHTS_FILE]
    if (folder / INDEX_FILE).is_file():
        return [INDEX_FILE, *_shards(folder / INDEX_FILE)]
    pickles = [name for name in _PICKLES if (folder / name).exists()]
    if pickles:
        raise ArtefactError(
            f"{folder} has its weights only in {pickles[0]}, a pickle, which can run any program when it is opened; "
            "bertsmith never opens one. If you trust its source, convert it once with transformers: "
            "AutoModelForPreTraining.from_pretrained(folder).save_pretrained(new_folder)."
        )
    raise ArtefactError(f"{folder} has no weights: neither {WEIGHTS_FILE} nor {INDEX_FILE}.")


@contextmanager
def open_weight_files(folder: Path, plain_name: Callable[[str], str]) -> Iterator[WeightFiles]:
    """Open the weights of a folder for reading.

    plain_name  a stored name -> the name without what differs between versions
    raises      DamagedArtefact for a file that is not whole, ArtefactError for a tensor that is there twice
    """
    sources: dict[str, tuple[Any, str]] = {}
    with ExitStack() as stack:
        for file_name in weight_file_names(folder):
            if file_name == INDEX_FILE:
                continue
            try:
                file = stack.enter_context(safe_open(folder / file_name, framework="pt"))
            except (SafetensorError, OSError) as error:
                raise DamagedArtefact(
                    f"{folder / file_name} cannot be read: {error}. Restore the file from a copy."
                ) from None
            for stored_name in file.keys():  # noqa: SIM118  (not a dictionary)
                name = plain_name(stored_name)
                if name in sources:
                    raise ArtefactError(f"{folder} holds {name} twice: {sources[name][1]} and {stored_name}.")
                sources[name] = (file, stored_name)
        yield WeightFiles(sources)


def _shards(index: Path) -> list[str]:
    """The names of the files that an index names, each once, in order."""
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        plain = all(Path(name).name == name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError):
        plain = False
    if not plain or not names:
        raise DamagedArtefact(f"{index} is not an index of weight files: its weight_map must name files beside it.")
    return names
