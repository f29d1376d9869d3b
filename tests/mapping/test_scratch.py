"""Products of strips are written over the last ones of their thread, and over nobody else's."""

import threading

import torch
from torch import Tensor

from pullback.mapping.scratch import Scratch


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_a_product_is_exact_and_takes_the_place_of_the_last_one():
    scratch = Scratch()
    x, y = random(7, 5), random(11, 5)
    first = scratch.product(x, y)
    assert torch.equal(first, x @ y.T)
    second = scratch.product(x[:3], y[:4])
    assert torch.equal(second, x[:3] @ y[:4].T) and second.data_ptr() == first.data_ptr()
    assert torch.equal(scratch.product(random(20, 5), y), random(20, 5) @ y.T)  # more room is made


def test_another_dtype_gets_room_of_its_own():
    scratch = Scratch()
    scratch.product(random(7, 5), random(11, 5))
    x, y = random(3, 5).double(), random(4, 5).double()
    assert torch.equal(scratch.product(x, y), x @ y.T)


def test_threads_do_not_write_over_each_other():
    scratch, x, y = Scratch(), random(7, 5), random(11, 5)
    mine = scratch.product(x, y)
    thread = threading.Thread(target=lambda: scratch.product(2 * x, y))
    thread.start()
    thread.join()
    assert torch.equal(mine, x @ y.T)
