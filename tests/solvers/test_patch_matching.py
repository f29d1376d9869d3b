from typing import ClassVar

import pytest
import torch
from tests.patch_images import flipped_copy, patch_image

from pullback.mapping.fmap import fmap_from_pointmap
from pullback.mapping.readout import Readout
from pullback.solvers.closed_form import ClosedForm
from pullback.solvers.pair_solver import PairFmap, PairSolver
from pullback.solvers.patch_matching import PatchMatching
from pullback.types import PatchPair


@pytest.fixture(scope="module")
def pairs():
    image = patch_image((8, 10), (80, 120), k=40, channels=64)
    return [PatchPair("flip", image, flipped_copy(image)[0]), PatchPair("self", image, image)]


@pytest.fixture(scope="module")
def truth(pairs):
    return [torch.arange(80).view(8, 10).flip(1).flatten(), torch.arange(80)]


class TrueMap(PairSolver):
    """Knows the answer: the functional map of the flip, or of the identity."""

    mode: ClassVar[str] = "paper"
    terms: ClassVar[tuple[str, ...]] = ("known",)

    def solve(self, pairs):
        maps = [
            torch.arange(80) if pair.name == "self" else torch.arange(80).view(8, 10).flip(1).flatten()
            for pair in pairs
        ]
        fmaps = [
            fmap_from_pointmap(p2p21, pair.image1.basis, pair.image2.basis)
            for p2p21, pair in zip(maps, pairs, strict=True)
        ]
        return [PairFmap(fmap, fmap.T.contiguous(), torch.ones(1)) for fmap in fmaps]


def test_a_baseline_has_no_functional_map(pairs, truth):
    solver = PatchMatching(Readout(embedding=["descriptors"]))
    for match, p2p21 in zip(solver(pairs), truth, strict=True):
        assert torch.equal(match.p2p21, p2p21)
        assert match.fmap12 is None and match.losses is None and match.reverse is None
    assert solver.mode == "raw" and solver.terms == ()


def test_a_match_carries_the_functional_map_and_the_losses_of_its_optimiser(pairs, truth):
    solver = PatchMatching(Readout(), TrueMap())
    for match, p2p21 in zip(solver(pairs), truth, strict=True):
        assert torch.equal(match.p2p21, p2p21)
        assert torch.equal(match.fmap12_init, match.fmap12.T)
        assert match.losses.tolist() == [1]
    assert solver.terms == ("known",)


def test_both_directions_of_a_two_way_match_are_inverse(pairs):
    for match in PatchMatching(Readout(), TrueMap(), two_way=True)(pairs):
        assert torch.equal(match.p2p21[match.reverse.p2p21], torch.arange(80))
        assert match.reverse.reverse is None


@pytest.mark.parametrize(
    "embedding", [["spectral"], ["transferred_descriptors"], ["spectral", "transferred_basis", "descriptors"]]
)
def test_the_closed_form_recovers_the_flip_from_ideal_features(pairs, truth, embedding):
    solver = PatchMatching(Readout(embedding=embedding, normalise="patch"), ClosedForm())
    for match, p2p21 in zip(solver(pairs), truth, strict=True):
        assert torch.equal(match.p2p21, p2p21)


def test_a_solver_names_its_mode_and_its_read_out():
    assert PatchMatching(Readout(position="subpatch"), TrueMap()).describe() == "paper: read off spectral, subpatch"
    both = PatchMatching(Readout(embedding=["basis", "descriptors"]), two_way=True)
    assert both.describe() == "raw: read off basis + descriptors, nearest; both directions"


def test_a_read_out_and_an_optimiser_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\['spectral'\] needs a functional map: give an optimiser"):
        PatchMatching(Readout())
    with pytest.raises(ValueError, match=r"\['descriptors'\] reads no functional map: drop the optimiser"):
        PatchMatching(Readout(embedding=["descriptors"]), TrueMap())
