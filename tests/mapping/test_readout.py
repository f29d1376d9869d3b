"""Read-outs: exact where the answer is known, and equal to slow obvious versions."""

import pytest
import torch
from tests.patch_images import flipped_copy, patch_image, resampled_copy

from pullback.mapping.fmap import fmap_from_pointmap
from pullback.mapping.grid_match import flow_from_match, patch_centres
from pullback.mapping.patch_embeddings import BLOCKS, patch_embeddings
from pullback.mapping.readout import POSITIONS, Readout
from pullback.types import PatchPair


@pytest.fixture(scope="module")
def image():
    return patch_image((9, 12), (90, 132), k=108)


@pytest.fixture(scope="module")
def flip(image):
    """``(pair, p2p21)``: image 2 is the mirror image."""
    copy, p2p21 = flipped_copy(image)
    return PatchPair("flip", image, copy), p2p21


@pytest.mark.parametrize("normalise", ["none", "patch", "centred_patch"])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_photograph_against_itself_gives_the_identity(image, block, normalise):
    readout = Readout(embedding=[block], normalise=normalise)
    p2p21, xy21 = readout(PatchPair("self", image, image), torch.eye(image.basis.k))
    assert torch.equal(p2p21, torch.arange(image.n))
    assert torch.equal(xy21, patch_centres(image.grid, image.size))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_flipped_copy_gives_the_flip(flip, block):
    pair, expected = flip
    fmap12 = fmap_from_pointmap(expected, pair.image1.basis, pair.image2.basis)
    p2p21, xy21 = Readout(embedding=[block])(pair, fmap12)
    assert torch.equal(p2p21, expected)
    flow = flow_from_match(xy21, pair.image2.grid, pair.image2.size)
    x = torch.arange(132.0)
    assert torch.allclose(flow[0, :, 6:-6], (131 - 2 * x)[6:-6].expand(90, -1), atol=1e-3)
    assert flow[1].abs().max() < 1e-3


def test_the_rows_of_a_smaller_basis_still_give_the_flip(flip):
    pair, expected = flip
    fmap12 = fmap_from_pointmap(expected, pair.image1.basis.first(40), pair.image2.basis.first(40))
    for block in ("spectral", "adjoint"):
        assert torch.equal(Readout(embedding=[block])(pair, fmap12)[0], expected)


@pytest.mark.parametrize("block", ["spectral", "adjoint", "transferred_descriptors", "descriptors"])
def test_a_copy_on_another_grid_is_matched_to_under_a_patch(block):
    image1 = patch_image((12, 9), (120, 90), k=60)
    image2 = resampled_copy(image1, grid=(15, 14), size=(300, 280), k=60)
    true = (patch_centres(image2.grid, image2.size) + 0.5) * torch.tensor([90 / 280, 120 / 300]) - 0.5
    near1 = torch.cdist(true, patch_centres(image1.grid, image1.size)).argmin(dim=1)
    fmap12 = fmap_from_pointmap(near1, image1.basis.first(30), image2.basis.first(30))
    _, xy21 = Readout(embedding=[block])(PatchPair("grids", image1, image2), fmap12)
    error = (xy21 - true).norm(dim=1)
    # a patch of image 1 is 10 x 10 pixels; rounding to its centre costs 3.8
    assert error.mean() < 10 and error.median() < 8


def test_with_unequal_grids_both_sides_of_a_true_map_have_one_length():
    image1 = patch_image((12, 9), (120, 90), k=40)
    image2 = resampled_copy(image1, grid=(24, 18), size=(120, 90), k=40)
    places = (patch_centres(image2.grid, image2.size) + 0.5) / 10
    p2p21 = places[:, 1].floor().long() * 9 + places[:, 0].floor().long()
    fmap12 = fmap_from_pointmap(p2p21, image1.basis.first(10), image2.basis.first(10))
    query, reference = patch_embeddings(PatchPair("grids", image1, image2), fmap12, ["spectral"])
    assert (reference[p2p21] - query).norm() < 0.35 * query.norm()


def test_signs_of_eigenfunctions_do_not_matter(flip):
    pair, expected = flip
    generator = torch.Generator().manual_seed(5)
    sign = torch.randint(0, 2, (pair.image2.basis.k,), generator=generator) * 2.0 - 1
    basis2 = type(pair.image2.basis)(pair.image2.basis.evals, pair.image2.basis.evecs * sign, pair.image2.basis.mass)
    other = PatchPair("signs", pair.image1, type(pair.image2)(**{**vars(pair.image2), "basis": basis2}))
    fmap12 = fmap_from_pointmap(expected, pair.image1.basis, basis2)
    assert torch.equal(Readout()(other, fmap12)[0], expected)


def test_blocks_side_by_side_are_those_of_sd_dino(image):
    """Unit rows of both branches, weighted, side by side; the match is the smallest Euclidean distance."""
    image2 = patch_image((7, 10), (70, 110), k=20, seed=9)
    pair = PatchPair("concat", image, image2)
    p2p21, _ = Readout(embedding=["basis", "descriptors"], normalise="patch", weights=[1.0, 0.5])(pair)

    def rows(side):
        unit = [block / block.norm(dim=1, keepdim=True) for block in (side.basis_feat, side.feat)]
        return torch.cat([unit[0], 0.5 * unit[1]], dim=1)

    assert torch.equal(p2p21, torch.cdist(rows(image2).double(), rows(image).double()).argmin(dim=1))


def test_transferred_features_are_those_of_the_formula(flip):
    pair, _ = flip
    fmap12 = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    query, reference = patch_embeddings(pair, fmap12, ["transferred_basis"])
    evecs1, evecs2 = pair.image1.basis.evecs[:, :20], pair.image2.basis.evecs[:, :30]
    assert torch.allclose(query, evecs2 @ fmap12 @ evecs1.T @ pair.image1.basis_feat, atol=1e-4)
    assert torch.equal(reference, pair.image1.basis_feat)


def bump_pair(shift, patches=None):
    """Image 1 has smooth unimodal similarities: features are positions, so that places between patches can be told."""
    image1 = patch_image((9, 12), (90, 132), k=3, patches=patches)
    centres = patch_centres(image1.grid, image1.size, image1.patches)
    feat1 = (centres + 0.5) / torch.tensor([11.0, 10.0])
    image2 = patch_image((9, 12), (90, 132), k=3)
    feat2 = (patch_centres(image2.grid, image2.size) + 0.5) / torch.tensor([11.0, 10.0]) + torch.tensor(shift)
    with_feat = [type(i)(**{**vars(i), "feat": f}) for i, f in ((image1, feat1), (image2, feat2))]
    return PatchPair("bump", *with_feat)


@pytest.mark.parametrize(
    ("position", "temperature"), [("subpatch", 1.0), ("window_soft_argmax", 0.01), ("soft_argmax", 0.01)]
)
def test_places_between_patches_are_found(position, temperature):
    """The squared distance is an exact parabola; a soft-argmax of a Gaussian is its centre, away from the border."""
    pair = bump_pair((0.3, -0.4))
    _, xy21 = Readout(embedding=["descriptors"], position=position, temperature=temperature)(pair)
    expected = patch_centres((9, 12), (90, 132)) + torch.tensor([0.3 * 11, -0.4 * 10])
    inner = torch.zeros(9, 12, dtype=torch.bool)
    inner[3:-3, 3:-3] = True
    assert torch.allclose(xy21[inner.flatten()], expected[inner.flatten()], atol=0.05)
    nearest_error = Readout(embedding=["descriptors"])(pair)[1] - expected
    assert nearest_error[inner.flatten()].abs().min() > 3


def test_subpatch_places_stay_within_half_a_patch_of_the_best():
    generator = torch.Generator().manual_seed(0)
    pair = PatchPair(
        "noise",
        *(patch_image((9, 12), (90, 132), k=3, seed=int(s)) for s in torch.randint(99, (2,), generator=generator)),
    )
    p2p21, xy21 = Readout(embedding=["descriptors"], position="subpatch")(pair)
    assert torch.equal(p2p21, Readout(embedding=["descriptors"])(pair)[0])
    moved = (xy21 - patch_centres((9, 12), (90, 132), p2p21)).abs()
    assert (moved <= torch.tensor([5.5, 5.0]) + 1e-4).all() and moved.max() > 1


@pytest.mark.parametrize("position", POSITIONS)
def test_read_outs_on_a_mask_agree_with_a_slow_version(position):
    inside = torch.rand(9, 12, generator=torch.Generator().manual_seed(4)) < 0.7
    image1 = patch_image((9, 12), (90, 132), k=3, patches=inside.flatten().nonzero()[:, 0])
    image2 = patch_image((6, 5), (60, 50), k=3, seed=2)
    readout = Readout(embedding=["descriptors"], normalise="patch", position=position, window=2, temperature=0.1)
    p2p21, xy21 = readout(PatchPair("mask", image1, image2))
    slow = torch.stack([slow_place(row, image1, position) for row in image2.feat])
    assert torch.allclose(xy21, slow, atol=1e-2)
    assert p2p21.max() < image1.n
    if position == "soft_argmax":
        centres = patch_centres(image1.grid, image1.size, image1.patches)
        dist = torch.cdist(xy21.double(), centres.double(), compute_mode="donot_use_mm_for_euclid_dist")
        assert torch.equal(p2p21, dist.argmin(dim=1))


def slow_place(row, image1, position, window=2, temperature=0.1):
    """One patch at a time, by cosine similarity on a dictionary of the graph's patches."""
    cosine = torch.nn.functional.cosine_similarity(row[None].double(), image1.feat.double()).tolist()
    columns = image1.grid[1]
    value = {divmod(int(patch), columns): c for patch, c in zip(image1.patches, cosine, strict=True)}
    best = max(value, key=value.get)
    height, width = image1.size[0] / image1.grid[0], image1.size[1] / columns
    if position == "nearest":
        place = best
    elif position == "subpatch":
        place = [best[axis] + top(value, best, axis) for axis in (0, 1)]
    else:
        reach = 99 if position == "soft_argmax" else window
        near = [at for at in value if max(abs(at[0] - best[0]), abs(at[1] - best[1])) <= reach]
        weight = torch.tensor([value[at] for at in near], dtype=torch.float64)
        weight = (weight / temperature).softmax(0)
        place = (weight[:, None] * torch.tensor(near, dtype=torch.float64)).sum(dim=0)
    return torch.tensor([(place[1] + 0.5) * width - 0.5, (place[0] + 0.5) * height - 0.5], dtype=torch.float32)


def top(value, best, axis):
    steps = [tuple(best[i] + (s if i == axis else 0) for i in (0, 1)) for s in (-1, 1)]
    if any(step not in value for step in steps):
        return 0.0
    before, after = (value[step] for step in steps)
    return max(-0.5, min(0.5, 0.5 * (before - after) / (before + after - 2 * value[best])))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding": ["rows"]}, r"embedding=\['rows'\]: expected a list"),
        ({"embedding": []}, "expected a list of one or more"),
        ({"embedding": ["basis", "descriptors"], "weights": [1.0]}, r"weights=\[1.0\] but there are 2 blocks"),
        ({"normalise": "row"}, "normalise='row' is unknown"),
        ({"position": "best"}, "position='best' is unknown: choose nearest"),
        ({"temperature": 0.0}, r"temperature=0.0 is too small; give a number above 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Readout(**options)


def test_an_embedding_that_needs_a_functional_map_says_so(image):
    with pytest.raises(ValueError, match="'spectral' needs a functional map, and self has none"):
        Readout()(PatchPair("self", image, image))
