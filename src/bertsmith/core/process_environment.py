"""What the C libraries below torch read once, when a program starts: how they keep memory, and how threads wait.

**Memory.** A training step takes hundreds of megabytes and gives them back. Left alone, glibc returns every large block
to the kernel and gets it anew, zeroed, in pages of 4 KiB: some 20,000 page faults in a step of a mini BERT.

**Threads.** A step has more than a thousand short stretches that all threads share, with Python between them. Left
alone, OpenMP's threads fall asleep when Python takes longer than 3 ms, and a virtual machine is slow to wake them.

Together they are a quarter of the time of a mini's step on two cores.
"""

import os
import sys

ENVIRONMENT = {
    # Ask for large pages; take blocks of any size from the heap, and never give its end back (glibc manual, "Memory
    # Allocation Tunables"). The kernel gives large pages where /sys/kernel/mm/transparent_hugepage/enabled lets it.
    "GLIBC_TUNABLES": ":".join(
        ("glibc.malloc.hugetlb=1", f"glibc.malloc.mmap_threshold={2**31}", f"glibc.malloc.trim_threshold={2**31}")
    ),
    # Wait awake for some 30 ms (libgomp manual: 100,000 rounds are about a millisecond).
    "GOMP_SPINCOUNT": "3000000",
}


def start_tuned() -> None:
    """Start this very process again, the same command under the same number, in a better environment.

    Returns, having done nothing, where all is set already: the second time, or because somebody who knows better has
    set it (`OMP_WAIT_POLICY` counts as a word on waiting), and on systems that are not Linux. Libraries that do not
    know these variables ignore them.
    """
    missing = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    if "OMP_WAIT_POLICY" in os.environ:
        missing.pop("GOMP_SPINCOUNT", None)
    if sys.platform != "linux" or not missing:
        return
    os.environ.update(missing)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted
