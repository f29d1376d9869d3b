"""Strips by several threads: the same bits for every number of them, and nothing changed for anybody else."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from tests.mapping.softmap_cases import answer, curve_embeddings, one_percent
from tests.patch_images import patch_image
from torch import Tensor

from pullback.mapping import BlockedSoftMap, distances, embeddings, nearest, parallel, precise_map, soft_map, strips
from pullback.mapping.distances import largest_distance
from pullback.mapping.embeddings import full_precision
from pullback.mapping.parallel import each, in_order, run_alone
from pullback.mapping.readout import Readout
from pullback.stages import StageClock, listening, stage
from pullback.types import PatchPair

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, two to begin with; restored at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def in_a_new_thread(function: Callable[[], object]) -> object:
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def soft(blur: float) -> list[Tensor]:
    query, reference = (x.float() for x in curve_embeddings(500, 700, 9))
    feat1 = torch.randn(700, 4, generator=torch.Generator().manual_seed(1))
    found = answer(BlockedSoftMap, query, reference, feat1, blur * one_percent(query, reference))
    return list(vars(found).values())


def precise() -> list[Tensor]:
    query, reference = curve_embeddings(300, 200, 4)
    faces = torch.stack([torch.arange(198), torch.arange(198) + 1, torch.arange(198) + 2], dim=1)
    found = precise_map(query, reference, faces)
    return [found.corners, found.weights]


def read_off() -> list[Tensor]:
    images = [patch_image((12, 14), (120, 140), k=3, seed=seed) for seed in (0, 1)]
    return list(Readout(embedding=["descriptors"], position="subpatch")(PatchPair("noise", *images)))


WORK = {
    "sharp soft map": lambda: soft(1.0),
    "wide soft map": lambda: soft(100.0),
    "nearest": lambda: [nearest(*(x.float() for x in curve_embeddings(900, 700, 30)))],
    "largest distance": lambda: [
        largest_distance(*(x / x.norm(dim=1, keepdim=True) for x in curve_embeddings(400, 500, 3)))
    ],
    "precise map": precise,
    "read-out": read_off,
}


@pytest.mark.parametrize("clusters", [False, True])
@pytest.mark.parametrize("name", WORK)
def test_any_number_of_threads_gives_the_same_bits(name, clusters, threads, monkeypatch):
    monkeypatch.setattr(parallel, "_HELD_ELEMENTS", 2000)
    if clusters:
        for constant in ("_MANY_PAIRS", "_MANY_POINTS", "_MANY_TO_SEARCH"):
            monkeypatch.setattr(strips, constant, 1)
        monkeypatch.setattr(distances, "_MANY_PAIRS", 1)
        monkeypatch.setattr(strips, "_SHARE", 1.0)
    monkeypatch.setattr(embeddings, "_CPU_ELEMENTS", 64 * 150)
    found = []
    for n in (1, 2, 3, 2):
        threads(n)
        found.append(WORK[name]())
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_gradients_pass_gradcheck_with_two_threads(monkeypatch):
    monkeypatch.setattr(embeddings, "_CPU_ROWS", 2)
    query, reference = curve_embeddings(9, 8, 3)
    feat1 = torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = [x.requires_grad_() for x in (query, reference, feat1)]
    assert torch.autograd.gradcheck(
        lambda q, r, f: BlockedSoftMap(q, r, torch.tensor(0.8).double()).pull_back(f), inputs
    )


def test_strips_are_shared_out_and_kernels_keep_to_one_thread():
    both = threading.Barrier(2, timeout=30)  # passes only if two threads work at the same time

    def work(i: int) -> tuple[str, int]:
        both.wait()
        return threading.current_thread().name, torch.get_num_threads()

    found = run_alone(lambda: each(work, range(4)), CPU)
    assert len({name for name, _ in found}) == 2 and {n for _, n in found} == {1}


def test_the_number_of_threads_is_as_before_also_after_an_error(threads):
    def fail(i: int) -> None:
        if i >= 5:
            raise KeyError(i)

    threads(3)
    with pytest.raises(KeyError, match="5"):
        run_alone(lambda: each(fail, range(50)), CPU)
    assert torch.get_num_threads() == 3
    assert in_a_new_thread(torch.get_num_threads) == 3
    assert run_alone(lambda: each(lambda i: i * i, range(50)), CPU) == [i * i for i in range(50)]


def test_with_one_thread_everything_happens_in_the_thread_of_the_caller(threads):
    threads(1)
    assert set(run_alone(lambda: each(lambda i: threading.get_ident(), range(9)), CPU)) == {threading.get_ident()}


def test_work_inside_of_work_is_not_shared_out_again():
    def inner(i: int) -> set[int]:
        return set(run_alone(lambda: each(lambda j: threading.get_ident(), range(9)), CPU)) - {threading.get_ident()}

    assert run_alone(lambda: each(inner, range(20)), CPU) == [set()] * 20


def test_a_computation_inside_of_another_may_use_the_same_threads():
    assert run_alone(lambda: run_alone(lambda: each(lambda i: i, range(5)), CPU), CPU) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("held", [0, 3, 2**22])
def test_parts_are_added_in_the_order_of_their_items(held, threads, monkeypatch):
    monkeypatch.setattr(parallel, "_HELD_ELEMENTS", held)
    threads(4)
    generator, added = torch.Generator().manual_seed(0), []
    pauses = (0.003 * torch.rand(40, generator=generator)).tolist()

    def parts(i: int) -> Iterator[tuple[Tensor]]:
        for j in range(3):
            time.sleep(pauses[i])
            yield (torch.tensor([i, j]),)

    run_alone(lambda: in_order(parts, range(40), lambda part: added.append(tuple(part[0].tolist()))), CPU)
    assert added == [(i, j) for i in range(40) for j in range(3)]


def test_parts_that_fail_leave_nobody_waiting(threads):
    threads(3)

    def parts(i: int) -> Iterator[tuple[Tensor]]:
        yield (torch.ones(1),)
        if i == 4:
            time.sleep(0.05)
            raise OverflowError("item 4")

    with pytest.raises(OverflowError, match="item 4"):
        run_alone(lambda: in_order(parts, range(100), lambda part: None), CPU)


def test_an_interrupt_ends_the_work_and_reaches_the_caller():
    begun = []

    def work(i: int) -> None:
        begun.append(i)
        if len(begun) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        run_alone(lambda: each(work, range(10_000)), CPU)
    n = len(begun)
    time.sleep(0.05)
    assert 0 < n < 10_000 and len(begun) == n


def test_the_caller_s_modes_and_context_hold_inside():
    clock = StageClock()
    with listening(clock), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        out = torch.zeros(8)

        def work(i: int) -> bool:
            out[i] = i  # refused outside inference mode
            with stage(f"strip {i}"):
                return torch.is_grad_enabled()

        assert run_alone(lambda: each(work, range(8)), CPU) == [False] * 8
        assert nearest(torch.rand(100, 3), torch.rand(100, 3)).is_inference()
    assert out.tolist() == list(range(8)) and {entry.name for entry in clock.stages} == {f"strip {i}" for i in range(8)}
    assert torch.is_grad_enabled()


def test_callers_in_several_threads_do_not_disturb_each_other(threads):
    expected = WORK["sharp soft map"](), WORK["nearest"]()
    torch.set_float32_matmul_precision("medium")
    try:
        found: list[bool] = []

        def caller(n: int) -> None:
            torch.get_num_threads()  # a new thread takes over the number of others when it is first asked, not before
            torch.set_num_threads(n)
            for _ in range(3):
                mine = WORK["sharp soft map"](), WORK["nearest"]()
                found.append(
                    all(
                        torch.equal(a, b)
                        for one, two in zip(mine, expected, strict=True)
                        for a, b in zip(one, two, strict=True)
                    )
                )
            found.append(torch.get_num_threads() == n)

        callers = [threading.Thread(target=caller, args=(n,)) for n in (1, 2, 3, 2)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
        assert found == [True] * 16 and torch.get_num_threads() == 2
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_full_precision_lasts_until_the_last_thread_has_left():
    inside, leave = threading.Event(), threading.Event()

    def other() -> dict[str, str]:
        with full_precision(CPU):
            inside.set()
            leave.wait(30)
            return embeddings._get_matmul_precision()

    torch.set_float32_matmul_precision("medium")
    try:
        before, found = embeddings._get_matmul_precision(), []
        thread = threading.Thread(target=lambda: found.append(other()))
        thread.start()
        inside.wait(30)
        with full_precision(CPU):
            within = embeddings._get_matmul_precision()
        assert embeddings._get_matmul_precision() == within != before
        leave.set()
        thread.join()
        assert found == [within] and embeddings._get_matmul_precision() == before
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def _search() -> list[int]:
    torch.set_num_threads(2)
    return run_alone(lambda: each(lambda i: i + 1, range(9)), CPU)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_forked_process_has_threads_of_its_own():
    assert _search() == list(range(1, 10))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_search).get(timeout=60) == list(range(1, 10))


def test_a_soft_map_s_memory_does_not_grow_with_the_square(threads):
    """Neither in the thread of the caller nor in others: only parts of bounded size wait for their turn."""
    held: list[int] = []
    original = parallel._elements
    query, reference = (x.float().requires_grad_() for x in curve_embeddings(2000, 1500, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "_elements", lambda parts: held.append(original(parts)) or held[-1])
        patch.setattr(parallel, "_HELD_ELEMENTS", 30_000)
        patch.setattr(embeddings, "_CPU_ELEMENTS", 64 * 500)
        soft_map(query, reference, blur=1.0, backend="blocked").pull_back(torch.rand(1500, 6)).sum().backward()
    assert not held or max(held) <= 30_000 + 500 * 12
