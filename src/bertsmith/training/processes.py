"""Several processes that train one network: each computes a part of every batch, and all have the same weights.

`torchrun` starts them and tells each its number. A batch is a function of its place, of which every process makes its
share of the sequences and computes with them; gradients, losses and metrics are added up over the processes. So the
batches are the same for any number of them, and a run goes on with another number. Files and the screen are the first
process's.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError, LostProcess

Outcome = TypeVar("Outcome")

_LONGEST_WAIT = timedelta(hours=1)  # for the first process, which evaluates and saves
_BETWEEN_LOOKS = 0.05  # seconds


@dataclass(frozen=True)
class Processes:
    """The processes of a training, seen from one of them.

    number  of this one, from 0
    count   of all
    """

    number: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and speaks."""
        return self.number == 0

    def share(self, num_sequences: int) -> range:
        """This one's sequences of a batch: equal shares, in order."""
        return range(num_sequences * self.number // self.count, num_sequences * (self.number + 1) // self.count)

    def begin_to_add_up(self, tensor: Tensor) -> Callable[[], None]:
        """Put the sum over all processes in the place of a tensor; to the bit the same in each.

        All ask for the same sums in the same order. returns  what waits until the sum is there
        """
        work = _together(lambda: dist.all_reduce(tensor, async_op=True))
        return lambda: _together(work.wait)

    def sums(self, numbers: Sequence[float]) -> list[float]:
        """Sums of some numbers over all processes, which tell equally many."""
        if self.count == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64)
        self.begin_to_add_up(told)()
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
    store, number, count = next(rendezvous("env://", timeout=_LONGEST_WAIT))
    own = PrefixStore(_call_the_roll(store, number, count), store)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"  # numbers go past a GPU, which need not wait
    dist.init_process_group(backend, store=own, rank=number, world_size=count, timeout=_LONGEST_WAIT)
    was_quiet, console.quiet = console.quiet, console.quiet or number > 0
    try:
        yield Processes(number, count)
    finally:
        console.quiet = was_quiet
    dist.destroy_process_group()  # not after an error: NCCL would wait here for the others, and they for this one


def require_alone(verb: str) -> None:
    """Refuse a verb that does not share its work. Raises ConfigurationError under torchrun with several processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigurationError(
            f"`{verb}` is for one process, and torchrun has started several. Start it without torchrun; only "
            f"`pretrain` shares its work."
        )


def launch_name() -> str | None:
    """What tells the torchrun that started this process from others, and stays when it starts processes again.

    Its --rdzv-id; where that was not given, the machine and the process of torchrun. None without torchrun.
    """
    given = os.environ.get("TORCHELASTIC_RUN_ID")
    if given != "none":  # the name that torchrun has for none
        return given
    parent = os.getppid()
    try:
        began = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]  # numbers of processes return
    except (OSError, IndexError):
        began = ""  # no such folder on this system
    return f"{socket.gethostname()} {parent} {began}"


def _call_the_roll(store: Store, number: int, count: int) -> str:
    """Agree with the processes that are here now on a name for this start.

    After a restart the store still has the words of the processes that are gone, and torchrun's count of restarts is
    not the same on all machines. So each process says a word that nobody has said before; the first one repeats all
    words with the name, until each of the others has heard its own.
    """
    word, deadline = uuid.uuid4().hex, time.monotonic() + _LONGEST_WAIT.total_seconds()
    if number > 0:
        store.set(f"here/{number}", word)
    while time.monotonic() < deadline:
        if number == 0 and store.check([f"here/{other}" for other in range(1, count)]):
            words = {other: store.get(f"here/{other}").decode() for other in range(1, count)}
            store.set("roll", json.dumps({"name": word, "words": words}))
            if store.check([f"heard/{word}/{said}" for said in words.values()]):
                return word
        elif number > 0 and store.check(["roll"]):
            roll = json.loads(store.get("roll"))
            if roll["words"].get(str(number)) == word:
                store.set(f"heard/{roll['name']}/{word}", "")
                return str(roll["name"])
        time.sleep(_BETWEEN_LOOKS)
    raise LostProcess("The processes that torchrun started did not find each other within an hour. Start them again.")


def own_gpu() -> int:
    """Which of this machine's GPUs is this process's."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def _together(act: Callable[[], Outcome]) -> Outcome:
    try:
        return act()
    except RuntimeError as error:
        raise LostProcess(
            f"Another process of this training does not answer ({str(error).splitlines()[0]}). Nothing but the steps "
            f"since the newest checkpoint is lost: go on with `bertsmith pretrain --resume`, or let torchrun do it "
            f"with --max-restarts. Why it is gone, it said itself; --local-ranks-filter hides that."
        ) from None
