"""How good a map looks without ground truth: energies of point maps 2 → 1 and 1 → 2 between the probes of two shapes.

All are about 0 for the identity, and the larger the worse. Lengths are in units of √area.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.fmap import resolvent_mask
from pullback.probe import Probe

_K = 30  # eigenfunctions in the energies of functional maps
_NEAR = 0.07  # about twice the distance between neighbouring points of a probe of 700
_CAP = 3.0  # logarithms of distortions end here: the wrong part of a map counts by its size, not by how wrong it is


class SampledMaps(NamedTuple):
    """Point maps between two probes, in both directions, found independently of each other."""

    p2p21: Int[Tensor, " s2"]  # numbers of points of probe 1
    p2p12: Int[Tensor, " s1"]

    def swapped(self) -> "SampledMaps":
        return SampledMaps(self.p2p12, self.p2p21)


def map_energies(maps: SampledMaps, probe1: Probe, probe2: Probe) -> dict[str, float]:
    """The energies of a pair of maps by name: means of both directions."""
    one_way = [_directed(maps, probe1, probe2), _directed(maps.swapped(), probe2, probe1)]
    fmap12, fmap21 = sampled_fmap(maps.p2p21, probe1, probe2), sampled_fmap(maps.p2p12, probe2, probe1)
    k = min(len(fmap12), len(fmap21))
    undone = sum(
        ((a @ b)[:k, :k] - torch.eye(k).to(a)).square().sum() / k for a, b in ((fmap21, fmap12), (fmap12, fmap21))
    )
    energies = {name: float(sum(each[name] for each in one_way) / 2) for name in one_way[0]}
    return energies | {"bijectivity": float(undone / 2)}


def nearest_point(query: Float[Tensor, "s2 p"], reference: Float[Tensor, "s1 p"]) -> Int[Tensor, " s2"]:
    """For each query row the nearest reference row.

    For the few points of probes: :func:`pullback.mapping.pointmap.nearest` would spend most of its time on being exact
    to the last bit.
    """
    return torch.addmm((reference**2).sum(dim=1), query, reference.T, alpha=-2).min(dim=1).indices


def map_distance(maps: SampledMaps, other: SampledMaps, probe1: Probe, probe2: Probe) -> float:
    """How far the images of two pairs of maps lie apart, straight through space: the mean of both directions."""
    sides = ((maps.p2p21, other.p2p21, probe1, probe2), (maps.p2p12, other.p2p12, probe2, probe1))
    apart = [
        (to.verts[one] - to.verts[two]).norm(dim=1) @ since.basis.mass / since.basis.mass.sum()
        for one, two, to, since in sides
    ]
    return float(sum(apart) / 2)


def feature_residual(
    maps: SampledMaps,
    feat1: Float[Tensor, "s1 c"],
    feat2: Float[Tensor, "s2 c"],
    probe1: Probe,
    probe2: Probe,
) -> float:
    """How far features lie apart that the maps join, in units of how far those of unrelated points do."""
    mass1, mass2 = (probe.basis.mass / probe.basis.mass.sum() for probe in (probe1, probe2))
    joined = mass2 @ (feat2 - feat1[maps.p2p21]).norm(dim=1) + mass1 @ (feat1 - feat2[maps.p2p12]).norm(dim=1)
    unrelated = torch.cdist(feat2[:: max(1, len(feat2) // 50)], feat1).mean(dim=0) @ mass1
    return float(joined / (2 * unrelated).clamp_min(torch.finfo(feat1.dtype).eps))


def point_signals(maps: SampledMaps, probe1: Probe, probe2: Probe) -> Float[Tensor, "s2 signals"]:
    """What is known of each point of probe 2 alone.

    How far it returns from its way there and back, distortions of area and angle there, whether orientation is turned,
    the difference in curvature, and how far neighbours are torn apart.
    """
    returns = (probe2.verts[maps.p2p12[maps.p2p21]] - probe2.verts).norm(dim=1)
    area, angle, flipped = local_distortion(maps.p2p21, probe1, probe2)
    bent = (probe1.curvature[maps.p2p21] - probe2.curvature).norm(dim=1)
    return torch.stack([returns, area, angle, flipped.to(area), bent, tearing(maps.p2p21, probe1, probe2)], dim=1)


def sampled_fmap(p2p21: Int[Tensor, " s2"], probe1: Probe, probe2: Probe, *, k: int = _K) -> Float[Tensor, "k2 k1"]:
    """Functional map 1 → 2 of a point map between probes, with k eigenfunctions of either."""
    basis1, basis2 = (probe.basis.first(min(k, probe.basis.k)) for probe in (probe1, probe2))
    return basis2.project(basis1.evecs[p2p21])


def local_distortion(
    p2p21: Int[Tensor, " s2"], probe1: Probe, probe2: Probe
) -> tuple[Float[Tensor, " s2"], Float[Tensor, " s2"], Float[Tensor, " s2"]]:
    """``(area, angle, flipped)`` at each point of shape 2.

    Absolute logarithm of the change of area, logarithm of the quasi-conformal distortion, and whether the map turns the
    surface inside out.

    Of the smooth map: positions on shape 1 are pulled back through the functional map, and their derivatives compared
    with those of shape 1's own smooth positions at the image. Its own eigenfunctions smooth both alike.
    """
    k = min(probe1.basis.k, probe2.basis.k)
    fmap12 = sampled_fmap(p2p21, probe1, probe2, k=k)
    pulled = fmap12 @ probe1.coords[:k]
    own = _frame(probe1, probe1.coords)[p2p21]
    image = _frame(probe2, pulled, k=k)
    normal, turned = _normal(own), _normal(image)
    tiny = torch.finfo(image.dtype).eps
    area = (turned.norm(dim=1).clamp_min(tiny) / normal.norm(dim=1).clamp_min(tiny)).log().abs()
    stretch = (image**2).sum(dim=(1, 2)) / 2
    angle = (stretch.clamp_min(tiny) / turned.norm(dim=1).clamp_min(tiny)).log()
    flipped = ((normal * turned).sum(dim=1) < 0).to(area)
    return area.clamp(max=_CAP), angle.clamp(0, _CAP), flipped


def tearing(p2p21: Int[Tensor, " s2"], probe1: Probe, probe2: Probe) -> Float[Tensor, " s2"]:
    """How far the images of neighbouring points lie apart, compared with the points: mean absolute logarithm."""
    near = probe2.near
    here = (probe2.verts[near] - probe2.verts[:, None]).norm(dim=2)
    image = probe1.verts[p2p21]
    there = (image[near] - image[:, None]).norm(dim=2)
    floor = 0.25 * here.mean()  # points that share an image are no tear
    return ((there + floor) / (here + floor)).log().abs().clamp(max=_CAP).mean(dim=1)


def _directed(maps: SampledMaps, probe1: Probe, probe2: Probe) -> dict[str, Tensor]:
    p2p21, mass2 = maps.p2p21, probe2.basis.mass / probe2.basis.mass.sum()
    fmap12 = sampled_fmap(p2p21, probe1, probe2)
    returns, area, angle, flipped, _, torn = point_signals(maps, probe1, probe2).T
    k2, k1 = fmap12.shape
    mask = resolvent_mask(probe1.basis.evals[:k1], probe2.basis.evals[:k2])
    return {
        "cycle": mass2 @ returns.clamp(max=1.0),
        "unreturned": mass2 @ (returns > _NEAR).to(mass2),
        "orthogonality": (fmap12.T @ fmap12 - torch.eye(k1).to(fmap12)).square().sum() / k1,
        "commutativity": (fmap12 * mask).square().sum() / k1,
        "metric": _metric_distortion(p2p21, probe1, probe2),
        "area": mass2 @ area,
        "angle": mass2 @ angle,
        "crushed": mass2 @ ((area > 1) | (angle > 1)).to(mass2),
        "flipped": mass2 @ flipped,
        "tearing": mass2 @ torn,
        "torn": mass2 @ (torn > 1).to(mass2),
        "uncovered": _uncovered(p2p21, probe1),
        "curvature": (mass2 @ (probe1.curvature[p2p21] - probe2.curvature).square()).mean() / 2,
    }


def _frame(probe: Probe, coeffs: Float[Tensor, "k 3"], *, k: int | None = None) -> Float[Tensor, "s 2 3"]:
    """Derivatives of functions along both tangent vectors of each point."""
    k = k or probe.basis.k
    return torch.stack([probe.grad_x[:, :k] @ coeffs, probe.grad_y[:, :k] @ coeffs], dim=1)


def _normal(frame: Float[Tensor, "s 2 3"]) -> Float[Tensor, "s 3"]:
    return torch.linalg.cross(frame[:, 0], frame[:, 1])


def _metric_distortion(p2p21: Int[Tensor, " s2"], probe1: Probe, probe2: Probe) -> Float[Tensor, ""]:
    """Mean change of biharmonic distances between pairs of points, in units of their mean."""
    some = torch.arange(0, probe2.s, max(1, probe2.s // 200), device=p2p21.device)
    dist2 = _distances(_biharmonic(probe2)[some])
    dist1 = _distances(_biharmonic(probe1)[p2p21[some]])
    return (dist1 - dist2).abs().mean() / dist2.mean()


def _distances(rows: Float[Tensor, "m k"]) -> Float[Tensor, "m m"]:
    return torch.cdist(rows, rows)


def _biharmonic(probe: Probe) -> Float[Tensor, "s k"]:
    """Rows whose distances are biharmonic distances (Lipman et al. 2010), a smooth stand-in for geodesic ones."""
    evals = probe.basis.evals[:_K]
    varying = evals > 1e-3 * evals[-1]
    return probe.basis.evecs[:, :_K][:, varying] / evals[varying]


def _uncovered(p2p21: Int[Tensor, " s2"], probe1: Probe) -> Float[Tensor, ""]:
    """Share of the area of shape 1 with no image of a point within reach."""
    hit = torch.unique(p2p21)
    away = torch.cdist(probe1.verts, probe1.verts[hit]).amin(dim=1)
    return probe1.basis.mass @ (away > _NEAR).to(probe1.verts) / probe1.basis.mass.sum()
