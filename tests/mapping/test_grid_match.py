"""Patches and pixels: affine maps are recovered, and conventions found wrong in published code would fail here."""

import pytest
import torch

from pullback.mapping.grid_match import flow_from_match, keypoints_from_match, patch_centres, patch_of

GRID2, SIZE2 = (5, 8), (70, 96)
AFFINE, SHIFT = torch.tensor([[0.9, 0.2], [-0.1, 1.3]]), torch.tensor([4.0, -7.0])


def affine(xy):
    return xy @ AFFINE.T + SHIFT


def all_pixels(size):
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2).float()


def inner(size, grid):
    """The pixels between the outermost patch centres."""
    centres = patch_centres(grid, size)
    low, high = centres.amin(dim=0), centres.amax(dim=0)
    pixels = all_pixels(size)
    return ((pixels >= low) & (pixels <= high)).all(dim=1)


def test_a_patch_centre_is_the_mean_of_its_pixels():
    grid, size = (3, 4), (15, 28)
    owner = patch_of(all_pixels(size), grid, size)
    means = torch.stack([all_pixels(size)[owner == patch].mean(dim=0) for patch in range(12)])
    assert torch.allclose(patch_centres(grid, size), means)
    assert torch.equal(patch_centres(grid, size, torch.tensor([7, 2])), patch_centres(grid, size)[[7, 2]])


@pytest.mark.parametrize("size", [(70, 96), (13, 9), (3, 5)], ids=["coarser", "uneven", "finer"])
def test_a_centre_lies_in_its_own_patch(size):
    assert torch.equal(patch_of(patch_centres(GRID2, size), GRID2, size), torch.arange(40))


def test_positions_beyond_the_photograph_belong_to_the_border():
    outside = torch.tensor([[-30.0, -1.0], [500.0, 500.0]])
    assert patch_of(outside, GRID2, SIZE2).tolist() == [0, 39]


def test_the_identity_is_exact_up_to_the_border():
    flow = flow_from_match(patch_centres(GRID2, SIZE2), GRID2, SIZE2)
    assert flow.shape == (2, *SIZE2)
    assert flow.abs().max() < 1e-4


def test_an_affine_map_is_recovered_exactly_between_patch_centres():
    flow = flow_from_match(affine(patch_centres(GRID2, SIZE2)), GRID2, SIZE2)
    pixels = all_pixels(SIZE2)
    found = flow.flatten(1).T + pixels
    assert torch.allclose(found[inner(SIZE2, GRID2)], affine(pixels)[inner(SIZE2, GRID2)], atol=1e-3)
    # beyond, off by the change of the displacement over half a patch
    assert (found - affine(pixels)).norm(dim=1).max() < 12


@pytest.mark.parametrize("wrong", ["true_division", "swapped_scale", "width_of_image_2"])
def test_conventions_of_published_code_do_not_give_the_affine_map(wrong):
    """The same computation with one published mistake is off by more than the tolerance of the test above."""
    grid1, size1 = (6, 7), (60, 84)
    p2p21 = patch_of(affine(patch_centres(GRID2, SIZE2)).clamp(0), grid1, size1)
    rows, columns = grid1
    width = GRID2[1] if wrong == "width_of_image_2" else columns
    row = p2p21 / width if wrong == "true_division" else (p2p21 // width).float()
    scale = (size1[0] / rows, size1[1] / columns) if wrong == "swapped_scale" else (size1[1] / columns, size1[0] / rows)
    place = torch.stack([(p2p21 % width + 0.5) * scale[0], (row + 0.5) * scale[1]], dim=1) - 0.5
    right = patch_centres(grid1, size1, p2p21)
    assert (flow_from_match(place, GRID2, SIZE2) - flow_from_match(right, GRID2, SIZE2)).abs().max() > 1


def test_patches_outside_the_graph_move_as_the_nearest_one_inside():
    patches = torch.tensor([9, 10, 17, 18])  # rows 1 and 2, columns 1 and 2
    moves = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, 4.0]])
    flow = flow_from_match(patch_centres(GRID2, SIZE2, patches) + moves, GRID2, SIZE2, patches)
    assert torch.allclose(flow[:, 0, 0], moves[0], atol=1e-4)
    assert torch.allclose(flow[:, -1, -1], moves[3], atol=1e-4)
    assert torch.allclose(flow[:, 0, -1], moves[1], atol=1e-4)


@pytest.mark.parametrize("patches", [None, torch.tensor([3, 9, 10, 17, 18, 30])], ids=["whole", "mask"])
def test_a_keypoint_on_a_pixel_moves_as_the_flow_of_that_pixel(patches):
    n = 40 if patches is None else 6
    xy21 = 80 * torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    flow = flow_from_match(xy21, GRID2, SIZE2, patches)
    pixels = all_pixels(SIZE2)
    found = keypoints_from_match(pixels, xy21, GRID2, SIZE2, patches)
    assert torch.allclose(found, pixels + flow.flatten(1).T, atol=1e-3)


def test_nearest_keypoints_go_where_their_patch_goes():
    xy21 = 80 * torch.rand(40, 2, generator=torch.Generator().manual_seed(0))
    keypoints = torch.tensor([[0.0, 0.0], [95.0, 69.0], [40.2, 31.7]])
    found = keypoints_from_match(keypoints, xy21, GRID2, SIZE2, interpolation="nearest")
    assert torch.allclose(found, xy21[[0, 39, 2 * 8 + 3]], atol=1e-4)


def test_keypoints_on_an_affine_map_are_exact_in_between():
    keypoints = torch.tensor([[20.25, 33.5], [70.0, 12.75]])
    found = keypoints_from_match(keypoints, affine(patch_centres(GRID2, SIZE2)), GRID2, SIZE2)
    assert torch.allclose(found, affine(keypoints), atol=1e-3)


def test_an_unknown_interpolation_and_a_wrong_number_of_places_are_refused():
    xy21 = torch.zeros(40, 2)
    with pytest.raises(ValueError, match="interpolation='cubic'"):
        keypoints_from_match(torch.zeros(1, 2), xy21, GRID2, SIZE2, interpolation="cubic")
    with pytest.raises(ValueError, match="40 places but the graph of image 2 has 12 patches"):
        flow_from_match(xy21, (3, 4), SIZE2)
