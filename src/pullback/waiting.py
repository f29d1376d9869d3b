"""How the threads of OpenMP wait at the end of a parallel region.

Asleep they cost a tenth of a training step on a quiet machine and nothing in maps; spinning, as they do by default,
they take ten times as long beside other busy processes (experiments/README.md).
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_ASLEEP = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}


def asleep() -> dict[str, str]:
    """The variables that let threads wait asleep; none where the user has said how they wait.

    PyTorch reads them when it is loaded.
    """
    return {} if any(name in os.environ for name in (*_ASLEEP, "KMP_BLOCKTIME")) else dict(_ASLEEP)


def load_torch() -> None:
    """Loads PyTorch, unless it is there already, so that its threads wait asleep."""
    if "torch" not in sys.modules:
        with environment(asleep()):
            importlib.import_module("torch")


@contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Variables of the environment that are set within, and afterwards as before."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
