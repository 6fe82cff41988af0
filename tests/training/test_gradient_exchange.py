"""Gradients of several processes are those of one, and are on their way before the backward pass has ended."""

from dataclasses import dataclass, field

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import HashStore

from bertsmith.training.flat_weights import FlatWeights
from bertsmith.training.gradient_exchange import added_up_meanwhile, buckets_of
from bertsmith.training.processes import Processes

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


@dataclass(frozen=True)
class Watched(Processes):
    """Tells how many sums have been asked for."""

    asked: list[int] = field(default_factory=list)

    def begin_to_add_up(self, tensor):
        self.asked.append(len(tensor))
        return super().begin_to_add_up(tensor)


@pytest.fixture
def watched():
    """It believes that there is another process. The group is real and has one member: sums are its own numbers."""
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield Watched(number=0, count=2)
    dist.destroy_process_group()


class Stack(nn.Module):
    """Five layers, and one that no loss depends on."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(5))
        self.idle = nn.Linear(8, 3)

    def forward(self, inputs):
        for layer in self.layers:
            inputs = torch.tanh(layer(inputs))
        return inputs.float().square().sum()


def stack_and_buffers(dtype):
    torch.manual_seed(0)
    model = Stack()
    matrices = [(name, weight) for name, weight in model.named_parameters() if weight.dim() == 2]
    vectors = [(name, weight) for name, weight in model.named_parameters() if weight.dim() == 1]
    buffers = [FlatWeights.flatten(named, dtype) for named in (matrices, vectors)]
    for buffer in buffers:
        buffer.gradient.fill_(torch.nan)  # what was there before is of no account
        buffer.forget_gradients()
    return model.to(dtype), buffers


@DTYPES
@pytest.mark.parametrize("size", [1, 64, 100, 10_000])
def test_buckets_hold_every_gradient_once_from_the_end(dtype, size):
    _, buffers = stack_and_buffers(dtype)
    for buffer in buffers:
        buffer.gradient.copy_(torch.arange(len(buffer.gradient)))
    buckets = buckets_of(buffers, size)
    for buffer in buffers:
        own = [bucket for bucket in buckets if bucket.weights is buffer]
        assert torch.equal(torch.cat([bucket.numbers for bucket in reversed(own)]), buffer.gradient)
        assert [place for bucket in reversed(own) for place in bucket.places] == list(range(len(buffer.parameters)))
        assert all(len(bucket.numbers) >= size for bucket in own[:-1])
        for bucket in own:
            assert len(bucket.numbers) == sum(buffer.parameters[place].numel() for place in bucket.places)


@DTYPES
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_gradients_are_those_of_backward_alone_to_the_bit(dtype, size, watched):
    inputs = torch.randn(2, 4, 8).to(dtype)
    gradients = []
    for processes in (None, watched):
        model, buffers = stack_and_buffers(dtype)
        for part in range(2):  # two micro-batches, of which the second is the last
            if processes is None or part == 0:
                model(inputs[part]).backward()
                for buffer in buffers:
                    buffer.add_gradients(first=part == 0)
            else:
                with added_up_meanwhile(buckets_of(buffers, size), processes, first=False):
                    model(inputs[part]).backward()
        gradients.append([buffer.gradient for buffer in buffers])
    assert all(torch.equal(alone, together) for alone, together in zip(*gradients, strict=True))
    assert sum(watched.asked) == sum(len(gradient) for gradient in gradients[0])


@DTYPES
def test_a_weight_that_the_loss_does_not_depend_on_has_no_gradient(dtype, watched):
    model, buffers = stack_and_buffers(dtype)
    with added_up_meanwhile(buckets_of(buffers, 64), watched, first=True):
        model(torch.randn(4, 8).to(dtype)).backward()
    gradients = {name: view for buffer in buffers for name, view in buffer.by_name(buffer.gradient).items()}
    assert not gradients["idle.weight"].any() and not gradients["idle.bias"].any()
    assert gradients["layers.0.weight"].any()


@DTYPES
def test_sums_are_asked_for_while_the_backward_pass_goes_on(dtype, watched):
    model = Stack()
    buckets = buckets_of([FlatWeights.flatten(list(model.layers.named_parameters()), dtype)], 64)
    model.to(dtype)
    asked = []
    first_layer = model.layers[0].weight.register_hook(lambda gradient: asked.append(len(watched.asked)))
    with added_up_meanwhile(buckets, watched, first=True):
        model(torch.randn(4, 8).to(dtype)).backward()
    first_layer.remove()
    assert asked[0] >= len(buckets) - 2  # all but those of the first layer, which is reached last
    assert len(watched.asked) == len(buckets)
