import re
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.figures.photographs import gradient_photo, left_half, shift
from tests.figures.test_report import Page
from tests.image_pairs import PairList

from pullback.files import MissingFileError
from pullback.mapping.grid_match import patch_centres
from pullback.tasks.evaluated import Evaluated
from pullback.tasks.image.pictures import (
    ShownPair,
    correspondence_picture,
    heat_picture,
    keypoints_picture,
)
from pullback.tasks.image.reporting import report_images
from pullback.tasks.image.results import ImageProtocol
from pullback.tasks.image.scoring import score_image_store
from pullback.tasks.results import write_results
from pullback.tasks.store import PredictionStore
from pullback.types import Eigenbasis, ImagePair, PatchImage, PatchPair

GRID, SIZE = (4, 6), (40, 60)
POINTS = torch.tensor([[5.0, 5.0], [30.0, 20.0], [20.0, 30.0]])


def dense_pair(name="dense", subset="a"):
    photo = gradient_photo(*SIZE)
    return ImagePair(name, photo, photo, subset, flow21=shift(0.0, 0.0), known2=left_half())


def keypoint_pair(name="keypoints", subset="b"):
    photo = replace(gradient_photo(*SIZE), box=torch.tensor([5.0, 5.0, 30.0, 30.0]))
    return ImagePair(name, photo, photo, subset, keypoints1=POINTS, keypoints2=POINTS)


def bare_pair(name="bare"):
    return ImagePair(name, gradient_photo(*SIZE), gradient_photo(*SIZE))


def patches(pair):
    n = GRID[0] * GRID[1]
    evecs = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(0))).Q
    image = PatchImage(
        "image",
        GRID,
        SIZE,
        torch.arange(n),
        Eigenbasis(torch.arange(n).float(), evecs, torch.ones(n)),
        evecs,
        torch.eye(n),
    )
    return PatchPair(pair.name, image, image)


def save(store, pair, *, by=0.0):
    """The identity, moved by some pixels to the right."""
    xy21 = patch_centres(GRID, SIZE) + torch.tensor([by, 0.0])
    n = len(xy21)
    arrays = {"grid1": GRID, "grid2": GRID, "size1": SIZE, "size2": SIZE}
    everything = torch.arange(n)
    maps = {"fmap12": torch.eye(n), "fmap12_init": torch.eye(n)}
    tensors = {key: torch.tensor(value) for key, value in arrays.items()}
    store.save(
        pair.name, everything, xy21=xy21, patches1=everything, patches2=everything, **maps, **tensors, seconds=0.1
    )


@pytest.fixture
def run(tmp_path):
    """Evaluates pairs whose matches are the identity, each moved three pixels farther than the one before."""

    def evaluate(pairs, name="set"):
        store = PredictionStore(tmp_path / "predictions" / name, {"a": 1})
        for i, pair in enumerate(pairs):
            save(store, pair, by=3.0 * i)
        protocol = ImageProtocol("all", "image1", "bilinear", "none", "closed_form", "closed_form: test", "none", 0)
        return Evaluated(
            pairs, store, score_image_store(store, PairList(pairs), dataset=name, split="test", protocol=protocol)
        )

    return evaluate


def test_a_run_on_photographs_becomes_a_page_with_all_its_pictures(run, tmp_path):
    evaluated = [run([dense_pair(f"dense {i}", "ab"[i % 2]) for i in range(2)]), run([keypoint_pair()], "points")]
    write_results(tmp_path, [part.result for part in evaluated], started=time.time())
    report = report_images(tmp_path, evaluated, title="photographs", graphs={"the graph in use": patches})
    page = Page(report.read_text(encoding="utf-8"))
    sections = [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")]
    pictures = ["correspondences", "texture", "keypoints", "flow", "heat", "eigenfunctions"]
    assert sections == ["results", *pictures, "pck", "fmap", "pairs", "origin"]
    assert "set, best: dense 0, PCK@0.10 100.0" in page.text and "set, worst: dense 1" in page.text
    assert "nan" not in page.text and "set test, by part" in page.text
    assert (
        "φ 1" in page.text
        and "image 2: functional map" in page.text
        and "7 of" not in page.text
        and "3 of 3 right" in page.text
    )


def test_stored_matches_alone_are_enough_for_a_page(run, tmp_path):
    evaluated = [run([bare_pair()])]
    write_results(tmp_path, [part.result for part in evaluated], started=time.time())
    text = Page(report_images(tmp_path, evaluated, title="mine").read_text(encoding="utf-8")).text
    assert "set, pair 1: bare" in text and "point map of this run" in text
    assert "Eigenfunctions" in text.split("Left out")[1] and "Keypoints" in text.split("Left out")[1]


def test_a_match_that_has_gone_since_it_was_scored_is_named(run, tmp_path):
    part = run([bare_pair()])
    path = part.store.path("bare")
    path.unlink()
    write_results(tmp_path, [part.result], started=time.time())
    with pytest.raises(MissingFileError, match=f"{re.escape(str(path))} is gone since it was scored"):
        report_images(tmp_path, [part], title="mine")


def shown(pair, part):
    from pullback.tasks.image.reporting import _shown

    return next(one for one in _shown(part) if one.pair.name == pair.name)


def test_errors_are_drawn_where_the_flow_is_known(run):
    pair = dense_pair()
    one = shown(pair, run([pair]))
    assert isinstance(one, ShownPair)
    colours1, colours2, error = (panel.image for panel in correspondence_picture(one).panels)
    np.testing.assert_allclose(colours1.astype(int), colours2, atol=1)  # the true landing places are those of the mask
    middle = error.shape[1] // 2
    assert (error[:, : middle - 3, :3] == [233, 236, 239]).all()  # no error
    assert np.ptp(error[:, middle + 3 :, :3], axis=-1).max() == 0  # unknown: the photograph in grey


def test_keypoints_are_judged_by_the_length_of_the_protocol(run):
    pairs = [keypoint_pair("still"), keypoint_pair("near"), keypoint_pair("far")]
    part = run(pairs)  # moved by 0, 3 and 6 pixels; 0.10 of the longer side is 6
    notes = {pair.name: keypoints_picture(shown(pair, part)).note for pair in pairs}
    assert notes == {"still": "3 of 3 right", "near": "3 of 3 right", "far": "0 of 3 right"}


def test_a_functional_map_of_another_basis_carries_no_heat(run):
    pair = bare_pair()
    graphs, fmap12 = patches(pair), np.eye(24, dtype=np.float32)
    evals1 = graphs.image1.basis.evals.numpy()
    one = replace(shown(pair, run([pair])), patches=graphs)
    known = {"fmap12": fmap12, "evals1": evals1}
    for arrays, there in (({"fmap12": fmap12}, True), (known, True), ({**known, "evals1": evals1 + 1}, False)):
        panels = [panel.label for panel in heat_picture(replace(one, arrays=arrays)).panels]
        assert ("image 2: functional map" in panels) == there
        assert "image 2: nearest neighbours of features" in panels
