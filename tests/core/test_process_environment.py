"""A command starts itself again with an allocator that keeps its memory and threads that wait awake."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc and libgomp know these variables")

NAMES = ("GLIBC_TUNABLES", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
START = "import os, sys; print(os.getpid(), sys.argv[1:]); sys.stdout.flush()\n"
START += "from bertsmith.core.process_environment import start_tuned; start_tuned()\n"
SHOW = START + f"print(*(os.environ.get(name) for name in {NAMES}))"
SMALL_PAGES = "import ctypes; ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)\n"  # PR_SET_THP_DISABLE, whatever the machine's
FAULTS = (
    SMALL_PAGES + START + "import resource\n"
    "def step(): b'1' * 2**27\n"
    "step(); before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
    "for _ in range(4): step()\n"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
)


def run(code: str, *words: str, **settings: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | settings
    child = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=True
    )
    return child.stdout.splitlines()


def test_the_same_command_starts_twice_under_one_number():
    first, second = run(START, "a b", "--c")
    assert first == second
    assert first.endswith("['a b', '--c']")


def test_what_is_set_stays_and_a_second_start_is_the_last():
    _, _, shown = run(SHOW, GLIBC_TUNABLES="glibc.malloc.arena_max=1")
    assert shown == "glibc.malloc.arena_max=1 3000000 None"


def test_a_policy_for_waiting_is_left_alone():
    _, shown = run(SHOW, GLIBC_TUNABLES="", OMP_WAIT_POLICY="passive")
    assert shown == " None passive"


def test_memory_that_was_given_back_comes_again_without_a_page_fault():
    """128 MiB are 32,768 pages of 4 KiB, each of which would fault each time."""
    assert int(run(FAULTS)[-1]) < 1000
    assert int(run(FAULTS, GLIBC_TUNABLES="")[-1]) > 4 * 30_000
