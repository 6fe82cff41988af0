"""The part of the machine that a verb uses."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from bertsmith.core.configuration import Settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.encoder import checkpoint_activations, compile_layers
from bertsmith.training.precision import PrecisionName
from bertsmith.training.processes import own_gpu


class MachineSettings(Settings):
    """Number format, device and threads."""

    precision: PrecisionName = Field("auto", description="format of matrix products; auto measures this machine")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to run; auto takes a GPU if there is one")
    threads: int | None = Field(None, ge=1, description="CPU threads for matrix products; default: all cores")

    def take_device(self) -> torch.device:
        """Set the number of threads for this process and choose the device.

        raises  ConfigurationError for a GPU that is not there
        """
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ConfigurationError(
                "There is no CUDA device here that torch can use. Leave --device out, or give cpu."
            )
        if self.device == "cpu" or not torch.cuda.is_available():
            return torch.device("cpu")
        number, count = own_gpu(), torch.cuda.device_count()
        if number >= count:
            raise ConfigurationError(
                f"torchrun has started more processes than there are GPUs: this one is number {number + 1} of this "
                f"machine, which has {count}. Start as many as there are GPUs, or give --device cpu."
            )
        return torch.device("cuda", number)


class TrainingMachineSettings(MachineSettings):
    """The part of the machine that a training uses."""

    activation_checkpointing: bool = Field(
        False,
        description="keep less for the backward pass: less memory, one more forward pass, same numbers",
    )
    compile_layers: bool = Field(
        False,
        description="on a GPU: one kernel for dropout, sum and LayerNorm by torch's compiler; a minute more to begin",
    )

    def take_device(self) -> torch.device:
        """As without training. Raises ConfigurationError for compiled layers on a CPU, too."""
        device = super().take_device()
        if self.compile_layers and device.type == "cpu":
            raise ConfigurationError(
                "Compiled layers are for a GPU, and this training runs on the CPU, whose own dropout is faster than "
                "what the compiler makes. Leave --compile-layers out."
            )
        return device

    def adapt(self, network: nn.Module) -> None:
        """Have a network compute as these settings say. Call once, before it is trained."""
        if self.activation_checkpointing:
            checkpoint_activations(network)
        if self.compile_layers:
            compile_layers(network)
