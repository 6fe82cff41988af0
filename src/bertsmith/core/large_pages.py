"""Memory that the process keeps, in large pages, so that a training step waits for no page of memory.

A step takes hundreds of megabytes and gives them back. Left alone, glibc returns every large block to the kernel and
gets it anew, zeroed, in pages of 4 KiB: some 20,000 page faults in a step of a mini BERT, a fifth of its time and more.
"""

import os
import sys

TUNABLES = "GLIBC_TUNABLES"

# Ask for large pages; take blocks of any size from the heap, and never give its end back (glibc manual, "Memory
# Allocation Tunables"). The kernel gives large pages where /sys/kernel/mm/transparent_hugepage/enabled lets it.
_KEPT_IN_LARGE_PAGES = ":".join(
    ("glibc.malloc.hugetlb=1", f"glibc.malloc.mmap_threshold={2**31}", f"glibc.malloc.trim_threshold={2**31}")
)


def start_with_large_pages() -> None:
    """Start this very process again, the same command under the same number, with another memory allocation.

    glibc reads its tunables when a program starts, and no later. Returns, having done nothing, where tunables are set
    already, by the first start or by somebody who knows better, and on systems that are not Linux. A C library that has
    no such tunables ignores them.
    """
    if sys.platform != "linux" or TUNABLES in os.environ:
        return
    os.environ[TUNABLES] = _KEPT_IN_LARGE_PAGES
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell is wanted
