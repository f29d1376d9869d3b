"""The annotations of the package are executed in the tests: what contradicts them is refused."""

from collections.abc import Callable

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, Int, TypeCheckError
from tests.shape_checks import checked, speaks_of_shapes
from torch import Tensor

from pullback.mapping.fmap import fmap_from_pointmap
from pullback.types import Eigenbasis


def basis(n: int) -> Eigenbasis:
    return Eigenbasis(torch.zeros(3), torch.zeros(n, 3), torch.ones(n))


def test_a_function_refuses_a_wrong_dtype_and_a_wrong_shape():
    fmap_from_pointmap(torch.zeros(4, dtype=torch.int64), basis(5), basis(4))
    with pytest.raises(TypeCheckError):
        fmap_from_pointmap(torch.zeros(4), basis(5), basis(4))
    with pytest.raises(TypeCheckError):
        fmap_from_pointmap(torch.zeros(4, 1, dtype=torch.int64), basis(5), basis(4))


def test_the_constructor_of_a_data_class_refuses_sizes_that_differ():
    with pytest.raises(TypeCheckError):
        Eigenbasis(torch.zeros(3), torch.zeros(4, 3), torch.ones(5))


def test_a_check_is_made_at_the_first_call_only(monkeypatch):
    made = []
    monkeypatch.setattr("tests.shape_checks.beartype", lambda function, **_: made.append(function) or function)
    function = checked(lambda x: x + 1)
    assert made == []
    assert [function(1), function(2)] == [2, 3] and len(made) == 1


def twice(x: int) -> int:
    return 2 * x


def test_types_are_checked_where_nothing_speaks_of_shapes():
    assert checked(twice)(2) == 4
    with pytest.raises(BeartypeCallHintViolation):
        checked(twice)("2")


@pytest.mark.parametrize(
    ("annotation", "speaks"),
    [
        *((int, False), (list[Tensor], False), (Callable[[int], str] | None, False), ("Shape", True)),
        *((Float[Tensor, "n 3"], True), (tuple[Int[Tensor, " n"], int] | None, True)),
        (Callable[[Float[Tensor, " n"]], int], True),
    ],
)
def test_shapes_are_found_within_annotations(annotation, speaks):
    assert speaks_of_shapes(annotation) is speaks
