"""Words that a part of the program knows are known before it is imported."""

from typing import get_args

import pytest
from tests.composing import composed
from tests.later import later

from pullback.data.mesh.sets.shrec19 import DIRECTIONS
from pullback.data.mesh.sets.smal import SPLITS
from pullback.data.mesh.shapes import LAPLACIANS
from pullback.figures.camera import _AXES
from pullback.geometry.cleaning import COMPONENTS
from pullback.geometry.operators import BASES
from pullback.runtime.checks import ConfigError, check
from pullback.runtime.value_checks import _ONE_OF
from pullback.solvers.zoomout import REFINEMENTS

precision = later("lightning.fabric.plugins.precision.precision")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        *(
            ("data.laplacian", LAPLACIANS),
            ("data.components", COMPONENTS),
            ("data.basis", BASES),
            ("solver.refinement", REFINEMENTS),
        ),
        *(
            ("dataset.smal.split", SPLITS),
            ("dataset.shrec19.direction", DIRECTIONS),
            ("view.up", _AXES),
            ("view.front", _AXES),
        ),
    ],
)
def test_the_words_are_those_of_the_part(key, words):
    assert {*_ONE_OF[key].split()} == {*words}


def test_the_precisions_are_those_of_lightning():
    words = {str(word) for kind in get_args(precision._PRECISION_INPUT) for word in get_args(kind)}
    assert {*_ONE_OF["trainer.precision"].split()} == words - {"transformer-engine", "transformer-engine-float16"}


def test_a_network_without_weights_matches_files_on_purpose_only():
    with pytest.raises(
        ConfigError,
        match=r"there are no weights.*ckpt=RUN/checkpoints/best\.ckpt or weights=FILE, use what needs none",
    ):
        check(composed("match", "backbone=diffusion_net", "source=a.off", "target=b.off"))
    check(composed("match", "backbone=diffusion_net", "source=a.off", "target=b.off", "untrained=true"))
