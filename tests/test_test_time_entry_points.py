"""eval.py with what happens at test time, from end to end: weights tuned to each pair,
and points of the ground truth given.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fakes import write_faust
from tests.test_entry_points import SHORT, SMALL, TINY_NETWORK, TINY_SOLVER, figures, metrics, run

from pullback.runtime.checks import ConfigError
from pullback.tasks.store import ForeignPredictions, fingerprint_sha256

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SCORED = "run=[match,score]"
TUNED = ["adaptation=fine_tuning", "adaptation.steps=2", "adaptation.optimizer.lr=0.01"]
LANDMARKED = ["backbone=landmarks", "backbone.descriptor.k=40", "landmarks=6", "solver=zoomout", *TINY_SOLVER]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a small FAUST_r and a cache."""
    folder = tmp_path_factory.mktemp("home")
    write_faust(folder / "data" / "FAUST_r", [*range(6), *range(80, 83)])
    return folder


@pytest.fixture(scope="module")
def faust(home) -> list[str]:
    places = [f"paths.data_dir={home / 'data'}", f"paths.cache_dir={home / 'cache'}"]
    return ["dataset=faust", "dataset.faust.allow_missing=true", *places, *SMALL]


@pytest.fixture(scope="module")
def checkpoint(home, faust) -> Path:
    """A checkpoint as they were before this was possible: its configuration lacks the newer keys."""
    short = [option for option in SHORT if "max_steps" not in option]
    run("train", *faust, *TINY_NETWORK, *TINY_SOLVER, *short, "trainer.max_steps=3", "run=[]", folder=home / "trained")
    found = torch.load(home / "trained" / "checkpoints" / "best.ckpt", weights_only=True)
    for key in ("adaptation", "landmarks", "method_name", "method", "weights"):
        found["config"].pop(key, None)
        found["config"]["module"].pop(key, None)
    torch.save(found, home / "old.ckpt")
    return home / "old.ckpt"


@pytest.fixture(scope="module")
def tuned(home, faust, checkpoint) -> Path:
    """The folder of an evaluation with fine-tuning, and its report."""
    run("eval", *faust, f"ckpt={checkpoint}", *TUNED, folder=home / "tuned")
    return home / "tuned"


@pytest.fixture(scope="module")
def untuned(home, faust, checkpoint) -> Path:
    run("eval", *faust, f"ckpt={checkpoint}", SCORED, folder=home / "untuned")
    return home / "untuned"


def fmaps(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path)["fmap12"] for path in sorted((folder / "predictions").rglob("*.npz"))}


def test_every_result_names_its_fine_tuning(tuned, untuned, checkpoint):
    losses = sorted(torch.load(checkpoint, weights_only=True)["config"]["loss"])
    named = f"2 Adam steps a pair, lr 0.01, on {' + '.join(losses)}"
    assert len(losses) == 3
    assert metrics(tuned)["fine_tuning"] == metrics(tuned)["results"][0]["protocol"]["fine_tuning"] == named
    assert metrics(untuned)["fine_tuning"] == metrics(untuned)["results"][0]["protocol"]["fine_tuning"] == "off"
    assert metrics(tuned)["trained_on"] == metrics(untuned)["trained_on"] == ["faust"]
    assert (tuned / "report" / "index.html").is_file()


def test_tuned_weights_give_other_maps(tuned, untuned):
    one, other = fmaps(tuned), fmaps(untuned)
    assert one.keys() == other.keys() and len(one) == 3
    assert all((one[name] != other[name]).any() for name in one)


def test_a_tuned_pair_that_is_matched_alone_is_matched_the_same(tuned, home, faust, checkpoint):
    first = min((tuned / "predictions").rglob("*.npz"))
    expected = fmaps(tuned)[first.stem]
    first.unlink()
    run("eval", *faust, f"ckpt={checkpoint}", *TUNED, SCORED, folder=tuned)
    np.testing.assert_array_equal(fmaps(tuned)[first.stem], expected)


def test_tuned_predictions_are_not_mixed_with_others(tuned, faust, checkpoint):
    with pytest.raises(ForeignPredictions, match=r"adaptation\.steps: stored 2, asked for 3"):
        run("eval", *faust, f"ckpt={checkpoint}", *TUNED, "adaptation.steps=3", SCORED, folder=tuned)


def test_stored_predictions_say_again_how_they_were_tuned(tuned, home, faust):
    run("eval", *faust, "run=[score]", f"predictions={tuned}/predictions", folder=home / "scored")
    assert metrics(home / "scored")["results"] == metrics(tuned)["results"]
    for fact in ("fine_tuning", "trained_on", "method"):
        assert metrics(home / "scored")[fact] == metrics(tuned)[fact]


def test_predictions_from_before_these_facts_are_scored(untuned, home, faust):
    signed = json.loads((untuned / "predictions" / "faust" / "fingerprint.json").read_text())
    signed["config"]["weights"].pop("trained_on")
    signed["sha256"] = fingerprint_sha256(signed["config"])
    old = home / "old_predictions" / "faust"
    old.mkdir(parents=True)
    for path in (untuned / "predictions" / "faust").glob("*.npz"):
        (old / path.name).write_bytes(path.read_bytes())
    (old / "fingerprint.json").write_text(json.dumps(signed))
    run("eval", *faust, "run=[score]", f"predictions={old.parent}", folder=home / "old_scored")
    assert figures(home / "old_scored") == figures(untuned)
    assert metrics(home / "old_scored")["trained_on"] == []


def test_a_training_may_tune_its_test_pairs(home, faust):
    short = [option for option in SHORT if "max_steps" not in option]
    overrides = [*faust, *TINY_NETWORK, *TINY_SOLVER, *short, "trainer.max_steps=2", *TUNED, SCORED]
    run("train", *overrides, folder=home / "with_tuning")
    found = metrics(home / "with_tuning")
    assert found["fine_tuning"].startswith("2 Adam steps a pair") and found["trained_on"] == ["faust"]


@pytest.fixture(scope="module")
def landmarked(home, faust) -> Path:
    """The folder of an evaluation that was given points of the ground truth, with its report."""
    run("eval", *faust, *LANDMARKED, folder=home / "landmarked")
    return home / "landmarked"


def test_points_of_the_ground_truth_are_given_and_told_of(landmarked):
    (result,) = metrics(landmarked)["results"]
    assert result["failed"] == 0 and result["metrics"]["geodesic_error_x100"] < 10
    assert "given 6 ground-truth landmarks of each pair" in result["protocol"]["notes"]
    assert result["protocol"]["checkpoint"] == "none: nothing to train"
    assert (metrics(landmarked)["trained_on"], metrics(landmarked)["fine_tuning"]) == ([], "off")
    assert (landmarked / "report" / "index.html").is_file()


def test_stored_predictions_say_again_that_points_were_given(landmarked, home, faust):
    run("eval", *faust, "run=[score]", f"predictions={landmarked}/predictions", folder=home / "landmarked_scored")
    assert metrics(home / "landmarked_scored")["results"] == metrics(landmarked)["results"]


def test_points_of_a_ground_truth_that_is_not_there_are_refused(home):
    write_faust(home / "own", range(4))
    for path in (home / "own" / "corres").iterdir():
        path.unlink()
    own = [
        "dataset=folder",
        f"dataset.folder.root={home / 'own'}",
        "dataset.folder.test_share=0.5",
        f"paths.cache_dir={home / 'cache'}",
    ]
    with pytest.raises(ConfigError, match="which pairs of folder do not have"):
        run("eval", *own, *SMALL, *LANDMARKED, folder=home / "blind")


def test_what_has_no_weights_is_not_tuned(home, faust):
    raw = ["backbone=raw_wks", "backbone.descriptor.k=40", *TINY_SOLVER, "loss=[orthogonality]"]
    with pytest.raises(ValueError, match="RawDescriptor has no weights to adapt to a pair; use adaptation=null"):
        run("eval", *faust, *raw, *TUNED, folder=home / "raw")
