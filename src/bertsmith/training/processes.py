"""Several processes that train one network: each computes a part of every batch, and all have the same weights.

`torchrun` starts them and tells each its number. Every process makes every batch, which is a function of its place, and
computes a share of its sequences; gradients, losses and metrics are added up over the processes. So the batches are the
same for any number of them, and a run goes on with another number. Files and the screen are the first process's.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError, LostProcess

_LONGEST_WAIT = timedelta(hours=1)  # for the first process, which evaluates and saves


@dataclass(frozen=True)
class Processes:
    """The processes of a training, seen from one of them.

    number  of this one, from 0
    count   of all
    device  where what they tell each other has to be
    """

    number: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and speaks."""
        return self.number == 0

    def share(self, num_sequences: int) -> range:
        """This one's sequences of a batch: equal shares, in order."""
        return range(num_sequences * self.number // self.count, num_sequences * (self.number + 1) // self.count)

    def add_up(self, tensor: Tensor) -> None:
        """Put the sum over all processes in the place of a tensor; to the bit the same in each."""
        if self.count > 1:
            _together(lambda: dist.all_reduce(tensor))

    def sums(self, numbers: Sequence[float]) -> list[float]:
        """Sums of some numbers over all processes, which tell equally many."""
        if self.count == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        self.add_up(told)
        return told.tolist()

    def any(self, is_so: bool) -> bool:
        """Whether it is so in one of them."""
        return self.sums([float(is_so)])[0] > 0

    def take_from_first(self, tensor: Tensor) -> None:
        """Put the first process's tensor in the place of this one's."""
        if self.count > 1:
            _together(lambda: dist.broadcast(tensor, src=0))

    def of_first(self, number: float) -> float:
        """The first process's number."""
        return self.sums([number if self.is_first else 0.0])[0]

    def wait(self) -> None:
        """Until all are here."""
        self.any(False)


ALONE = Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun has started, or be alone.

    device  where the network is; of several GPUs, this process's
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # after a restart the store still has the addresses of the processes that are gone, so each start has its own names
    store, number, count = next(rendezvous("env://", timeout=_LONGEST_WAIT))
    own = PrefixStore(f"start-{_starts_before()}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=own, rank=number, world_size=count, timeout=_LONGEST_WAIT)
    was_quiet, console.quiet = console.quiet, console.quiet or number > 0
    try:
        yield Processes(number, count, device)
    finally:
        console.quiet = was_quiet
        dist.destroy_process_group()


def require_alone(verb: str) -> None:
    """Refuse a verb that does not share its work. Raises ConfigurationError under torchrun with several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigurationError(
            f"`{verb}` is for one process, and torchrun has started several. Start it without torchrun; only "
            f"`pretrain` shares its work."
        )


def was_restarted() -> bool:
    """Whether torchrun started this training before, and a process was lost."""
    return _starts_before() > 0


def _starts_before() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def own_gpu() -> int:
    """Which of this machine's GPUs is this process's."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def _together(act: Callable[[], object]) -> None:
    try:
        act()
    except RuntimeError as error:
        raise LostProcess(
            f"Another process of this training does not answer ({str(error).splitlines()[0]}). Nothing but the steps "
            f"since the newest checkpoint is lost: go on with `bertsmith pretrain --resume`, or let torchrun do it "
            f"with --max-restarts."
        ) from None
