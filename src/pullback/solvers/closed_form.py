"""The functional map of a pair of photographs in closed form: regularised least squares, row by row.

Milliseconds, no randomness.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.fmap import MASKS, fmap_from_softmap, penalty_mask
from pullback.mapping.latent import nearest_orthogonal, soft_orthogonality
from pullback.mapping.row_systems import factorise_rows, solve_factored, solve_rows
from pullback.ranges import above, at_least
from pullback.solvers.pair_descriptors import PairDescriptors
from pullback.solvers.pair_losses import diagonal
from pullback.solvers.pair_solver import PairFmap, PairSolver, natural_scale
from pullback.solvers.zoomout import hard_map, zoomout
from pullback.types import Eigenbasis, PatchPair


class Equations(NamedTuple):
    """The normal equations ``fmap12 gram = cross`` of a batch, divided by the mean diagonal entry of ``A Aᵀ``."""

    gram: Float[Tensor, "p k1 k1"]  # A Aᵀ
    cross: Float[Tensor, "p k2 k1"]  # B Aᵀ
    norm: Float[Tensor, " p"]  # ‖B‖²

    def residual(self, fmap12: Float[Tensor, "p k2 k1"]) -> Float[Tensor, " p"]:
        """``‖fmap12 A - B‖²``."""
        return ((fmap12 @ self.gram - 2 * self.cross) * fmap12).sum(dim=(1, 2)) + self.norm


class ClosedForm(PairSolver):
    """Minimises ``‖C A - B‖² + lam Σ mask C² + orthogonality Σ (σ_i(C) - 1)²`` over maps C.

    C leads from photograph 1 to photograph 2.

    A and B are the coefficients of the descriptors in unit-area bases, divided by the root mean square of a row of A;
    the mask is divided by its mean: ``lam`` and ``orthogonality`` mean the same for all features, basis sizes and
    photographs.

    - Without orthogonality each row a of C is a ridge problem of its own, ``(A Aᵀ + lam diag(mask_a) + eps I) c_a = A
      b_a`` (Ren et al. 2019).
    - mask: ``"squared_difference"`` of the eigenvalues (rows of C live on photograph 2), ``"resolvent"`` with exponent
      ``gamma``, or ``"none"``, a plain ridge.
    - The third term is the least distance to an orthogonal map, ``min_Q ‖C - Q‖²``: C and Q are found in turn,
      ``orthogonality_steps`` times, and no step raises the sum.
    - ``descriptors``: None takes those of both branches.
    - ``zoomout_steps`` then refine by nearest neighbours, from ``zoomout_start`` eigenfunctions to all.

    ``fmap12_init`` is the least-squares map alone. The result does not depend on signs and rotations of the
    eigenfunctions beyond carrying them along.
    """

    mode: ClassVar[str] = "closed_form"
    terms: ClassVar[tuple[str, ...]] = ("feature", "mask", "orthogonality")

    def __init__(
        self,
        *,
        descriptors: PairDescriptors | None = None,
        lam: float = 1.0,
        eps: float = 1e-6,
        mask: str = "squared_difference",
        gamma: float = 0.5,
        orthogonality: float = 0.0,
        orthogonality_steps: int = 10,
        zoomout_steps: int = 0,
        zoomout_start: int = 50,
        max_pairs: int = 4,
    ):
        super().__init__(max_pairs=max_pairs)
        if mask not in MASKS:
            raise ValueError(f"mask={mask!r} is unknown; use one of {', '.join(MASKS)}")
        at_least(0, lam=lam, gamma=gamma, orthogonality=orthogonality)
        at_least(0, orthogonality_steps=orthogonality_steps, zoomout_steps=zoomout_steps)
        at_least(1, zoomout_start=zoomout_start)
        above(0, eps=eps)
        self.descriptors = descriptors or PairDescriptors(source="both")
        self.lam = lam
        self.eps = eps
        self.mask = mask
        self.gamma = gamma
        self.orthogonality = orthogonality
        self.orthogonality_steps = orthogonality_steps
        self.zoomout_steps = zoomout_steps
        self.zoomout_start = zoomout_start

    @torch.no_grad()
    def solve(self, pairs: Sequence[PatchPair]) -> list[PairFmap]:
        equations = normal_equations([self.descriptors.coefficients(pair) for pair in pairs])
        masks = torch.stack([self.mask_of(pair) for pair in pairs])
        plain = solve_rows(equations.gram[:, None], torch.full_like(equations.cross[:, :1], self.eps), equations.cross)
        fmaps = self._regularised(equations, masks)
        if self.zoomout_steps:
            refined = [self._zoomed(fmap12.float(), pair) for fmap12, pair in zip(fmaps, pairs, strict=True)]
            fmaps = torch.stack(refined).to(fmaps)
        bent = self.orthogonality * soft_orthogonality(fmaps) if self.orthogonality else fmaps.new_zeros(len(fmaps))
        penalties = self.lam * diagonal(fmaps, masks.sqrt()), bent
        losses = torch.stack([equations.residual(fmaps), *penalties], dim=1)
        scales = [natural_scale(pair) for pair in pairs]
        return [
            PairFmap(scale * fmap12.float(), scale * init.float(), terms.float())
            for scale, fmap12, init, terms in zip(scales, fmaps, plain, losses, strict=True)
        ]

    def mask_of(self, pair: PatchPair) -> Float[Tensor, "k2 k1"]:
        """The penalty of each entry of the map 1 → 2, of mean 1."""
        evals1, evals2 = pair.image1.basis.evals.double(), pair.image2.basis.evals.double()
        mask = penalty_mask(self.mask, evals1, evals2, gamma=self.gamma)
        return mask / mask.mean()

    def _regularised(self, equations: Equations, masks: Float[Tensor, "p k2 k1"]) -> Float[Tensor, "p k2 k1"]:
        gram, cross, mu = equations.gram[:, None], equations.cross, self.orthogonality
        ridge = self.lam * masks + self.eps
        fmaps = solve_rows(gram, ridge, cross)
        if mu:
            factor = factorise_rows(gram, ridge + mu)
            for _ in range(self.orthogonality_steps):
                fmaps = solve_factored(factor, cross + mu * nearest_orthogonal(fmaps))
        return fmaps

    def _zoomed(self, fmap12: Float[Tensor, "k2 k1"], pair: PatchPair) -> Float[Tensor, "k2 k1"]:
        basis1, basis2 = unit_area(pair.image1.basis), unit_area(pair.image2.basis)
        end = min(fmap12.shape)
        start = min(self.zoomout_start, end)
        sizes = [start + (end - start) * step // self.zoomout_steps for step in range(1, self.zoomout_steps)]
        _, map21 = zoomout(fmap12[:start, :start], basis1, basis2, sizes=sizes, convert=hard_map)
        return fmap_from_softmap(map21, basis1, basis2)


def normal_equations(coeffs: Sequence[tuple[Float[Tensor, "k1 d"], Float[Tensor, "k2 d"]]]) -> Equations:
    """In float64, so that the squared condition number of the descriptors stays harmless."""
    coeffs1 = torch.stack([one for one, _ in coeffs]).double()
    coeffs2 = torch.stack([two for _, two in coeffs]).double()
    gram = coeffs1 @ coeffs1.mT
    energy = gram.diagonal(dim1=1, dim2=2).mean(dim=1).clamp_min(torch.finfo(gram.dtype).tiny)
    return Equations(
        gram / energy[:, None, None],
        coeffs2 @ coeffs1.mT / energy[:, None, None],
        coeffs2.square().sum(dim=(1, 2)) / energy,
    )


def unit_area(basis: Eigenbasis) -> Eigenbasis:
    """The same eigenfunctions, normalised for a photograph of area 1."""
    area = basis.mass.sum()
    return replace(basis, evecs=basis.evecs * area.sqrt(), mass=basis.mass / area)
