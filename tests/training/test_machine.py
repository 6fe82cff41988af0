"""What a training asks of the machine: refused where it cannot be had, handed on to the network where it can."""

import pytest
import torch
from torch import nn

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.bert import Bert
from bertsmith.model.configuration import BertConfig
from bertsmith.training.machine import TrainingMachineSettings


def test_compiled_layers_are_refused_on_a_cpu():
    with pytest.raises(ConfigurationError, match="Leave --compile-layers out"):
        TrainingMachineSettings(device="cpu", compile_layers=True).take_device()
    assert TrainingMachineSettings(device="cpu").take_device() == torch.device("cpu")


@pytest.mark.parametrize("asked", [False, True])
def test_a_network_computes_as_the_settings_say(asked):
    network = Bert(BertConfig.of_size("tiny", vocab_size=50))
    TrainingMachineSettings(activation_checkpointing=asked, compile_layers=asked).adapt(network)
    assert network.encoder.activation_checkpointing == asked
    assert [layer.compiled for layer in network.encoder.layers] == [asked] * 2


def test_nothing_is_asked_of_a_network_of_another_kind():
    TrainingMachineSettings().adapt(nn.Linear(2, 2))
    with pytest.raises(ConfigurationError, match="--activation-checkpointing is for networks of Transformer layers"):
        TrainingMachineSettings(activation_checkpointing=True).adapt(nn.Linear(2, 2))
