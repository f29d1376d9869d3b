"""``pullback.match`` for photographs: paths, arrays and pictures of Pillow."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tests.composing import ROOT
from tests.test_entry_points import run

import pullback as pb
from pullback.data.image.decoding import ImageError
from pullback.data.image.io import image_of, read_image
from pullback.data.image.truth import read_flo

PHOTOS = ROOT / "data" / "photos"
OPTIONS = {"fusion": "gradients_gradients", "fusion.basis.backbone.size": 96, "graph.k": 40}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two small photographs as PNG."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("coffee", "coffee_mild"):
        Image.open(PHOTOS / f"{name}.jpg").resize((120, 80)).save(folder / f"{name}.png")
    return folder / "coffee.png", folder / "coffee_mild.png"


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return {**OPTIONS, "paths.cache_dir": tmp_path_factory.mktemp("cache")}


@pytest.fixture(scope="module")
def matched(files, options):
    return pb.match(*files, options=options)


def test_a_call_finds_what_the_command_finds(files, options, matched, tmp_path):
    typed = [f"{key}={value}" for key, value in options.items()]
    run("match", *map(str, files), *typed, folder=tmp_path / "run")
    assert np.array_equal(read_flo(tmp_path / "run" / "flow21.flo").numpy(), matched.flow21)


@pytest.mark.parametrize("form", ["array", "tensor", "floats", "picture"])
def test_pictures_of_every_form_are_the_photograph_of_the_file(form, files, options, matched):
    pictures = [Image.open(file) for file in files]
    arrays = [np.asarray(picture) for picture in pictures]
    given = {
        "array": arrays,
        "tensor": [torch.from_numpy(values.copy()).permute(2, 0, 1) for values in arrays],
        "floats": [values / 255 for values in arrays],
        "picture": pictures,
    }[form]
    assert np.array_equal(pb.match(*given, options=options).flow21, matched.flow21)


def test_values_are_pulled_back_along_the_flow(matched):
    rows, columns = np.indices((80, 120)).astype(float)
    x = matched.pull_back(np.stack([columns, rows], axis=2))
    expected = np.stack(np.indices((80, 120))[::-1], axis=2) + matched.flow21.transpose(1, 2, 0)
    assert np.allclose(x, expected.clip(0, [119, 79]), atol=1e-4)
    labels = matched.pull_back(columns.astype(int))
    assert labels.dtype == int and np.abs(labels - x[..., 0]).max() <= 0.5
    with pytest.raises(pb.UserError, match="not those of 80 × 120 pixels"):
        matched.pull_back(np.zeros((120, 80)))


def test_a_match_of_photographs_saves_and_prints_itself(matched, tmp_path):
    assert matched.save(tmp_path / "saved").is_file() and (tmp_path / "saved" / "flow21.flo").is_file()
    assert repr(matched).startswith("ImageMatch(coffee_mild → coffee: flow21[2, 80, 120], fmap12[")
    assert "\n" not in repr(matched)


def test_landmarks_are_for_meshes(files, options):
    with pytest.raises(pb.UserError, match="landmarks and initial maps are of meshes"):
        pb.match(*files, landmarks=[[0, 0]] * 3, options=options)


def test_an_array_is_read_as_its_file_would_be(files):
    pixels = read_image(files[0]).pixels
    assert torch.equal(image_of(np.asarray(Image.open(files[0])), name="a").pixels, pixels)
    clear = np.dstack([np.asarray(Image.open(files[0])), np.zeros((80, 120), np.uint8)])
    assert image_of(clear, name="a").pixels.min() == 255
    assert torch.equal(image_of(np.moveaxis(clear, 2, 0), name="a").pixels, image_of(clear, name="a").pixels)
    assert torch.equal(image_of(clear[None, ..., 0], name="a").pixels, image_of(clear[..., 0], name="a").pixels)
    turned = Image.open(files[0])
    turned.getexif()[0x0112] = 3
    assert torch.equal(image_of(turned, name="a").pixels, pixels.flip(1, 2))


@pytest.mark.parametrize("values", [np.zeros((5, 5, 2)), np.zeros(7), np.zeros((0, 5)), np.full((4, 4), "x")])
def test_an_array_that_is_no_photograph_is_refused(values):
    with pytest.raises(ImageError, match="a: an array of"):
        image_of(values, name="a")


def test_a_match_shows_the_page_that_it_saves(matched, tmp_path):
    matched.save(tmp_path)
    saved = (tmp_path / "report" / "viewer.html").read_text(encoding="utf-8")
    assert matched.show().html == saved
    assert 'href="viewer.html"' in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_a_match_says_what_is_to_be_thought_of_it(matched, tmp_path):
    assert matched.verdict.level in ("doubtful", "probably wrong")  # the constants are those of other features
    assert "not calibrated for these features" in matched.verdict.sentence
    assert matched.confidence2.shape == (80, 120) and 0 <= matched.confidence2.min() <= matched.confidence2.max() <= 1
    matched.save(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["verdict"]["level"] == matched.verdict.level
    assert str(np.load(tmp_path / "match.npz")["verdict"]) == matched.verdict.sentence
    assert "Verdict: " in (tmp_path / "report" / "index.html").read_text()


def test_outside_its_mask_a_photograph_is_matched_to_nothing(files, options):
    mask = np.zeros((80, 120), dtype=bool)
    mask[:, 40:] = True
    found = pb.match(*files, mask1=mask, mask2=mask, options=options)
    assert np.isnan(found.flow21[:, ~mask]).all() and np.isfinite(found.flow21[:, mask]).all()
    columns = np.where(mask, found.flow21[0] + np.arange(120), 60)
    assert columns.min() > 35  # none leads to the part of the source that is masked out, by more than a patch
    assert (found.confidence2[~mask] == 0).all()
    assert np.isnan(found.pull_back(np.ones((80, 120)))[~mask]).all()


def test_a_mask_of_a_few_pixels_is_refused_with_what_to_do(files, options):
    mask = np.zeros((80, 120), dtype=bool)
    mask[:8, :8] = True
    with pytest.raises(ImageError, match=r"covers \d+ of .* patches.*give a larger mask"):
        pb.match(*files, mask2=mask, options=options)


def test_masks_of_meshes_are_refused():
    human = ROOT / "data" / "humans" / "off" / "human_000.off"
    with pytest.raises(pb.UserError, match="parts of photographs"):
        pb.match(human, human, mask1=np.ones((2, 2)))


def test_points_land_where_the_flow_leads(matched):
    points = np.array([[30.0, 20.0], [70.0, 50.0]])
    landing = matched.land(points, on="target")
    flow = np.stack([matched.flow21[:, int(y), int(x)] for x, y in points])
    assert np.allclose(landing.lands_place, points + flow, atol=1e-3)
    assert landing.confidence.shape == (2,)
    with pytest.raises(ImageError, match="lies outside of the source"):
        matched.land([[300, 20]])
