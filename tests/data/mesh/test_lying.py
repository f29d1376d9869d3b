"""How the shapes of a set lie whose ground truth belongs to its pairs, and what is said of an alignment."""

import logging

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tests.animals import animal
from tests.fakes import write_mesh, write_numbers
from tests.later import later

from pullback.data.inventory import examine
from pullback.data.mesh import lying
from pullback.data.mesh.library import ShapeLibrary
from pullback.data.mesh.pairs import ShapePairDataset
from pullback.data.mesh.sets.shrec19 import Shrec19
from pullback.data.mesh.shapes import PreparationSettings
from pullback.geometry.common_frame import Placement

datamodule = later("pullback.data.mesh.datamodule")

UPRIGHT = {1: [0, 0, 0], 2: [0, 0, 0], 3: [0, 0, 0]}
THREE_AXES = {1: [0, 0, 0], 2: [np.pi / 2, 0, 0], 3: [0, 0, np.pi / 2]}  # up is y, z and x, as in SHREC'19


def turned(angles):
    return Rotation.from_rotvec(angles).as_matrix()


def write_scans(data, turns):
    """Three animals of one triangulation that lie in these ways, and maps between them."""
    for number, turn in turns.items():
        verts, faces = animal(0, subdivisions=2)[:2]
        write_mesh(data / "SHREC19_r" / "off" / f"{number}.off", verts @ turned(turn).T, faces)
    for a, b in ((1, 2), (2, 3), (3, 1)):
        write_numbers(data / "SHREC19_r" / "corres" / f"{a}_{b}.map", np.arange(len(verts)))
    return data


@pytest.mark.parametrize(("turns", "large"), [(UPRIGHT, False), (THREE_AXES, True)])
def test_scans_with_up_axes_of_their_own_are_told_by_the_check_and_by_a_run(tmp_path, caplog, turns, large):
    caplog.set_level(logging.INFO)
    write_scans(tmp_path, turns)
    remarks = examine("shrec19", tmp_path).remarks
    assert bool(remarks) == large
    assert all("align it: dataset=shrec19 data.align=own" in line for line in remarks)
    data = datamodule.PairDataModule(
        [Shrec19(tmp_path / "SHREC19_r", allow_missing=True)], tmp_path / "cache", k=15, prepare_workers=1
    )
    data.prepare_data()
    found = data.misalignments["shrec19"]
    assert found.is_large == large
    assert f"shrec19: 3 pairs of shapes are turned against each other by {90 if large else 0}°" in caplog.text


@pytest.mark.parametrize(("margin", "doubtful"), [(1.5, ""), (1.01, "1 of them fit in another way nearly as well: 1")])
def test_each_run_says_what_an_alignment_did_and_what_it_doubts(tmp_path, monkeypatch, margin, doubtful):
    write_scans(tmp_path, THREE_AXES)
    placed = {
        "1": Placement(turned([0, 0, 1.0]), margin),
        "2": Placement(np.eye(3), 2.0),
        "3": Placement(np.eye(3), 2.0),
    }
    monkeypatch.setattr(lying, "placement", lambda mesh, references, cache_dir: placed[mesh.stem])
    shrec = Shrec19(tmp_path / "SHREC19_r", allow_missing=True)
    references = tuple(files.mesh for files in shrec.shapes("test"))
    pairs = [pair.turned_to(references) for pair in shrec.pairs("test")]
    sets = [ShapePairDataset(pairs, ShapeLibrary(PreparationSettings(), tmp_path))]
    assert lying.placing_of(sets, tmp_path) == (
        "3 shapes were turned to one frame, by 0° (median), 57° (at most)",
        doubtful,
    )
