import math
from dataclasses import astuple

import pytest
import torch

from pullback.metrics.heat import HEAT_METRICS, HeatScore, score_heat
from pullback.metrics.image import ImageScore


def half(left=True):
    heat = torch.zeros(6, 8)
    heat[:, :4] = 1.0
    return heat if left else heat.flip(1)


def test_a_function_that_arrives_whole_has_the_best_figures():
    heat = torch.rand(6, 8, generator=torch.Generator().manual_seed(0))
    assert astuple(score_heat(heat, heat)) == pytest.approx((0, 1, 1), abs=1e-12)


def test_the_scale_of_either_function_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    heat, truth = torch.rand(6, 8, generator=generator), torch.rand(6, 8, generator=generator)
    one, other = score_heat(heat, truth), score_heat(7 * heat, truth / 3)
    assert astuple(one) == pytest.approx(astuple(other))


def test_functions_without_a_common_pixel_have_the_worst_figures():
    score = score_heat(half(), half(left=False))
    assert (score.similarity, score.iou) == (0.0, 0.0)
    assert score.kl == pytest.approx(-math.log(2.2e-16 * 24), rel=1e-3)  # log (t / ε) with t = 1 / 24


def test_the_divergence_of_a_uniform_function_is_that_of_the_share_it_covers():
    assert score_heat(torch.ones(6, 8), half()).kl == pytest.approx(math.log(2))
    assert score_heat(torch.ones(6, 8), half()).similarity == pytest.approx(0.5)
    assert score_heat(torch.ones(6, 8), half()).iou == pytest.approx(0.5)


def test_a_function_that_is_lost_is_as_good_as_a_uniform_one_at_most():
    assert astuple(score_heat(torch.full((6, 8), -1.0), half())) == pytest.approx((math.log(2), 0, 0))


@pytest.mark.parametrize("truth", [torch.zeros(6, 8), -half(), half() * math.nan])
def test_a_true_function_must_be_one(truth):
    with pytest.raises(ValueError, match="not negative and not 0 everywhere"):
        score_heat(half(), truth)


def test_functions_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(6, 8\) pixels and the true \(8, 6\)"):
        score_heat(half(), half().T)


def test_the_averages_take_the_pairs_that_have_functions():
    from pullback.metrics.image_averages import HeatFigure, image_metrics

    def scored(**heats):
        return ImageScore(None, None, 1.0, None, "image", heats=heats)

    metric = HeatFigure(next(each for each in HEAT_METRICS if each.name == "heat_iou_point_map"))
    metric.update(scored())
    metric.update(scored(**{"point map": HeatScore(1.0, 0.2, 0.4)}))
    metric.update(scored(**{"point map": HeatScore(1.0, 0.2, 0.6)}))
    assert metric.compute() == pytest.approx(0.5)
    assert {each.name for each in HEAT_METRICS} <= set(image_metrics())
