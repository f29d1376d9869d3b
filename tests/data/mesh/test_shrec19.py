"""SHREC'19: pairs with dense maps, in both directions that circulate."""

import shutil

import numpy as np
import pytest
import torch
from tests.fakes import write_numbers
from tests.later import later
from tests.pair_fakes import true_map, write_shrec19

from pullback.data.errors import MissingDataError
from pullback.data.mesh.dataset import PairTruth
from pullback.data.mesh.io import read_mesh
from pullback.data.mesh.sets import shrec19
from pullback.data.mesh.sets.shrec19 import DenseMap, Shrec19
from pullback.geometry.cleaning import MeshError

datamodule = later("pullback.data.mesh.datamodule")


@pytest.fixture(params=[("off", "corres"), ("shapes", "correspondences")])
def root(request, tmp_path):
    """Four shapes below a folder with 40 in its name, among them the partial one, and five maps."""
    folder = tmp_path / "set40" / "SHREC19_r"
    write_shrec19(folder, [2, 7, 11, 40], [(7, 2), (2, 11), (11, 7), (7, 40), (40, 2)], layout=request.param)
    return folder


@pytest.fixture
def module(root, tmp_path):
    """A data module that tests on these shapes; options are those of Shrec19, settings those of the data."""

    def make(settings=None, **options):
        given = {"k": 15, "prepare_workers": 1, **(settings or {})}
        return datamodule.PairDataModule([Shrec19(root, allow_missing=True, **options)], tmp_path / "cache", **given)

    return make


def pairs_of(dataset):
    return [dataset.name(i) for i in range(len(dataset))]


def test_listed_pairs_are_those_with_a_map_without_shape_40(root):
    shrec = Shrec19(root, allow_missing=True)
    assert [files.name for files in shrec.shapes("test")] == ["2", "7", "11"]
    assert [pair.name for pair in shrec.pairs("test")] == ["11-2", "2-7", "7-11"]
    assert shrec.shapes("train") == shrec.pairs("train") == []


def test_the_papers_direction_asks_every_vertex_of_a_and_measures_on_b(module):
    data = module()
    pair = data.test_sets[0][1]
    assert pair.name == "2-7"
    assert pair.corr2.tolist() == list(range(162))
    assert pair.corr1.tolist() == true_map(7, 2).tolist()
    assert pair.corr1_flipped is None
    assert (pair.shape1.verts[pair.corr1] - pair.shape2.verts[pair.corr2]).norm(dim=1).max() < 0.1


def test_the_other_direction_asks_at_the_images_and_measures_on_a(module):
    data = module(direction="ulrssm")
    assert pairs_of(data.test_sets[0]) == ["2-11", "7-2", "11-7"]
    pair = data.test_sets[0][1]
    assert pair.corr1.tolist() == list(range(162))
    assert pair.corr2.tolist() == true_map(7, 2).tolist()
    assert "errors on A" in data.tested[0].pairs_rule
    with pytest.raises(ValueError, match="one of paper, ulrssm"):
        module(direction="both")


def test_part_of_the_rows_is_the_same_part_each_time(root, module):
    whole, part = (module(landmarks=landmarks).test_sets[0][1] for landmarks in (None, 30))
    assert len(part.corr1) == 30
    assert torch.equal(part.corr1, whole.corr1[part.corr2])
    again = module(landmarks=30).test_sets[0]
    assert torch.equal(again[1].corr2, part.corr2)
    assert not torch.equal(again[0].corr2, again[1].corr2)
    assert len(module(landmarks=1000).test_sets[0][1].corr1) == 162
    with pytest.raises(ValueError, match="landmarks=0 is too small; give 1 or more"):
        Shrec19(root, landmarks=0)


def test_distances_are_from_the_vertices_of_all_pairs_of_a_shape(root, module, tmp_path):
    write_shrec19(root, [], [(11, 2)])
    shutil.move(root / "corres" / "11_2.map", next(root.glob("corres*")) / "11_2.map")
    data = module(landmarks=20)
    data.prepare_data()
    pairs = data.test_sets[0]
    on_2 = [pair for pair in pairs if pair.shape1.name == "2"]
    assert len(on_2) == 2
    expected = sorted({int(i) for pair in on_2 for i in pair.corr1})
    assert all(pair.geodesics1.sources.tolist() == expected for pair in on_2)
    assert len(list((tmp_path / "cache" / "geodesics").iterdir())) == 3
    assert all(pair.geodesics1.between(pair.corr1, pair.corr1).abs().max() == 0 for pair in pairs)


def test_preparation_leaves_nothing_to_compute(module, monkeypatch):
    module(landmarks=20).prepare_data()
    monkeypatch.setattr("pullback.data.mesh.shapes.compute_operators", None)
    monkeypatch.setattr("pullback.data.mesh.library.geodesic_rows", None)
    data = module(landmarks=20)
    data.prepare_data()
    assert all(pair.geodesics1 is not None for pair in data.test_dataloader()[0])


def test_a_draw_of_listed_pairs_is_told(module):
    data = module({"test_pairs": 2})
    selection = data.test_sets[0].selection
    assert (len(data.test_sets[0]), selection.drawn_from, selection.protocol) == (2, 3, "listed")
    assert "T: A → B at every vertex of A, errors on B, without shape 40" in selection.rule
    assert module().test_sets[0].selection.drawn_from is None


def test_a_test_set_cannot_be_trained_on(module):
    with pytest.raises(ValueError, match=r"shrec19: the train split has 0 shapes.*for tests only.*dataset@test="):
        _ = module().train_set


def test_a_map_of_another_mesh_is_found_in_preparation(root, module):
    path = next(root.glob("corres*")) / "7_2.map"
    write_numbers(path, true_map(7, 2)[:100])
    with pytest.raises(MeshError, match=r"7_2\.map: 100 rows for a mesh of 162 vertices"):
        module(landmarks=20).prepare_data()
    write_numbers(path, np.append(true_map(7, 2)[:-1], 162))
    with pytest.raises(
        MeshError, match=r"7_2\.map: vertex numbers run from 1 to 163, but the mesh has the vertices 1\.\.162"
    ):
        module().prepare_data()


def test_an_incomplete_set_says_what_it_lacks(root, tmp_path):
    with pytest.raises(MissingDataError, match=r"lacks 40 of the 43 shapes .*: 1\.off, 3\.off.*\n.*shrec19\.root="):
        Shrec19(root).shapes("test")
    with pytest.raises(MissingDataError, match="does not exist"):
        Shrec19(tmp_path / "nowhere", allow_missing=True).pairs("test")


def test_the_full_set_has_43_shapes_and_407_pairs(tmp_path):
    root = tmp_path / "SHREC19_r"
    write_shrec19(root, [1], [(1, 1)])
    for number in range(2, 45):
        shutil.copy(root / "off" / "1.off", root / "off" / f"{number}.off")
    names = [(a, b) for a in range(1, 45) for b in range(1, 45) if a != b and 40 not in (a, b)][:407]
    for a, b in [*names, (40, 1), (2, 40)]:
        shutil.copy(root / "corres" / "1_1.map", root / "corres" / f"{a}_{b}.map")
    (root / "corres" / "1_1.map").unlink()
    assert len(Shrec19(root).pairs("test")) == 407
    assert len(Shrec19(root).shapes("test")) == 43
    (root / "corres" / "1_2.map").unlink()
    with pytest.raises(MissingDataError, match=r"has 406 files .* has 407.*allow_missing=true"):
        Shrec19(root).pairs("test")


def test_a_dense_map_is_a_ground_truth_of_a_pair(tmp_path):
    assert isinstance(DenseMap(tmp_path / "1_2.map"), PairTruth)


@pytest.mark.real_data
def test_real_maps_fit_their_meshes_and_carry_neighbours_to_neighbours(real_data_dir):
    root = real_data_dir / "SHREC19_subset"
    if not root.is_dir():
        pytest.skip(f"needs a part of SHREC'19: no {root}")
    pairs = Shrec19(root, allow_missing=True).pairs("test")
    assert len(pairs) == 39
    meshes = {
        files: read_mesh(files.mesh) for files in {files for pair in pairs for files in (pair.shape1, pair.shape2)}
    }
    assert len(meshes) == 13
    for pair in pairs:
        (verts1, _), (verts2, faces2) = meshes[pair.shape1], meshes[pair.shape2]
        rows = pair.truth.second(n2=len(verts2))
        images = verts1[pair.truth.first(n1=len(verts1))][np.argsort(rows)]
        stretched, height = (
            np.linalg.norm(images[faces2[:, 0]] - images[faces2[:, 1]], axis=1),
            np.ptp(verts1, axis=0).max(),
        )
        assert np.median(stretched) < 0.02 * height


def test_the_map_of_a_pair_is_read_once(root, module, monkeypatch):
    reads = []
    real = shrec19.read_numbers
    monkeypatch.setattr(shrec19, "read_numbers", lambda path: reads.append(path.name) or real(path))
    shrec19._read_map.cache_clear()
    pairs = module().test_sets[0]
    for _ in range(2):
        [pairs[i] for i in range(len(pairs))]
    assert sorted(reads) == sorted(set(reads)) and len(reads) == len(pairs)


def test_a_map_that_was_written_anew_is_read_anew(tmp_path):
    path = tmp_path / "1_2.map"
    path.write_text("1\n2\n3\n")
    assert shrec19.DenseMap(path).first(n1=3).tolist() == [0, 1, 2]
    path.write_text("3\n3\n3\n3\n")
    assert shrec19.DenseMap(path).first(n1=3).tolist() == [2, 2, 2, 2]


def test_pairs_of_named_shapes_are_left_out_and_the_protocol_says_so(root):
    known = {pair.name for pair in Shrec19(root, allow_missing=True).pairs("test")}
    dataset = Shrec19(root, allow_missing=True, without=[2])
    assert {pair.name for pair in dataset.pairs("test")} == {name for name in known if "2" not in name.split("-")}
    assert "without shape 40 and without 2" in dataset.pairs_rule
    with pytest.raises(ValueError, match=r"without names 99.*without=\[28,32\]"):
        Shrec19(root, without=[99])
