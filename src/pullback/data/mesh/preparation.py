"""Preparing shapes and distances ahead of a run: in parallel, with a progress bar, and with all complaints at once."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Float
from numpy import ndarray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pullback.data.cache import CacheError, storing_required, sweep, tell_unkept
from pullback.data.mesh.dataset import PairTruth, ShapeFiles
from pullback.data.mesh.library import ShapeLibrary
from pullback.data.mesh.shapes import PreparationSettings, operators_entry
from pullback.geometry.cleaning import MeshError

log = logging.getLogger(__name__)

_PLACES = 200  # landmarks of a shape that tell how it lies
_WORTH = 1_000_000  # bytes of mesh files that take about as long to prepare as another process takes to start


@dataclass(frozen=True)
class Job:
    """One shape to prepare, with distances if a method is named.

    The ground truth of pairs is read, to see that it fits the shape.
    """

    files: ShapeFiles
    settings: PreparationSettings
    geodesics: str | None = None
    # of pairs in which the shape stands first: distances are from the vertices that they name
    truths1: tuple[PairTruth, ...] = ()
    truths2: tuple[PairTruth, ...] = ()  # of pairs in which it stands second


@dataclass(frozen=True)
class Prepared:
    """What a job found out."""

    landmarks: int | None  # how many the ground truth of the shape has
    # of some of them, as the shape lies in training or test
    places: Float[ndarray, "t 3"] | None = field(default=None, compare=False)
    notes: tuple[str, ...] = ()
    error: str | None = None
    unkept: str | None = None  # why the cache could not take it


def prepare_all(jobs: Sequence[Job], cache_dir: str | Path, *, workers: int | None = None) -> dict[Job, Prepared]:
    """Computes and caches what the jobs need and the cache lacks.

    ``workers``: processes, by default one for each CPU, where the meshes are large enough to be worth their start.

    Every job is tried; what failed is told together at the end, in one MeshError. Where the cache cannot be written,
    the rest is left to be computed when it is needed, with a warning; within ``storing_required`` that raises
    CacheError.
    """
    jobs = list(dict.fromkeys(jobs))
    sweep(Path(cache_dir))
    pending = [job for job in jobs if not _is_ready(job, Path(cache_dir))]
    done = {job: _prepare(job, Path(cache_dir)) for job in jobs if job not in set(pending)}
    if pending:
        done |= _compute(pending, Path(cache_dir), workers or _worthwhile(pending))
    unkept = next((result.unkept for result in done.values() if result.unkept is not None), None)
    if unkept is not None:
        tell_unkept(unkept, Path(cache_dir))
    errors = [result.error for result in done.values() if result.error is not None]
    if errors:
        raise MeshError(
            "\n".join(
                [f"{len(errors)} of {len(jobs)} shapes could not be prepared:", *errors] if len(errors) > 1 else errors
            )
        )
    for job in (job for job in pending if job in done):
        for note in done[job].notes:
            log.warning("%s: %s", job.files.mesh, note)
    return {job: done.get(job, Prepared(None)) for job in jobs}


def _compute(jobs: list[Job], cache_dir: Path, workers: int) -> dict[Job, Prepared]:
    done = {}
    columns = (
        TextColumn("preparing shapes"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(jobs))
        for job, result in _results(jobs, cache_dir, min(workers, len(jobs))):
            done[job] = result
            progress.advance(task)
            if result.unkept is not None:  # nor could it take the others
                break
    return done


def _results(jobs: list[Job], cache_dir: Path, workers: int) -> Iterator[tuple[Job, Prepared]]:
    if workers == 1:
        yield from ((job, _prepare(job, cache_dir)) for job in jobs)
        return
    # Not forked: the parent has threads (of torch and of the bar) whose locks a fork would copy in whatever state they
    # are.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_be_a_worker) as pool:
        futures = {pool.submit(_prepare_each, of_shape, cache_dir): of_shape for of_shape in _by_shape(jobs)}
        try:
            for future in as_completed(futures):
                yield from zip(futures[future], future.result(), strict=True)
        except BrokenProcessPool as error:
            advice = "Use fewer at a time, as data.prepare_workers=1"
            raise RuntimeError(
                f"a process that prepared shapes was killed, most likely for want of memory. {advice}"
            ) from error
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise


def _by_shape(jobs: list[Job]) -> list[list[Job]]:
    """Jobs that need the same operators together: two processes would compute them twice."""
    groups: dict[tuple[ShapeFiles, PreparationSettings], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.files, job.settings), []).append(job)
    return list(groups.values())


def _prepare_each(jobs: list[Job], cache_dir: Path) -> list[Prepared]:
    return [_prepare(job, cache_dir) for job in jobs]


def _prepare(job: Job, cache_dir: Path) -> Prepared:
    library = ShapeLibrary(job.settings, cache_dir)
    try:
        with storing_required():
            loaded = library.load(job.files)
            for truth in job.truths2:
                loaded.relabel(truth.second(n2=len(loaded.relabel.successor)))
            if job.geodesics is not None:
                library.geodesics(job.files, job.geodesics, truths=job.truths1)
    except CacheError as error:
        return Prepared(None, unkept=str(error))
    except (ValueError, FileNotFoundError) as error:
        return Prepared(None, error=str(error))
    if loaded.corr is None:
        return Prepared(None, notes=loaded.notes)
    some = loaded.corr[:: max(1, len(loaded.corr) // _PLACES)]
    return Prepared(len(loaded.corr), loaded.shape.verts[some].double().numpy(), loaded.notes)


def _is_ready(job: Job, cache_dir: Path) -> bool:
    try:
        if not operators_entry(job.files.mesh, job.settings, cache_dir).exists():
            return False
        library = ShapeLibrary(job.settings, cache_dir)
        if not library.is_placed(job.files):
            return False
        return job.geodesics is None or library.has_geodesics(job.files, job.geodesics, truths=job.truths1)
    except (ValueError, OSError):
        return False


def _be_a_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the parent ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(limits=1)


def _end_with_the_parent() -> None:
    """A killed parent sends no word: its workers would wait for another job for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _worthwhile(jobs: Sequence[Job]) -> int:
    """How many processes prepare these soonest: every one begins with seconds of imports."""
    meshes = {job.files.mesh for job in jobs}
    return min(_cpus(), 1 + sum(path.stat().st_size for path in meshes if path.is_file()) // _WORTH)


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
