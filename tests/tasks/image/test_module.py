"""Photographs are matched pair by pair: whatever shares a batch, fails or was there before."""

import logging

import numpy as np
import pytest
import torch
from tests.later import later
from tests.mean_colours import MeanColours

from pullback.mapping.readout import Readout
from pullback.nn.fusion import Branch, Fusion
from pullback.solvers.closed_form import ClosedForm
from pullback.solvers.patch_matching import PatchMatching
from pullback.tasks.image.patches import GraphSettings
from pullback.tasks.store import PredictionStore
from pullback.types import Image, ImagePair

datamodule = later("pullback.data.image.datamodule")
image_module = later("pullback.tasks.image.module")


def photo(name: str, seed: int, size: tuple[int, int]) -> Image:
    pixels = torch.randint(0, 255, (3, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image(name, pixels)


PAIRS = [
    ImagePair("a", photo("one", 1, (24, 32)), photo("two", 2, (32, 16))),
    ImagePair("b", photo("three", 3, (32, 32)), photo("one", 1, (24, 32))),
    ImagePair("c", photo("two", 2, (32, 16)), photo("two", 2, (32, 16))),
]


def matching(tmp_path, *, two_way: bool = False, solver=None) -> "image_module.ImageMatching":
    fusion = Fusion(Branch(MeanColours(size=32)), Branch(MeanColours(size=16)))
    solver = solver or PatchMatching(Readout(), ClosedForm(), two_way=two_way)
    module = image_module.ImageMatching(fusion, solver, GraphSettings(k=8), cache_dir=tmp_path / "cache")
    module.stores = [PredictionStore(tmp_path / "predictions", {})]
    return module


def predicted(module: "image_module.ImageMatching") -> dict[str, dict[str, np.ndarray]]:
    return {pair.name: module.stores[0].load(pair.name).arrays for pair in PAIRS if pair.name in module.stores[0]}


def test_the_eigenvalues_of_the_functional_map_are_stored_with_it(tmp_path):
    module = matching(tmp_path)
    module.predict_step(PAIRS[:1], 0)
    (arrays,) = predicted(module).values()
    graphs = module.library.pair(PAIRS[0], device=module.device)
    np.testing.assert_allclose(arrays["evals1"], graphs.image1.basis.evals[:8])
    np.testing.assert_allclose(arrays["evals2"], graphs.image2.basis.evals[:8])


def test_a_match_is_stored_with_all_that_scoring_needs(tmp_path):
    module = matching(tmp_path, two_way=True)
    module.predict_step(PAIRS[:1], 0)
    (arrays,) = predicted(module).values()
    shapes = {
        name: arrays[name].shape for name in ("xy21", "patches2", "patches1", "xy12", "fmap12", "fmap12_init", "fmap21")
    }
    assert shapes == {
        "xy21": (32, 2), "patches2": (32,), "patches1": (48,), "xy12": (48, 2), "fmap12": (8, 8), "fmap12_init": (8, 8),
        "fmap21": (8, 8),
    }  # fmt: skip
    assert [arrays[name].tolist() for name in ("grid1", "grid2", "size1", "size2")] == [
        [6, 8],
        [8, 4],
        [24, 32],
        [32, 16],
    ]
    assert arrays["seconds"] > 0


def test_pairs_in_one_batch_are_matched_as_if_alone(tmp_path):
    together, alone = matching(tmp_path / "together"), matching(tmp_path / "alone")
    together.predict_step(PAIRS, 0)
    for pair in reversed(PAIRS):
        alone.predict_step([pair], 0)
    for name, arrays in predicted(together).items():
        np.testing.assert_allclose(arrays["fmap12"], predicted(alone)[name]["fmap12"], atol=1e-4)
        np.testing.assert_allclose(arrays["xy21"], predicted(alone)[name]["xy21"], atol=1e-3)
    assert len(predicted(together)) == 3


def test_a_pair_that_fails_costs_no_other_one_its_result(tmp_path, caplog):
    right = PatchMatching(Readout(), ClosedForm())

    def solver(pairs):
        if any(pair.name == "b" for pair in pairs):
            raise ValueError("this one does not work")
        return right(pairs)

    module = matching(tmp_path, solver=solver)
    with caplog.at_level(logging.ERROR):
        module.predict_step(PAIRS, 0)
    assert set(predicted(module)) == {"a", "c"}
    assert "the pair b could not be matched: this one does not work" in caplog.text


def test_a_pair_that_is_stored_is_not_matched_again(tmp_path):
    module = matching(tmp_path)
    module.predict_step(PAIRS[:2], 0)
    times = {path: path.stat().st_mtime_ns for path in module.stores[0].directory.glob("*.npz")}
    module.predict_step(PAIRS, 0)
    assert {path: path.stat().st_mtime_ns for path in times} == times and "c" in module.stores[0]


@pytest.mark.parametrize("inference", [True, False])
def test_lightning_may_forbid_gradients_around_it(tmp_path, inference):
    module = matching(tmp_path)
    with torch.inference_mode(inference):
        module.predict_step(PAIRS, 0)
    assert len(predicted(module)) == 3


def test_a_pair_whose_files_cannot_be_read_fails_alone(tmp_path):
    module = matching(tmp_path)
    module.predict_step([PAIRS[0], datamodule.UnreadPair("b", "b.json: its box is empty")], 0)
    assert set(predicted(module)) == {"a"} and module.stores[0].failure("b") == "b.json: its box is empty"
