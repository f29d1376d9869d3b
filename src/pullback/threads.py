"""One thread for what gains nothing from several: the linear algebra of eigenproblems."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from threadpoolctl import threadpool_limits


@dataclass
class _Inside:
    """Who is inside ``one_thread`` now.

    The limit of BLAS is the process's: the first thread sets it, and lifts it when it leaves.

    OpenBLAS does not always heed another thread that lifts it.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: set[int] = field(default_factory=set)
    blas: threadpool_limits | None = None
    owner: int | None = None  # the thread that set the limit of BLAS
    torch_threads: int = 1  # before


_INSIDE = _Inside()


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch and BLAS use one thread inside the ``with`` block, whichever thread of Python enters it.

    The results do not depend on the number of processors then. Beside other busy processes, the many small parallel
    regions of an eigensolver would wait for each other most of the time: measured, 1 s became 30 to 47 s. Of several at
    once, those that stay longer than the first may meet BLAS with its threads again: that changes their time and their
    last bits.
    """
    me = threading.get_ident()
    if me in _INSIDE.threads:
        yield
        return
    with _INSIDE.lock:
        if not _INSIDE.threads:
            _INSIDE.torch_threads = torch.get_num_threads()
        if _INSIDE.blas is None:
            _INSIDE.blas, _INSIDE.owner = threadpool_limits(limits=1, user_api="blas"), me
        _INSIDE.threads.add(me)
        _set_torch_threads(1)
    try:
        yield
    finally:
        with _INSIDE.lock:
            _INSIDE.threads.discard(me)
            _set_torch_threads(_INSIDE.torch_threads)
            if _INSIDE.owner == me and _INSIDE.blas is not None:
                _INSIDE.blas.restore_original_limits()
                _INSIDE.blas = _INSIDE.owner = None


def _set_torch_threads(count: int) -> None:
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
