"""Figures of a part of a data set, told beside those of the whole."""

import torch

from pullback.data.mesh.sets.shrec19 import Shrec19
from pullback.data.mesh.sets.smal import Smal
from pullback.metrics.geodesic import PairScore
from pullback.tasks.mesh.results import DatasetResult, EvalProtocol, PairResult

PROTOCOL = EvalProtocol(pairs="listed", geodesics="dijkstra", refinement="none", checkpoint="last")


def result(pairs, parts_of):
    """A result on pairs with these errors; None: the pair has failed."""
    outcomes = [PairResult(*names, None if error is None else scored(error)) for names, error in pairs.items()]
    return DatasetResult("set", "test", PROTOCOL, outcomes, parts_of=parts_of)


def scored(error):
    return PairScore(errors=torch.full((4,), error), coverage=1.0, flip_rate=None)


def test_shrec19_is_told_without_the_scans_that_many_methods_turn_about(tmp_path):
    told = result(
        {("1", "2"): 0.02, ("28", "2"): 0.30, ("2", "3"): None, ("3", "32"): 0.40}, Shrec19(tmp_path).parts_of
    )
    whole, part = told.rows()
    assert (whole.label, whole.pairs, whole.failed) == ("set (test)", 3, 1)
    assert (part.label, part.pairs, part.failed) == ("set: without 28, 32", 1, 1)
    torch.testing.assert_close(part.metrics["geodesic_error_x100"], 2.0, rtol=1e-5, atol=0)
    assert told.summary()["parts"]["without 28, 32"]["pairs"] == 1
    torch.testing.assert_close(told.summary()["metrics"]["geodesic_error_x100"], 24.0, rtol=1e-5, atol=0)


def test_a_part_that_is_the_whole_has_no_row(tmp_path):
    told = result({("1", "2"): 0.02, ("2", "3"): 0.04}, Shrec19(tmp_path).parts_of)
    assert len(told.rows()) == 1
    assert "parts" not in told.summary()


def test_smal_is_told_by_species_and_between_them(tmp_path):
    pairs = {("hippo5", "hippos"): 0.1, ("hippo5", "grazing"): 0.3, ("grazing", "muybridge_014_01"): 0.2}
    assert [(row.label, row.pairs) for row in result(pairs, Smal(tmp_path).parts_of).rows()[1:]] == [
        ("set: between species", 1),
        ("set: hippo", 1),
        ("set: horse", 1),
    ]
