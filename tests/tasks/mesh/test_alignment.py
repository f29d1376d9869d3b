"""A network on coordinates is told where the shapes do not lie alike."""

from types import SimpleNamespace

import pytest

from pullback.data.mesh.placing import Misalignment
from pullback.nn.backbone import RawDescriptor
from pullback.nn.descriptor import WKS, XYZ
from pullback.tasks.mesh.alignment import tell_misaligned

TURNED, ALIKE = (Misalignment((angle,) * 5, "by ground truth") for angle in (80.0, 10.0))


@pytest.mark.parametrize(
    ("descriptor", "found", "told"),
    [
        (XYZ(), TURNED, True),
        (XYZ(), ALIKE, False),
        (XYZ(axes="full"), TURNED, False),
        (WKS(8, k=10), TURNED, False),
    ],
)
def test_only_coordinates_of_shapes_that_do_not_lie_alike_are_told(caplog, descriptor, found, told):
    tell_misaligned(RawDescriptor(descriptor), SimpleNamespace(misalignments={"smal": found}))
    assert ("smal: 5 shapes" in caplog.text and "Use data.align=own" in caplog.text) == told


def test_data_that_measure_nothing_are_passed_by(caplog):
    tell_misaligned(RawDescriptor(XYZ()), None)
    assert caplog.text == ""


def test_an_alignment_that_did_not_help_is_not_advised_again(caplog):
    data = SimpleNamespace(misalignments={"bodies": TURNED}, settings=SimpleNamespace(align="own"))
    tell_misaligned(RawDescriptor(XYZ()), data)
    assert "data.align=own did not help: use all rotations in training" in caplog.text
    assert "Use data.align" not in caplog.text
