"""Metrics on photographs, on flows and keypoints whose errors can be counted by hand."""

import dataclasses

import pytest
import torch
from tests.image_pairs import photo, stretched_pair
from tests.later import later

from pullback.metrics.image import (
    CURVE,
    ImageScore,
    evaluated_pixels,
    object_region,
    reference_length,
    score_flow,
    score_keypoints,
    smoothness,
)

averages = later("pullback.metrics.averages")
image_averages = later("pullback.metrics.image_averages")

STILL = torch.zeros(2, 4, 6)


def keypoints(*errors: float, length: float = 100.0):
    """The score of keypoints that miss their places by these many pixels."""
    truth = torch.zeros(len(errors), 2)
    return score_keypoints(torch.tensor([[0.6, -0.8]]) * torch.tensor(errors)[:, None], truth, length=length)


def image_score(points=None, *, flow=None, smooth: float = 0.0) -> ImageScore:
    return ImageScore(flow, points, smooth, None, "image")


def slow_smoothness(flow, region) -> float:
    """Pixel by pixel, in the words of the definition."""
    _, height, width = flow.shape
    total = 0.0
    for channel in range(2):
        value = [[float(flow[channel, y, x]) if region[y, x] else 0.0 for x in range(width)] for y in range(height)]
        for y in range(height):
            for x in range(width):
                total += abs(value[y][min(x + 1, width - 1)] - value[y][x]) + abs(
                    value[min(y + 1, height - 1)][x] - value[y][x]
                )
    return total / int(region.sum())


def test_the_true_flow_is_correct_everywhere_and_has_no_error():
    truth = torch.randn(2, 4, 6)
    score = score_flow(truth, truth, length=6.0)
    assert (score.count, score.mean, score.pck(0.05), score.pck(0.2)) == (24, 0.0, 1.0, 1.0)


def test_the_error_is_the_length_of_the_difference():
    flow = STILL.clone()
    flow[:, 1, 2] = torch.tensor([3.0, 4.0])
    score = score_flow(flow, STILL, length=6.0)
    assert score.mean == pytest.approx(5 / 24)
    assert score.mean_square == pytest.approx(25 / 24)
    assert score.pck(0.2) == pytest.approx(23 / 24)


def test_an_error_of_exactly_the_threshold_is_correct_for_flow_and_wrong_for_keypoints():
    flow = STILL.clone()
    flow[0] = 8.0
    assert score_flow(flow, STILL, length=80.0).pck(0.1) == 1.0
    assert score_keypoints(torch.tensor([[8.0, 0.0]]), torch.zeros(1, 2), length=80.0).pck(0.1) == 0.0


def test_counts_at_every_threshold_are_those_of_a_loop():
    errors = (torch.rand(200, generator=torch.Generator().manual_seed(3)) * 40).tolist()
    score = keypoints(*errors, length=150.0)
    missed = (torch.tensor([[0.6, -0.8]]) * torch.tensor(errors)[:, None]).double().norm(dim=1).tolist()
    assert score.within.tolist() == [sum(error < kappa * 150.0 for error in missed) for kappa in CURVE]


@pytest.mark.parametrize("unknown", [1.0e10, 1.666e9, float("inf"), float("nan")])
def test_unknown_flow_is_no_error_whatever_stands_for_it(unknown):
    truth = STILL.clone()
    truth[:, 0] = unknown
    score = score_flow(STILL, truth, length=6.0)
    assert (score.count, score.mean) == (18, 0.0)
    assert smoothness(truth, evaluated_pixels(truth)) == 0.0


def test_a_pixel_counts_when_it_is_known_and_in_the_mask():
    known, mask = torch.rand(4, 6) < 0.7, torch.rand(4, 6) < 0.7
    known[0, 0] = mask[0, 0] = True
    assert score_flow(STILL, STILL, known, length=6.0, mask2=mask).count == sum(
        bool(known[y, x]) and bool(mask[y, x]) for y in range(4) for x in range(6)
    )


def test_a_mask_that_was_read_as_equal_to_255_is_an_error_and_not_a_pair_less():
    stored = torch.zeros(4, 6, dtype=torch.uint8)
    stored[1:3, 2:5] = 1  # masks of JODS hold 0 and 1
    assert score_flow(STILL, STILL, length=6.0, mask2=stored > 0).count == 6
    with pytest.raises(ValueError, match="no point to score"):
        score_flow(STILL, STILL, length=6.0, mask2=stored == 255)


def test_a_prediction_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match="not finite"):
        score_flow(STILL * torch.nan, STILL, length=6.0)


def test_smoothness_is_that_of_a_loop_over_pixels():
    flow, region = torch.randn(2, 7, 5, dtype=torch.float64), torch.rand(7, 5) < 0.6
    region[3, 2] = True
    assert smoothness(flow.float(), region) == pytest.approx(slow_smoothness(flow, region), rel=1e-5)


def test_a_constant_flow_costs_its_outline_only():
    """A block of 3 × 4 pixels inside the image: 3 jumps on either side, 4 above and below."""
    flow, region = torch.zeros(2, 9, 9), torch.zeros(9, 9, dtype=torch.bool)
    flow[0], region[2:5, 3:7] = 5.0, True
    assert smoothness(flow, region) == pytest.approx(5 * (2 * 3 + 2 * 4) / 12)
    assert smoothness(flow, torch.ones(9, 9, dtype=torch.bool)) == 0.0


def test_the_smoothness_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no pixel"):
        smoothness(STILL, torch.zeros(4, 6, dtype=torch.bool))


@pytest.mark.parametrize(("reference", "length"), [("image1", 48.0), ("image2", 32.0), ("both", 48.0), ("box1", 20.0)])
def test_the_reference_length_is_the_longer_side_of_what_is_named(reference, length):
    assert reference_length(reference, stretched_pair(keypoints=True)) == length


def test_a_reference_that_is_unknown_or_missing_is_refused_with_what_to_type():
    with pytest.raises(
        ValueError, match=r"pck_reference='image3' is not known; choose one of image1, image2, both, box1"
    ):
        reference_length("image3", stretched_pair())
    with pytest.raises(ValueError, match=r"pair: pck_reference=box1 needs a box.*use pck_reference=image1"):
        reference_length("box1", stretched_pair())


def test_the_object_is_in_its_box_else_in_its_mask_else_anywhere():
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[0, 0] = True
    boxed = photo("a", (4, 6), mask=mask, box=torch.tensor([0.5, 1.0, 3.0, 2.4]))
    region, name = object_region(boxed)
    assert name == "box" and region.nonzero().tolist() == [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]
    assert object_region(dataclasses.replace(boxed, box=None)) == (mask, "mask")
    region, name = object_region(photo("a", (4, 6)))
    assert name == "image" and region.all()


def test_per_image_averages_pairs_and_per_point_pools_their_points():
    few, many = image_score(keypoints(1.0)), image_score(keypoints(1.0, 50.0, 50.0))
    values = averages.aggregate(
        [few, many], {"image": image_averages.ImagePck(0.1), "point": image_averages.ImagePck(0.1, "point")}
    )
    assert values == {"image": pytest.approx((1 + 1 / 3) / 2), "point": pytest.approx(2 / 4)}


def test_each_pair_is_judged_by_its_own_length_and_not_by_the_last_pairs():
    small, large = image_score(keypoints(6.0, length=50.0)), image_score(keypoints(6.0, length=500.0))
    for scores in ([small, large], [large, small]):
        assert averages.aggregate(scores, {"pck": image_averages.ImagePck(0.1, "point")}) == {"pck": 0.5}


def test_errors_are_means_over_pairs():
    scores = [image_score(keypoints(1.0, 3.0), smooth=2.0), image_score(keypoints(8.0), smooth=4.0)]
    metrics = {
        "error": image_averages.KeypointError(),
        "mse": image_averages.KeypointError(squared=True),
        "smooth": image_averages.Smoothness(),
    }
    assert averages.aggregate(scores, metrics) == {
        "error": pytest.approx((2 + 8) / 2),
        "mse": pytest.approx((5 + 64) / 2),
        "smooth": pytest.approx(3.0),
    }


def test_pairs_without_the_ground_truth_do_not_enter_and_none_at_all_is_none():
    flow = score_flow(STILL + 1, STILL, length=100.0)
    scores = [image_score(keypoints(4.0)), image_score(flow=flow), image_score()]
    values = averages.aggregate(scores, image_averages.image_metrics())
    assert values["epe"] == pytest.approx(2**0.5)
    assert values["mean_keypoint_error"] == pytest.approx(4.0)
    assert values["pck@0.05"] == 1.0
    assert values["smoothness_truth"] is None
    assert {
        name
        for name, value in averages.aggregate([image_score()], image_averages.image_metrics()).items()
        if value is not None
    } == {"smoothness"}


def test_where_both_are_known_pck_counts_pixels_and_the_keypoint_error_keypoints():
    score = image_score(keypoints(90.0), flow=score_flow(STILL, STILL, length=100.0))
    values = averages.aggregate([score], image_averages.image_metrics())
    assert (values["pck@0.05"], values["epe"], values["mean_keypoint_error"]) == (1.0, 0.0, pytest.approx(90.0))


def test_metrics_gathered_on_two_ranks_are_those_of_one():
    """States are sums, so that ranks add up."""
    parts = [image_averages.EndPointError(), image_averages.EndPointError()]
    for part, shift in zip(parts, (1.0, 3.0), strict=True):
        part.update(image_score(flow=score_flow(STILL + shift, STILL, length=9.0)))
    assert sum(part.total for part in parts) / sum(part.count for part in parts) == pytest.approx(2 * 2**0.5)


def test_the_weighted_mean_of_tss_and_the_unweighted_one():
    assert image_averages.weighted_mean([0.9, 0.5, 0.7], [195.0, 81.0, 124.0]) == pytest.approx(
        (195 * 0.9 + 81 * 0.5 + 124 * 0.7) / 400
    )
    assert image_averages.weighted_mean([0.9, None, 0.7], [1.0, 1.0, 1.0]) == pytest.approx(0.8)
    assert image_averages.weighted_mean([None], [3.0]) is None


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match="average='pixel' is not known"):
        image_averages.ImagePck(0.1, "pixel")
