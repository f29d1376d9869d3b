import threading

import numpy as np
import pytest
import torch
from tests.meshes import sphere
from threadpoolctl import threadpool_info

from pullback.geometry.operators import compute_operators
from pullback.threads import one_thread


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_inside_and_as_many_as_before_afterwards(two_threads):
    before = blas_threads()
    with one_thread(), one_thread():
        assert torch.get_num_threads() == 1 and blas_threads() == {1}
    assert torch.get_num_threads() == 2 and blas_threads() == before


def test_an_error_inside_lifts_the_limit_too(two_threads):
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == 2


def test_several_at_once_leave_the_limits_as_they_were(two_threads):
    """The second enters before and leaves after the first."""
    before, entered, leave = blas_threads(), threading.Event(), threading.Event()
    seen = []

    def second():
        with one_thread():
            entered.set()
            leave.wait(10)
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    with one_thread():
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(10)
    assert torch.get_num_threads() == 2
    leave.set()
    thread.join()
    assert seen == [1, 2]
    assert torch.get_num_threads() == 2 and blas_threads() == before


@pytest.mark.parametrize("basis", ["exact", "sampled"])
def test_operators_have_the_same_bits_whatever_the_number_of_threads(two_threads, basis):
    verts, faces = sphere(4)
    found = []
    for count in (2, 1):
        torch.set_num_threads(count)
        found.append(compute_operators(verts * [1, 1.2, 1.5], faces, k=40, basis=basis, samples=400))
    for name in ("evals", "evecs", "mass", "sample_points"):
        assert np.array_equal(*(getattr(one, name) for one in found))
