from importlib import import_module

import pytest

from pullback.moved import _MOVED, with_present_names


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
