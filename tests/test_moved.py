from importlib import import_module

import pytest

from pullback.moved import _MOVED, as_typed_now, with_present_names


@pytest.mark.parametrize("module", sorted({now.rsplit(".", 1)[0] for now in _MOVED.values()}))
def test_a_present_place_is_a_module(module):
    import_module(module)


def test_targets_are_renamed_wherever_they_stand_and_texts_are_not():
    old = {
        "graph": {"_target_": "pullback.tasks.patches.GraphSettings"},
        "list": [{"_target_": "pullback.data.faust.Faust"}],
    }
    assert with_present_names({**old, "note": "pullback.data.faust.Faust"}) == {
        "graph": {"_target_": "pullback.tasks.image.patches.GraphSettings"},
        "list": [{"_target_": "pullback.data.mesh.sets.faust.Faust"}],
        "note": "pullback.data.faust.Faust",
    }


def test_present_names_stay():
    config = {"_target_": "pullback.tasks.image.patches.GraphSettings", "_partial_": True}
    assert with_present_names(config) == config


def test_the_branch_of_descriptors_was_called_loss_in_files():
    old = {
        "fusion": {"_target_": "pullback.nn.fusion.Fusion", "grid": "loss", "basis": {}, "loss": {"normalise": True}},
        "solver": {"readout": {"_target_": "pullback.mapping.readout.Readout", "embedding": ["basis", "loss"]}},
        "loss": {"consistency": {"weight": 1.0}},
    }
    assert with_present_names(old) == {
        "fusion": {
            "_target_": "pullback.nn.fusion.Fusion",
            "grid": "descriptors",
            "basis": {},
            "descriptors": {"normalise": True},
        },
        "solver": {"readout": {"_target_": "pullback.mapping.readout.Readout", "embedding": ["basis", "descriptors"]}},
        "loss": {"consistency": {"weight": 1.0}},
    }


@pytest.mark.parametrize(("before", "now"), [(True, "features"), (False, "printed")])
def test_the_units_of_the_papers_loss_were_scale_free_or_not(before, now):
    target = "pullback.solvers.pair_losses.PairLoss"
    assert with_present_names({"_target_": target, "scale_free": before}) == {"_target_": target, "units": now}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("fusion.loss.backbone.layer=9", "fusion.descriptors.backbone.layer=9"),
        ("branch@fusion.loss.backbone=sd21", "branch@fusion.descriptors.backbone=sd21"),
        ("solver=raw_basis,raw_loss", "solver=raw_basis,raw_descriptors"),
        (
            "solver.readout.embedding=[transferred_loss,loss]",
            "solver.readout.embedding=[transferred_descriptors,descriptors]",
        ),
        ("solver.optimiser.descriptors.source=loss", "solver.optimiser.descriptors.source=descriptors"),
        ("files=photos", "files=image"),
        ("files=meshes", "files=mesh"),
        ("files=image", "files=image"),
        ("loss=[orthogonality]", "loss=[orthogonality]"),
        ("loss.consistency.weight=1", "loss.consistency.weight=1"),
        ("solver.optimiser.loss.scale_free=true", "solver.optimiser.loss.units=features"),
        ("solver.optimiser.loss.scale_free=false", "solver.optimiser.loss.units=printed"),
        ("solver.optimiser.loss.diag=0", "solver.optimiser.loss.diag=0"),
    ],
)
def test_commands_that_call_it_so_are_understood(before, now):
    assert as_typed_now(before) == now
