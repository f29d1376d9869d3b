"""Everything the networks and the maps need of one mesh, computed in one go."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.geometry.eigenbasis import solve_eigenproblem
from pullback.geometry.gradient import gradient_operators
from pullback.geometry.local_functions import UnevenError
from pullback.geometry.mesh import SlenderFaces, cotangent_stiffness, lumped_mass, normalise_area, slender_faces
from pullback.geometry.point_sample import sample_points
from pullback.geometry.sampled_basis import sampled_eigenproblem
from pullback.stages import stage

BASES = ("exact", "sampled")


@dataclass(frozen=True)
class MeshOperators:
    """Operators of one unit-area mesh, float64. ``evecs`` are mass-orthonormal, ``mass`` sums to 1."""

    verts: Float[ndarray, "n 3"]
    faces: Int[ndarray, "f 3"]
    mass: Float[ndarray, " n"]
    stiffness: sp.csr_matrix
    evals: Float[ndarray, " k"]
    evecs: Float[ndarray, "n k"]
    grad_x: sp.csr_matrix
    grad_y: sp.csr_matrix
    sample_points: Int[ndarray, " s"]  # ascending ids of a few well-spread vertices
    sample_mass: Float[ndarray, " s"]  # of the vertices nearest to each
    notes: tuple[str, ...] = ()  # where the operators are not plainly those of the mesh


def compute_operators(
    verts: Float[ndarray, "n 3"],
    faces: Int[ndarray, "f 3"],
    *,
    k: int,
    laplacian: str = "cotangent",
    samples: int = 3000,
    basis: str = "exact",
) -> MeshOperators:
    """Operators of a cleaned mesh of unit area: k eigenfunctions and a sample of ``samples`` points.

    ``laplacian="robust"`` takes the intrinsic Delaunay ("tufted") Laplacian of Sharp & Crane 2020, for non-manifold or
    badly triangulated input. ``basis="sampled"`` approximates the eigenfunctions from local functions around the sample
    (:mod:`pullback.geometry.sampled_basis`), which is no faster. Raises ValueError for k > n, EigenbasisError when the
    spectrum cannot be computed.
    """
    if basis not in BASES:
        raise ValueError(f"basis={basis!r} is unknown; use one of {', '.join(BASES)}")
    verts = normalise_area(verts, faces)
    notes: tuple[str, ...] = ()
    if laplacian == "robust":
        stiffness, mass = _robust_laplacian(verts, faces)
    elif laplacian == "cotangent":
        stiffness, mass = cotangent_stiffness(verts, faces), lumped_mass(verts, faces)
        notes = _slender_note(slender_faces(verts, faces))
    else:
        raise ValueError(f"laplacian={laplacian!r} is unknown; use cotangent or robust")
    # A vertex whose faces all have no area would make the mass matrix singular.
    mass = mass + 1e-8 * mass.mean()
    mass = mass / mass.sum()
    with stage(f"sample of {min(samples, len(verts))} points"):
        points, sample_mass = sample_points(verts, faces, mass, count=samples)
    with stage(f"{k} eigenfunctions ({basis})"):
        try:
            sampled = sampled_eigenproblem(verts, faces, stiffness, mass, points, k=k) if basis == "sampled" else None
        except (UnevenError, np.linalg.LinAlgError) as error:
            sampled, notes = None, (*notes, f"the exact eigenfunctions were computed, not data.basis=sampled: {error}")
        evals, evecs = solve_eigenproblem(stiffness, mass, k=k) if sampled is None else sampled
    grad_x, grad_y = gradient_operators(verts, faces)
    return MeshOperators(verts, faces, mass, stiffness, evals, evecs, grad_x, grad_y, points, sample_mass, notes)


def _slender_note(slender: SlenderFaces) -> tuple[str, ...]:
    count = len(slender.number)
    text = (
        f"{count} slender faces (caps or needles, thinner than rounding allows): edges made longer by up to "
        "1e-5 of the longest for them"
    )
    return (text,) if count else ()


def _robust_laplacian(
    verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"]
) -> tuple[sp.csr_matrix, Float[ndarray, " n"]]:
    try:
        import robust_laplacian
    except ImportError as error:
        raise ImportError(
            "laplacian=robust needs the package robust-laplacian: pip install 'pullback[robust]'"
        ) from error
    stiffness, mass = robust_laplacian.mesh_laplacian(verts, faces)
    return sp.csr_matrix(stiffness), np.asarray(mass.diagonal())
