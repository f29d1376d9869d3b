import pytest
import torch

from pullback.geometry.probing import compute_probe
from pullback.mapping.energies import SampledMaps, map_distance
from pullback.mapping.pointmap import nearest
from pullback.solvers.best_of_starts import BestOfStarts, growing_sizes, refined
from pullback.solvers.starts import FeatureStart, PositionStart, SpectralStart
from pullback.solvers.zoomout import ZoomOut


class Cycle:
    """Expects what returns to where it came from to be right."""

    def expected_error(self, energies):
        return energies["cycle"] + energies["area"] + energies["flipped"]

    def order(self, candidates):
        return sorted(range(len(candidates)), key=lambda i: self.expected_error(candidates[i]))


@pytest.fixture(scope="module")
def truth(tiny_pair):
    """Both probes with all points, and the true maps."""
    probes = [compute_probe(shape, count=642, k=40) for shape in (tiny_pair.shape1, tiny_pair.shape2)]
    back = torch.empty_like(tiny_pair.corr1)
    back[tiny_pair.corr1] = tiny_pair.corr2
    return (*probes, SampledMaps(tiny_pair.corr1, back))


def noise(pair):
    generator = torch.Generator().manual_seed(0)
    return {"noise": tuple(torch.randn(shape.n, 8, generator=generator) for shape in (pair.shape1, pair.shape2))}


def test_one_choice_of_signs_finds_the_renumbered_twin(tiny_pair, truth):
    probe1, probe2, maps = truth
    found = [
        refined(each.maps, probe1, probe2, sizes=growing_sizes(each.k_init, 40))
        for each in SpectralStart()(probe1, probe2, [])
    ]
    assert len(found) == 8
    assert min(map_distance(each, maps, probe1, probe2) for each in found) < 1e-3


def test_positions_find_a_twin_that_was_turned(tiny_pair, truth):
    probe1, probe2, maps = truth
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned = type(probe2)(**{**probe2.__dict__, "verts": probe2.verts @ quarter})
    names = {each.name: each.maps for each in PositionStart()(probe1, turned, [])}
    assert map_distance(names.pop("positions as they lie"), maps, probe1, probe2) > 0.1
    assert min(map_distance(each, maps, probe1, probe2) for each in names.values()) < 1e-3


def test_useless_features_lose_against_a_start_that_is_right(tiny_pair, truth):
    starts = [FeatureStart(k_init=[10]), SpectralStart()]
    choice = BestOfStarts(starts=starts, judge=Cycle(), points=642, k=40)(
        tiny_pair.shape1, tiny_pair.shape2, noise(tiny_pair)
    )
    assert choice.is_open and choice.best.name.startswith("spectrum") and choice.candidates[-1].name.startswith("noise")
    errors = [each.expected_error for each in choice.candidates]
    assert errors == sorted(errors)
    assert map_distance(choice.best.maps, truth[2], choice.probe1, choice.probe2) < 1e-3


def test_a_solver_begins_with_the_choice(tiny_pair):
    choice = BestOfStarts(starts=[SpectralStart()], judge=Cycle(), points=300, k=40)(
        tiny_pair.shape1, tiny_pair.shape2, noise(tiny_pair)
    )
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    reference, query = choice.embeddings(basis1, basis2)
    assert (nearest(query, reference) == tiny_pair.corr1).float().mean() > 0.9
    match = ZoomOut(k_init=20, step=10, n_steps=4)(reference, query, basis1, basis2)
    assert torch.equal(match.p2p21, tiny_pair.corr1)


def test_opinions_that_differ_from_a_map_are_dissent(tiny_pair):
    chooser = BestOfStarts(starts=[FeatureStart(k_init=[10, 30])], judge=Cycle(), points=200, k=40)
    good = {"learned": (tiny_pair.shape1.verts, tiny_pair.shape2.verts)}
    choice = chooser(tiny_pair.shape1, tiny_pair.shape2, good)
    random = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert choice.best.energies["dissent"] < 0.05
    assert choice.energies(SampledMaps(random, random))["dissent"] > 0.2


def test_features_that_lead_to_the_choice_are_left_to_the_solver(tiny_pair):
    good = {"learned": (tiny_pair.shape1.verts, tiny_pair.shape2.verts)}
    for features, follows in ((good, True), (noise(tiny_pair), False)):
        chooser = BestOfStarts(starts=[FeatureStart(k_init=[30]), SpectralStart()], judge=Cycle(), points=300, k=40)
        assert chooser(tiny_pair.shape1, tiny_pair.shape2, features).follows_features is follows


def test_one_start_is_no_choice_and_knows_no_dissent(tiny_pair):
    features = noise(tiny_pair) | {"wks": (tiny_pair.shape1.verts, tiny_pair.shape2.verts)}
    chooser = BestOfStarts(starts=[FeatureStart(k_init=[30], only_first=True)], judge=Cycle(), points=200, k=40)
    choice = chooser(tiny_pair.shape1, tiny_pair.shape2, features)
    assert not choice.is_open and choice.best.name == "noise, k_init 30"
    assert "dissent" not in choice.best.energies and "features_wks" in choice.best.energies


def test_sizes_grow_to_the_last_one():
    assert growing_sizes(5, 60) == [5, 7, 10, 15, 22, 33, 49, 60]
    assert growing_sizes(30, 12) == [12]


def test_fewer_points_than_eigenfunctions_are_refused():
    with pytest.raises(ValueError, match=r"points=20 are fewer than k=60 .* use points=700"):
        BestOfStarts(starts=[SpectralStart()], judge=Cycle(), points=20)
