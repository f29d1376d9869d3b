"""Threads whose kernels use one thread each.

They live as long as the process and sleep while there is nothing to do.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")

# Threads at most, of all callers together; what is beyond waits its turn.
_MOST_THREADS = 256

_LOCK, _BIRTH = threading.Lock(), threading.Lock()
_POOLS: list[ThreadPoolExecutor] = []  # one, once it is needed


def pool() -> ThreadPoolExecutor:
    """The pool of this process, which makes threads as they are needed."""
    with _LOCK:
        if not _POOLS:
            _POOLS.append(ThreadPoolExecutor(_MOST_THREADS, "pullback-strips", initializer=_use_one_thread))
        return _POOLS[0]


def _use_one_thread() -> None:
    """One thread for the kernels called from this thread, as long as it lives.

    ``torch.set_num_threads`` does that, and besides sets how many threads new threads begin with, which is set back in
    one. A thread begins with them when it first needs to know, which therefore comes before.
    """
    torch.get_num_threads()
    with _BIRTH:
        others = _in_a_new_thread(torch.get_num_threads)
        torch.set_num_threads(1)
        _in_a_new_thread(lambda: torch.set_num_threads(others))


def _in_a_new_thread(function: Callable[[], Result]) -> Result:
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def _after_fork() -> None:
    """The threads of a pool do not survive a fork: a child begins without one, and with locks that nobody holds."""
    global _LOCK, _BIRTH
    _LOCK, _BIRTH = threading.Lock(), threading.Lock()
    _POOLS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
