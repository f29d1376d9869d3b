"""The programs on photographs, from end to end: evaluate, resume, score again, compare methods, and two photographs in,
a flow out.
"""

import csv
import shutil

import numpy as np
import pytest
import torch
from tests.composing import ROOT
from tests.image_fakes import write_willow
from tests.test_entry_points import figures, metrics, run

from pullback.data.image.io import read_image, save_image
from pullback.data.image.truth import read_flo

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SMALL = [
    "fusion=gradients_gradients",
    "fusion.basis.backbone.size=128",
    "graph.k=40",
    "trainer=cpu",
    "trainer.enable_progress_bar=false",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def photos(home) -> list[str]:
    return ["dataset=photos", "data.test_pairs=3", *SMALL, f"paths.cache_dir={home / 'cache'}"]


@pytest.fixture(scope="module")
def evaluated(home, photos):
    """The folder of a finished evaluation, with a report."""
    run("eval", *photos, folder=home / "whole")
    return home / "whole"


def test_an_evaluation_leaves_everything_that_its_user_needs(evaluated):
    for file in ("metrics.json", "pairs.csv", "config.yaml", "report/index.html"):
        assert (evaluated / file).is_file(), file
    (result,) = metrics(evaluated)["results"]
    assert result["pairs"] == 3 and result["failed"] == 0
    assert result["protocol"]["mode"] == "closed_form" and "DenseGradients" in result["protocol"]["fusion"]
    for name in ("pck@0.05", "pck@0.10", "pck@0.20", "epe", "smoothness", "mean_keypoint_error"):
        assert 0 <= result["metrics"][name] < 500, name
        assert name in result["metrics_unweighted"] and all(
            name in part["metrics"] for part in result["subsets"].values()
        )
    with (evaluated / "pairs.csv").open() as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"ok"}


def test_a_limit_leaves_pairs_out_and_says_so(home, photos):
    run("eval", *photos, "run=[match,score]", "trainer.limit_predict_batches=2", folder=home / "limit")
    (result,) = metrics(home / "limit")["results"]
    assert (result["pairs"], result["failed"]) == (2, 0)
    assert "the first 2 of 3" in result["protocol"]["pairs"]


def test_a_stopped_evaluation_keeps_its_pairs(home, photos):
    with pytest.raises(SystemExit) as caught:
        run(
            "eval",
            *photos,
            "+callbacks.stop={_target_:tests.interruption.SignalAfter,pairs:2,number:15}",
            folder=home / "stopped",
        )
    assert caught.value.code == 143
    assert len(list((home / "stopped" / "predictions").rglob("*.npz"))) == 2


def test_pairs_that_were_matched_are_not_matched_again(home, photos, evaluated):
    shutil.copytree(evaluated, home / "cut")
    stored = sorted((home / "cut" / "predictions" / "photos").glob("*.npz"))
    stored[0].unlink()
    times = [path.stat().st_mtime_ns for path in stored[1:]]
    run("eval", *photos, "run=[match,score]", folder=home / "cut")
    assert [path.stat().st_mtime_ns for path in stored[1:]] == times and stored[0].exists()
    assert figures(home / "cut") == figures(evaluated)


def test_stored_matches_are_scored_again_without_a_network(home, photos, evaluated, monkeypatch):
    monkeypatch.setattr(
        "pullback.nn.handcrafted.DenseGradients.freeze", lambda *args, **kwargs: pytest.fail("a network was built")
    )
    again = [
        "dataset=photos",
        "data.test_pairs=3",
        "trainer=cpu",
        "run=[score]",
        f"predictions={evaluated}/predictions",
    ]
    run("eval", *again, folder=home / "scored")
    assert figures(home / "scored") == figures(evaluated)
    assert metrics(home / "scored")["results"][0]["protocol"] == metrics(evaluated)["results"][0]["protocol"]


def test_exported_flows_are_scored_as_the_matches_that_they_were(home, evaluated):
    again = ["dataset=photos", "data.test_pairs=3", "trainer=cpu"]
    run("eval", *again, "run=[score,export]", f"predictions={evaluated}/predictions", folder=home / "exported")
    foreign = f"predictions={home}/exported/exported"
    run("eval", *again, "run=[score,report]", foreign, "method_name=Theirs", folder=home / "foreign")
    for name, value in metrics(evaluated)["results"][0]["metrics"].items():
        assert metrics(home / "foreign")["results"][0]["metrics"][name] == (value and pytest.approx(value, rel=1e-4)), (
            name
        )
    assert metrics(home / "foreign")["results"][0]["protocol"]["solver"] == "Theirs"
    assert (home / "foreign" / "report" / "index.html").is_file()


def test_exported_keypoints_are_scored_as_the_matches_that_they_were(home):
    write_willow(home / "willow", ["car(S)"])
    chosen = ["dataset=pf_willow", f"dataset.pf_willow.root={home / 'willow'}", "dataset.pf_willow.allow_missing=true"]
    run("eval", *chosen, *SMALL, "graph.k=8", "run=[match,score,export]", folder=home / "keyed")
    foreign = f"predictions={home}/keyed/exported/pf_willow.csv"
    run("eval", *chosen, "trainer=cpu", "run=[score,report]", foreign, folder=home / "keyed_again")
    (ours,), (again,) = (metrics(home / name)["results"] for name in ("keyed", "keyed_again"))
    for name in ("pck@0.05", "pck@0.10_per_point", "mean_keypoint_error"):
        assert again["metrics"][name] == pytest.approx(ours["metrics"][name], rel=1e-4), name
    assert again["metrics"]["smoothness"] is None
    assert (home / "keyed_again" / "report" / "index.html").is_file()


def test_features_can_be_prepared_ahead(home, photos):
    cache = home / "prepared"
    run("eval", *photos[:-1], f"paths.cache_dir={cache}", "run=[prepare]", folder=home / "prepare")
    names = {path.name for path in (cache / "features").iterdir()}
    assert 3 <= len(names) <= 6
    assert names == {path.name for path in (home / "cache" / "features").iterdir()} or not (home / "cache").exists()


def test_a_crop_changes_the_question_and_the_protocol_says_so(home, photos):
    run(
        "eval",
        *photos,
        "dataset.photos.root=" + str(ROOT / "data" / "photos"),
        "data.crop=box",
        "run=[match,score]",
        folder=home / "crop",
    )
    (result,) = metrics(home / "crop")["results"]
    assert result["protocol"]["crop"] == "box" and result["failed"] == 0


def test_two_photographs_are_matched(home, capsys):
    source = ROOT / "data" / "photos" / "chelsea.jpg"
    photo = read_image(source)
    save_image(home / "flipped.png", photo.pixels.flip(2))
    small = [choice for choice in SMALL if not choice.startswith("trainer")]
    files = [f"source={source}", f"target={home / 'flipped.png'}", f"paths.cache_dir={home / 'cache'}"]
    printed = run("match", *files, *small, folder=home / "match", capsys=capsys)
    assert "closed_form" in printed and "DenseGradients" in printed
    flow21 = read_flo(home / "match" / "flow21.flo")
    assert flow21.shape == (2, *photo.size)
    stored = np.load(home / "match" / "match.npz")
    assert stored["xy21"].shape == (np.prod(stored["grid2"]), 2) and np.isfinite(stored["xy21"]).all()
    assert torch.isfinite(flow21).all()
    for file in ("match.png", "report/index.html", "config.yaml"):
        assert (home / "match" / file).is_file(), file


def test_a_file_that_is_no_photograph_is_named(home):
    (home / "broken.jpg").write_bytes(b"\xff\xd8\xff not really")
    source = ROOT / "data" / "photos" / "chelsea.jpg"
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        run("match", f"source={source}", f"target={home / 'broken.jpg'}", *SMALL[:3], folder=home / "no")


def test_a_photograph_with_nothing_on_it_is_warned_of_wherever_its_match_is_read(home, capsys):
    source = ROOT / "data" / "photos" / "chelsea.jpg"
    save_image(home / "black.png", torch.zeros(3, 120, 160, dtype=torch.uint8))
    printed = run(
        "match", f"source={source}", f"target={home / 'black.png'}", *SMALL[:3], folder=home / "nothing", capsys=capsys
    )
    assert (
        "black.png: 160 × 120 pixels" in printed
        and "; there is nothing on it: every pixel has the colour (0, 0, 0)" in printed
    )
    written = metrics(home / "nothing")
    assert written["source"]["notes"] == [] and written["target"]["notes"][0].startswith("there is nothing on it")
    assert "there is nothing on it" in (home / "nothing" / "report" / "index.html").read_text()


def test_an_evaluation_warns_of_a_photograph_with_nothing_on_it_in_log_figures_and_report(home):
    root = home / "mine"
    root.mkdir()
    save_image(root / "a.png", read_image(ROOT / "data" / "photos" / "chelsea.jpg").pixels)
    save_image(root / "b.png", torch.zeros(3, 120, 160, dtype=torch.uint8))
    folder = home / "nothing_evaluated"
    run(
        "eval",
        "dataset=image_folder",
        f"dataset.image_folder.root={root}",
        *SMALL,
        f"paths.cache_dir={home / 'cache'}",
        folder=folder,
    )
    assert "b: there is nothing on it" in (folder / "eval.log").read_text()
    (result,) = metrics(folder)["results"]
    assert list(result["notes"]) == ["a-b"] and "b: there is nothing on it" in result["notes"]["a-b"]
    with (folder / "pairs.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["status"] == "ok" and "nothing on it" in row["message"]
    assert "b: there is nothing on it" in (folder / "report" / "index.html").read_text()
