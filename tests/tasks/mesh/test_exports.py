"""What a match leaves for other programs: read back by other readers, with equal values."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.io
import torch
from tests.fakes import write_mesh
from tests.later import later
from tests.meshes import sphere
from tests.textured import image, rolled, write_textured

from pullback.data.mesh.io import read_mesh_file
from pullback.data.mesh.looks.reading import read_look
from pullback.data.mesh.query_points import QueryPoints
from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparationSettings, load_shape, shape_of
from pullback.data.mesh.writers.ply import write_ply
from pullback.figures.camera import View
from pullback.figures.report import ReportContent, report_html
from pullback.geometry.cleaning import MeshError
from pullback.mapping.fmap import fmap_from_pointmap
from pullback.tasks.mesh.barycentric import barycentric_map
from pullback.tasks.mesh.exports.deforming import deformed
from pullback.tasks.mesh.exports.writing import write_exports
from pullback.tasks.mesh.landing import land
from pullback.tasks.mesh.two_meshes import FileMatch
from pullback.tasks.point_tables import write_table

trimesh = later("trimesh")

SETTINGS = PreparationSettings(k=40)


def matched(source, target, true) -> FileMatch:
    """A match with the given map between the shapes, and the functional map of it."""
    p2p21 = torch.from_numpy(np.asarray(true, dtype=np.int64))
    fmap12 = fmap_from_pointmap(p2p21, source.shape.basis, target.shape.basis)
    return FileMatch(source, target, p2p21, fmap12, fmap12, source.shape.verts, target.shape.verts)


def stretched(verts):
    return verts * [1.0, 1.3, 1.7]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A source with labels, values and colours, and a permuted target with one more vertex that is in no face."""
    folder = tmp_path_factory.mktemp("pair")
    verts, faces = sphere(2)
    verts = stretched(verts)
    label = (verts[:, 2] > 0).astype(np.int32) + 7
    colors = np.column_stack(
        [np.tile([10, 200], len(verts) // 2), np.full((len(verts), 2), 50), np.full(len(verts), 255)]
    )
    values = {"label": label, "height": verts[:, 2].astype(np.float32), "confidence": np.ones(len(verts), np.float32)}
    write_ply(folder / "s.ply", verts, faces, colors=colors.astype(np.uint8), values=values)
    order = np.random.default_rng(0).permutation(len(verts))
    place = np.argsort(order)
    write_mesh(folder / "t.off", np.concatenate([verts[order] + 5, [[9.0, 9, 9]]]), place[faces])
    source, target = (load_shape(folder / name, SETTINGS, folder / "cache") for name in ("s.ply", "t.off"))
    return matched(source, target, order), order, label, colors, verts


@pytest.fixture
def written(pair, tmp_path):
    kinds = ["ply", "obj", "glb", "deformed", "barycentric", "mat", "landmarks", "confidence"]
    return tmp_path, write_exports(tmp_path, pair[0], kinds, view=View())


def test_colours_labels_and_values_stand_at_the_targets_own_vertices(pair, written):
    _, order, label, colors, verts = pair
    found = read_look(written[0] / "target.ply", read_mesh_file(written[0] / "target.ply"))
    assert np.array_equal(found.values["label"], [*label[order], -1])
    assert np.allclose(found.values["height"][:-1], verts[order, 2], atol=0.05) and np.isnan(found.values["height"][-1])
    near = np.abs(found.colors[:-1, 0].astype(int) - colors[order, 0]) <= 40
    assert near.mean() > 0.95 and found.colors[-1].tolist() == [217, 217, 217, 255]
    other = trimesh.load(written[0] / "target.ply", process=False)
    assert np.array_equal(other.visual.vertex_colors, found.colors) and len(other.vertices) == len(verts) + 1
    raw = other.metadata["_ply_raw"]["vertex"]["data"]
    assert np.array_equal(raw["label"], found.values["label"])


def test_a_glb_file_is_read_by_trimesh_in_the_order_of_the_vertices(pair, written):
    other = trimesh.load(written[0] / "target.glb", process=False, force="mesh")
    found = read_look(written[0] / "target.ply", read_mesh_file(written[0] / "target.ply"))
    assert np.array_equal(other.visual.vertex_colors, found.colors)
    assert np.allclose(other.vertices[:-1], pair[4][pair[1]] + 5, atol=1e-5)


def test_matlab_gets_maps_that_count_from_one_and_a_matrix_that_interpolates(pair, written):
    stored = scipy.io.loadmat(written[0] / "match.mat")
    result, order, *_, verts = pair
    assert np.array_equal(stored["p2p21"][:, 0], [*(order + 1), 0])
    assert np.allclose(stored["C"], result.fmap12.numpy()) and np.isnan(stored["evecs2"][-1]).all()
    there = stored["P21"] @ stored["verts1"]
    assert np.abs(there[:-1] - verts[order]).max() < 0.05 and not there[-1].any()


def test_the_text_of_triangles_and_weights_is_the_same_map(pair, written):
    rows = np.loadtxt(written[0] / "barycentric.txt")
    points, faces = barycentric_map(pair[0], pair[0].source.as_given()), pair[0].source.as_given().faces
    assert rows[-1].tolist() == [0, 0, 0, 0] and np.array_equal(rows[:, 0], points.face + 1)
    assert np.allclose(rows[:-1, 1:], points.weights[:-1], atol=1e-6)
    assert np.array_equal(faces[points.face[:-1]], points.corners[:-1])


def test_the_source_takes_the_place_of_the_target(pair, written):
    posed = trimesh.load(written[0] / "source_posed.ply", process=False)
    assert np.array_equal(posed.faces, sphere(2)[1])
    assert np.abs(posed.vertices - (pair[4] + 5)).max() < 0.03


def test_the_source_keeps_its_detail_when_it_is_bent(tmp_path):
    verts, faces = sphere(3)
    bumpy = stretched(verts) * (1 + 0.03 * np.sign(np.sin(9 * verts[:, :1])))
    cos, sin, (x, y, z) = np.cos(0.6 * verts[:, 2]), np.sin(0.6 * verts[:, 2]), bumpy.T
    bent = np.stack([x * cos - y * sin, x * sin + y * cos, z], axis=1)
    given = [FileMesh(part, faces) for part in (bumpy, 2 * bent)]
    source, target = (shape_of(part, SETTINGS, tmp_path, name=f"{i}") for i, part in enumerate(given))
    found = deformed(matched(source, target, np.arange(len(verts))), given[1])
    smooth = target.shape.basis.synthesise(target.shape.basis.project(torch.from_numpy(2 * bent).float())).numpy()
    assert np.abs(found - 2 * bent).mean() < 0.5 * np.abs(smooth - 2 * bent).mean()


def test_what_was_written_is_told_in_the_metrics_and_linked_in_the_report(pair, written):
    told = written[1].metrics()["exports"]
    page = report_html(ReportContent(title="a", files=list(told.items())))
    assert set(told) == {"target.ply", "target.glb", "source_posed.ply", "barycentric.txt", "match.mat"}
    assert all(f'href="../{name}"' in page for name in told)
    assert all((written[0] / name).is_file() for name in told)


def test_a_texture_is_carried_without_a_smear_and_read_by_trimesh(tmp_path):
    image(tmp_path / "skin.png")
    verts, faces, uv = rolled()
    path = write_textured(tmp_path, verts, faces, uv)
    moved = verts * [1.0, 1.2, 1.0]
    order = np.random.default_rng(1).permutation(len(verts))
    write_mesh(tmp_path / "t.off", moved[order], np.argsort(order)[faces])
    source, target = (load_shape(each, SETTINGS, tmp_path / "cache") for each in (path, tmp_path / "t.off"))
    result = matched(source, target, order)
    exports = write_exports(tmp_path / "out", result, ["ply", "obj", "glb", "deformed"], view=View())
    assert {each.name for each in exports.written} >= {"target.obj", "target.glb", "source_posed.obj"}
    mesh = read_mesh_file(tmp_path / "out" / "target.obj")
    assert np.allclose(mesh.verts, moved[order], atol=1e-8)
    found = read_look(tmp_path / "out" / "target.obj", mesh)
    assert np.ptp(found.uv, axis=1).max() < 0.2  # a triangle of the source spans 1/11 at most
    for name in ("target.obj", "target.glb", "source_posed.obj"):
        other = trimesh.load(tmp_path / "out" / name, process=False, force="mesh")
        assert np.ptp(other.visual.uv[other.faces], axis=1).max() < 0.2
        assert other.area == pytest.approx(mesh_area(mesh), rel=0.05)
    green = (
        read_look(tmp_path / "out" / "target.ply", read_mesh_file(tmp_path / "out" / "target.ply")).colors[:, 1] > 100
    )
    right = np.arctan2(verts[order, 1], verts[order, 0]) % (2 * np.pi) > np.pi
    assert (green == right).mean() > 0.9


def mesh_area(mesh):
    return trimesh.Trimesh(mesh.verts, mesh.faces, process=False).area


def test_coordinates_far_from_the_origin_keep_their_digits(tmp_path):
    verts, faces = sphere(1)
    write_ply(tmp_path / "near.ply", verts, faces)
    write_ply(tmp_path / "far.ply", verts + 4e6, faces)
    assert np.abs(read_mesh_file(tmp_path / "near.ply").verts - verts).max() < 1e-6
    assert np.array_equal(read_mesh_file(tmp_path / "far.ply").verts, verts + 4e6)
    assert b"property float x" in (tmp_path / "near.ply").read_bytes()


def test_points_land_where_the_map_sends_them_and_come_back(pair, tmp_path):
    result, order, *_ = pair
    landing = land(result, QueryPoints.of_vertices(np.array([3, 70])))
    assert np.array_equal(order[landing.lands_vertex], [3, 70]) and landing.returns.max() < 0.05
    back = land(result, QueryPoints.of_vertices(np.array([5, len(order)])), side="target")
    assert back.lands_vertex.tolist() == [order[5], -1] and np.isnan(back.lands_place[1]).all()
    write_table(tmp_path / "p.csv", back.rows())
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0].startswith("point,target_vertex,target_x") and lines[2].split(",")[5] == "0"


def test_places_land_as_the_nearest_points_of_the_surface(pair):
    result, _, _, _, verts = pair
    place = verts[sphere(2)[1][11]].mean(axis=0)
    landing = land(result, QueryPoints.of_places(1.01 * place[None]))
    assert np.linalg.norm(landing.lands_place[0] - 5 - place) < 0.05
    with pytest.raises(MeshError, match="Give coordinates as they are in that file"):
        land(result, QueryPoints.of_places(100 * place[None]))


def test_landmarks_are_listed_with_the_place_where_they_land(pair, tmp_path):
    result, order, *_ = pair
    ids = torch.arange(4)
    given = replace(result, landmarks=(torch.from_numpy(order[:4].copy()), ids))
    write_exports(tmp_path, given, ["landmarks"], view=View())
    rows = np.genfromtxt(tmp_path / "landmarks.csv", delimiter=",", names=True)
    assert rows["given_target_vertex"].tolist() == [1, 2, 3, 4] and rows["apart"].max() < 0.05
