"""The camera of the pictures: a data set knows which way its shapes stand, and the command line knows better."""

import pytest
from tests.composing import composed
from tests.later import later

from pullback.data.mesh.sets.faust import Faust
from pullback.data.mesh.sets.scape import ScapeAcvd
from pullback.data.mesh.sets.smal import Smal
from pullback.figures.camera import View

mesh_evaluation = later("pullback.runtime.mesh_evaluation")


@pytest.mark.parametrize(("kind", "axes"), [(Faust, ("y", "z")), (ScapeAcvd, ("x", "-y")), (Smal, ("-y", "z"))])
def test_pictures_take_the_axes_of_their_data_set(kind, axes):
    view = composed("eval", "dataset=faust").view
    assert mesh_evaluation.view_of(view, kind("anywhere")) == View(*axes, azimuth=20.0, elevation=10.0)


def test_the_command_line_wins_over_the_data_set():
    view = composed("eval", "dataset=smal", "view.up=z", "view.front=-x", "view.azimuth=0.0").view
    assert mesh_evaluation.view_of(view, Smal("anywhere")) == View("z", "-x", azimuth=0.0, elevation=10.0)


def test_axes_on_one_line_are_refused_with_their_names():
    view = composed("eval", "dataset=faust", "view.up=z").view
    with pytest.raises(ValueError, match="View up='z' and front='z' lie on one line"):
        mesh_evaluation.view_of(view, Faust("anywhere"))
