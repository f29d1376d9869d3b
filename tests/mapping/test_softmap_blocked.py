"""The streamed soft map against the dense one in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mapping.softmap_cases import answer, curve_embeddings, dense64, one_percent
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pullback.mapping import BlockedSoftMap, embeddings, soft_map, softmap_blocked, strips

# (n2, n1, p, q): unequal sizes, columns fewer and more than functions, one function, one query, a block exactly and one
# row more.
SIZES = [(300, 411, 7, 5), (411, 300, 3, 20), (200, 333, 30, 1), (64, 500, 2, 3), (65, 40, 3, 2), (1, 90, 3, 2)]


def case(n2: int, n1: int, p: int, q: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    query, reference = (x.to(dtype) for x in curve_embeddings(n2, n1, p))
    feat1 = torch.randn(n1, q, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    return query, reference, feat1, one_percent(query, reference)


@pytest.mark.parametrize("size", SIZES)
def test_float32_agrees_with_the_dense_float64_map_at_one_percent(size):
    tensors = case(*size, torch.float32)
    # Rounding of logits down to -5000 allows 5000 · 6e-8 = 3e-4.
    answer(BlockedSoftMap, *tensors).check_close(dense64(*tensors), value=5e-4, grad=5e-4)


@pytest.mark.parametrize("size", SIZES)
def test_float64_agrees_with_the_dense_map_to_rounding(size):
    tensors = case(*size, torch.float64)
    answer(BlockedSoftMap, *tensors).check_close(dense64(*tensors), value=1e-12, grad=1e-11)


def test_a_shape_of_one_point_takes_all_the_weight():
    query, reference = curve_embeddings(65, 1, 3)
    feat1 = torch.tensor([[2.0, -3.0]], dtype=torch.float64)
    torch.testing.assert_close(
        soft_map(query, reference, blur=0.01, backend="blocked").pull_back(feat1), feat1.expand(65, 2)
    )


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_the_size_of_the_blocks_does_not_matter(monkeypatch, rows):
    tensors = case(100, 120, 5, 4, torch.float64)
    monkeypatch.setattr(embeddings, "_CPU_ROWS", rows)
    answer(BlockedSoftMap, *tensors).check_close(dense64(*tensors), value=1e-12, grad=1e-11)


def test_columns_are_left_out_at_one_percent_and_kept_at_a_wide_blur(monkeypatch):
    kept = []
    original = softmap_blocked._columns_above
    monkeypatch.setattr(softmap_blocked, "_columns_above", lambda *args: kept.append(original(*args)) or kept[-1])
    query, reference = curve_embeddings(64, 800, 5)
    query = query[query[:, 0].argsort()]
    monkeypatch.setattr(embeddings, "_CPU_ROWS", 8)
    soft_map(query, reference, blur=0.01, backend="blocked").pull_back(reference)
    assert len(kept) == 8 and all(columns is not None and len(columns) < 400 for columns in kept)
    kept.clear()
    soft_map(query, reference, blur=1.0, backend="blocked").pull_back(reference)
    assert kept == [None] * 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_left_out_is_below_rounding(monkeypatch, dtype):
    """Keeping all columns, in one block, is also what happens on a GPU."""
    tensors = case(150, 400, 5, 4, dtype)
    with_fewer = answer(BlockedSoftMap, *tensors)
    monkeypatch.setattr(softmap_blocked, "_columns_above", lambda floor, logits: None)
    monkeypatch.setattr(embeddings, "_CPU_ROWS", 150)
    tolerance = 5000 * torch.finfo(dtype).eps
    with_fewer.check_close(answer(BlockedSoftMap, *tensors), value=tolerance, grad=tolerance)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_map_also_where_tf32_is_allowed():
    tensors = case(300, 411, 7, 5, torch.float32)
    torch.set_float32_matmul_precision("high")
    try:
        mine = answer(BlockedSoftMap, *(tensor.cuda() for tensor in tensors))
    finally:
        torch.set_float32_matmul_precision("highest")
    mine.check_close(dense64(*tensors), value=5e-4, grad=5e-4)


def test_gradients_pass_gradcheck():
    query, reference = curve_embeddings(9, 8, 3)
    feat1 = torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = [x.requires_grad_() for x in (query, reference, feat1)]
    assert torch.autograd.gradcheck(
        lambda q, r, f: BlockedSoftMap(q, r, torch.tensor(0.8).double()).pull_back(f), inputs
    )


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True)])
def test_each_gradient_alone_equals_the_gradient_among_all(wanted):
    query, reference, feat1, sigma = case(70, 80, 4, 3, torch.float64)
    every = answer(BlockedSoftMap, query, reference, feat1, sigma)
    inputs = [x.detach().requires_grad_(wants) for x, wants in zip((query, reference, feat1), wanted, strict=True)]
    out = BlockedSoftMap(*inputs[:2], sigma).pull_back(inputs[2])
    (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).reshape(out.shape).cos()).sum().backward()
    for tensor, wants, grad in zip(
        inputs, wanted, (every.grad_query, every.grad_reference, every.grad_feat1), strict=True
    ):
        if wants:
            torch.testing.assert_close(tensor.grad, grad)
        else:
            assert tensor.grad is None


def test_slices_transposes_and_expanded_gradients_are_fine():
    query, reference, feat1, sigma = case(90, 110, 6, 8, torch.float64)
    strided_query, strided_reference = query.T.contiguous().T, torch.cat([reference, reference], dim=1)[:, :6]
    sliced = feat1[:, 2:7]  # as evecs[:, :k]
    grads = []
    for q, r, f in ((strided_query, strided_reference, sliced), (query, reference, sliced.contiguous())):
        q, r, f = (x.detach().requires_grad_() for x in (q, r, f))
        grads.append(torch.autograd.grad(BlockedSoftMap(q, r, sigma).pull_back(f).sum(dim=0)[1], [q, r, f]))
    assert not sliced.is_contiguous() and not strided_query.is_contiguous()
    torch.testing.assert_close(grads[0], grads[1])


def test_a_far_query_row_becomes_one_hot_at_its_nearest_point_not_nan():
    query, reference = (x.float() for x in curve_embeddings(50, 60, 4))
    query[17] = 500.0
    feat1 = torch.eye(60)
    feat2 = BlockedSoftMap(query.requires_grad_(), reference, torch.tensor(0.01)).pull_back(feat1)
    feat2.square().sum().backward()
    nearest = int((reference - 500.0).norm(dim=1).argmin())
    torch.testing.assert_close(feat2[17].detach(), feat1[nearest])
    assert torch.isfinite(feat2).all() and torch.isfinite(query.grad).all()


def test_a_nan_shows_in_its_own_row_only():
    query, reference = curve_embeddings(70, 80, 4)
    query[3, 1] = torch.nan
    feat2 = BlockedSoftMap(query, reference, torch.tensor(0.1).double()).pull_back(reference)
    assert torch.isnan(feat2[3]).all()
    assert torch.isfinite(feat2[torch.arange(70) != 3]).all()


class _LargestTensor(TorchDispatchMode):
    """Records the size of the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


@pytest.mark.parametrize("many_points", [1, 2**14])
@pytest.mark.parametrize(
    ("backend", "blur", "fits"), [("blocked", 0.01, True), ("blocked", 1.0, True), ("dense", 0.01, False)]
)
def test_only_the_dense_map_stores_a_matrix_of_all_pairs(one_thread, monkeypatch, backend, blur, fits, many_points):
    monkeypatch.setattr(strips, "_MANY_POINTS", many_points)
    query, reference = (x.requires_grad_() for x in curve_embeddings(900, 800, 6))
    feat1 = torch.ones(800, 5, dtype=torch.float64, requires_grad=True)
    with _LargestTensor() as largest:
        soft_map(query, reference, blur=blur, backend=backend).pull_back(feat1).sum().backward()
    assert (largest.numel <= 64 * 800) == fits
    assert fits or largest.numel >= 900 * 800


def test_reduced_precision_settings_outside_do_not_reach_the_logits():
    tensors = case(200, 220, 16, 4, torch.float32)
    plain = answer(BlockedSoftMap, *tensors)
    torch.set_float32_matmul_precision("medium")  # bfloat16 products on CPUs that have them
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            query, reference, feat1, sigma = tensors
            relaxed = BlockedSoftMap(query, reference, sigma.float()).pull_back(feat1)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert relaxed.dtype == torch.float32
    torch.testing.assert_close(relaxed, plain.feat2)


@settings(max_examples=25, deadline=None)
@given(
    n2=st.integers(1, 40),
    n1=st.integers(1, 40),
    p=st.integers(1, 6),
    blur=st.floats(1e-3, 10),
    seed=st.integers(0, 1000),
)
def test_each_value_is_a_mean_of_values_on_shape_1(n2, n1, p, blur, seed):
    query, reference = curve_embeddings(n2, n1, p, seed=seed)
    feat1 = torch.cat([torch.ones(n1, 1, dtype=torch.float64), reference], dim=1)
    feat2 = soft_map(query, reference, blur=blur, backend="blocked").pull_back(feat1)
    torch.testing.assert_close(feat2[:, 0], torch.ones(n2, dtype=torch.float64))
    assert (feat2 >= feat1.amin(dim=0) - 1e-9).all() and (feat2 <= feat1.amax(dim=0) + 1e-9).all()
