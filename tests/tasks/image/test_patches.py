"""Photographs become patch graphs: features and bases are computed once, and a cache changes nothing."""

import logging
import threading

import numpy as np
import pytest
import torch
from tests.mean_colours import MeanColours

from pullback.geometry.grid import grid_basis
from pullback.nn.fusion import Branch, Fusion, JointPCA
from pullback.tasks.image.patches import FeatureCache, GraphSettings, PatchLibrary, patches_of
from pullback.types import Image, ImagePair

SETTINGS = GraphSettings(k=6)


def photo(name: str, seed: int, size: tuple[int, int] = (24, 32), **known) -> Image:
    pixels = torch.randint(0, 255, (3, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image(name, pixels, **known)


def library(tmp_path, *, reduce=None, settings=SETTINGS) -> PatchLibrary:
    fusion = Fusion(Branch(MeanColours(size=32), reduce=reduce), Branch(MeanColours(size=16)))
    return PatchLibrary(fusion, settings, tmp_path)


PAIR = ImagePair("pair", photo("one", 1), photo("two", 2, size=(32, 16)))


def test_a_photograph_goes_through_its_backbone_once(tmp_path):
    backbone = MeanColours(size=32)
    one, two = photo("one", 1), photo("two", 2)
    first = FeatureCache(backbone, tmp_path).load([one, two])
    again = FeatureCache(backbone, tmp_path).load([two, one, two])  # another process
    assert backbone.seen == ["one", "two"]
    torch.testing.assert_close(again[1]["colour"], first[0]["colour"], rtol=0, atol=0)


def test_the_key_of_features_is_the_content_and_not_the_name(tmp_path):
    backbone = MeanColours(size=32)
    cache = FeatureCache(backbone, tmp_path)
    cache.load([photo("one", 1), photo("the same", 1)])
    assert backbone.seen == ["one"] or backbone.seen == ["the same"]
    changed = [photo("one", 3), photo("one", 1, category="cat")]
    assert len({cache.path(each) for each in [photo("one", 1), *changed]}) == 3
    assert FeatureCache(MeanColours(size=16), tmp_path).path(photo("one", 1)) != cache.path(photo("one", 1))


def test_damaged_features_are_computed_anew(tmp_path, caplog):
    backbone, one = MeanColours(size=32), photo("one", 1)
    cache = FeatureCache(backbone, tmp_path)
    expected = cache.load([one])[0]["colour"]
    cache.path(one).write_bytes(b"not a zip")
    with caplog.at_level(logging.WARNING):
        found = FeatureCache(backbone, tmp_path).load([one])[0]["colour"]
    assert "damaged" in caplog.text and backbone.seen == ["one", "one"]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"colour": np.zeros((3, 6, 8), np.float32)},
        {"colour": np.zeros((3, 48), np.float16)},
        {"colour": np.full((3, 6, 8), np.nan, np.float16)},
        {"colour": np.array(["text"])},
    ],
)
def test_features_of_another_kind_are_computed_anew(tmp_path, caplog, arrays):
    backbone, one = MeanColours(size=32), photo("one", 1)
    cache = FeatureCache(backbone, tmp_path)
    expected = cache.load([one])[0]["colour"]
    np.savez(cache.path(one), **arrays)
    found = FeatureCache(backbone, tmp_path).load([one])[0]["colour"]
    assert "is damaged" in caplog.text and backbone.seen == ["one", "one"]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "change",
    [lambda old: {"evals": old["evals"]}, lambda old: old | {"evecs": old["evecs"][:5], "mass": old["mass"][:5]}],
)
def test_a_basis_of_another_kind_is_computed_anew(tmp_path, caplog, change):
    patches = library(tmp_path).pair(PAIR, device=torch.device("cpu"))
    entries = {path: dict(np.load(path)) for path in tmp_path.glob("image_bases/*.npz")}
    for path, arrays in entries.items():
        np.savez(path, **change(arrays))
    again = library(tmp_path).pair(PAIR, device=torch.device("cpu"))
    assert caplog.text.count("is damaged") == 2
    torch.testing.assert_close(again.image1.basis.evecs, patches.image1.basis.evecs)


def test_only_the_last_used_photographs_stay_in_memory(tmp_path):
    cache = FeatureCache(MeanColours(size=32), tmp_path, capacity=2)
    for seed in range(5):
        cache.load([photo(str(seed), seed)])
    assert len(cache._loaded) == 2


def test_a_pair_has_both_branches_on_the_grid_of_the_basis(tmp_path):
    pair = library(tmp_path).pair(PAIR, device=torch.device("cpu"))
    assert (pair.image1.grid, pair.image2.grid) == ((6, 8), (8, 4))
    assert pair.image1.basis_feat.shape == pair.image1.feat.shape == (48, 3)
    assert pair.image1.basis.evecs.shape == (48, 6) and pair.image2.size == (32, 16)
    rows = PAIR.image1.pixels.float().div(255).reshape(3, 6, 4, 8, 4).mean(dim=(2, 4)).flatten(1).T
    torch.testing.assert_close(pair.image1.basis_feat, rows, rtol=0, atol=1e-3)  # half precision


@pytest.mark.parametrize("reduce", [None, JointPCA(2)])
def test_a_second_run_finds_the_same_pair_in_the_cache(tmp_path, reduce):
    first = library(tmp_path, reduce=reduce).pair(PAIR, device=torch.device("cpu"))
    second = library(tmp_path, reduce=reduce).pair(PAIR, device=torch.device("cpu"))
    torch.testing.assert_close(second.image1.basis.evecs, first.image1.basis.evecs, rtol=0, atol=0)
    kept = len(list((tmp_path / "image_bases").glob("*.npz"))) if (tmp_path / "image_bases").exists() else 0
    assert kept == (2 if reduce is None else 0)  # bases that belong to a pair are not worth their place


@pytest.mark.parametrize("inference", [False, True])
def test_two_threads_solve_both_bases_at_the_same_time_and_find_what_one_finds(tmp_path, monkeypatch, inference):
    solved = []

    def recorded(*arguments, **options):
        solved.append(threading.get_ident())
        return grid_basis(*arguments, **options)

    monkeypatch.setattr("pullback.tasks.image.patches.grid_basis", recorded)
    found, before = [], torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode(inference):
                found.append(library(tmp_path / str(threads)).pair(PAIR, device=torch.device("cpu")))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    alone, both = found
    assert len(set(solved[:2])) == 1 and len(set(solved[2:])) == 2
    for one, other in ((alone.image1, both.image1), (alone.image2, both.image2)):
        assert torch.equal(one.basis.evecs, other.basis.evecs) and torch.equal(one.basis.evals, other.basis.evals)
        assert torch.equal(one.feat, other.feat) and torch.equal(one.patches, other.patches)


def test_what_is_wrong_with_the_second_photograph_is_told_whatever_thread_it_met(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match="k=60 eigenfunctions were asked of a graph of 32 patches"):
            narrow = ImagePair("pair", photo("one", 1, size=(320, 320)), photo("two", 2, size=(320, 160)))
            library(tmp_path, settings=GraphSettings(k=60)).pair(narrow, device=torch.device("cpu"))
    finally:
        torch.set_num_threads(before)


def test_another_graph_is_another_basis(tmp_path):
    usual = library(tmp_path).pair(PAIR, device=torch.device("cpu"))
    uniform = library(tmp_path, settings=GraphSettings(k=6, weights="uniform")).pair(PAIR, device=torch.device("cpu"))
    assert not torch.allclose(usual.image1.basis.evals, uniform.image1.basis.evals)


def test_a_cached_basis_of_one_rule_of_signs_is_not_taken_for_the_other(tmp_path):
    usual = library(tmp_path).pair(PAIR, device=torch.device("cpu"))
    released = library(tmp_path, settings=GraphSettings(k=6, signs="qr")).pair(PAIR, device=torch.device("cpu"))
    torch.testing.assert_close(released.image1.basis.evecs.abs(), usual.image1.basis.evecs.abs(), rtol=0, atol=0)
    assert not torch.equal(released.image1.basis.evecs, usual.image1.basis.evecs)
    again = torch.linalg.qr(released.image1.basis.evecs).Q
    torch.testing.assert_close(released.image1.basis.evecs, again, rtol=0, atol=1e-5)


def test_a_mask_leaves_the_patches_that_it_covers_by_half():
    mask = torch.zeros(24, 32, dtype=torch.bool)
    mask[4:12, 8:18] = True  # patches of 4 × 4 pixels: rows 1 and 2, columns 2 and 3, and column 4 by exactly half
    assert patches_of(mask, (6, 8)).tolist() == [10, 11, 12, 18, 19, 20]
    mask[4:12, 17] = False
    assert patches_of(mask, (6, 8)).tolist() == [10, 11, 18, 19]
    assert len(patches_of(None, (6, 8))) == 48


def test_an_empty_mask_is_said_and_not_obeyed(caplog):
    assert len(patches_of(torch.zeros(24, 32, dtype=torch.bool), (6, 8))) == 48
    assert "all patches are used" in caplog.text


def test_masks_cut_the_graph_only_when_asked(tmp_path):
    mask = torch.zeros(24, 32, dtype=torch.bool)
    mask[:12] = True
    pair = ImagePair("masked", photo("one", 1, mask=mask), photo("two", 2))
    whole = library(tmp_path).pair(pair, device=torch.device("cpu"))
    cut = library(tmp_path, settings=GraphSettings(k=6, objects_only=True)).pair(pair, device=torch.device("cpu"))
    assert (whole.image1.n, cut.image1.n, cut.image2.n) == (48, 24, 48)
    torch.testing.assert_close(cut.image1.feat, whole.image1.feat[:24], rtol=0, atol=0)


def test_a_graph_without_eigenfunctions_is_refused():
    with pytest.raises(ValueError, match=r"k=0 is too small"):
        GraphSettings(k=0)
    with pytest.raises(ValueError, match=r"signs='first' is unknown: choose largest or qr"):
        GraphSettings(signs="first")
