"""How the machine is used by what does not train: evaluate, predict, fill."""

import torch
from pydantic import Field
from torch import nn

from bertsmith.training.machine import MachineSettings
from bertsmith.training.precision import choose_precision


class InferenceSettings(MachineSettings):
    """Number format, device, threads and batches."""

    batch_size: int = Field(32, ge=1, description="sequences of one forward pass")

    def place(self, model: nn.Module) -> torch.device:
        """Put a model where and as the settings say, ready to be used; returns the device."""
        device = self.take_device()
        model.to(device, choose_precision(self.precision, device)).eval()
        return device
