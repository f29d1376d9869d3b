"""The verdict on matches of photographs: what energies say, and what they need not be asked for."""

from dataclasses import replace

import pytest
import torch
import yaml
from hydra.utils import instantiate
from tests.composing import ROOT
from tests.patch_images import flipped_copy, patch_image

from pullback.mapping.grid_match import patch_centres
from pullback.metrics.verdict import ErrorModel, Judge
from pullback.tasks.image.judging import judged_photographs
from pullback.types import Image, ImagePair, PatchMatch, PatchPair

GRID, SIZE = (12, 16), (48, 64)
KNOWN = "Gradients → Network"


def judge(good_below=1.0):
    numbers = {"intercept": -3.0, "good_below": good_below, "wrong_above": 2.0, "points": [-50.0, *[0.0] * 8, 3.0]}
    asked = {"cycle": [1.0, -3.0, 1.0], "features_basis": [0.01, 0.0, 1.0]}
    models = [ErrorModel(energies=energies, **numbers) for energies in (asked, {"cycle": asked["cycle"]})]
    return Judge(models=models, features=[KNOWN])


def photograph(name="photo", *, seed=0):
    noise = torch.randint(256, (3, *SIZE), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image(name, noise)


def verdict_on(patches, p2p21, *, photos=None, features=KNOWN, good_below=1.0):
    one, two = photos or (photograph(), photograph())
    there, back = (
        PatchMatch(p, patch_centres(i.grid, i.size)[p])
        for p, i in ((p2p21, patches.image1), (p2p21.argsort(), patches.image2))
    )
    pair = ImagePair("pair", one, two)
    return judged_photographs(pair, patches, there, back, judge(good_below), features=features)


@pytest.fixture(scope="module")
def same():
    photo = patch_image(GRID, SIZE, k=20)
    return PatchPair("same", photo, photo), torch.arange(photo.n)


def test_a_right_match_is_good_and_sure_everywhere(same):
    found = verdict_on(*same)
    assert found.verdict.level == "good" and found.verdict.advice == ""
    assert found.confidence2.min() > 0.9
    assert found.verdict.sentence.startswith("good (expected error about ")
    assert "of the longer side of the source" in found.verdict.sentence


def test_a_flagged_match_says_why_and_what_to_do(same):
    patches, p2p21 = same
    astray = p2p21.roll(GRID[1] * 5)
    found = verdict_on(patches, astray, good_below=1e-9)
    assert found.verdict.level == "doubtful" and found.verdict.why
    assert "mask1=a.png mask2=b.png" in found.verdict.advice
    assert found.metrics()["verdict"]["expected_error"]["unit"] == "the longer side of the source"


@pytest.mark.parametrize("colour", [0, 255])
def test_a_photograph_with_nothing_on_it_is_wrong_whatever_its_energies(colour, same):
    blank = Image("blank", torch.full((3, *SIZE), colour, dtype=torch.uint8))
    found = verdict_on(*same, photos=(photograph(), blank))
    assert found.verdict.sentence.startswith("probably wrong: there is nothing on blank")  # and no error is expected
    assert found.metrics()["verdict"]["expected_error"]["value"] is None
    assert found.confidence2.max() == 0


def test_a_mirrored_photograph_is_doubtful_however_well_it_fits():
    photo = patch_image(GRID, SIZE, k=20)
    copy, p2p21 = flipped_copy(photo)
    found = verdict_on(PatchPair("mirrored", photo, copy), p2p21)
    assert found.verdict.level == "doubtful" and "100 % of the target is mirrored" in found.verdict.why


def test_a_turned_photograph_is_doubtful_however_well_it_fits(same):
    patches, p2p21 = same
    found = verdict_on(patches, p2p21.flip(0))
    assert found.verdict.level == "doubtful" and "turned" in found.verdict.sentence


def test_features_that_the_constants_do_not_know_leave_it_doubtful(same):
    found = verdict_on(*same, features="OtherNetwork → Network")
    assert found.verdict.level == "doubtful"
    told = found.verdict.sentence
    assert "% of the longer side of the source, by constants of other features): the verdict is not calibrated" in told
    assert "Nothing else speaks against it" in told and "stronger features" not in told
    assert found.metrics()["verdict"]["expected_error"]["by"] == "constants of other features"


def test_the_shipped_constants_ask_energies_that_there_are(same):
    shipped = instantiate(yaml.safe_load((ROOT / "configs" / "judge" / "image.yaml").read_text()))
    known = [features for judge in shipped.calibrations for features in judge.features]
    patches, p2p21 = same
    match = PatchMatch(p2p21, patch_centres(GRID, SIZE), fmap12=torch.eye(20))
    pair = ImagePair("pair", photograph(), photograph())
    for made_of in (match, replace(match, fmap12=None)):
        for features in (*known, "others"):
            found = judged_photographs(pair, patches, made_of, made_of, shipped.of(features), features=features)
            assert found.verdict.level == ("good" if features in known else "doubtful")
