"""The annotations of the package are executed in the tests: what contradicts them is refused."""

import pytest
import torch
from jaxtyping import TypeCheckError
from tests.shape_checks import checked

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
    monkeypatch.setattr("tests.shape_checks.jaxtyped", lambda function, **_: made.append(function) or function)
    function = checked(lambda x: x + 1)
    assert made == []
    assert [function(1), function(2)] == [2, 3] and len(made) == 1
