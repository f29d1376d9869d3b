"""Metrics on shapes whose vertices stand in a row, one tenth apart: every figure here can be checked by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.later import later
from tests.line_shapes import line_pair

from pullback.metrics.geodesic import PairScore, area_under, find_flipped, geodesic_errors, pck_curve, score_pair

averages = later("pullback.metrics.averages")


def score(*errors: float, coverage: float = 1.0, flip_rate: float | None = None) -> PairScore:
    return PairScore(torch.tensor(errors), coverage, flip_rate)


def test_the_true_map_has_no_error_covers_all_and_flips_nothing():
    exact = score_pair(torch.arange(8), line_pair(mirrored=True))
    assert (exact.mean, exact.median, exact.flip_rate) == (0.0, 0.0, 0.0)
    assert exact.coverage == pytest.approx(1.0)


def test_errors_are_distances_on_shape_1_between_image_and_truth():
    p2p21 = torch.tensor([0, 1, 2, 3, 7, 5, 6, 7])  # vertex 4 of shape 2 goes to 7: three steps off
    errors = geodesic_errors(p2p21, line_pair(corr=[4, 0, 4]))
    torch.testing.assert_close(errors, torch.tensor([0.3, 0.0, 0.3]))


def test_errors_look_up_the_landmark_of_each_shape_in_its_own_numbering():
    pair = line_pair(n1=8, n2=5, corr=[0])
    pair = dataclasses.replace(pair, corr1=torch.tensor([6, 2]), corr2=torch.tensor([4, 1]))
    p2p21 = torch.tensor([0, 3, 0, 0, 5])
    torch.testing.assert_close(geodesic_errors(p2p21, pair), torch.tensor([0.1, 0.1]))  # |6 - 5|, |2 - 3|


def test_a_pair_without_landmarks_has_no_errors_and_one_without_sides_no_flips():
    pair = line_pair()
    with pytest.raises(ValueError, match=f"{pair.name}: no landmarks are known"):
        geodesic_errors(torch.arange(8), dataclasses.replace(pair, corr2=None))
    with pytest.raises(ValueError, match=f"{pair.name}: left and right of the landmarks on {pair.shape1.name}"):
        find_flipped(torch.arange(8), pair)


def test_mean_and_median_of_a_pair():
    assert score(0.0, 0.1, 0.1, 0.6).mean == pytest.approx(0.2)
    assert score(0.0, 0.1, 0.3, 0.6).median == pytest.approx(0.2)


@pytest.mark.parametrize("share", [0.0, 0.37, 0.5, 0.9, 1.0])
def test_a_quantile_pools_the_landmarks_of_all_pairs_as_torch_does(share):
    errors = torch.rand(11, generator=torch.Generator().manual_seed(0))
    found = averages.aggregate(
        [score(*errors[:4].tolist()), score(*errors[4:].tolist())], {"q": averages.GeodesicQuantile(share)}
    )
    assert found["q"] == pytest.approx(errors.double().quantile(share).item())


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"share=90\.0 is not a share; give a number from 0 to 1"):
        averages.GeodesicQuantile(90.0)


def test_coverage_is_the_mass_of_the_vertices_hit():
    assert score_pair(torch.tensor([0, 0, 0, 1, 1, 1, 1, 1]), line_pair()).coverage == pytest.approx(2 / 8)


def test_the_mirrored_map_is_flipped_everywhere():
    assert score_pair(torch.arange(7, -1, -1), line_pair(mirrored=True)).flip_rate == 1.0


def test_a_map_of_everything_to_one_end_flips_the_landmarks_of_the_other_half():
    assert score_pair(torch.zeros(8, dtype=torch.long), line_pair(mirrored=True)).flip_rate == 0.5


def test_landmarks_on_the_midline_have_no_side():
    pair = line_pair(n1=7, n2=7, mirrored=True)  # landmark 3 is its own mirror image; 2 and 4 are 0.2 apart
    p2p21 = torch.arange(6, -1, -1)
    assert len(find_flipped(p2p21, pair)) == 6
    assert len(find_flipped(p2p21, pair, margin=0.25)) == 4
    assert len(find_flipped(p2p21, pair, margin=0.7)) == 0


def test_a_landmark_exactly_between_its_two_places_is_not_flipped():
    pair = line_pair(n1=7, n2=7, corr=[1], mirrored=True)
    assert find_flipped(torch.full((7,), 3), pair).tolist() == [False]
    assert find_flipped(torch.full((7,), 4), pair).tolist() == [True]


def test_without_landmarks_off_the_midline_the_flip_rate_is_unknown():
    assert score_pair(torch.arange(7), line_pair(n1=7, n2=7, corr=[3], mirrored=True)).flip_rate is None
    assert score_pair(torch.arange(8), line_pair(mirrored=False)).flip_rate is None


def test_without_ground_truth_coverage_is_all_that_is_known():
    blind = dataclasses.replace(line_pair(), corr1=None, corr2=None, geodesics1=None)
    known = score_pair(torch.arange(8), blind)
    assert (known.errors, known.mean, known.median, known.flip_rate) == (None, None, None, None)
    assert known.coverage == pytest.approx(1.0)


def test_missing_distances_are_an_error_that_says_what_to_type():
    with pytest.raises(ValueError, match=r"a-b.*data\.geodesics=dijkstra"):
        score_pair(torch.arange(8), dataclasses.replace(line_pair(), geodesics1=None))


def test_a_map_of_the_wrong_length_names_the_pair_and_both_numbers():
    with pytest.raises(ValueError, match="a-b: the point map has 5 rows but b has 8 vertices"):
        score_pair(torch.arange(5), line_pair())


@pytest.mark.parametrize("outside", [-1, 8])
def test_a_map_that_leaves_the_shape_is_an_error(outside):
    p2p21 = torch.arange(8)
    p2p21[3] = outside
    with pytest.raises(ValueError, match=r"a has the vertices 0\.\.7"):
        score_pair(p2p21, line_pair())


def test_pck_agrees_with_counting_one_by_one():
    errors = torch.rand(300, generator=torch.Generator().manual_seed(0)) * 0.2
    errors[:3] = torch.tensor([0.0, 0.05, 0.1])
    thresholds = torch.linspace(0, 0.15, 7)
    slow = [sum(e <= t for e in errors.double().tolist()) / 300 for t in thresholds.double().tolist()]
    np.testing.assert_allclose(pck_curve(errors, thresholds), slow)


def test_a_threshold_includes_its_own_value():
    assert pck_curve(torch.tensor([0.25, 0.5]), torch.tensor([0.0, 0.25, 0.5])).tolist() == [0.0, 0.5, 1.0]


def test_area_under_the_curve_of_a_perfect_map_is_one_and_of_a_ramp_is_half():
    assert area_under(torch.ones(40)) == 1
    assert area_under(torch.linspace(0, 1, 40)) == pytest.approx(0.5)


def test_auc_of_a_step_is_what_the_trapezoid_rule_gives():
    # thresholds 0, 0.05, 0.10: of the errors 0, 0.05, 0.2 the shares 1/3, 2/3, 2/3 lie within
    auc = averages.GeodesicAuc(0.10, steps=3)
    auc.update(PairScore(torch.tensor([0.0, 0.05, 0.2], dtype=torch.float64), 1.0, None))
    assert auc.compute() == pytest.approx((0.5 * (1 / 3 + 2 / 3) + 2 / 3) / 2)


def test_macro_weighs_pairs_and_micro_weighs_landmarks():
    scores = [score(0.1), score(0.4, 0.4, 0.4)]
    values = averages.aggregate(
        scores, {"macro": averages.GeodesicError("macro"), "micro": averages.GeodesicError("micro", scale=100.0)}
    )
    assert values["macro"] == pytest.approx(0.25)
    assert values["micro"] == pytest.approx(32.5)


@pytest.mark.parametrize("count", [4, 5])
def test_the_median_pools_the_landmarks_of_all_pairs(count):
    errors = torch.rand(count, generator=torch.Generator().manual_seed(1))
    values = averages.aggregate(
        [score(*errors[:1].tolist()), score(*errors[1:].tolist())], {"median": averages.MedianGeodesicError()}
    )
    assert values["median"] == pytest.approx(np.median(errors))


def test_pooled_figures_do_not_depend_on_how_landmarks_are_split_into_pairs():
    errors = (torch.rand(60, generator=torch.Generator().manual_seed(2)) * 0.2).tolist()
    pooled = {
        "auc": averages.GeodesicAuc(0.10),
        "pck": averages.GeodesicPck(0.1),
        "micro": averages.GeodesicError("micro"),
    }
    together, apart = (
        averages.aggregate([score(*errors)], pooled),
        averages.aggregate([score(*errors[:7]), score(*errors[7:])], pooled),
    )
    assert together == pytest.approx(apart)
    assert 0 < together["auc"] < together["pck"] < 1


def test_standard_metrics_by_hand():
    values = averages.aggregate(
        [score(0.0, 0.2, coverage=0.5, flip_rate=0.25), score(0.06, 0.06, coverage=0.7)], averages.standard_metrics()
    )
    assert values["geodesic_error_x100"] == pytest.approx(8.0)
    assert values["geodesic_error_micro_x100"] == pytest.approx(8.0)
    assert values["geodesic_error_median_x100"] == pytest.approx(6.0)
    assert values["pck@0.05"] == pytest.approx(0.25)
    assert values["pck@0.10"] == pytest.approx(0.75)
    assert values["coverage"] == pytest.approx(0.6)
    assert values["flip_rate"] == pytest.approx(0.25)  # the one pair that knows its mirror images
    within = np.array([0.25 if t < 0.06 else 0.75 for t in np.linspace(0, 0.10, 40)])
    assert values["auc@0.10"] == pytest.approx(np.mean((within[1:] + within[:-1]) / 2))
    assert values["auc@0.20"] > values["auc@0.10"]


def test_what_no_pair_can_tell_is_none_not_zero():
    values = averages.aggregate([PairScore(None, 0.5, None)], averages.standard_metrics())
    assert {name for name, value in values.items() if value is not None} == {"coverage"}
    assert set(averages.aggregate([], averages.standard_metrics()).values()) == {None}


def test_aggregating_twice_does_not_remember_the_first_time():
    metrics = averages.standard_metrics()
    averages.aggregate([score(0.9)], metrics)
    assert averages.aggregate([score(0.1)], metrics) == averages.aggregate([score(0.1)], averages.standard_metrics())


def test_an_unknown_average_says_what_is_known():
    with pytest.raises(ValueError, match="average=macro or average=micro"):
        averages.GeodesicError("mean")
