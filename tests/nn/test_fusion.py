"""Branches and fusions: joint reduction, grids, normalisation, and what the yaml files of fusions compose to."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from tests.composing import CONFIGS, options

from pullback.nn.fusion import Branch, Fusion, JointPCA, resample
from pullback.nn.image_backbone import ImageBackbone
from pullback.types import Image


class Colours(ImageBackbone):
    """Mean colours on grids of given strides: a backbone that shows what becomes of its maps."""

    def __init__(self, strides: Sequence[int] = (4,), factor: float = 1.0, precision: str = "float32"):
        super().__init__(size=32, multiple=8, precision=precision)
        self.strides = strides
        self.factor = torch.nn.Parameter(torch.tensor(factor))
        self.freeze()

    def options(self):
        return {"strides": str(self.strides)}

    def compute(self, images, photos):
        return {f"s{stride}": self.factor * torch.nn.functional.avg_pool2d(images, stride) for stride in self.strides}


def photo(height=32, width=24, seed=0):
    pixels = torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image(f"photo{seed}", pixels)


def random_maps(seed, **shapes):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def ramp(h, w, size=(120, 160)):
    """Pixel coordinates x and y of the patch centres of a grid on a photograph."""
    y = (torch.arange(h) + 0.5) * size[0] / h - 0.5
    x = (torch.arange(w) + 0.5) * size[1] / w - 0.5
    return torch.stack([x.expand(h, w), y[:, None].expand(h, w)])


@pytest.mark.parametrize("channels", [12, 90])  # fewer and more than the 15 + 24 patches
def test_joint_pca_is_the_pca_of_the_stacked_patches(channels):
    maps1, maps2 = (random_maps(seed, a=(channels, *grid))["a"] for seed, grid in ((1, (3, 5)), (2, (4, 6))))
    maps1 = maps1 + 3  # the joint mean is neither image's own
    one, two = JointPCA(7)(maps1, maps2)
    patches = torch.cat([maps1.flatten(1).T, maps2.flatten(1).T]).double().numpy()
    u, s, _ = np.linalg.svd(patches - patches.mean(0), full_matrices=False)
    found = torch.cat([one.flatten(1).T, two.flatten(1).T]).double().numpy()
    assert one.shape == (7, 3, 5) and two.shape == (7, 4, 6)
    np.testing.assert_allclose(np.abs(found), np.abs(u[:, :7] * s[:7]), atol=1e-5)
    assert (found[np.abs(found).argmax(0), range(7)] > 0).all()


def test_as_many_components_as_channels_keep_all_distances_between_images():
    maps1, maps2 = (random_maps(seed, a=(6, 4, 5))["a"] for seed in (1, 2))
    one, two = JointPCA(100)(maps1, maps2)
    before, after = (torch.cdist(a.flatten(1).T, b.flatten(1).T) for a, b in ((maps1, maps2), (one, two)))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)


def test_joint_pca_knows_no_order_of_images_and_no_generator():
    maps1, maps2 = (random_maps(seed, a=(40, 4, 5))["a"] for seed in (1, 2))
    one, two = JointPCA(4)(maps1, maps2)
    torch.manual_seed(5)
    two_again, one_again = JointPCA(4)(maps2, maps1)
    torch.testing.assert_close((one, two), (one_again, two_again), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("before", "after"), [((12, 16), (24, 32)), ((24, 32), (12, 16)), ((20, 30), (17, 23)), ((13, 17), (31, 20))]
)
def test_a_ramp_in_pixels_stays_a_ramp_on_another_grid(before, after):
    moved, expected = resample(ramp(*before), after), ramp(*after)
    # Patches outside the outermost old centres have nothing to interpolate between.
    rows, cols = ((limit.min() <= new) & (new <= limit.max()) for new, limit in
                  ((expected[1, :, 0], ramp(*before)[1]), (expected[0, 0], ramp(*before)[0])))  # fmt: skip
    inside = rows[:, None] & cols
    assert inside.sum() > 0.7 * inside.numel()
    torch.testing.assert_close(moved[:, inside], expected[:, inside], atol=1e-3, rtol=0.0)


def test_patches_are_averaged_where_the_grid_is_halved():
    feat = torch.rand(5, 8, 12)
    torch.testing.assert_close(resample(feat, (4, 6)), torch.nn.functional.avg_pool2d(feat, 2))


def test_blocks_are_brought_to_the_finest_grid_in_their_order():
    maps1, maps2 = (random_maps(seed, s3=(4, 8, 12), s4=(6, 4, 6), s5=(6, 2, 3)) for seed in (1, 2))
    branch = Branch(Colours())
    one, _ = branch.combine(maps1, maps2)
    assert one.shape == (16, 8, 12)
    assert torch.equal(one[:4], maps1["s3"])
    assert torch.equal(one[4:10], resample(maps1["s4"], (8, 12))) and torch.equal(
        one[10:], resample(maps1["s5"], (8, 12))
    )


def test_each_block_is_reduced_on_its_own_grid():
    maps1, maps2 = (random_maps(seed, s3=(20, 8, 12), s4=(30, 4, 6)) for seed in (1, 2))
    one, two = Branch(Colours(), reduce=JointPCA(5)).combine(maps1, maps2)
    reduced = JointPCA(5)(maps1["s4"], maps2["s4"])
    assert one.shape == two.shape == (10, 8, 12)
    torch.testing.assert_close(two[5:], resample(reduced[1], (8, 12)))


def test_a_branch_without_reduction_sees_one_image_at_a_time():
    maps1, maps2, other = (random_maps(seed, a=(7, 4, 5)) for seed in (1, 2, 3))
    branch = Branch(Colours(), normalise=True)
    assert not branch.needs_pair
    assert torch.equal(branch.combine(maps1, maps2)[0], branch.combine(maps1, other)[0])


def test_a_branch_with_reduction_needs_the_pair():
    maps1, maps2, other = (random_maps(seed, a=(7, 4, 5)) for seed in (1, 2, 3))
    branch = Branch(Colours(), reduce=JointPCA(3))
    assert branch.needs_pair
    assert not torch.allclose(branch.combine(maps1, maps2)[0], branch.combine(maps1, other)[0])


def test_normalised_features_have_length_one_also_after_resampling():
    maps1, maps2 = (random_maps(seed, a=(7, 4, 5), b=(3, 2, 3)) for seed in (1, 2))
    for feat in Branch(Colours(), normalise=True).combine(maps1, maps2, ((6, 7), (9, 4))):
        torch.testing.assert_close(feat.norm(dim=0), torch.ones(feat.shape[1:]))


def test_images_of_different_maps_are_refused():
    with pytest.raises(ValueError, match="image 1 has a, image 2 has b"):
        Branch(Colours()).combine(random_maps(1, a=(3, 4, 4)), random_maps(2, b=(3, 4, 4)))


@pytest.mark.parametrize(("grid", "rows_and_cols"), [("basis", (4, 3)), ("descriptors", (8, 6)), ("finest", (8, 6))])
def test_both_branches_end_on_the_grid_that_is_asked_for(grid, rows_and_cols):
    fusion = Fusion(Branch(Colours([8])), Branch(Colours([4]), reduce=JointPCA(2)), grid=grid)
    photos = [photo(seed=1), photo(24, 32, seed=2)]
    features = fusion.features(*fusion.basis.backbone(photos), *fusion.descriptors.backbone(photos))
    assert features.basis1.shape == (3, *rows_and_cols) and features.basis2.shape == (3, *reversed(rows_and_cols))
    assert features.descriptors1.shape == (2, *rows_and_cols) and features.descriptors2.shape == (
        2,
        *reversed(rows_and_cols),
    )


def test_swapped_roles_swap_the_features():
    maps = [random_maps(seed, a=(5, 6, 6)) for seed in range(4)]
    branch, other = Branch(Colours(), reduce=JointPCA(3)), Branch(Colours(factor=2.0), normalise=True)
    features = Fusion(branch, other).features(*maps)
    swapped = Fusion(other, branch).features(maps[2], maps[3], maps[0], maps[1])
    assert torch.equal(features.basis2, swapped.descriptors2) and torch.equal(features.descriptors1, swapped.basis1)


def test_branches_of_one_network_share_it_and_others_do_not():
    same = Fusion(Branch(Colours()), Branch(Colours(), normalise=True))
    assert same.same_backbone and same.descriptors.backbone is same.basis.backbone
    assert not Fusion(Branch(Colours()), Branch(Colours(factor=2.0))).same_backbone
    # on the CPU both compute in float32
    assert not Fusion(Branch(Colours()), Branch(Colours(precision="float16"))).same_backbone


def test_only_a_pairwise_basis_branch_makes_the_graph_pairwise():
    single, joint = Branch(Colours()), Branch(Colours(factor=2.0), reduce=JointPCA(2))
    assert Fusion(joint, single).needs_pair and not Fusion(single, joint).needs_pair


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match="grid='finer' is unknown; use basis, descriptors or finest"):
        Fusion(Branch(Colours()), Branch(Colours()), grid="finer")
    with pytest.raises(ValueError, match="dims=0"):
        JointPCA(0)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A configuration of a fusion and nothing else, on the project's config groups."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "scratch.yaml").write_text(
        "defaults:\n  - fusion: dinov2_sd\n  - _self_\npaths: {weights_dir: WEIGHTS}\n"
    )
    return folder


def fusion_of(folder, *overrides):
    with initialize_config_dir(version_base="1.3", config_dir=str(folder)):
        cfg = compose("scratch", overrides=[f"hydra.searchpath=[{CONFIGS}]", *overrides])
    return OmegaConf.to_container(cfg.fusion, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize("name", options("fusion"))
def test_every_fusion_names_two_branches(scratch, name):
    found = fusion_of(scratch, f"fusion={name}")
    assert found["_target_"] == "pullback.nn.fusion.Fusion"
    basis, loss = (found[role]["backbone"]["_target_"].rsplit(".", 1)[1] for role in ("basis", "descriptors"))
    kinds = {
        "dino": "Dino",
        "vit": "Dino",
        "sd": "StableDiffusion",
        "cnn": "EfficientNetLite0",
        "grad": "DenseGradients",
        "layers": basis,
    }
    words = name.replace("_folder", "").replace("_package", "").split("_")[:2]
    assert [basis, loss] == [next(kinds[start] for start in kinds if word.startswith(start)) for word in words]
    for role in ("basis", "descriptors"):
        reduced = found[role]["reduce"] is not None
        assert reduced == (found[role]["backbone"]["_target_"].endswith("StableDiffusion"))


@pytest.mark.parametrize("name", [name for name in options("fusion") if "layers" in name])
def test_layers_are_those_of_the_name(scratch, name):
    found = fusion_of(scratch, f"fusion={name}")
    basis, loss = (found[role]["backbone"].pop("layer") for role in ("basis", "descriptors"))
    assert f"layers{basis}_{loss}" in name and found["basis"] == found["descriptors"]


def test_a_branch_is_changed_from_the_command_line(scratch):
    changed = fusion_of(
        scratch,
        "fusion.basis.backbone.layer=9",
        "fusion.descriptors.backbone.t=50",
        "branch@fusion.descriptors.backbone=sd21",
    )
    default = fusion_of(scratch)
    assert changed["basis"]["backbone"] == {**default["basis"]["backbone"], "layer": 9}
    assert changed["descriptors"]["backbone"]["blocks"] == ["up1"] and changed["descriptors"]["backbone"]["t"] == 50


def test_one_word_changes_both_roles_of_a_same_feature_fusion(scratch):
    found = fusion_of(scratch, "fusion=dinov2_dinov2", "fusion.basis.backbone.layer=9", "fusion.basis.normalise=true")
    assert (
        found["descriptors"] == found["basis"]
        and found["descriptors"]["backbone"]["layer"] == 9
        and found["descriptors"]["normalise"]
    )
