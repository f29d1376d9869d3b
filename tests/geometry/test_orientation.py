"""Turning faces at once gives what walking from neighbour to neighbour gives."""

from collections import deque

import numpy as np
import pytest
from tests.meshes import plane, sphere

from pullback.geometry.orientation import orient_outward


def walked(faces):
    """Faces turned by a walk that begins at the first face of each piece."""
    faces = [list(face) for face in faces.tolist()]
    around = {}
    for f, face in enumerate(faces):
        for i in range(3):
            around.setdefault(frozenset((face[i], face[(i + 1) % 3])), []).append(f)
    seen = set()
    for root in range(len(faces)):
        queue = deque([] if root in seen else [root])
        seen.add(root)
        while queue:
            f = queue.popleft()
            for i in range(3):
                tail, head = faces[f][i], faces[f][(i + 1) % 3]
                for g in around[frozenset((tail, head))]:
                    if g not in seen:
                        if (tail, head) in [(faces[g][j], faces[g][(j + 1) % 3]) for j in range(3)]:
                            faces[g] = [faces[g][0], faces[g][2], faces[g][1]]
                        seen.add(g)
                        queue.append(g)
    return np.array(faces)


@pytest.mark.parametrize("share", [0.02, 0.4])
def test_flipped_faces_of_several_pieces_are_turned_as_by_a_walk(share):
    rng = np.random.default_rng(0)
    (verts1, faces1), (verts2, faces2) = sphere(2), plane(9)
    verts, faces = np.concatenate([verts1, verts2 + 3]), np.concatenate([faces1, faces2 + len(verts1)])
    faces = faces[rng.permutation(len(faces))]
    flipped = np.where(rng.random((len(faces), 1)) < share, faces[:, [0, 2, 1]], faces)
    found, notes = orient_outward(verts, flipped)
    expected = walked(flipped)
    on_sphere = (faces < len(verts1)).all(axis=1)
    # the walk leaves the sense of the first face: each piece as a whole may be turned
    for piece in (on_sphere, ~on_sphere):
        same = (found == expected).all(axis=1)[piece]
        assert same.all() or not same.any()
    np.testing.assert_array_equal(found, faces)
    assert "flipped faces" in notes[0]
