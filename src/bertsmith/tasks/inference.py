"""How the machine is used by what does not train: evaluate, predict, fill."""

import torch
from pydantic import Field
from torch import nn

from bertsmith.batches.token_budget import BATCH_TOKENS
from bertsmith.training.machine import MachineSettings
from bertsmith.training.precision import choose_precision


class InferenceSettings(MachineSettings):
    """Number format, device, threads and batches."""

    batch_tokens: int = Field(
        BATCH_TOKENS, ge=1, description="tokens of one forward pass; a longer text has one to itself"
    )

    def place(self, model: nn.Module) -> torch.device:
        """Put a model where and as the settings say, ready to be used; returns the device."""
        device = self.take_device()
        model.to(device, choose_precision(self.precision, device)).eval()
        return device
