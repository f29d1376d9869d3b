"""Ctrl-C and SIGTERM end a run at once with a sentence, and everything so far is kept."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_WORDS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
AGAIN = "give the same command to begin again"
_IMPATIENCE = 2.0  # seconds in which further signals do not interrupt the clearing up
_LOOK = 1.0  # seconds between two looks at whether the process that started this one is still there
_advice = [AGAIN]  # after Ctrl-C outside of any `stopping`
_at_work = threading.Event()  # a job runs in this process, which another one has started for its jobs


class Stopped(SystemExit):
    """The user, or the machine, wants the run to end: exit status 130 after Ctrl-C, 143 after SIGTERM."""

    def __init__(self, number: int):
        super().__init__(128 + number)
        self.number = signal.Signals(number)
        self.told = False


@contextlib.contextmanager
def stopping(advice: str, *, gently: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Within, both signals raise Stopped at once and, on the way out, print ``stopped by …; ADVICE`` to stderr.

    A first SIGTERM does not interrupt while ``gently()`` says that somebody else will end the run: Lightning ends a
    training between two steps, so that a checkpoint is written first. Handlers that somebody else has installed stay:
    the launcher of a cluster has its own way to stop and requeue a job.
    """
    before: dict[signal.Signals, Any] = {}
    asked: list[float] = []

    def stop(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        first = not asked
        if not first and now - asked[-1] < _IMPATIENCE:
            return
        asked.append(now)
        if not (first and number == signal.SIGTERM and gently()):
            raise Stopped(number)

    if threading.current_thread() is threading.main_thread():
        for number in _WORDS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _leave):
                before[number] = signal.signal(number, stop)
    try:
        with telling_interrupts(advice):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_on_interrupt() -> None:
    """From now on, until a `stopping` begins, Ctrl-C ends the process where it is."""
    if (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
        and threading.current_thread() is threading.main_thread()
    ):
        signal.signal(signal.SIGINT, _leave)


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """A context with `leave_on_interrupt`, after which Ctrl-C is an exception again."""
    leave_on_interrupt()
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _leave and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def advising() -> Iterator[Callable[[str], None]]:
    """Within, ``advise(ADVICE)`` says what Ctrl-C tells from then on outside of any `stopping`."""

    def advise(advice: str) -> None:
        _advice[0] = advice

    try:
        yield advise
    finally:
        advise(AGAIN)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, f"\nstopped by {_WORDS[signal.Signals(number)]}; {_advice[0]}\n".encode(errors="surrogateescape"))
    os._exit(128 + number)


@contextlib.contextmanager
def ending_with_parent() -> Iterator[None]:
    """Within, SIGTERM comes when the process ends that started this one for its jobs; afterwards this one ends, too.

    Nobody else would end it, or wait for what it does. Where this process was not started for jobs (by joblib), nothing
    happens.
    """
    if os.name != "posix" or multiprocessing.parent_process() is None:
        yield
        return
    name = "watching-parent"
    if not any(thread.name == name for thread in threading.enumerate()):
        threading.Thread(target=_follow, args=(os.getppid(),), name=name, daemon=True).start()
    _at_work.set()
    try:
        yield
    finally:
        _at_work.clear()


def _follow(parent: int) -> None:
    """Ends this process after another one has ended, but lets the job that runs end in its own way first."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    if _at_work.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
    while _at_work.is_set():
        time.sleep(_LOOK / 10)
    os._exit(128 + signal.SIGTERM)


@contextlib.contextmanager
def telling_interrupts(advice: str) -> Iterator[None]:
    """Leaves the signals as they are; an interrupt that comes out is told, unless it was told further in."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        raise _told(error, advice) from None


def _told(error: BaseException, advice: str) -> BaseException:
    """The error that leaves the run, with its sentence printed.

    Lightning's own end by SIGTERM has the exit status 0.
    """
    if isinstance(error, KeyboardInterrupt):
        error = Stopped(signal.SIGINT)
    elif type(error).__name__ == "SIGTERMException":
        error = Stopped(signal.SIGTERM)
    if isinstance(error, Stopped) and not error.told:
        error.told = True
        if os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes that work together the first one tells
            print(f"\nstopped by {_WORDS[error.number]}; {advice}", file=sys.stderr, flush=True)
    return error
