"""The failing meshes of bug reports, where they are at hand: one body of 1,994 vertices in many guises."""

import numpy as np
import pytest
from tests.reported import CASES

from pullback.data.mesh.io import read_landmarks, read_mesh, read_mesh_file
from pullback.geometry.cleaning import MeshError, clean_mesh
from pullback.geometry.operators import compute_operators

BODIES = (
    "obj-relative-indices",
    "ply-mixed-polygons",
    "ply-trailing-bytes",
    "ply-header-text",
    "stl-not-exact",
    "off-headers",
)
BODIES += ("obj-names-not-utf8", "obj-two-corner-face")


@pytest.fixture
def case(request):
    folder = CASES / request.param
    if not folder.is_dir():
        pytest.skip(f"needs the failing inputs of bug reports: no folder {folder}")
    return folder


def area(verts, faces):
    a, b, c = (verts[faces[:, i]] for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


@pytest.mark.parametrize("case", BODIES, indirect=True)
def test_the_body_is_the_same_in_every_guise(case):
    for path in sorted(case.iterdir()):
        mesh = read_mesh_file(path)
        clean = clean_mesh(mesh.verts, mesh.faces, name=str(path))
        assert (len(clean.verts), len(clean.faces)) == (1994, 3984)
        assert area(clean.verts, clean.faces) == pytest.approx(1.87208396, rel=1e-6)


@pytest.mark.parametrize("case", ["reader-errors"], indirect=True)
def test_what_is_broken_is_refused_by_name(case):
    for path in sorted(case.iterdir()):
        with pytest.raises(MeshError) as caught:
            read_landmarks(path, n1=9, n2=9) if path.suffix == ".txt" else read_mesh(path)
        assert str(path) in str(caught.value)
        assert ", line " in str(caught.value) or ": line " in str(caught.value) or path.name == "comment.off"


@pytest.mark.parametrize("case", ["slivers-hang", "slivers-refused", "uv-seam", "dropped-vertices"], indirect=True)
def test_a_body_with_slivers_seams_or_a_second_piece_has_the_spectrum_of_the_body(case):
    plain = spectrum(CASES / "off-headers" / "modelnet.off")
    for path in sorted(case.iterdir()):
        assert spectrum(path) == pytest.approx(plain, rel=0.01), path.name


def spectrum(path):
    mesh = clean_mesh(*read_mesh(path), name=str(path), components="largest")
    return compute_operators(mesh.verts, mesh.faces, k=60).evals[1:]
