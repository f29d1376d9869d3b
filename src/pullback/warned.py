"""Filters of warnings, which belong to the whole process, set by one thread at a time."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_TURN = threading.RLock()


@contextmanager
def own_warnings() -> Iterator[None]:
    """As ``warnings.catch_warnings()``; two threads in that at once would leave each other's filters behind."""
    with _TURN, warnings.catch_warnings():
        yield
