"""The fused soft map against the dense one in float64: its kernels in Triton's interpreter,
and as they are where there is a GPU.

The interpreter multiplies half-precision numbers exactly and adds in float32, as tensor cores do; the layout, the split
of numbers in two and the order of sums are the kernels' own, so that accuracy is tested as well, short of how the
hardware rounds its sums.
"""

import importlib.util

import pytest
import torch
from tests.mapping.softmap_cases import Answer, answer, curve_embeddings, dense64, one_percent
from tests.mapping.triton_interpreter import interpreter
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pullback.mapping import (
    BlockedSoftMap,
    DenseSoftMap,
    distances,
    fused,
    pointmap,
    search_triton,
    soft_map,
    softmap,
    softmap_triton,
)
from pullback.mapping.fused import has_fused_kernels
from pullback.mapping.search_triton import largest_distance, nearest
from pullback.mapping.softmap import kind_of
from pullback.mapping.softmap_triton import TritonSoftMap

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton (pip install triton)"
)
# (n2, n1, p, q): several tiles either way, a main and a tail piece, a whole tile and one row more, rows too wide for
# one piece, one query.
SIZES = [(70, 150, 3, 30), (40, 129, 130, 131), (30, 64, 200, 3), (20, 30, 290, 3), (20, 30, 3, 270), (1, 90, 1, 1)]


@pytest.fixture(scope="module")
def run():
    with interpreter() as run:
        yield run


def case(n2: int, n1: int, p: int, q: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    query, reference = (x.float() for x in curve_embeddings(n2, n1, p))
    feat1 = torch.randn(n1, q, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 3, q) + 1
    return query, reference, feat1, one_percent(query, reference)


@needs_triton
@pytest.mark.parametrize("size", SIZES)
def test_values_and_gradients_agree_with_the_dense_float64_map_at_one_percent(run, size):
    tensors = case(*size)
    run(answer, TritonSoftMap, *tensors).check_close(dense64(*tensors), value=1e-5, grad=1e-4)


@needs_triton
def test_values_and_gradients_agree_at_a_wide_blur(run):
    query, reference, feat1, sigma = case(70, 150, 30, 20)
    tensors = (query, reference, feat1, 30 * sigma)
    run(answer, TritonSoftMap, *tensors).check_close(dense64(*tensors), value=1e-6, grad=1e-5)


def pulled_back(query: Tensor, reference: Tensor, feat1: Tensor, sigma: float) -> Tensor:
    return TritonSoftMap(query, reference, torch.tensor(sigma)).pull_back(feat1)


@needs_triton
def test_a_shape_of_one_point_takes_all_the_weight(run):
    query, reference, feat1, sigma = case(33, 1, 3, 2)
    mine = run(answer, TritonSoftMap, query, reference, feat1, sigma)
    torch.testing.assert_close(mine.feat2, feat1.expand(33, 2))
    torch.testing.assert_close(
        mine.grad_feat1, answer(DenseSoftMap, query, reference, feat1, sigma).grad_feat1, rtol=1e-4, atol=0
    )
    assert (mine.grad_query == 0).all() and (mine.grad_reference == 0).all()


@needs_triton
def test_embeddings_that_all_coincide_give_the_uniform_map(run):
    point, feat1 = torch.full((7, 3), 0.3), torch.randn(5, 2)
    torch.testing.assert_close(run(pulled_back, point, point[:5], feat1, 1.0), feat1.mean(dim=0).expand(7, 2))


@needs_triton
def test_a_nan_in_the_query_shows_in_its_own_row_only(run):
    query, reference, feat1, sigma = case(70, 80, 4, 3)
    query[3, 1], query[5, 0] = torch.nan, torch.inf
    feat2 = run(pulled_back, query, reference, feat1, float(sigma))
    lost = torch.tensor([3, 5])
    assert torch.isnan(feat2[lost]).all()
    whole = torch.isin(torch.arange(70), lost, invert=True)
    expected = DenseSoftMap(query[whole].double(), reference.double(), sigma).pull_back(feat1.double())
    torch.testing.assert_close(feat2[whole].double(), expected, rtol=1e-4, atol=1e-2)


@needs_triton
def test_a_nan_in_the_reference_or_a_function_shows(run):
    query, reference, feat1, sigma = case(10, 20, 4, 3)
    spoilt = reference.clone()
    spoilt[7, 2] = torch.nan
    assert torch.isnan(run(pulled_back, query, spoilt, feat1, float(sigma))).all()
    feat1[7, 1] = torch.nan
    feat2 = run(pulled_back, query, reference, feat1, float(sigma))
    assert torch.isnan(feat2[:, 1]).all() and torch.isfinite(feat2[:, [0, 2]]).all()


@needs_triton
def test_a_far_query_row_takes_its_nearest_point_and_leaves_the_others_as_they_are(run):
    query, reference = (x.float() for x in curve_embeddings(50, 60, 4))
    query[17] = 500.0
    feat1 = torch.eye(60)
    tensors = (query, reference, feat1, torch.tensor(0.1))
    mine, expected = run(answer, TritonSoftMap, *tensors), dense64(*tensors)
    torch.testing.assert_close(mine.feat2[17], feat1[int((reference - 500.0).norm(dim=1).argmin())])
    torch.testing.assert_close(mine.feat2.double(), expected.feat2, rtol=0, atol=1e-3)
    assert torch.isfinite(mine.grad_query).all()


@needs_triton
def test_slices_transposes_and_expanded_gradients_are_fine(run):
    query, reference, feat1, sigma = case(40, 70, 6, 8)
    strided = (query.T.contiguous().T, torch.cat([reference, reference], dim=1)[:, :6], feat1[:, 2:7])
    assert not any(x.is_contiguous() for x in strided)
    plain = run(gradients, *(x.contiguous() for x in strided), sigma.float(), (True, True, True))
    for mine, theirs in zip(run(gradients, *strided, sigma.float(), (True, True, True)), plain, strict=True):
        torch.testing.assert_close(mine, theirs)


def gradients(
    query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor, wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """Of a sum over one column, whose gradient is expanded, not stored."""
    inputs = [x.detach().requires_grad_(wants) for x, wants in zip((query, reference, feat1), wanted, strict=True)]
    TritonSoftMap(*inputs[:2], sigma).pull_back(inputs[2]).sum(dim=0)[1].backward()
    return [x.grad for x in inputs]


@needs_triton
def test_each_gradient_alone_equals_the_gradient_among_all(run):
    query, reference, feat1, sigma = case(40, 70, 4, 3)
    every = run(gradients, query, reference, feat1, sigma.float(), (True, True, True))
    for i in range(3):
        alone = run(gradients, query, reference, feat1, sigma.float(), tuple(j == i for j in range(3)))
        torch.testing.assert_close(alone[i], every[i])
        assert [x is None for x in alone] == [j != i for j in range(3)]


@needs_triton
def test_a_gradient_of_zeros_gives_zeros_and_no_functions_give_none(run):
    query, reference, feat1, sigma = case(20, 30, 4, 3)
    assert run(pulled_back, query, reference, feat1[:, :0], 1.0).shape == (20, 0)
    for grad in run(gradients, query, reference, torch.ones(30, 2), sigma.float(), (True, True, False))[:2]:
        assert (grad.abs() <= 1e-6).all()  # of a constant function


def skipping(query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> list[Answer]:
    """The map without, with, and with far too much left out."""
    from pullback.mapping import triton_kernels_launch as launch

    usual, results = (launch.SKIPS, launch.FLOOR_BITS), []
    for launch.SKIPS, launch.FLOOR_BITS in (((False,), usual[1]), ((True,), usual[1]), ((True,), 9.0)):
        results.append(answer(TritonSoftMap, query, reference, feat1, sigma))
    launch.SKIPS, launch.FLOOR_BITS = usual
    return results


@needs_triton
def test_tiles_that_are_left_out_are_below_rounding(run):
    complete, usual, wrong = run(skipping, *case(30, 200, 5, 4))
    usual.check_close(complete, value=1e-6, grad=1e-6)
    for name in ("feat2", "grad_query", "grad_reference", "grad_feat1"):
        assert not torch.allclose(getattr(wrong, name), getattr(complete, name), rtol=1e-2)


@needs_triton
@pytest.mark.parametrize("p", [3, 130, 290])
def test_nearest_is_that_of_all_distances(run, p):
    query, reference = (x.float() for x in curve_embeddings(70, 100, p))
    expected = torch.cdist(query.double(), reference.double(), compute_mode="donot_use_mm_for_euclid_dist").argmin(
        dim=1
    )
    assert torch.equal(run(nearest, query, reference), expected)
    # Of equal rows the interpreter, whose products round equal columns differently by their place, takes any.
    assert torch.equal(run(nearest, query, torch.cat([reference, reference[:50]])) % 100, expected)


@needs_triton
def test_nearest_of_nan_is_a_point_that_exists(run):
    query, reference = torch.rand(5, 3), torch.rand(70, 3)
    query[2] = torch.nan
    assert run(nearest, query, reference)[2] == 0


@needs_triton
@pytest.mark.parametrize("p", [3, 130])
def test_the_largest_distance_is_that_of_all_pairs_and_a_nan_shows(run, p):
    query, reference = (x.float() for x in curve_embeddings(70, 150, p))
    expected = torch.cdist(query.double(), reference.double()).max().float()
    torch.testing.assert_close(run(largest_distance, query, reference), expected)
    torch.testing.assert_close(run(largest_distance, query[:1], query[:1]), torch.tensor(0.0), rtol=0, atol=1e-5)
    query[3, 1] = torch.nan
    assert torch.isnan(run(largest_distance, query, reference))


@needs_triton
def test_float64_takes_the_blocked_map_and_plain_searches(run):
    query, reference = curve_embeddings(70, 80, 4)
    feat1, sigma = torch.rand(80, 3, dtype=torch.float64), one_percent(query, reference)
    mine = run(answer, TritonSoftMap, query, reference, feat1, sigma)
    mine.check_close(answer(BlockedSoftMap, query, reference, feat1, sigma), value=1e-12, grad=1e-11)
    dist = torch.cdist(query, reference, compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(run(nearest, query, torch.cat([reference, reference])), dist.argmin(dim=1))
    torch.testing.assert_close(run(largest_distance, query, reference), dist.max())


class LargestTensor(TorchDispatchMode):
    """Records the size of the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor) and tensor.is_floating_point():  # not the bytes that the interpreter copies
                self.numel = max(self.numel, tensor.numel())
        return out


def largest_made(query: Tensor, reference: Tensor, feat1: Tensor, sigma: Tensor) -> int:
    with LargestTensor() as largest:
        answer(TritonSoftMap, query, reference, feat1, sigma)
        nearest(query, reference)
        largest_distance(query, reference)
    return largest.numel


@needs_triton
def test_no_matrix_of_all_pairs_is_made(run):
    assert run(largest_made, *case(100, 110, 6, 5)) < 100 * 110 / 2


def tf32(x: Tensor, *, rounded: bool = True) -> Tensor:
    """What tensor cores read of a float32 number: its last 13 bits are dropped; ``rounded`` first, as Triton does."""
    bits = x.view(torch.int32)
    return ((bits + (2**12 if rounded else 0)) & ~(2**13 - 1)).view(torch.float32)


def split_logits(query: Tensor, reference: Tensor) -> dict[str, Tensor]:
    """``q·r`` with every product of columns as each scheme has it, added up exactly:
    what the roundings of the factors do.
    """
    schemes = {}
    q, r = tf32(query), tf32(reference)
    schemes["tf32"] = q.double() @ r.double().T
    q_rest, r_rest = tf32(query - q, rounded=False), tf32(reference - r, rounded=False)
    schemes["tf32x3"] = q.double() @ (r.double() + r_rest.double()).T + q_rest.double() @ r.double().T
    return schemes


def test_plain_tf32_is_off_by_nats_at_one_percent_and_two_parts_a_number_are_not():
    """The claim behind the kernels, on embeddings of 130 columns: 2^-11 a factor against 2^-22."""
    query, reference = (x.float() for x in curve_embeddings(100, 200, 130))
    sigma = one_percent(query, reference).float()
    query, reference = (query - reference.mean(dim=0)) / sigma, (reference - reference.mean(dim=0)) / sigma
    exact = query.double() @ reference.double().T
    norm = reference.double().square().sum(dim=1) / 2
    weights = torch.softmax(exact - norm, dim=1)
    errors = {}
    for name, product in split_logits(query, reference).items():
        errors[name] = (
            (product - exact).abs().max(),
            (torch.softmax(product - norm, dim=1) - weights).norm() / weights.norm(),
        )
    assert errors["tf32"][0] > 0.1 and errors["tf32"][1] > 1e-2
    assert errors["tf32x3"][0] < 1e-3 and errors["tf32x3"][1] < 1e-4


def test_auto_takes_the_fused_kernels_where_they_serve_and_blocks_where_they_do_not(monkeypatch):
    points = torch.rand(200, 3), torch.rand(300, 3)
    asked = []
    monkeypatch.setattr(softmap, "has_fused_kernels", lambda device: asked.append(device.type) or True)
    assert kind_of("auto", *points) is TritonSoftMap and asked == ["cpu"]
    monkeypatch.setattr(softmap, "has_fused_kernels", lambda device: False)
    assert kind_of("auto", *points) is BlockedSoftMap


@pytest.mark.parametrize(
    ("module", "name", "answer"),
    [(pointmap, "nearest", torch.arange(20)), (distances, "largest_distance", torch.tensor(12.5))],
)
def test_searches_go_to_the_fused_kernels_where_these_serve(monkeypatch, module, name, answer):
    monkeypatch.setattr(module, "has_fused_kernels", lambda device: True)
    monkeypatch.setattr(search_triton, name, lambda query, reference: answer)
    assert torch.equal(getattr(module, name)(torch.rand(20, 3), torch.rand(30, 3)), answer)


def test_the_kernels_serve_cuda_devices_with_triton_only(monkeypatch):
    monkeypatch.setattr(fused, "has_triton", lambda: True)
    assert has_fused_kernels(torch.device("cuda"))
    assert not has_fused_kernels(torch.device("cpu"))
    monkeypatch.setattr(fused, "has_triton", lambda: False)
    assert not has_fused_kernels(torch.device("cuda"))


def test_the_backend_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(softmap_triton, "has_triton", lambda: True)
    with pytest.raises(
        ValueError, match=r"backend=triton needs embeddings on a CUDA device, not on cpu.*backend=blocked"
    ):
        soft_map(torch.rand(5, 3), torch.rand(6, 3), blur=0.1, backend="triton")
    monkeypatch.setattr(softmap_triton, "has_triton", lambda: False)
    with pytest.raises(ImportError, match=r"triton is not installed.*CUDA builds of PyTorch.*backend=blocked"):
        soft_map(torch.rand(5, 3), torch.rand(6, 3), blur=0.1, backend="triton")


@needs_triton
@pytest.mark.gpu
@pytest.mark.parametrize("size", [(300, 411, 30, 7), (500, 1300, 130, 130), (1000, 700, 32, 30), *SIZES])
@pytest.mark.parametrize("blur", [1, 30])
def test_a_gpu_gives_the_values_and_gradients_of_the_dense_float64_map(size, blur):
    query, reference, feat1, sigma = case(*size)
    tensors = (query, reference, feat1, blur * sigma)
    answer(TritonSoftMap, *(x.cuda() for x in tensors)).check_close(dense64(*tensors), value=2e-5, grad=1e-4)


@needs_triton
@pytest.mark.gpu
@pytest.mark.parametrize("p", [3, 130, 290])
def test_a_gpu_finds_nearest_rows_and_largest_distances(p):
    query, reference = (x.float() for x in curve_embeddings(700, 1000, p))
    reference = torch.cat([reference, reference[:500]])
    dist = torch.cdist(query.double(), reference.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(nearest(query.cuda(), reference.cuda()).cpu(), dist.argmin(dim=1))
    torch.testing.assert_close(largest_distance(query.cuda(), reference.cuda()).cpu(), dist.max().float())


@needs_triton
@pytest.mark.gpu
def test_a_gpu_gives_the_same_numbers_every_time():
    tensors = [x.cuda() for x in case(600, 900, 130, 40)]
    first, second = (answer(TritonSoftMap, *tensors) for _ in range(2))
    for name in ("feat2", "grad_query", "grad_reference", "grad_feat1"):
        assert torch.equal(getattr(first, name), getattr(second, name))
