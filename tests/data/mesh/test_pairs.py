"""Pairs: which ones, and what is in them."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.sparse import csgraph
from tests.fakes import body, mirrored_points, write_numbers, write_shape

import pullback.data.mesh.library as library_module
from pullback.data.mesh.dataset import ShapeFiles, ShapePairFiles
from pullback.data.mesh.library import ShapeLibrary
from pullback.data.mesh.pairs import Selection, ShapePairDataset, all_pairs, pair_indices, pairs_within
from pullback.data.mesh.sets.faust import Faust
from pullback.data.mesh.shapes import PreparationSettings
from pullback.geometry.cleaning import MeshError
from pullback.geometry.geodesic import edge_graph, geodesic_rows

SETTINGS = PreparationSettings(k=15)


@pytest.fixture
def library(tmp_path):
    return ShapeLibrary(SETTINGS, tmp_path / "cache")


@pytest.fixture
def shapes(tmp_path):
    for number in (80, 81, 82):
        write_shape(tmp_path, f"tr_reg_{number:03d}", number)
    return Faust(tmp_path, allow_missing=True).shapes("test")


def paired(shapes, *indices):
    return [ShapePairFiles(shapes[i], shapes[j]) for i, j in indices]


def test_protocols_make_the_pairs_of_the_literature():
    assert pair_indices(3, "unordered") == [(0, 1), (0, 2), (1, 2)]
    assert pair_indices(3, "ordered") == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert pair_indices(2, "ordered_self") == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [len(pair_indices(20, protocol)) for protocol in ("unordered", "ordered", "ordered_self")] == [190, 380, 400]
    with pytest.raises(ValueError, match="unordered, ordered, ordered_self"):
        pair_indices(3, "all")


def test_landmarks_are_the_same_points_on_both_shapes(shapes, library):
    pair = ShapePairDataset(paired(shapes, (0, 2)), library)[0]
    assert pair.name == "tr_reg_080-tr_reg_082"
    assert pair.corr1.tolist() == body(80)[2].tolist()
    assert pair.corr2.tolist() == body(82)[2].tolist()
    assert (pair.shape1.verts[pair.corr1] - pair.shape2.verts[pair.corr2]).norm(dim=1).max() < 0.1
    assert pair.geodesics1 is None


def test_mirrored_landmarks_lie_on_the_other_side_of_shape_1(shapes, library):
    pair = ShapePairDataset(paired(shapes, (1, 0)), library)[0]
    assert pair.corr1_flipped.tolist() == body(81)[2][mirrored_points()].tolist()
    mirrored = pair.shape1.verts[pair.corr1_flipped] * torch.tensor([-1.0, 1, 1])
    assert torch.allclose(mirrored, pair.shape1.verts[pair.corr1], atol=1e-4)


def test_geodesics_are_those_of_shape_1_from_every_landmark_and_its_mirror_image(shapes, library, tmp_path):
    places = body(80)[2]
    write_numbers(tmp_path / "corres" / "tr_reg_080.vts", places[:9])
    write_numbers(tmp_path / "corres" / "tr_reg_080.sym.vts", places[5:14])
    write_numbers(tmp_path / "corres" / "tr_reg_081.vts", body(81)[2][:9])
    write_numbers(tmp_path / "corres" / "tr_reg_081.sym.vts", body(81)[2][5:14])
    pair = ShapePairDataset(paired(shapes, (0, 1)), library, geodesics="dijkstra")[0]
    assert pair.geodesics1.sources.tolist() == sorted(places[:14].tolist())
    verts, faces = pair.shape1.verts.double().numpy(), pair.shape1.faces.numpy()
    full = csgraph.dijkstra(edge_graph(verts, faces))
    targets = torch.arange(9)
    for sources in (pair.corr1, pair.corr1_flipped):
        assert np.allclose(pair.geodesics1.between(sources, targets), full[sources, targets], atol=1e-5)


def test_geodesics_are_computed_once_for_each_method_and_mesh(shapes, library, monkeypatch):
    calls = []

    def counting(*arguments, **options):
        calls.append(options["method"])
        return geodesic_rows(*arguments, **options)

    monkeypatch.setattr(library_module, "geodesic_rows", counting)
    for _ in range(2):
        for method in ("dijkstra", "heat"):
            ShapePairDataset(paired(shapes, (0, 1)), library, geodesics=method)[0]
            ShapePairDataset(paired(shapes, (0, 2)), ShapeLibrary(SETTINGS, library.cache_dir), geodesics=method)[0]
    assert calls == ["dijkstra", "heat"]


def test_damaged_geodesics_are_computed_anew(shapes, library, caplog):
    dataset = ShapePairDataset(paired(shapes, (0, 1)), library, geodesics="dijkstra")
    expected = dataset[0].geodesics1.dist.clone()
    (entry,) = (library.cache_dir / "geodesics").iterdir()
    for damaged in (entry.read_bytes()[:-400], b""):
        entry.write_bytes(damaged)
        assert torch.equal(dataset[0].geodesics1.dist, expected)
        assert "damaged" in caplog.text
    np.save(entry, np.ones((3, 3), dtype=np.float32))
    assert torch.equal(dataset[0].geodesics1.dist, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.astype(np.float64),
        lambda rows: rows[:, :-1],
        lambda rows: rows[:-1],
        lambda rows: rows * np.nan,
        lambda rows: rows + 1,
    ],
)
def test_distances_of_another_kind_are_computed_anew(shapes, library, caplog, change):
    dataset = ShapePairDataset(paired(shapes, (0, 1)), library, geodesics="dijkstra")
    expected = dataset[0].geodesics1.dist.clone()
    (entry,) = library.cache_dir.glob("geodesics/*.npy")
    np.save(entry, change(expected.numpy()))
    assert torch.equal(dataset[0].geodesics1.dist, expected)
    assert "is damaged" in caplog.text


def test_the_first_pairs_are_measured_as_among_all_of_them(shapes, library):
    selection = Selection("unordered", "a rule", drawn_from=10)
    dataset = ShapePairDataset(
        paired(shapes, (0, 1), (0, 2), (1, 2)), library, geodesics="dijkstra", selection=selection
    )
    first = dataset.first(2)
    assert [first.name(i) for i in range(len(first))] == [dataset.name(i) for i in range(2)]
    assert first.truths1 is dataset.truths1
    assert first.selection == Selection("unordered", "a rule | the first 2 of 3 pairs, drawn of 10", None)
    assert len(dataset) == 3


def test_writing_to_distances_does_not_change_the_cache(shapes, library):
    dataset = ShapePairDataset(paired(shapes, (0, 1)), library, geodesics="dijkstra")
    dataset[0].geodesics1.dist.fill_(-1)
    assert float(dataset[0].geodesics1.dist.min()) == 0


def test_without_ground_truth_there_are_shapes_alone(shapes, library):
    bare = [dataclasses.replace(shapes[0], vts=None, mirrored_vts=None), *shapes[1:]]
    for pairs in ([(0, 1)], [(1, 0)]):
        pair = ShapePairDataset(paired(bare, *pairs), library, geodesics="dijkstra")[0]
        assert pair.shape1.n == pair.shape2.n == 162
        assert pair.corr1 is pair.corr2 is pair.corr1_flipped is pair.geodesics1 is None


def test_ground_truth_of_different_lengths_names_both_files(shapes, library, tmp_path):
    write_numbers(tmp_path / "corres" / "tr_reg_081.vts", body(81)[2][:100])
    (tmp_path / "corres" / "tr_reg_081.sym.vts").unlink()
    files = Faust(tmp_path, allow_missing=True).shapes("test")
    with pytest.raises(MeshError, match=r"tr_reg_081\.vts has 100 rows but .*tr_reg_080\.vts has 162"):
        ShapePairDataset(paired(files, (0, 1)), library)[0]


def test_a_mirror_file_of_another_length_is_refused(shapes, library, tmp_path):
    write_numbers(tmp_path / "corres" / "tr_reg_081.sym.vts", body(81)[2][:100])
    with pytest.raises(MeshError, match=r"tr_reg_081\.sym\.vts has 100 rows but .*tr_reg_081\.vts has 162"):
        library.load(shapes[1])


def test_ground_truth_outside_of_the_mesh_is_refused(shapes, library, tmp_path):
    write_numbers(tmp_path / "corres" / "tr_reg_082.vts", np.append(body(82)[2][:-1], 162))
    with pytest.raises(
        MeshError, match=r"tr_reg_082\.vts: vertex numbers run from 1 to 163, but the mesh has the vertices 1\.\.162"
    ):
        library.load(shapes[2])


def test_the_library_forgets_what_was_used_longest_ago(shapes, tmp_path):
    library = ShapeLibrary(SETTINGS, tmp_path / "cache", capacity=2)
    first, second = library.load(shapes[0]), library.load(shapes[1])
    assert library.load(shapes[0]) is first
    library.load(shapes[2])
    assert library.load(shapes[0]) is first
    assert library.load(shapes[1]) is not second


def test_sets_follow_each_other_without_mixing(shapes, library):
    one = ShapePairDataset(paired(shapes[:2], (0, 1)), library)
    other = ShapePairDataset(paired(shapes[1:], (0, 1), (1, 0)), library)
    both = one.followed_by(other)
    assert [both.name(i) for i in range(3)] == [one.name(0), other.name(0), other.name(1)]
    assert [both[i].name for i in range(3)] == [both.name(i) for i in range(3)]
    assert [files.name for files in both.files1()] == ["tr_reg_080", "tr_reg_081", "tr_reg_082"]
    assert both.used() == shapes


@dataclasses.dataclass(frozen=True)
class Given:
    """A ground truth of a pair by its rows."""

    rows1: tuple[int, ...]
    rows2: tuple[int, ...]

    def first(self, *, n1):
        assert n1 == 162
        return np.array(self.rows1)

    def second(self, *, n2):
        assert n2 == 162
        return np.array(self.rows2)


def test_the_ground_truth_of_a_pair_goes_before_that_of_its_shapes(shapes, library):
    pair = ShapePairFiles(shapes[0], shapes[1], Given((5, 9, 5), (1, 2, 3)))
    dataset = ShapePairDataset(
        [pair, ShapePairFiles(shapes[0], shapes[2], Given((7,), (0,)))], library, geodesics="dijkstra"
    )
    assert dataset[0].corr1.tolist() == [5, 9, 5]
    assert dataset[0].corr2.tolist() == [1, 2, 3]
    assert dataset[0].corr1_flipped is None
    assert dataset[0].geodesics1.sources.tolist() == dataset[1].geodesics1.sources.tolist() == [5, 7, 9]


def test_a_pair_turned_round_keeps_its_ground_truth(shapes, library):
    pairs = [ShapePairFiles(shapes[0], shapes[1], Given((5, 9), (1, 2))), ShapePairFiles(shapes[0], shapes[2])]
    both = ShapePairDataset(pairs, library).in_both_directions()
    assert [both.name(i).replace("tr_reg_0", "") for i in range(4)] == ["80-81", "80-82", "81-80", "82-80"]
    assert (both[2].corr1.tolist(), both[2].corr2.tolist()) == ([1, 2], [5, 9])
    assert torch.equal(both[3].corr1, both[1].corr2)
    assert both.have_truth()


def test_ground_truth_with_more_rows_on_one_side_is_refused(shapes, library):
    with pytest.raises(MeshError, match=r"has 2 rows on .*tr_reg_080\.off but 1 on .*tr_reg_081\.off"):
        ShapePairDataset([ShapePairFiles(shapes[0], shapes[1], Given((5, 9), (1,)))], library)[0]


def test_pairs_within_some_shapes_join_no_others(shapes):
    pairs = all_pairs(shapes, "ordered")
    assert [pair.name for pair in pairs_within(pairs, shapes[1:])] == ["tr_reg_081-tr_reg_082", "tr_reg_082-tr_reg_081"]


def test_a_shape_is_called_as_its_files_say(shapes, library):
    renamed = ShapeFiles("class/name", shapes[0].mesh)
    assert library.load(renamed).shape.name == "class/name"
