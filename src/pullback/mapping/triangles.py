"""Maps 2 → 1 into triangles ("precise" maps): the nearest point of an embedded mesh, as corners and weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.embeddings import check_embeddings, full_precision, homogeneous, row_panels
from pullback.mapping.hard_map import check_rows
from pullback.mapping.parallel import each, run_alone
from pullback.mapping.reach import faces_within_reach
from pullback.mapping.search import exact_squares, first_of_nearest
from pullback.types import Movable

# So few points look only at the triangles within their reach, of a mesh of so many vertices.
_FEW, _MANY = 32, 2**15
# Pairs of a point and a near vertex whose triangles are examined at once.
_NEAR_VERTICES = 2**17
# Relative, for bounds that must survive rounding in float64.
_SLACK = 1e-7
# Of the bound of rounding in products, in units of p eps times squared lengths.
_ROUNDING = 16
# Squared sine of a corner under which float64 sees no area.
_FLAT = 1e-12


@dataclass(frozen=True, eq=False)
class PreciseMap(Movable):
    """A map 2 → 1 whose images lie inside triangles of shape 1; as a matrix, three entries a row."""

    corners: Int[Tensor, "n2 3"]  # vertices of shape 1: the triangle that each point of shape 2 falls into
    weights: Float[Tensor, "n2 3"]  # barycentric: ≥ 0, rows sum to 1
    n1: int

    @property
    def n2(self) -> int:
        return self.corners.shape[0]

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, interpolated linearly in the triangles.

        Raises ValueError for another number of points.
        """
        check_rows(feat1, self.n1)
        return (feat1[self.corners] * self.weights[:, :, None].to(feat1.dtype)).sum(dim=1)

    def nearest(self) -> Int[Tensor, " n2"]:
        """The point map to the corner of largest weight."""
        return self.corners.gather(1, self.weights.argmax(dim=1, keepdim=True))[:, 0]

    def reverse(self) -> "PreciseMap":
        """Raises ValueError: a precise map back needs the triangles of shape 2, which this map does not know."""
        raise ValueError(
            "a precise map cannot be reversed; build "
            "precise_map(query=reference, reference=query, faces1=faces of shape 2)"
        )


@torch.no_grad()
def precise_map(
    query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"], faces1: Int[Tensor, "f 3"]
) -> PreciseMap:
    """Map 2 → 1 that sends each query row to the nearest point of the triangles spanned by the reference rows.

    Ezuz & Ben-Chen 2017, "Deblurring and Denoising of Maps between Shapes", section 4. Computed in float64, with
    nothing that depends on the scale of the embeddings; a constant for autograd. Of equally near triangles the first.
    Raises ValueError for embeddings or faces that do not fit.
    """
    check_embeddings(query, reference)
    check_faces(faces1, len(reference))
    with full_precision(query.device):
        if len(query) <= _FEW and len(reference) >= _MANY:
            near = faces1[faces_within_reach(query, reference, faces1)]
            vertices, faces = near.unique(return_inverse=True)
            small = run_alone(lambda: _precise_map(query, reference[vertices], faces), query.device)
            return PreciseMap(vertices[small.corners], small.weights, len(reference))
        return run_alone(lambda: _precise_map(query, reference, faces1), query.device)


def _precise_map(
    query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"], faces1: Int[Tensor, "f 3"]
) -> PreciseMap:
    dtype, query, reference = query.dtype, query.double(), reference.double()
    nearest_face = _nearest_faces(query, reference, faces1)
    lost = (nearest_face >= len(faces1)).nonzero()[:, 0]
    if len(lost) > 0:
        raise ValueError(
            f"no nearest triangle for query row {int(lost[0])}: the embeddings hold NaN or infinite values"
        )
    corners = faces1[nearest_face]
    weights, _ = project_on_triangles(_corner_squares(query, reference, corners), edge_squares(reference, corners))
    return PreciseMap(corners, weights.to(dtype), len(reference))


def check_faces(faces1: Tensor, n1: int) -> None:
    """Raises ValueError unless faces1 holds triangles among n1 vertices."""
    if faces1.ndim != 2 or faces1.shape[1] != 3 or len(faces1) == 0:
        raise ValueError(f"faces1 has shape {tuple(faces1.shape)}; triangles are (faces, 3) with at least one face")
    if int(faces1.min()) < 0 or int(faces1.max()) >= n1:
        raise ValueError(
            f"faces1 holds vertices {int(faces1.min())} to {int(faces1.max())} but reference has the rows 0 to {n1 - 1}"
        )


def _nearest_faces(
    query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"], faces1: Int[Tensor, "f 3"]
) -> Int[Tensor, " n2"]:
    """The nearest triangle to each query row, of equally near ones the first.

    ``len(faces1)`` where no distance is a number.

    Distances to the vertices are matrix products, which only nominate: triangles that rounding could have kept from
    being the nearest are compared by their corners' ``exact_squares``.
    """
    triangles = _Triangles.of(reference, faces1)
    found = torch.full((len(query),), len(faces1), device=query.device)
    near, far = homogeneous(query, reference)
    norm = (near[:, :-1] ** 2).sum(dim=1, keepdim=True)

    def panel(rows: slice) -> None:
        square = (norm[rows] - 2 * near[rows] @ far.T).clamp_min_(0)
        row, face = _close_faces(
            triangles, square, norm[rows, 0], rounding=_ROUNDING * near.shape[1] * torch.finfo(near.dtype).eps
        )
        corners = faces1[face]
        _, exact = project_on_triangles(_corner_squares(query[rows][row], reference, corners), triangles.edges[face])
        first_of_nearest(found[rows], row, face, exact)

    each(panel, list(row_panels(len(query), len(reference), query.device)))
    return found


def _close_faces(
    triangles: "_Triangles", square: Float[Tensor, "b n1"], norm: Float[Tensor, " b"], *, rounding: float
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Pairs (row, face) of each row's nearest triangle and all that rounding cannot tell from it."""
    best = square.new_full((len(square),), torch.inf)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    for row, face in triangles.candidates(square, rounding * norm):
        corners = square[row[:, None], triangles.faces[face]]
        _, face_square = project_on_triangles(corners, triangles.edges[face])
        error = rounding * (norm[row] + corners.amax(dim=1))
        best.scatter_reduce_(0, row, face_square + error, "amin")
        kept = face_square - error <= best[row]
        seen.append((row[kept], face[kept], (face_square - error)[kept]))
    row, face, least = (torch.cat(parts) for parts in zip(*seen, strict=True))
    kept = least <= best[row]
    return row[kept], face[kept]


@dataclass(frozen=True, eq=False)
class _Triangles:
    """The triangles of an embedded mesh, with what rules most of them out for a given point."""

    faces: Int[Tensor, "f 3"]
    edges: Float[Tensor, "f 3"]  # squared lengths, as edge_squares
    reach: Float[Tensor, " f"]  # every point of the triangle is this close to one of its corners
    vertex_reach: Float[Tensor, " n1"]  # the largest reach around a vertex; -inf for a vertex of no triangle
    # faces sorted by vertex: those of vertex v are incident[start[v] : start[v] + count[v]]
    incident: Int[Tensor, " 3*f"]
    start: Int[Tensor, " n1"]
    count: Int[Tensor, " n1"]

    @staticmethod
    def of(reference: Float[Tensor, "n1 p"], faces: Int[Tensor, "f 3"]) -> "_Triangles":
        edges = edge_squares(reference, faces)
        # Attained by the centre of an equilateral triangle; the slack covers rounding.
        reach = (edges.amax(dim=1) / 3).sqrt() * (1 + _SLACK)
        vertex_reach = reach.new_full((len(reference),), -torch.inf)
        vertex_reach.scatter_reduce_(0, faces.flatten(), reach.repeat_interleave(3), "amax")
        count = torch.bincount(faces.flatten(), minlength=len(reference))
        return _Triangles(
            faces, edges, reach, vertex_reach, faces.flatten().argsort(stable=True) // 3, count.cumsum(0) - count, count
        )

    def candidates(
        self, square: Float[Tensor, "b n1"], error: Float[Tensor, " b"]
    ) -> Iterator[tuple[Int[Tensor, " m"], Int[Tensor, " m"]]]:
        """Pairs (row, face) that hold each row's nearest triangle, from squared distances to all vertices.

        ``error``: of these squares where they are small, by rounding.
        """
        dist = square.sqrt()
        # No triangle matters whose points all are farther than the nearest corner of another one.
        bound = (square.masked_fill(self.count == 0, torch.inf).amin(dim=1) + error).sqrt() * (1 + _SLACK)
        near = (dist <= bound[:, None] + self.vertex_reach).nonzero()
        for row, vertex in (part.unbind(dim=1) for part in near.split(_NEAR_VERTICES)):
            degree = self.count[vertex]
            offset = (self.start[vertex] - degree.cumsum(0) + degree).repeat_interleave(degree)
            face = self.incident[offset + torch.arange(len(offset), device=offset.device)]
            row, vertex = row.repeat_interleave(degree), vertex.repeat_interleave(degree)
            nearest_corner = dist[row[:, None], self.faces[face]].amin(dim=1)
            # A triangle is met once, at its nearest corner.
            kept = (nearest_corner == dist[row, vertex]) & (nearest_corner <= bound[row] + self.reach[face])
            yield row[kept], face[kept]


def edge_squares(reference: Float[Tensor, "n1 p"], corners: Int[Tensor, "m 3"]) -> Float[Tensor, "m 3"]:
    """Squared lengths of the edges (0, 1), (0, 2), (1, 2) of triangles."""
    a, b, c = corners.unbind(dim=1)
    return torch.stack([exact_squares(reference[i], reference[j]) for i, j in ((a, b), (a, c), (b, c))], dim=1)


def _corner_squares(
    points: Float[Tensor, "m p"], reference: Float[Tensor, "n1 p"], corners: Int[Tensor, "m 3"]
) -> Float[Tensor, "m 3"]:
    """Squared distances of points to the three corners of a triangle each."""
    return torch.stack([exact_squares(points, reference[corner]) for corner in corners.unbind(dim=1)], dim=1)


def project_on_triangles(
    square: Float[Tensor, "m 3"], edges: Float[Tensor, "m 3"]
) -> tuple[Float[Tensor, "m 3"], Float[Tensor, " m"]]:
    """Barycentric weights of the nearest point of a triangle, and its squared distance, from squared lengths alone.

    ``square`` are those to the three corners. For weights w that sum to 1 the squared distance is
    ``Σ w_i square_i - Σ_{i<j} w_i w_j edge_ij`` in any dimension, least either at the foot of the perpendicular, if
    that is inside, or on one of the edges. A triangle without area is the union of its edges.
    """
    to_a, to_b, to_c = square.unbind(dim=1)
    ab, ac, bc = edges.unbind(dim=1)
    zero = torch.zeros_like(ab)
    on_ab, on_ac, on_bc = _foot(to_a, to_b, ab), _foot(to_a, to_c, ac), _foot(to_b, to_c, bc)
    choices = [(1 - on_ab, on_ab, zero), (1 - on_ac, zero, on_ac), (zero, 1 - on_bc, on_bc), _inner_foot(square, edges)]
    weights = torch.stack([torch.stack(choice, dim=1) for choice in choices], dim=1)
    wa, wb, wc = weights.unbind(dim=2)
    dist = (
        (weights * square[:, None, :]).sum(dim=2)
        - wa * wb * ab[:, None]
        - wa * wc * ac[:, None]
        - wb * wc * bc[:, None]
    )
    dist = torch.where((weights >= 0).all(dim=2), dist, torch.inf)
    least, choice = dist.min(dim=1)
    return weights[torch.arange(len(choice), device=choice.device), choice], least


def _foot(to_start: Float[Tensor, " m"], to_end: Float[Tensor, " m"], edge: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Where along an edge, 0 to 1, its nearest point to a point at the given squared distances of its ends lies."""
    return torch.where(edge > 0, (to_start - to_end + edge) / (2 * edge), 0).clamp(0, 1)


def _inner_foot(square: Float[Tensor, "m 3"], edges: Float[Tensor, "m 3"]) -> tuple[Tensor, Tensor, Tensor]:
    """Barycentric coordinates of the perpendicular's foot in the plane of the triangle.

    -1 for a triangle without area.
    """
    to_a, to_b, to_c = square.unbind(dim=1)
    ab, ac, bc = edges.unbind(dim=1)
    dot = (ab + ac - bc) / 2
    along_b, along_c = (to_a + ab - to_b) / 2, (to_a + ac - to_c) / 2
    det = ab * ac - dot**2  # (2 area)²
    flat = det <= _FLAT * ab * ac
    det = torch.where(flat, 1, det)
    wb, wc = (ac * along_b - dot * along_c) / det, (ab * along_c - dot * along_b) / det
    return torch.where(flat, -1, 1 - wb - wc), wb, wc
