"""How the machine is used by what does not train: evaluate, predict, fill."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from bertsmith.core.configuration import Settings
from bertsmith.training.precision import PrecisionName, choose_device, choose_precision


class InferenceSettings(Settings):
    """Number format, device and threads."""

    precision: PrecisionName = Field("auto", description="format of matrix products; auto measures this machine")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to run; auto takes a GPU if there is one")
    threads: int | None = Field(None, ge=1, description="CPU threads for matrix products; default: all cores")
    batch_size: int = Field(32, ge=1, description="sequences of one forward pass")

    def place(self, model: nn.Module) -> torch.device:
        """Put a model where and as the settings say, ready to be used; returns the device."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        device = choose_device(self.device)
        model.to(device, choose_precision(self.precision, device)).eval()
        return device
