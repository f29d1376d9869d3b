"""The soft map through KeOps against the dense one in float64, and what is said when a part is missing."""

import importlib.util
import logging
import shutil
import sys
import types

import pytest
import torch
from tests.mapping.softmap_cases import answer, curve_embeddings, dense64, one_percent

from pullback.mapping import soft_map, softmap_keops
from pullback.mapping.softmap_keops import KeopsSoftMap

needs_keops = pytest.mark.skipif(
    importlib.util.find_spec("pykeops") is None or shutil.which("g++") is None,
    reason="needs pykeops (pip install 'pullback[keops]') and the compiler g++",
)


@pytest.mark.slow
@needs_keops
def test_float32_agrees_with_the_dense_float64_map_at_one_percent():
    """One pair of column counts only: each compiles for up to a minute. The far row is a naive softmax's 0/0."""
    query, reference = (x.float() for x in curve_embeddings(300, 411, 7))
    query[17] = 100.0
    feat1 = torch.randn(411, 10, generator=torch.Generator().manual_seed(1))[:, ::2]
    tensors = (query, reference, feat1, one_percent(query, reference) / 30)
    mine = answer(KeopsSoftMap, *tensors)
    mine.check_close(dense64(*tensors), value=5e-4, grad=5e-4)
    map21 = soft_map(query, reference, blur=0.01, backend="keops")
    assert torch.equal(map21.nearest(), torch.cdist(query.double(), reference.double()).argmin(dim=1))
    assert isinstance(map21.reverse(), KeopsSoftMap) and map21.reverse().n1 == 300


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(softmap_keops.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pykeops is not installed.*pullback\[keops\].*g\+\+.*backend=blocked"):
        soft_map(torch.rand(5, 3), torch.rand(6, 3), blur=0.1, backend="keops")


def test_a_missing_compiler_is_named_and_the_wait_announced(monkeypatch, caplog):
    """Without a compiler KeOps fails when it imports the module that it could not build."""

    def fail(*args):
        raise ModuleNotFoundError("No module named 'pykeops_cpp_b040345bc4'")

    monkeypatch.setattr(softmap_keops.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "pykeops", types.ModuleType("pykeops"))
    monkeypatch.setitem(sys.modules, "pykeops.torch", types.SimpleNamespace(LazyTensor=fail))
    softmap_keops._announce.cache_clear()
    map21 = soft_map(torch.rand(5, 3), torch.rand(6, 3), blur=0.1, backend="keops")
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ImportError, match=r"could not build its kernels.*pykeops_cpp.*g\+\+"),
    ):
        map21.pull_back(torch.rand(6, 2))
    assert "3 columns and 2 functions" in caplog.text and "a minute" in caplog.text
