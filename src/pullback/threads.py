"""One thread for what gains nothing from several: the linear algebra of eigenproblems."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from threadpoolctl import threadpool_limits


@dataclass
class _Inside:
    """Who is inside ``one_thread`` now: the limits are the process's, so the first sets and the last lifts them."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: set[int] = field(default_factory=set)
    blas: threadpool_limits | None = None
    torch_threads: int = 1  # before


_INSIDE = _Inside()


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch and BLAS use one thread inside the ``with`` block, from whichever threads of Python it is entered, also several at once.

    The results do not depend on the number of processors then. Beside other busy processes, the many small parallel regions of an
    eigensolver would wait for each other most of the time: measured, 1 s became 30 to 47 s.
    """
    me = threading.get_ident()
    if me in _INSIDE.threads:
        yield
        return
    with _INSIDE.lock:
        if not _INSIDE.threads:
            _INSIDE.blas, _INSIDE.torch_threads = threadpool_limits(limits=1, user_api="blas"), torch.get_num_threads()
        _INSIDE.threads.add(me)
        _set_torch_threads(1)
    try:
        yield
    finally:
        with _INSIDE.lock:
            _INSIDE.threads.discard(me)
            _set_torch_threads(_INSIDE.torch_threads)
            if not _INSIDE.threads and _INSIDE.blas is not None:
                _INSIDE.blas.restore_original_limits()
                _INSIDE.blas = None


def _set_torch_threads(count: int) -> None:
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
