"""What a long computation is doing: named stages with their time and peak memory, for whoever listens.

Deep functions say ``with stage("cleaning"):``, which costs nothing until somebody up the stack says ``with
listening(StageClock()):``.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Stage:
    """One stage; those inside of it follow it in the list, one deeper, and count in its time and memory too."""

    name: str
    depth: int = 0
    begun: float = 0.0  # seconds since the clock was made
    seconds: float = 0.0
    peak_bytes: int = 0  # the largest resident memory of the process; 0 where the system does not tell


@dataclass
class StageClock:
    """Keeps the stages in the order in which they began; ``on_begin`` is told of each."""

    on_begin: Callable[[Stage], object] = lambda stage: None
    stages: list[Stage] = field(default_factory=list)
    _open: list[Stage] = field(default_factory=list)
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the clock was made."""
        return time.perf_counter() - self._start

    @property
    def peak_bytes(self) -> int:
        """The largest resident memory of all stages."""
        return max((entry.peak_bytes for entry in self.stages), default=0)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The stage lasts as long as the ``with`` block."""
        self._note_peak()
        entry = Stage(name, depth=len(self._open), begun=self.seconds)
        self.stages.append(entry)
        self._open.append(entry)
        self.on_begin(entry)
        try:
            yield
        finally:
            self._note_peak()
            entry.seconds = self.seconds - entry.begun
            self._open.remove(entry)

    def beside(self) -> "StageClock":
        """A clock for another thread, as far as this one is."""
        return StageClock(self.on_begin, _open=list(self._open), _start=self._start)

    def _note_peak(self) -> None:
        """Writes the peak since the last call to all open stages, and starts a new one."""
        peak = _peak_since_reset()
        for entry in self._open:
            entry.peak_bytes = max(entry.peak_bytes, peak)


_CLOCK: ContextVar[StageClock | None] = ContextVar("stage_clock", default=None)


@contextlib.contextmanager
def listening(clock: StageClock) -> Iterator[StageClock]:
    """Stages inside the ``with`` block are entered into ``clock``."""
    token = _CLOCK.set(clock)
    try:
        yield clock
    finally:
        _CLOCK.reset(token)


@contextlib.contextmanager
def beside(function: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """``function`` in a thread of its own; what the block gets waits for its end and gives its result, or its error.

    Its stages follow those that began before the wait. Ctrl-C in the block does not wait for the thread.
    """
    outer = _CLOCK.get()
    clock = None if outer is None else outer.beside()
    done: Future[T] = Future()

    def work() -> None:
        _CLOCK.set(clock)
        try:
            done.set_result(function())
        except BaseException as error:
            done.set_exception(error)

    def wait() -> T:
        try:
            return done.result()
        finally:
            if outer is not None and clock is not None:
                outer.stages += clock.stages

    threading.Thread(target=copy_context().run, args=(work,), daemon=True).start()
    try:
        yield wait
    except Exception:
        done.exception()  # waits, so that nothing goes on behind what the caller does next
        raise


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Names what the ``with`` block does. Without a listener nothing happens."""
    clock = _CLOCK.get()
    if clock is None:
        yield
        return
    with clock.stage(name):
        yield


def _peak_since_reset() -> int:
    """The peak of resident memory since the last call, in bytes; 0 on systems without /proc."""
    try:
        lines = _STATUS.read_text().splitlines()
        with contextlib.suppress(OSError):  # a system may forbid the reset: the peak then is that of the whole process
            _CLEAR.write_text("5")
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
