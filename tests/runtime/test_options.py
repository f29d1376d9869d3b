"""What a part refuses on purpose is a mistake of the user; what goes wrong inside is a fault of the program."""

import re
import sys
from types import ModuleType

import pytest

from pullback.geometry.grid import _get_laplacian
from pullback.runtime.options import MissingPackage, OptionError, options_at_fault
from pullback.runtime.settings import instantiate


def test_a_refusal_of_a_part_is_told_in_its_words():
    with pytest.raises(OptionError, match=r"data\.laplacian=foo is unknown"), options_at_fault():
        instantiate({"_target_": "pullback.data.mesh.shapes.PreparationSettings", "laplacian": "foo"})


def test_an_option_that_a_part_does_not_have_is_a_mistake():
    with pytest.raises(OptionError, match="unexpected keyword argument 'sharpness'"), options_at_fault():
        instantiate(
            {"_target_": "pullback.solvers.zoomout.ZoomOut", "k_init": 10, "step": 5, "n_steps": 1, "sharpness": 3}
        )


def test_what_lightning_refuses_is_told_in_its_words():
    with pytest.raises(OptionError, match="Precision 'banana' is invalid"), options_at_fault():
        instantiate({"_target_": "lightning.pytorch.Trainer", "precision": "banana", "logger": False})


def test_a_package_that_is_missing_is_told_by_the_part_that_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.utils", None)
    with pytest.raises(MissingPackage, match=re.escape("pip install 'pullback[images]'")), options_at_fault():
        _get_laplacian()


@pytest.mark.parametrize(
    "fault",
    ["int('x')", "a, b = [1]", "1 / 0", "import numpy; numpy.zeros(2) + numpy.zeros(3)", "from re import nothing"],
)
def test_a_fault_inside_a_part_stays_one(fault):
    source = "class Part:\n    def __init__(self):\n        " + fault
    module = ModuleType("pullback.faulty")
    exec(source, module.__dict__)
    with pytest.raises((ValueError, ZeroDivisionError, ImportError)) as raised, options_at_fault():
        module.Part()
    assert not isinstance(raised.value, OptionError | MissingPackage)
