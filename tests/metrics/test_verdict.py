import math

import pytest
import torch

from pullback.metrics.verdict import ErrorModel, Judge, Verdict


def model(**energies):
    return ErrorModel(
        energies=energies or {"cycle": [1.0, math.log(0.01), 1.0]},
        intercept=math.log(0.03),
        good_below=0.04,
        wrong_above=0.12,
        points=[-50.0, 0.0, 3.0],
    )


def test_a_typical_map_has_the_typical_error_and_twice_the_energy_twice_that():
    typical = model().expected_error({"cycle": 0.009})
    assert typical == pytest.approx(0.03)
    assert model().expected_error({"cycle": 0.019}) == pytest.approx(2 * typical)


@pytest.mark.parametrize(("error", "level"), [(0.039, "good"), (0.04, "doubtful"), (0.12, "probably wrong")])
def test_levels_begin_where_they_are_said_to(error, level):
    assert model().level(error) == level


def test_a_point_that_does_not_come_back_is_not_trusted():
    signals = torch.tensor([[0.0], [0.3]])
    sure, lost = model().confidence(signals, 0.03)
    assert sure > 0.9 and lost < 0.01


def test_below_the_floor_a_good_map_is_no_excuse_for_a_point():
    weights = {"points": [-50.0, -2.0, 0.0], "point_floor": 0.05}
    floored = ErrorModel(energies={}, intercept=0.0, good_below=0.1, wrong_above=0.2, **weights)
    lost = torch.tensor([[0.3]])
    assert floored.confidence(lost, 0.001) == floored.confidence(lost, 0.05) > floored.confidence(lost, 0.1)


def test_the_first_model_whose_energies_are_at_hand_decides():
    rich, plain = model(cycle=[1.0, 0.0, 1.0], features_learned=[1.0, 0.0, 1.0]), model()
    judge = Judge(models=[rich, plain])
    assert judge.model({"cycle": 0.1, "features_learned": 0.1}) is rich
    assert judge.model({"cycle": 0.1, "features_wks": 0.1}) is plain
    with pytest.raises(ValueError, match="content with the energies area"):
        judge.model({"area": 0.1})


def test_features_that_learned_nothing_of_such_shapes_are_not_asked():
    learned = model(features_learned=[1.0, math.log(0.01), 1.0])
    judge = Judge(models=[learned, model(cycle=[1.0, math.log(0.01), 1.0])])
    agreeing, returning = {"cycle": 0.5, "features_learned": 0.01}, {"cycle": 0.01, "features_learned": 0.02}
    assert judge.order([agreeing, returning]) == [0, 1]
    strange = [{**agreeing, "features_learned": 0.5}, {**returning, "features_learned": 0.6}]
    assert judge.order(strange) == [1, 0]


def test_limits_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match=r"good_below=0\.2 must not exceed wrong_above=0\.1"):
        ErrorModel(energies={}, intercept=0.0, good_below=0.2, wrong_above=0.1, points=[])


def test_a_verdict_is_one_line_with_reasons_and_advice():
    verdict = Verdict("doubtful", 0.0654, ("parts are crushed", "distances change"), "Give five landmarks")
    assert verdict.sentence == (
        "doubtful (expected error about 6.5 % of √area): parts are crushed, distances change. Give five landmarks"
    )
    assert Verdict("good", 0.02, (), "").sentence == "good (expected error about 2.0 % of √area)"
