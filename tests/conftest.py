"""Shapes and data sets that tests share. Type annotations of the package are executed:
shapes and dtypes are checked at every call.
"""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Tests leave room for each other, and their last digits do not depend on the number of cores; so do programs that they
# start. Beside other workers of pytest-xdist, each has one thread.
os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is looked for on the hub
ALONE = "PYTEST_XDIST_WORKER" not in os.environ
if not ALONE:
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
gc.disable()  # until the tests are collected: what is imported stays, and looking for garbage in it takes seconds
sys.dont_write_bytecode = False  # compiling the tests and the package anew takes longer than most of the tests

import numpy as np
import pytest
import torch
from tests.costs import Costs
from tests.fakes import write_faust
from tests.meshes import sphere
from tests.shape_checks import check_shapes_of
from threadpoolctl import threadpool_limits

check_shapes_of("pullback")  # before anything imports the package
threadpool_limits(limits=1)
torch.set_num_threads(min(2, torch.get_num_threads()) if ALONE else 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-costs", action="store_true", help="write what each test cost into tests/costs.json")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs(config), "costs")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: make test-gpu, on a machine that has one")


def pytest_collection_finish() -> None:
    gc.freeze()  # nothing walks through all that again
    gc.enable()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Everything happens in the thread of the test, where a dispatch mode sees it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder of the research data sets; skips where there is none."""
    folder = Path(os.environ.get("PULLBACK_DATA_DIR") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (folder / "FAUST_r").is_dir():
        pytest.skip(
            f"needs the research data: no FAUST_r in {folder}; set PULLBACK_DATA_DIR to the folder that holds it"
        )
    return folder


@pytest.fixture(scope="session")
def icosphere() -> tuple[np.ndarray, np.ndarray]:
    """A potato of 642 vertices and no symmetry: all eigenvalues are simple, and no two points alike."""
    verts, faces = sphere(3)
    x, y, z = verts.T
    radius = 1 + 0.15 * np.sin(2 * x + 0.5) + 0.1 * np.cos(3 * y - z) + 0.08 * np.sin(2 * z + x + 1)
    return verts * radius[:, None] * [1.0, 1.3, 1.7], faces


@pytest.fixture(scope="session")
def permuted_twin(icosphere) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(verts, faces, permutation): vertex j of the twin is vertex ``permutation[j]`` of the icosphere,
    a point map twin → icosphere.
    """
    verts, faces = icosphere
    permutation = np.random.default_rng(7).permutation(len(verts))
    return verts[permutation], np.argsort(permutation)[faces], permutation


@pytest.fixture(scope="session")
def tiny_shape(icosphere):
    """The icosphere with operators and 60 eigenfunctions."""
    return shape_of("tiny", *icosphere)


@pytest.fixture(scope="session")
def tiny_pair(tiny_shape, permuted_twin):
    """The icosphere and its permuted twin, with complete ground truth and distances:
    the true ``p2p21`` is the permutation.
    """
    from pullback.geometry.geodesic import geodesic_rows
    from pullback.types import GeodesicRows, ShapePair

    verts, faces, permutation = permuted_twin
    places = np.arange(len(verts))
    dist = geodesic_rows(tiny_shape.verts.double().numpy(), tiny_shape.faces.numpy(), places)
    return ShapePair(
        tiny_shape,
        shape_of("twin", verts, faces),
        corr1=torch.from_numpy(permutation),
        corr2=torch.from_numpy(places),
        geodesics1=GeodesicRows(torch.from_numpy(places), torch.from_numpy(dist)),
    )


def shape_of(name: str, verts: np.ndarray, faces: np.ndarray, k: int = 60):
    """A mesh as a ``Shape`` in float32."""
    from pullback.geometry.operators import compute_operators
    from pullback.types import Eigenbasis, Shape

    operators = compute_operators(verts, faces, k=k)
    single = {name: torch.from_numpy(getattr(operators, name)).float() for name in ("verts", "evals", "evecs", "mass")}
    gradients = [
        torch.from_numpy(matrix.toarray()).float().to_sparse_csr() for matrix in (operators.grad_x, operators.grad_y)
    ]
    basis = Eigenbasis(single["evals"], single["evecs"], single["mass"])
    return Shape(name, single["verts"], torch.from_numpy(operators.faces), basis, *gradients)


@pytest.fixture(params=["off+corres", "shapes+correspondences"])
def fake_faust(request, tmp_path) -> Path:
    """A folder as FAUST_r, in either layout: eight small training and four small test shapes,
    and no more (``allow_missing``).
    """
    root = tmp_path / "FAUST_r"
    write_faust(root, [*range(8), *range(80, 84)], layout=request.param.split("+"))
    return root
