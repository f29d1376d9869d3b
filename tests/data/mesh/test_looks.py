"""Colours, textures, labels and values of mesh files arrive, and files of strangers lead nowhere else."""

import numpy as np
import pytest
from PIL import Image
from tests.later import later
from tests.mesh_files import FACES, VERTS, ply_header, rows
from tests.textured import halves, image, rolled, write_textured

from pullback.data.mesh.io import read_mesh_file
from pullback.data.mesh.looks.look import Look
from pullback.data.mesh.looks.reading import read_look

trimesh = later("trimesh")

COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7], [1, 2, 3]])


def look(path) -> Look:
    return read_look(path, read_mesh_file(path))


def test_vertex_colours_labels_and_values_of_a_ply_file_arrive_in_their_types(tmp_path):
    vertex = "".join(f"property float {axis}\n" for axis in "xyz")
    vertex += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    vertex += "property int label\nproperty float quality\nproperty float nx\n"
    table = [[*v, *c, i % 2, i / 4, 0] for i, (v, c) in enumerate(zip(VERTS.tolist(), COLORS.tolist(), strict=True))]
    text = ply_header("ascii", vertex=vertex) + "".join(" ".join(map(str, row)) + "\n" for row in table)
    (tmp_path / "a.ply").write_text(text + rows(FACES, "3 "))
    found = look(tmp_path / "a.ply")
    assert np.array_equal(found.colors[:, :3], COLORS) and (found.colors[:, 3] == 255).all()
    assert found.values["label"].dtype == np.int32 and found.values["label"].tolist() == [0, 1, 0, 1, 0]
    assert found.values["quality"].dtype == np.float32 and set(found.values) == {"label", "quality"}


def test_face_colours_follow_polygons_that_are_cut(tmp_path):
    face = "list uchar int vertex_indices, uchar red, uchar green, uchar blue"
    text = ply_header("ascii", f=2, face=face) + rows(VERTS) + "4 0 1 2 3 10 20 30\n3 0 1 3 40 50 60\n"
    (tmp_path / "a.ply").write_text(text)
    assert look(tmp_path / "a.ply").face_colors[:, 0].tolist() == [10, 10, 40]


def test_a_ply_file_with_texture_coordinates_by_vertex_or_by_corner_has_its_image(tmp_path):
    image(tmp_path / "skin.png")
    vertex = "".join(f"property float {axis}\n" for axis in "xyzst")
    header = ply_header("ascii", vertex=vertex, before="comment TextureFile skin.png\n")
    table = "".join(" ".join(map(str, [*v, *v[:2]])) + "\n" for v in VERTS.tolist())
    (tmp_path / "v.ply").write_text(header + table + rows(FACES, "3 "))
    found = look(tmp_path / "v.ply")
    assert found.has_texture and np.array_equal(found.uv, VERTS[FACES][:, :, :2])
    face = "list uchar int vertex_indices, list uchar float texcoord"
    header = ply_header("ascii", face=face, before="comment TextureFile skin.png\n")
    corners = "".join(f"3 {a} {b} {c} 6 0 0 .5 0 0 .5\n" for a, b, c in FACES)
    (tmp_path / "c.ply").write_text(header + rows(VERTS) + corners)
    assert look(tmp_path / "c.ply").uv[2].tolist() == [[0, 0], [0.5, 0], [0, 0.5]]


def test_texture_coordinates_of_an_obj_file_belong_to_corners_so_that_seams_stay(tmp_path):
    pixels = image(tmp_path / "skin.png")
    verts, faces, uv = halves()
    found = look(write_textured(tmp_path, verts, faces, uv))
    assert np.allclose(found.uv, uv) and (found.material_of == 0).all()
    assert np.array_equal(found.materials[0].texture.pixels[..., :3], pixels)
    assert found.materials[0].texture.colors_at(np.array([[0.25, 0.5], [0.75, 0.5]]))[:, 0].tolist() == [200, 0]


def test_colours_behind_the_coordinates_of_an_obj_file_arrive(tmp_path):
    shares = "".join(f"v {x} {y} {z} {i / 4} 0 1\n" for i, (x, y, z) in enumerate(VERTS.tolist()))
    (tmp_path / "a.obj").write_text(shares + rows(FACES + 1, "f "))
    assert look(tmp_path / "a.obj").colors[:, 0].tolist() == [0, 64, 128, 191, 255]


@pytest.mark.parametrize("form", ["off", "off_faces"])
def test_colours_of_an_off_file_arrive(tmp_path, form):
    text = f"{'COFF' if form == 'off' else 'OFF'}\n5 4 0\n"
    if form == "off":
        text += rows(np.hstack([VERTS, COLORS, np.full((5, 1), 255)])) + rows(FACES, "3 ")
    else:
        text += rows(VERTS) + "".join(f"3 {a} {b} {c} 0.2 0.4 {i / 4}\n" for i, (a, b, c) in enumerate(FACES))
    (tmp_path / "a.off").write_text(text)
    found = look(tmp_path / "a.off")
    if form == "off":
        assert np.array_equal(found.colors[:, :3], COLORS)
    else:
        assert found.face_colors[:, :3].tolist() == [[51, 102, round(255 * i / 4)] for i in range(4)]


def test_a_glb_file_of_trimesh_arrives_with_colours_or_with_its_texture(tmp_path):
    pixels = image(tmp_path / "skin.png")
    verts, faces, _ = rolled()
    colored = trimesh.Trimesh(verts, faces, process=False, vertex_colors=np.tile([9, 8, 7, 255], (len(verts), 1)))
    colored.vertex_attributes["_label"] = np.arange(len(verts), dtype=np.float32)
    colored.export(tmp_path / "c.glb")
    found = look(tmp_path / "c.glb")
    assert (found.colors == [9, 8, 7, 255]).all() and found.values["label"].tolist() == list(range(len(verts)))
    uv = np.random.default_rng(0).random((len(verts), 2))
    visual = trimesh.visual.TextureVisuals(uv=uv, image=Image.open(tmp_path / "skin.png"))
    trimesh.Trimesh(verts, faces, process=False, visual=visual).export(tmp_path / "t.glb")
    found = look(tmp_path / "t.glb")
    assert np.allclose(found.uv, uv[faces], atol=1e-6)
    assert np.array_equal(found.materials[0].texture.pixels[..., :3], pixels)


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        ("../skin.png", "lies outside of its folder and was not opened"),
        ("/etc/hostname", "lies outside of its folder and was not opened"),
        ("nosuch.png", "is not there; copy it beside s.mtl"),
        ("s.mtl", "its image was left out: "),
    ],
)
def test_an_image_that_is_elsewhere_missing_or_none_is_told_and_not_fatal(tmp_path, picture, told):
    home = tmp_path / "home"
    home.mkdir()
    image(tmp_path / "skin.png")
    found = look(write_textured(home, *halves(), picture=picture))
    assert not found.has_texture and found.uv is not None
    assert len(found.notes) == 1 and told in found.notes[0]


def test_a_link_to_an_image_elsewhere_is_not_followed(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    image(tmp_path / "secret.png")
    (home / "skin.png").symlink_to(tmp_path / "secret.png")
    found = look(write_textured(home, *halves()))
    assert not found.has_texture and "lies outside of its folder" in found.notes[0]


def test_a_name_with_the_folder_of_another_machine_finds_the_image_beside_the_mesh(tmp_path):
    image(tmp_path / "my skin.png")
    found = look(write_textured(tmp_path, *halves(), picture=r"-s 1 1 1 C:\art\my skin.png"))
    assert found.has_texture and "beside the mesh was taken" in found.notes[0]


def test_a_file_that_says_nothing_of_its_surface_has_no_look(tmp_path):
    (tmp_path / "a.obj").write_text(rows(VERTS, "v ") + rows(FACES + 1, "f "))
    assert not look(tmp_path / "a.obj").has_colors
