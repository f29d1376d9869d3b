"""Peak memory of a piece of work: of the process on a CPU, of PyTorch's allocator on a GPU."""

import ctypes
import os
import re
import sys
import threading
from pathlib import Path

import torch

_SELF = Path("/proc/self")


class PeakMemory:
    """``with PeakMemory() as peak: …`` then ``peak.bytes``:
    the most that was in use above what was in use at the start.

    On a CPU the kernel's high-water mark of the resident set (``VmHWM``), which a process may reset; where it may not,
    a thread that looks every few milliseconds; outside Linux nothing (``bytes`` is None). ``method`` says which.
    """

    def __init__(self, device: str = "cpu"):
        self.device = torch.device(device)
        self.bytes: int | None = None
        self.method: str | None = "torch.cuda" if self.device.type == "cuda" else None

    def __enter__(self) -> "PeakMemory":
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self._start = torch.cuda.memory_allocated(self.device)
        elif sys.platform == "linux":
            give_back()
            self.method = "VmHWM" if reset_high_water() else "sampled"
            self._start = resident()
            self._sampler = None if self.method == "VmHWM" else _Sampler()
        return self

    def __exit__(self, *_: object) -> None:
        if self.method == "torch.cuda":
            torch.cuda.synchronize(self.device)
            self.bytes = torch.cuda.max_memory_allocated(self.device) - self._start
        elif self.method is not None:
            peak = high_water() if self._sampler is None else self._sampler.stop()
            self.bytes = max(peak - self._start, 0)


class _Sampler:
    def __init__(self) -> None:
        self._peak, self._done = resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self._peak = max(self._peak, resident())

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return max(self._peak, resident())


def give_back() -> None:
    """Returns freed memory to the system, so that the next contender does not get it for nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)


def reset_high_water() -> bool:
    """Resets VmHWM to the present size; False where that is not allowed."""
    try:
        (_SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return high_water() - resident() < 2**25  # some sandboxes accept the writing and do nothing


def high_water() -> int:
    """The largest resident set of this process so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (_SELF / "status").read_text())
    return 1024 * int(found[1]) if found else resident()


def resident() -> int:
    """The resident set of this process now, in bytes."""
    return int((_SELF / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
