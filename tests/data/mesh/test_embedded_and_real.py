"""The production loaders on the meshes that they are for: the embedded bodies, and FAUST_r where it is at hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.later import later

from pullback.data.mesh.io import read_mesh, read_vts
from pullback.data.mesh.sets.faust import Faust
from pullback.data.mesh.sets.humans import Humans
from pullback.geometry.cleaning import clean_mesh
from pullback.geometry.connectivity import is_closed_manifold

datamodule = later("pullback.data.mesh.datamodule")

HUMANS = Path(__file__).resolve().parents[3] / "data" / "humans"


def test_the_embedded_bodies_are_clean_closed_and_in_correspondence():
    humans = Humans(HUMANS)
    shapes = humans.shapes("train") + humans.shapes("test")
    assert len(shapes) >= 24
    assert len({shape.name for shape in shapes}) == len(shapes)
    counts = set()
    for shape in shapes:
        verts, faces = read_mesh(shape.mesh)
        mesh = clean_mesh(verts, faces, name=str(shape.mesh))
        assert mesh.notes == ()
        assert is_closed_manifold(faces)
        counts.add(len(read_vts(shape.vts, n_vertices=len(verts))))
        counts.add(len(read_vts(shape.mirrored_vts, n_vertices=len(verts))))
    assert len(counts) == 1


@pytest.mark.real_data
def test_faust_is_complete_and_clean(real_data_dir):
    faust = Faust(real_data_dir / "FAUST_r")
    train, test = faust.shapes("train"), faust.shapes("test")
    assert (len(train), len(test)) == (80, 20)
    assert (train[0].name, test[0].name, test[-1].name) == ("tr_reg_000", "tr_reg_080", "tr_reg_099")
    for shape in (train + test)[::9]:
        verts, faces = read_mesh(shape.mesh)
        assert 4996 <= len(verts) <= 5004
        assert clean_mesh(verts, faces, name=shape.name).notes == ()
        assert is_closed_manifold(faces)
        assert len(read_vts(shape.vts, n_vertices=len(verts))) == 5000
    assert len(np.unique(read_vts(test[0].vts, n_vertices=5000))) == 3462


@pytest.mark.real_data
def test_real_scans_are_prepared_paired_and_measured(real_data_dir, tmp_path):
    settings = {"k": 40, "coarsen": 1500, "train_shapes": 2, "val_shapes": 2, "test_pairs": 1, "prepare_workers": 1}
    data = datamodule.PairDataModule({"faust": Faust(real_data_dir / "FAUST_r")}, tmp_path, **settings)
    data.prepare_data()
    pair = next(iter(data.test_dataloader()[0]))
    assert pair.corr1.shape == pair.corr2.shape == pair.corr1_flipped.shape == (5000,)
    assert float(pair.geodesics1.between(pair.corr1, pair.corr1).max()) == 0
    assert 0.2 < float(pair.geodesics1.between(pair.corr1, pair.corr1_flipped).mean()) < 1
    assert 1 < float(pair.geodesics1.dist.max()) < 3  # about the height of a person of unit area
    for shape in (pair.shape1, pair.shape2):
        gram = shape.basis.project(shape.basis.evecs)
        assert torch.allclose(gram, torch.eye(40), atol=1e-4)
        # like the first mode of a rod
        assert 5 < float(shape.basis.evals[1]) * float(pair.geodesics1.dist.max()) ** 2 < 30
    coarse = next(iter(data.train_dataloader()))
    assert abs(coarse.shape1.n - 1500) <= 30
    assert coarse.corr1.shape == (5000,)
    assert len(coarse.corr1.unique()) > 1200
