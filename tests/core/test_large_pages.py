"""A command starts itself again with an allocator that keeps its memory."""

import os
import subprocess
import sys

import pytest

from bertsmith.core.large_pages import TUNABLES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc has these tunables")

START = "import os, sys; print(os.getpid(), sys.argv[1:]); sys.stdout.flush()\n"
START += "from bertsmith.core.large_pages import start_with_large_pages; start_with_large_pages()\n"
FAULTS = START + (
    "import resource\n"
    "def step(): b'1' * 2**27\n"
    "step(); before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
    "for _ in range(4): step()\n"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
)


def run(code: str, *words: str, tunables: str | None = None) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != TUNABLES}
    environment |= {} if tunables is None else {TUNABLES: tunables}
    child = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=True
    )
    return child.stdout.splitlines()


def test_the_same_command_starts_twice_under_one_number():
    first, second = run(START, "a b", "--c")
    assert first == second
    assert first.endswith("['a b', '--c']")


def test_tunables_that_are_set_stay():
    (only,) = run(START + f"print(os.environ[{TUNABLES!r}])", tunables="glibc.malloc.arena_max=1")[1:]
    assert only == "glibc.malloc.arena_max=1"


def test_memory_that_was_given_back_comes_again_without_a_page_fault():
    """128 MiB are 32,768 pages of 4 KiB, each of which would fault each time."""
    assert int(run(FAULTS)[-1]) < 1000
    assert int(run(FAULTS, tunables="")[-1]) > 4 * 30_000
