"""Turning the shapes of a data set into one frame, and saying how they lie."""

import logging

import numpy as np
import pytest
import torch
from tests.animals import animal, rotation
from tests.fakes import write_mesh, write_numbers
from tests.later import later

from pullback.data import inventory
from pullback.data.errors import MissingDataError
from pullback.data.inventory import _Found, _lying
from pullback.data.mesh import placing
from pullback.data.mesh.dataset import ShapeFiles
from pullback.data.mesh.selection import references_of
from pullback.data.mesh.sets.folder import Folder
from pullback.geometry.common_frame import Placement

datamodule = later("pullback.data.mesh.datamodule")
TURNS = {0: 3, 1: 5, 2: 8, 3: 13}  # of each animal the number of its rotation


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of four animals that lie in any way, with ground truth."""
    root = tmp_path_factory.mktemp("animals")
    for number, turn in TURNS.items():
        verts, faces = animal(number, subdivisions=2)
        write_mesh(root / "off" / f"animal{number}.off", verts @ rotation(turn).T, faces)
        write_numbers(root / "corres" / f"animal{number}.vts", np.arange(len(verts)))
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def prepared(root, cache, **settings):
    data = datamodule.PairDataModule(
        {"folder": Folder(root, test_share=0.5)},
        cache,
        k=15,
        val_shapes=0,
        prepare_workers=1,
        geodesics=None,
        **settings,
    )
    data.prepare_data()
    return data


def files_of(root):
    return [
        ShapeFiles(path.stem, path, root / "corres" / f"{path.stem}.vts") for path in sorted((root / "off").iterdir())
    ]


def test_a_set_that_lies_in_any_way_is_told_with_figures(root, cache, caplog):
    caplog.set_level(logging.INFO)
    found = prepared(root, cache).misalignments["folder"]
    assert found.is_large
    assert f"folder: {found}" in caplog.text
    assert "4 shapes are turned against their mean shape by" in str(found)


def test_aligned_shapes_lie_alike_and_keep_their_faces_and_distances(root, cache):
    data = prepared(root, cache, align="own")
    found = data.misalignments["folder"]
    assert not found.is_large
    assert max(found.angles) < 20
    as_they_lie = prepared(root, cache).test_sets[0]
    for turned, plain in zip(data.test_sets[0], as_they_lie, strict=True):
        assert torch.equal(turned.shape1.faces, plain.shape1.faces)
        torch.testing.assert_close(
            torch.cdist(turned.shape1.verts, turned.shape1.verts),
            torch.cdist(plain.shape1.verts, plain.shape1.verts),
            atol=2e-3,
            rtol=0,
        )


def test_an_alignment_is_computed_once(root, cache, monkeypatch):
    prepared(root, cache, align="own")
    monkeypatch.setattr(placing, "_sample", lambda path: pytest.fail(f"{path} is placed again"))
    placing._frame.cache_clear()
    prepared(root, cache, align="own")


def test_training_copies_lie_as_the_shapes_themselves(root, cache):
    coarse, whole = (prepared(root, cache, align="own", coarsen=count).train_set[0].shape1 for count in (100, None))
    assert coarse.n < whole.n
    nearest = torch.cdist(coarse.verts, whole.verts).amin(dim=1)
    assert nearest.max() < 0.15


def test_a_folder_of_others_gives_the_frame(root, cache, tmp_path):
    own = references_of(Folder(root), "own")
    assert [path.stem for path in own] == [files.name for files in Folder(root).shapes("train")]
    assert references_of(Folder(root), str(root)) == tuple(sorted((root / "off").iterdir()))
    with pytest.raises(MissingDataError, match=r"is no folder: give one that holds shapes of this kind"):
        references_of(Folder(root), str(tmp_path / "nowhere"))


def test_a_set_that_stays_as_it_lies_has_no_references(root):
    assert references_of(Folder(root), None) == ()


@pytest.mark.parametrize(("margin", "told"), [(1.2, ()), (1.01, ("1.0 % worse",))])
def test_a_shape_that_fits_in_two_ways_is_told(margin, told):
    said = placing.doubt(Placement(np.eye(3), margin))
    assert len(said) == len(told)
    assert all(text in line for text, line in zip(told, said, strict=True))


def test_the_check_of_data_names_figures_and_what_to_type(root):
    (line,) = _lying("smal", _Found({"train": files_of(root), "test": []}), deep=False)
    assert "by ground truth" in line
    assert line.endswith("align it: dataset=smal data.align=own, and see what the run says is left")


def test_the_check_estimates_where_there_is_no_ground_truth(root, monkeypatch):
    estimate = placing.Misalignment((90.0, 80.0), "estimated without ground truth")
    monkeypatch.setattr(inventory, "estimated_misalignment", lambda paths, references: estimate)
    bare = [ShapeFiles(files.name, files.mesh) for files in files_of(root)]
    found = _Found({"train": bare, "test": []})
    assert list(_lying("smal", found, deep=False)) == []
    (line,) = _lying("smal", found, deep=True)
    assert "estimated without ground truth" in line


def test_the_estimate_agrees_with_the_ground_truth(root):
    paths = [files.mesh for files in files_of(root)]
    estimated = placing.estimated_misalignment(paths, paths[:2])
    known = placing.misalignment(
        [animal(number, subdivisions=2)[0] @ rotation(turn).T for number, turn in TURNS.items()]
    )
    np.testing.assert_allclose(estimated.angles, known.angles, atol=15)


def test_shapes_that_lie_alike_are_no_trouble():
    lying = placing.misalignment([animal(number)[0] * (number + 1) for number in range(4)])
    assert not lying.is_large
