"""The per-pair optimisation as the authors' published code runs it, which is not what their paper prints.

What differs, and follows from their settings:

- The refiner's learning rate is 1e-9: a fixed random network. Its output is computed once.
- The feature term is the norm, not its square; the diagonal term's mask is transposed; C is clamped to [0, 1] after
  each step.
- Descriptors come from the branch that gives the basis. The other branch only shapes a weight that ends up unused.
- The consistency term compares ``C Y1`` with ``Y2``, where the stack of Y1 and Y2 is a square orthogonal matrix drawn
  anew each iteration. It equals ``‖C‖² + k`` for every such Y: weight decay. (Ten Adam steps on Y and another QR leave
  it orthogonal.)
- There is neither a trace nor an orthonormality term, and the feature weights and the learning rate are not those of
  the paper.

All of it is a function of ``A Aᵀ``, ``B Aᵀ`` and ``‖B‖²``: an iteration costs one product of k × k matrices.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.fmap import eigenvalue_difference
from pullback.mapping.latent import consensus
from pullback.mapping.patch_batch import pad_patches, stack_padded
from pullback.ranges import at_least
from pullback.solvers.pair_descriptors import PairDescriptors
from pullback.solvers.pair_losses import diagonal
from pullback.solvers.pair_optimiser import FeatureRefiner
from pullback.solvers.pair_solver import PairFmap, PairSolver
from pullback.solvers.seeding import pair_generator
from pullback.types import PatchPair


class ReleaseOptimiser(PairSolver):
    """Adam on the map C alone, from the identity, as in the released code.

    It minimises ``0.1 ‖CA - B‖ + 5 Σ ((λ1_a - λ2_b) C_ab)² + 1e-3 (‖C‖² + k from iteration 500)``.

    descriptors: ``"basis"``, as released, or ``"descriptors"``: the branch that the command-line arguments of the
    release promise. gram: False takes the literal path, with the matrices of descriptors, autograd and a drawn Y: the
    slow twin. The pair's bases are taken as they are, without units of area, as released. The identity means something
    where eigenfunctions of both photographs have like signs: the release gets them from a QR decomposition
    (``signs=qr`` of the graph).
    """

    mode: ClassVar[str] = "release"
    terms: ClassVar[tuple[str, ...]] = ("feature", "diag", "cons")

    def __init__(
        self,
        refiner: FeatureRefiner,
        *,
        descriptors: str = "basis",
        steps: int = 2000,
        lr: float = 1e-3,
        feature: float = 0.1,
        diag: float = 5.0,
        cons: float = 1e-3,
        cons_from: int = 500,
        gram: bool = True,
        seed: int = 0,
        max_pairs: int = 8,
    ):
        super().__init__(max_pairs=max_pairs)
        if descriptors not in ("basis", "descriptors"):
            raise ValueError(f"descriptors={descriptors!r} is unknown; use basis (as released) or descriptors")
        at_least(0, steps=steps, lr=lr, feature=feature, diag=diag, cons=cons, cons_from=cons_from, seed=seed)
        self.refiner = refiner
        self.descriptors = descriptors
        self.steps = steps
        self.lr = lr
        self.feature = feature
        self.diag = diag
        self.cons = cons
        self.cons_from = cons_from
        self.gram = gram
        self.seed = seed

    @torch.no_grad()
    def solve(self, pairs: Sequence[PatchPair]) -> list[PairFmap]:
        for pair in pairs:
            if pair.image1.basis.k != pair.image2.basis.k:
                sizes = f"{pair.image1.basis.k} and {pair.image2.basis.k}"
                raise ValueError(
                    f"the released optimiser takes bases of one size, pair {pair.name} has {sizes}: lower k"
                )
        coeffs1, coeffs2 = self.coefficients(pairs)
        # The mask of the release: rows by the eigenvalues of photograph 1, though the rows of the map live on
        # photograph 2.
        delta = torch.stack([eigenvalue_difference(p.image2.basis.evals, p.image1.basis.evals) for p in pairs]).double()
        k = delta.shape[1]
        fmap12 = torch.eye(k, dtype=delta.dtype, device=delta.device).repeat(len(pairs), 1, 1)
        start = fmap12.float()
        objective = (GramObjective if self.gram else LiteralObjective)(self, coeffs1, coeffs2, delta)
        adam = torch.optim.Adam([fmap12], lr=self.lr)
        for step in range(self.steps):
            fmap12.grad = objective.gradient(fmap12, step)
            adam.step()
            fmap12.clamp_(0, 1)
        losses = objective.terms(fmap12, self.steps)
        return [PairFmap(c.float(), c0, terms.float()) for c, c0, terms in zip(fmap12, start, losses, strict=True)]

    def coefficients(self, pairs: Sequence[PatchPair]) -> tuple[Float[Tensor, "p k c"], Float[Tensor, "p k c"]]:
        """Coefficients of the randomly refined features of both photographs, in float64."""
        generators = [pair_generator(pair.name, self.seed) for pair in pairs]
        descriptors = PairDescriptors(source=self.descriptors, centre=False, normalise="none", constant=0.0)
        feats = [descriptors.features(pair) for pair in pairs]
        images = [[pair.image1 for pair in pairs], [pair.image2 for pair in pairs]]
        sides = [self.refiner.prepare(pad_patches(images[i], [feat[i] for feat in feats]), generators) for i in (0, 1)]
        drawn = self.refiner.draw_weights(feats[0][0].shape[1], generators)
        refined = self.refiner({name: weight.to(feats[0][0]) for name, weight in drawn.items()}, *sides)
        projectors = [
            stack_padded([image.basis.evecs * image.basis.mass[:, None] for image in side]) for side in images
        ]
        coeffs = [projector.mT @ values for projector, values in zip(projectors, refined, strict=True)]
        return coeffs[0].double(), coeffs[1].double()


class Objective(ABC):
    """The loss of the release as a function of the map. How its parts are computed is left to the two below."""

    def __init__(
        self,
        options: ReleaseOptimiser,
        coeffs1: Float[Tensor, "p k c"],
        coeffs2: Float[Tensor, "p k c"],
        delta: Float[Tensor, "p k k"],
    ):
        self.options = options
        self.coeffs1 = coeffs1
        self.coeffs2 = coeffs2
        self.delta = delta
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Computes what an iteration needs and none changes."""

    def terms(self, fmap12: Float[Tensor, "p k k"], step: int) -> Float[Tensor, "p 3"]:
        """The weighted terms at an iteration, counted from 0."""
        options = self.options
        late = step >= options.cons_from
        feature, diag = options.feature * self.residual(fmap12), options.diag * diagonal(fmap12, self.delta)
        return torch.stack([feature, diag, options.cons * late * self.consistency(fmap12)], dim=1)

    @abstractmethod
    def residual(self, fmap12: Float[Tensor, "p k k"]) -> Float[Tensor, " p"]:
        """``‖C A - B‖``."""

    @abstractmethod
    def consistency(self, fmap12: Float[Tensor, "p k k"]) -> Float[Tensor, " p"]:
        """``‖C Y1 - Y2‖²``."""

    @abstractmethod
    def gradient(self, fmap12: Float[Tensor, "p k k"], step: int) -> Float[Tensor, "p k k"]:
        """The gradient of the sum of the terms."""


class LiteralObjective(Objective):
    """As the release writes it: descriptors as matrices, a fresh orthogonal Y a step, gradients by autograd."""

    def prepare(self) -> None:
        self.generator = torch.Generator().manual_seed(self.options.seed)

    def residual(self, fmap12: Float[Tensor, "p k k"]) -> Float[Tensor, " p"]:
        return (fmap12 @ self.coeffs1 - self.coeffs2).flatten(1).norm(dim=1)

    def consistency(self, fmap12: Float[Tensor, "p k k"]) -> Float[Tensor, " p"]:
        k = fmap12.shape[1]
        drawn, _ = torch.linalg.qr(torch.randn(len(fmap12), 2 * k, 2 * k, generator=self.generator, dtype=fmap12.dtype))
        return consensus(fmap12, *drawn.to(fmap12.device).split(k, dim=1))

    def gradient(self, fmap12: Float[Tensor, "p k k"], step: int) -> Float[Tensor, "p k k"]:
        with torch.enable_grad():
            variable = fmap12.detach().requires_grad_()
            return torch.autograd.grad(self.terms(variable, step).sum(), variable)[0]


class GramObjective(Objective):
    """From ``A Aᵀ``, ``B Aᵀ`` and ``‖B‖²``."""

    def prepare(self) -> None:
        self.gram = self.coeffs1 @ self.coeffs1.mT
        self.cross = self.coeffs2 @ self.coeffs1.mT
        self.norm = self.coeffs2.square().sum(dim=(1, 2))
        self.stiff = (2 * self.options.diag) * self.delta.square()

    def residual(self, fmap12: Float[Tensor, "p k k"]) -> Float[Tensor, " p"]:
        return self._residual(fmap12, fmap12 @ self.gram)

    def consistency(self, fmap12: Float[Tensor, "p k k"]) -> Float[Tensor, " p"]:
        return fmap12.square().sum(dim=(1, 2)) + fmap12.shape[1]

    def gradient(self, fmap12: Float[Tensor, "p k k"], step: int) -> Float[Tensor, "p k k"]:
        """0 for the feature term where the descriptors already agree."""
        decay = 2 * self.options.cons * (step >= self.options.cons_from)
        carried = fmap12 @ self.gram
        residual = self._residual(fmap12, carried)
        slope = torch.where(residual > 0, self.options.feature / residual, 0.0)
        return torch.addcmul(slope[:, None, None] * (carried - self.cross), self.stiff + decay, fmap12)

    def _residual(self, fmap12: Float[Tensor, "p k k"], carried: Float[Tensor, "p k k"]) -> Float[Tensor, " p"]:
        """``‖C A - B‖``; ``carried`` is ``C A Aᵀ``. Rounding can bring the square below zero where it vanishes."""
        squared = ((carried - 2 * self.cross) * fmap12).sum(dim=(1, 2)) + self.norm
        return squared.clamp_min(0).sqrt()
