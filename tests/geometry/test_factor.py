import logging
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from pullback.geometry import factor
from pullback.geometry.factor import factorise


@pytest.fixture
def system():
    rng = np.random.default_rng(0)
    grid = sp.diags([np.full(59, -1.0), np.full(60, 2.1), np.full(59, -1.0)], [-1, 0, 1])
    return sp.kronsum(grid, grid).tocsr(), rng.standard_normal((3600, 8))


@pytest.fixture
def without_cholespy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cholespy", None)
    factor._import_cholespy.cache_clear()
    yield
    factor._import_cholespy.cache_clear()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("backend", ["cholespy", "superlu"])
def test_the_solutions_solve_the_system(system, backend, order):
    if backend == "cholespy":
        pytest.importorskip("cholespy", reason="needs cholespy, of which this platform has no wheel")
    matrix, right = system
    right = np.asarray(right, order=order)
    before = right.copy()
    solution = factorise(matrix, backend=backend)(right)
    assert np.abs(matrix @ solution - right).max() < 1e-11
    assert np.array_equal(right, before)


def test_without_cholespy_superlu_takes_over_and_says_so_once(system, without_cholespy, caplog):
    matrix, right = system
    with caplog.at_level(logging.WARNING):
        solutions = [factorise(matrix)(right) for _ in range(2)]
    assert np.array_equal(solutions[0], factorise(matrix, backend="superlu")(right))
    assert [record.message.count("pip install cholespy") for record in caplog.records] == [1]


def test_cholespy_asked_for_by_name_and_missing_is_refused(system, without_cholespy):
    with pytest.raises(ImportError, match="pip install cholespy"):
        factorise(system[0], backend="cholespy")


def test_an_unknown_backend_is_refused_by_name(system):
    with pytest.raises(ValueError, match="backend='umfpack' is unknown: choose auto, cholespy or superlu"):
        factorise(system[0], backend="umfpack")


def test_entries_that_are_not_finite_are_refused_with_their_number(system):
    matrix = system[0].copy()
    matrix.data[[3, 7]] = np.nan, np.inf
    with pytest.raises(ValueError, match="2 entries"):
        factorise(matrix)
