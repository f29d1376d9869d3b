"""Numbers as pairs of half-precision ones: how rows are cut, what is kept, and what adds up exactly."""

import pytest
import torch
from tests.mapping.softmap_cases import curve_embeddings, one_percent

from pullback.mapping.split_rows import ROW_BLOCK, Pieces, SplitPoints, pieces, split_rows


@pytest.mark.parametrize(
    ("columns", "cut"),
    [
        (1, Pieces(16, 0, 1)),
        (30, Pieces(32, 0, 1)),
        (32, Pieces(32, 0, 1)),
        (40, Pieces(32, 16, 1)),
        (130, Pieces(128, 16, 1)),
        (200, Pieces(128, 128, 1)),
        (256, Pieces(128, 128, 1)),
        (257, Pieces(128, 0, 3)),
        (512, Pieces(128, 0, 4)),
    ],
)
def test_rows_are_cut_into_powers_of_two_with_little_padding(columns, cut):
    assert pieces(columns) == cut


def test_every_width_is_covered_by_pieces_that_tensor_cores_take():
    for columns in range(1, 1100):
        cut = pieces(columns)
        assert columns <= cut.width < columns + 128
        assert cut.main & (cut.main - 1) == 0 and cut.main >= 16
        assert (
            cut.tail & (cut.tail - 1) == 0 and cut.tail in (0, *range(16, 129)) and (cut.tail == 0 or cut.groups == 1)
        )


def test_two_halves_keep_22_bits_and_padding_is_zero():
    values = torch.randn(130, 40) * 1000
    split = split_rows(values)
    assert split.halves.shape == (2, 2 * ROW_BLOCK, 48) and split.halves.dtype == torch.float16
    kept = split.halves.double().sum(dim=0)
    torch.testing.assert_close(kept[:130, :40], values.double(), rtol=2.0**-22, atol=2.0**-25)
    assert (kept[130:] == 0).all() and (kept[:, 40:] == 0).all()


def test_products_and_norms_of_whole_coordinates_add_up_exactly_in_any_order():
    query, reference = (x.float() for x in curve_embeddings(100, 200, 130))
    points = SplitPoints.of(query, reference, padding=torch.inf)
    q, r = points.query.halves[0].float(), points.reference.halves[0].float()
    assert torch.equal(q, q.round()) and torch.equal(r, r.round())
    exact = q.double() @ r.double().T
    order = torch.randperm(q.shape[1], generator=torch.Generator().manual_seed(0))
    assert torch.equal((q @ r.T).double(), exact) and torch.equal((q[:, order] @ r[:, order].T).double(), exact)
    norms = points.query_norm[:100, None] + points.reference_norm[0, :200]
    assert torch.equal(norms, norms.round()) and norms.max() < 2**24
    assert (points.reference_norm[0, 200:] == torch.inf).all() and (points.reference_norm[1].abs() <= 0.5).all()


def test_split_points_give_logits_of_near_pairs_more_accurately_than_float32_does():
    """At a blur of 1 %, 130 columns, against float64; the sums as the kernels have them, the exact ones first."""
    query, reference = (x.float() for x in curve_embeddings(100, 200, 130))
    sigma = one_percent(query, reference)
    exact = -(torch.cdist(query.double(), reference.double(), compute_mode="donot_use_mm_for_euclid_dist") ** 2) / (
        2 * sigma**2
    )
    near = exact > -30
    points = SplitPoints.of(query, reference, padding=torch.inf)
    (q, q_rest), (r, r_rest) = (x.halves[:, : x.n].float() for x in (points.query, points.reference))
    x = q @ r.T - (points.query_norm[:100, None] + points.reference_norm[0, :200])
    x = x + q_rest @ r_rest.T + q_rest @ r.T + q @ r_rest.T - points.reference_norm[1, :200]
    x = x / (points.scale * sigma) ** 2
    # A constant of the row does not matter: what was rounded off the norm of the query.
    apart = (x - exact).masked_fill(~near, torch.nan)
    assert float((apart - apart.nanmean(dim=1, keepdim=True)).nan_to_num().abs().max()) < 5e-5
    plain = (query - reference.mean(dim=0)) @ (reference - reference.mean(dim=0)).T
    plain = (plain - (reference - reference.mean(dim=0)).square().sum(dim=1) / 2) / sigma.float() ** 2
    apart = (plain - exact).masked_fill(~near, torch.nan)
    assert float((apart - apart.nanmean(dim=1, keepdim=True)).nan_to_num().abs().max()) > 2e-4


def test_the_unit_feels_neither_nan_nor_query_rows_a_few_times_farther_out():
    query, reference = torch.randn(20, 3), torch.randn(30, 3)
    before = SplitPoints.of(query, reference, padding=torch.inf)
    query[3], query[4], query[5] = torch.nan, torch.inf, 10.0
    after = SplitPoints.of(query, reference, padding=torch.inf)
    assert torch.equal(after.scale, before.scale) and torch.equal(after.reference.halves, before.reference.halves)
    query[5] = 1e6
    far = SplitPoints.of(query, reference, padding=torch.inf)
    assert far.scale < before.scale and far.query.halves[:, 5].isfinite().all()


def test_points_that_all_coincide_split_to_zeros():
    point = torch.full((4, 2), 0.3)
    points = SplitPoints.of(point, point[:1], padding=-torch.inf)
    assert (points.query.halves == 0).all() and points.scale.isfinite()
