"""Photographs with functions to carry: affordances of tools, and heat maps of one's own."""

import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from tests.image_fakes import by_name, names, scene, write_image, write_tools

from pullback.data.errors import MissingDataError
from pullback.data.image.cropping import crop_pair
from pullback.data.image.decoding import ImageError
from pullback.data.image.heat_files import read_heat
from pullback.data.image.io import read_image
from pullback.data.image.sets.affordances import Affordances
from pullback.data.image.sets.folder import ImageFolder


@pytest.fixture
def tools(tmp_path):
    write_tools(tmp_path)
    return tmp_path


def test_each_tool_is_paired_with_the_others_of_its_category(tools):
    dataset = Affordances(tools, sample=None)
    assert len(dataset) == 12 and dataset.subsets == ("hammer", "saw")
    assert names(dataset)[:2] == ["hammer_01-hammer_02", "hammer_01-hammer_03"]
    assert len(Affordances(tools, sample=4)) == 8
    assert names(Affordances(tools, sample=4)) == names(Affordances(tools, sample=4))
    assert Affordances(tools, categories=["saw"]).subsets == ("saw",)


def test_heat_is_one_over_the_rank(tools):
    pair = by_name(Affordances(tools, sample=None), "hammer_01-hammer_02")
    assert pair.heat_names == ("grasp", "pound")
    assert pair.image1.name == "hammer_01_00000002"  # the middle one of three
    grasp, pound = pair.heats1
    assert (grasp[10, 8], grasp[10, 20], grasp[0, 0]) == (1, pytest.approx(1 / 3), 0)
    assert (pound[10, 20], pound[10, 8]) == (1, 0)
    assert pair.image1.mask.sum() == 12 * 6 + 10 * 14
    assert pair.image1.category == "hammer"


def test_labels_stand_in_for_ranks(tmp_path):
    write_tools(tmp_path, ranks=False)
    pair = Affordances(tmp_path).load(0)
    assert pair.heat_names == ("grasp", "pound")
    assert pair.heats2[0].unique().tolist() == [0, 1]


def test_a_crop_takes_the_heat_along(tools):
    pair = crop_pair(Affordances(tools).load(0), "mask")
    assert pair.heats1.shape[1:] == pair.image1.size == (14, 22)
    assert pair.heats1[0, 6, 2] == 1


def test_tools_that_are_not_there_are_named(tools, tmp_path):
    with pytest.raises(MissingDataError, match="part-affordance-dataset-tools"):
        Affordances(tmp_path / "none").check()
    (tmp_path / "empty" / "tools").mkdir(parents=True)
    with pytest.raises(MissingDataError, match=r"_label_rank\.mat beside them"):
        Affordances(tmp_path / "empty").check()
    with pytest.raises(ImageError, match="drill not among hammer, saw"):
        Affordances(tools, categories=["drill"]).check()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((9, 9, 7), np.uint8), r"has \(9, 9\) labels, but .* \(24, 32\) pixels"),
        (np.zeros((24, 32, 3), np.uint8), "ranks 3 affordances, not 7"),
        (np.full((24, 32), 0.5), "should hold whole numbers"),
        (np.full((24, 32), -1, np.int8), "numbers of 0 and more"),
        (np.zeros((24, 32, 7), np.uint8), "no function in common.*one is 0 everywhere"),
        (np.full((24, 32), 8), "holds label 8, but there are 7"),
    ],
)
def test_damaged_labels_are_named(tools, values, said):
    file = tools / "tools" / "hammer_01" / "hammer_01_00000002_label_rank.mat"
    savemat(file, {"gt_label": values})
    with pytest.raises(ImageError, match=said) as raised:
        by_name(Affordances(tools, sample=None), "hammer_01-hammer_02")
    assert "hammer_01_00000002" in str(raised.value)


def test_tools_without_a_partner_are_told(tools):
    for number in (2, 3):
        shutil.rmtree(tools / "tools" / f"saw_0{number}")
    with pytest.raises(MissingDataError, match="one tool of saw each, and a pair needs two"):
        Affordances(tools, categories=["saw"]).check()


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate("abc"):
        write_image(tmp_path / f"{name}.png", scene(seed))
    (tmp_path / "heats").mkdir()
    return tmp_path


def grey(path, value=255):
    values = np.zeros((24, 32), np.uint8)
    values[4:9, 3:7] = value
    write_image(path, values)


def test_heat_of_a_folder_is_carried_and_measured_where_both_have_it(folder):
    grey(folder / "heats" / "a.handle.png", 51)
    np.save(folder / "heats" / "a.head.npy", np.ones((24, 32)))
    grey(folder / "heats" / "b.handle.png")
    first, second = ImageFolder(folder).load(0), ImageFolder(folder).load(1)
    assert first.heat_names == ("handle",)
    assert first.heats1.max() == pytest.approx(0.2) and first.heats2.max() == 1
    assert second.heat_names == ("handle",) and second.heats2 is None  # c has none: nothing to measure against


def test_a_folder_without_heat_is_as_before(folder):
    pair = ImageFolder(folder).load(0)
    assert pair.heats1 is None and pair.heat_names == ()


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("a.png", lambda path: write_image(path, scene(0)), "has colours"),
        ("a.png", lambda path: write_image(path, np.ones((5, 5), np.uint8)), r"its shape is \(5, 5\)"),
        ("a.npy", lambda path: np.save(path, np.ones((32, 24))), r"its shape is \(32, 24\)"),
        ("a.png", lambda path: write_image(path, np.zeros((24, 32, 4), np.uint8)), "has transparency"),
        ("a.jpg", lambda path: Image.new("CMYK", (32, 24)).save(path), "is in CMYK"),
        ("a.npy", lambda path: np.save(path, -np.ones((24, 32))), "not negative"),
        ("a.npy", lambda path: np.save(path, np.full((24, 32), np.nan)), "must be finite"),
        ("a.npy", lambda path: path.write_bytes(b"no array"), "cannot be read as an array of NumPy"),
        ("a.npy", lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True), "cannot be read"),
        ("a.npy", lambda path: np.save(path, np.array(["x"])), "no array of numbers"),
    ],
)
def test_heat_that_is_none_is_named(folder, name, write, said):
    path = folder / "heats" / name
    write(path)
    with pytest.raises(ImageError, match=said) as raised:
        ImageFolder(folder).load(0)
    assert re.search(re.escape(str(path)), str(raised.value))


def test_heat_that_is_0_everywhere_is_told(folder):
    grey(folder / "heats" / "a.png", 0)
    with pytest.raises(ImageError, match="a-b: the heat of image 1 is 0 everywhere: there is nothing to carry"):
        ImageFolder(folder).load(0)
    grey(folder / "heats" / "b.png")
    with pytest.raises(ImageError, match=r"no function in common.* of what both have, one is 0 everywhere"):
        ImageFolder(folder).load(0)


def test_two_files_of_one_heat_map_are_named(folder):
    grey(folder / "heats" / "a.handle.png")
    np.save(folder / "heats" / "a.handle.npy", np.ones((24, 32)))
    with pytest.raises(ImageError, match="hold the same heat map"):
        ImageFolder(folder).load(0)


def test_sixteen_bits_are_a_scale_too(folder):
    values = np.zeros((24, 32), np.uint16)
    values[0, 0] = 65535
    write_image(folder / "heats" / "a.png", values)
    heat = read_heat(folder / "heats" / "a.png", read_image(folder / "a.png"))
    assert heat[0, 0] == 1 and torch.count_nonzero(heat) == 1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("a.PNG", lambda image: image),
        ("a.tif", lambda image: image),
        ("a.bmp", lambda image: image),
        ("a.png", lambda image: image.convert("RGB")),
        ("a.png", lambda image: image.convert("RGBA")),
        ("a.png", lambda image: image.convert("P")),
        ("a.png", lambda image: image.convert("LA")),
    ],
)
def test_a_grey_picture_is_heat_however_it_is_stored(folder, name, change):
    grey(folder / "grey.png", 51)
    change(Image.open(folder / "grey.png")).save(folder / "heats" / name)
    (folder / "grey.png").unlink()
    assert ImageFolder(folder).load(0).heats1[0, 4, 3] == pytest.approx(0.2)


def test_heat_of_another_size_is_resized_where_its_proportions_are_the_photographs(folder):
    ramp = np.tile(np.arange(16.0), (12, 1))
    np.save(folder / "heats" / "a.npy", ramp[..., None])
    heat = ImageFolder(folder).load(0).heats1[0]
    assert heat.shape == (24, 32)
    assert heat[5, 1:-1].numpy() == pytest.approx(
        np.arange(1, 31) / 2 - 0.25, abs=1e-5
    )  # places of pixels, not corners


def test_heat_belongs_to_the_photograph_with_the_longest_name_in_its_own(folder):
    write_image(folder / "a.2.png", scene(5))
    grey(folder / "heats" / "a.2.png", 51)
    grey(folder / "heats" / "a.2.handle.png", 102)
    (folder / "pairs.txt").write_text("a.2.png\ta.png\na.png\tb.png\n")
    first, second = ImageFolder(folder).load(0), ImageFolder(folder).load(1)
    assert set(first.heat_names) == {"", "handle"} and second.heats1 is None


def test_letters_with_accents_are_one_in_either_spelling(folder):
    write_image(folder / "a\u0308.png", scene(5))
    grey(folder / "heats" / "\u00e4.png")
    (folder / "pairs.txt").write_text("a\u0308.png\tb.png\n", encoding="utf-8")
    assert ImageFolder(folder).load(0).heat_names == ("",)


def test_heat_and_masks_that_nothing_is_done_with_are_told(folder, caplog):
    grey(folder / "heats" / "A.png")
    grey(folder / "heats" / "c.png")
    np.savetxt(folder / "heats" / "a.csv", np.ones((24, 32)))
    grey(folder / "masks" / "a.jpg")
    with caplog.at_level("WARNING"):
        ImageFolder(folder).check()
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "heats: A.png, a.csv are no heat of a photograph" in told
    assert "of b-c only image 2 has heat" in told
    assert "masks: a.jpg belong to no photograph" in told
