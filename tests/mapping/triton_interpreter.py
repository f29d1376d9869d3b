"""Runs functions where Triton interprets its kernels on the CPU, which must be decided before anything imports it:
in another process.
"""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


def _start() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    import torch
    from jaxtyping import install_import_hook

    install_import_hook("pullback", "beartype.beartype")
    torch.set_num_threads(1)


def _call(payload: bytes) -> bytes:
    function, args, kwargs = pickle.loads(payload)
    return pickle.dumps(function(*args, **kwargs))


@contextmanager
def interpreter() -> Iterator[Callable[..., Any]]:
    """A process of its own; ``run(function, *args)`` gives the function's result there. Functions travel by name,
    tensors by value.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_start) as pool:

        def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return pickle.loads(pool.submit(_call, pickle.dumps((function, args, kwargs))).result())

        yield run
