"""Strips of work shared out to a few threads, each with kernels that keep to their one thread.

PyTorch's own threads meet at a barrier after every kernel and spin there. Between many small kernels that gains
nothing, and beside other busy processes each barrier waits for a thread that has no processor. Here threads meet once,
at the end of all strips, and wait asleep.

    alone(task, device)           runs a whole computation in such a thread; inside,
    each(work, items)             shares out independent strips,
    in_order(parts, items, add)   shares out strips whose parts are added up: always in the order of the strips

How many threads work is the caller's ``torch.get_num_threads()``, which is neither changed nor is it inside the work,
where it is 1: the same kernels on the same strips, added in the same order, give the same bits for every number of
threads.
"""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

from pullback.mapping.thread_pool import pool

Result = TypeVar("Result")
Item = TypeVar("Item")
Part = TypeVar("Part", bound=Sequence[Tensor | slice | None])

# Parts that a thread may hold while earlier ones are added, in elements, and items that it may be ahead of them.
_HELD_ELEMENTS = 2**22
_AHEAD = 8


@dataclass(frozen=True)
class _Crew:
    """The threads of one computation."""

    size: int
    stopped: threading.Event = field(default_factory=threading.Event)  # take no more strips


_CREW: contextvars.ContextVar[_Crew | None] = contextvars.ContextVar("crew", default=None)


def run_alone(task: Callable[[], Result], device: torch.device) -> Result:
    """The result of a task on the CPU: its thread has one-threaded kernels, ``each`` and ``in_order`` add others.

    Without gradients. The task sees the caller's context variables and inference mode. Its errors are raised here;
    whatever interrupts the caller, as Ctrl-C, ends the work after the strips at hand. Called inside a task, or by a
    caller with one thread, it is the task.
    """
    threads = torch.get_num_threads()
    if threads == 1 or device.type != "cpu":
        with torch.no_grad():
            return task()
    crew = _Crew(threads)
    future = _submit(crew, task)
    try:
        return future.result()
    except BaseException:
        crew.stopped.set()
        wait([future])
        raise


def each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``[work(item) for item in items]`` by all threads of the task.

    The first error, in the order of the items, is raised.
    """
    found: dict[int, Result] = {}

    def keep(i: int, item: Item) -> None:
        found[i] = work(item)

    _share_out(keep, items)
    return [found[i] for i in range(len(items))]


def in_order(parts: Callable[[Item], Iterator[Part]], items: Sequence[Item], add: Callable[[Part], None]) -> None:
    """``for item in items: for part in parts(item): add(part)`` by all threads of the task.

    ``parts`` runs side by side, ``add`` in turn.

    A thread that is early leaves its parts to the one whose turn it is. It holds a bounded number of elements.
    """
    turns = _Turns(add)

    def work(i: int, item: Item) -> None:
        try:
            turns.bring(i, parts(item))
        except BaseException:
            turns.give_up()
            raise

    _share_out(work, items)


class _Turns(Generic[Part]):
    """Adds the parts of items in the order of the items, whoever brings them when; one thread adds at a time."""

    def __init__(self, add: Callable[[Part], None]):
        self._add = add
        self._turn = 0
        self._left: dict[int, list[Part]] = {}
        self._changed = threading.Condition()
        self._given_up = False

    def bring(self, i: int, parts: Iterable[Part]) -> None:
        """Adds the parts of item i if it is its turn, or leaves them."""
        held: list[Part] = []
        for part in parts:
            held.append(part)
            if self._turn != i and _elements(held) > _HELD_ELEMENTS:
                self._wait(lambda: self._turn == i)
            if self._turn == i:
                self._add_all(held)
        self._wait(lambda: i < self._turn + _AHEAD)
        with self._changed:
            self._left[i] = held
            if self._turn != i:
                return
        self._add_left()

    def give_up(self) -> None:
        """Nobody waits any longer for a turn that does not come."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    def _add_left(self) -> None:
        while True:
            with self._changed:
                parts = self._left.pop(self._turn, None)
            if parts is None:
                return
            self._add_all(parts)
            with self._changed:
                self._turn += 1
                self._changed.notify_all()

    def _add_all(self, held: list[Part]) -> None:
        for part in held:
            self._add(part)
        held.clear()

    def _wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or until())
        if self._given_up:
            raise _GivenUpError


class _GivenUpError(Exception):
    """Another strip failed, or the caller was interrupted; that is the error to report."""


def _elements(parts: Sequence[Sequence[Tensor | slice | None]]) -> int:
    return sum(tensor.numel() for part in parts for tensor in part if isinstance(tensor, Tensor))


def _share_out(work: Callable[[int, Item], None], items: Sequence[Item]) -> None:
    """Calls ``work(i, item)`` for all items, by this thread and others of its crew.

    Raises the first error after all have stopped.
    """
    crew = _CREW.get()
    if crew is None or min(crew.size, len(items)) <= 1:
        for i, item in enumerate(items):
            work(i, item)
        return
    share = _Share(work, items, crew)
    inside = _CREW.set(None)  # work inside of work is not shared out again
    helpers = [_submit(None, share.take) for _ in range(min(crew.size, len(items)) - 1)]
    share.take()
    wait([helper for helper in helpers if not helper.cancel()])
    _CREW.reset(inside)
    if share.errors:
        raise min(share.errors, key=lambda error: error[:2])[2]
    if crew.stopped.is_set():
        raise _GivenUpError


class _Share(Generic[Item]):
    """Items from which threads take one after the other."""

    def __init__(self, work: Callable[[int, Item], None], items: Sequence[Item], crew: _Crew):
        self._work, self._crew = work, crew
        self._next = iter(list(enumerate(items)))
        self._lock = threading.Lock()
        self._failed = False
        self.errors: list[tuple[bool, int, BaseException]] = []  # those that only follow another one last, then by item

    def take(self) -> None:
        """Works until nothing is left, something failed, or the caller was interrupted."""
        while not (self._failed or self._crew.stopped.is_set()):
            with self._lock:
                taken = next(self._next, None)
            if taken is None:
                return
            i, item = taken
            try:
                self._work(i, item)
            except BaseException as error:  # raised by the thread that shared out
                self._failed = True
                self.errors.append((isinstance(error, _GivenUpError), i, error))


def _submit(crew: _Crew | None, task: Callable[[], Result]) -> Future:
    """The task in a thread of the pool, under the caller's context variables and inference mode."""
    context, inference = contextvars.copy_context(), torch.is_inference_mode_enabled()

    def run() -> Result:
        _CREW.set(crew)
        with torch.inference_mode() if inference else contextlib.nullcontext(), torch.no_grad():
            return task()

    return pool().submit(context.run, run)
