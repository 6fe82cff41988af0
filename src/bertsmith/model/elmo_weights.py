"""The published weights of an ELMo: `*_weights.hdf5` beside `*_options.json`, as bilm-tf writes them.

Its matrices are [in, out]. An LSTM has one for input and output side by side, whose gates stand in the order input,
candidate, forget, output; one is added to the forget gate as it computes, so that is a part of our bias.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bertsmith.core.errors import ArtefactError, DamagedArtefact
from bertsmith.model.elmo import Elmo
from bertsmith.model.elmo_configuration import ElmoConfig

_FORGET_BIAS = 1.0


def load_published_elmo(options: Path, weights: Path) -> Elmo:
    """An ELMo from its two published files, in float32.

    raises  ArtefactError for files that are not those of an ELMo, or if h5py is not installed
    """
    try:
        entries = json.loads(Path(options).read_bytes())
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{options} cannot be read as JSON: {error}.") from None
    config = ElmoConfig.from_options(entries, str(options))
    model = Elmo(config)
    stored = _read_hdf5(Path(weights))
    named = _named(stored, config, str(weights))
    ours = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in ours.items():
            if parameter.shape != named[name].shape:
                raise ArtefactError(
                    f"{weights} does not go with {options}: our {name} has the shape {list(parameter.shape)}, there it "
                    f"is {list(named[name].shape)}."
                )
            parameter.copy_(named[name])
    return model


def _read_hdf5(path: Path) -> dict[str, Tensor]:
    """Every data set of a file by its path in it."""
    try:
        import h5py  # noqa: PLC0415 - only who reads these files needs it
    except ImportError:
        raise ArtefactError(f"To read {path}, install h5py: pip install 'bertsmith[elmo]'.") from None
    found: dict[str, Tensor] = {}

    def visit(name: str, entry: object) -> None:
        if isinstance(entry, h5py.Dataset):
            found[name] = torch.from_numpy(np.asarray(entry, dtype=np.float32))

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise DamagedArtefact(f"{path} cannot be read as HDF5: {error}.") from None
    return found


def _named(stored: Mapping[str, Tensor], config: ElmoConfig, source: str) -> dict[str, Tensor]:
    """The tensors of a file under our names, in our shapes."""

    def of(name: str) -> Tensor:
        if name not in stored:
            raise ArtefactError(f"{source} lacks {name}: these are not the weights of an ELMo with such options.")
        return stored[name]

    named = {
        "words.characters.weight": of("char_embed"),
        "words.projection.weight": of("CNN_proj/W_proj").T,
        "words.projection.bias": of("CNN_proj/b_proj"),
    }
    for number in range(len(config.filters)):
        # [1, length, E, count] to [count, E, length]
        named[f"words.filters.{number}.weight"] = of(f"CNN/W_cnn_{number}")[0].permute(2, 1, 0)
        named[f"words.filters.{number}.bias"] = of(f"CNN/b_cnn_{number}")
    for number in range(config.num_highway_layers):
        for ours, theirs in {"transform": "transform", "gate": "carry"}.items():
            named[f"words.highways.{number}.{ours}.weight"] = of(f"CNN_high_{number}/W_{theirs}").T
            named[f"words.highways.{number}.{ours}.bias"] = of(f"CNN_high_{number}/b_{theirs}")
    for place, direction in enumerate(("forward_model", "backward_model")):
        for number in range(config.num_layers):
            cell = f"RNN_{place}/RNN/MultiRNNCell/Cell{number}/LSTMCell"
            layer = f"{direction}.layers.{number}"
            gates = _reordered(of(f"{cell}/W_0").T)
            named[f"{layer}.input_gates.weight"] = gates[:, : config.hidden_size]
            named[f"{layer}.recurrent_gates.weight"] = gates[:, config.hidden_size :]
            bias = _reordered(of(f"{cell}/B"))
            bias[config.cell_size : 2 * config.cell_size] += _FORGET_BIAS
            named[f"{layer}.input_gates.bias"] = bias
            named[f"{layer}.projection.weight"] = of(f"{cell}/W_P_0").T
    return named


def _reordered(gates: Tensor) -> Tensor:
    """Input, candidate, forget, output along the first dimension to input, forget, candidate, output."""
    gate, candidate, forget, output = gates.chunk(4)
    return torch.cat([gate, forget, candidate, output])
