"""metrics.json, pairs.csv and the table of evaluations on photographs: subsets, both averages,
the protocol beside every figure.
"""

import io
import json
import time
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from pullback.errors import UserError
from pullback.metrics.geodesic import PairScore
from pullback.metrics.image import ImageScore, score_flow, score_keypoints
from pullback.tasks.image.results import ImageDatasetResult, ImagePairResult, ImageProtocol
from pullback.tasks.mesh.results import DatasetResult, EvalProtocol, PairResult
from pullback.tasks.results import FailedPairs, check_complete, load_results, write_results
from pullback.tasks.tables import print_table

PROTOCOL = ImageProtocol(
    "7 of 7 pairs", "image1", "bilinear", "none", "closed_form", "closed_form: nearest rows", "DINOv2 B/14 + SD 1.5", 3
)


def dense(pair: str, subset: str, *misses: float) -> ImagePairResult:
    """A pair with one pixel for each miss, in pixels of photographs 100 pixels long."""
    truth = torch.zeros(2, 1, len(misses))
    flow = truth.clone()
    flow[0, 0] = torch.tensor(misses)
    score = ImageScore(score_flow(flow, truth, length=100.0), None, 0.5, 0.25, "known pixels", excluded_pixels=2)
    return ImagePairResult(subset, pair, "1.png", "2.png", score, seconds=0.25)


@pytest.fixture
def tss() -> ImageDatasetResult:
    """Three pairs in one subset, one in another: the two averages differ."""
    pairs = [
        dense("a", "cars", 0.0, 30.0),
        dense("b", "cars", 0.0, 0.0, 0.0, 8.0),
        dense("c", "cars", 8.0),
        dense("d", "things", 30.0),
    ]
    lost = ImagePairResult("things", "e", "1.png", "2.png", None, message="the photograph is empty")
    return ImageDatasetResult("tss", "test", PROTOCOL, [*pairs, lost])


def blind() -> ImageDatasetResult:
    return ImageDatasetResult(
        "folder", "test", PROTOCOL, [ImagePairResult("", "p", "1", "2", ImageScore(None, None, 1.5, None, "image"))]
    )


def test_subsets_and_both_averages_are_in_metrics_json(tss, tmp_path):
    result = json.loads(write_results(tmp_path, [tss], started=time.time()).read_text())["results"][0]
    assert (result["dataset"], result["split"], result["pairs"], result["failed"]) == ("tss", "test", 4, 1)
    assert list(result["subsets"]) == ["cars", "things"]
    cars, things = result["subsets"]["cars"], result["subsets"]["things"]
    assert (cars["pairs"], cars["failed"], things["pairs"], things["failed"]) == (3, 0, 1, 1)
    assert (cars["metrics"]["pck@0.05"], things["metrics"]["pck@0.05"]) == (pytest.approx((1 / 2 + 3 / 4 + 0) / 3), 0.0)
    assert result["metrics"]["pck@0.05"] == pytest.approx((1 / 2 + 3 / 4 + 0 + 0) / 4)
    assert result["metrics_unweighted"]["pck@0.05"] == pytest.approx((1 / 2 + 3 / 4 + 0) / 6)
    assert result["metrics"]["epe"] == pytest.approx((15 + 2 + 8 + 30) / 4)


def test_per_point_figures_pool_a_subset_and_are_weighted_by_its_pairs(tss):
    cars = tss.subsets["cars"].metrics["pck@0.05_per_point"]
    assert cars == pytest.approx(4 / 7)
    assert tss.metrics()["pck@0.05_per_point"] == pytest.approx((3 * 4 / 7 + 1 * 0) / 4)
    assert tss.metrics_unweighted()["pck@0.05_per_point"] == pytest.approx(4 / 7 / 2)


def test_a_subset_without_ground_truth_is_in_neither_average(tss):
    only_smooth = ImagePairResult("blind", "f", "1", "2", ImageScore(None, None, 4.5, None, "image"))
    more = ImageDatasetResult("tss", "test", PROTOCOL, [*tss.pairs, only_smooth])
    assert more.subsets["blind"].metrics["pck@0.10"] is None
    for average in ("metrics", "metrics_unweighted"):
        assert getattr(more, average)()["pck@0.10"] == getattr(tss, average)()["pck@0.10"]
    assert more.metrics()["smoothness"] == pytest.approx((4 * 0.5 + 4.5) / 5)


def test_what_was_counted_and_what_was_excluded_is_written(tss, tmp_path):
    result = json.loads(write_results(tmp_path, [tss], started=time.time()).read_text())["results"][0]
    assert (result["points"], result["excluded_pixels"], result["smoothness_regions"]) == (8, 8, ["known pixels"])
    assert (result["subsets"]["cars"]["points"], result["subsets"]["cars"]["excluded_pixels"]) == (7, 6)


def test_no_figure_is_written_without_its_protocol(tss, tmp_path):
    protocol = json.loads(write_results(tmp_path, [tss], started=time.time()).read_text())["results"][0]["protocol"]
    parts = {
        "pairs",
        "direction",
        "pck_reference",
        "interpolation",
        "crop",
        "mode",
        "solver",
        "fusion",
        "averaging",
        "smoothness",
    }
    assert parts <= set(protocol)
    assert all(protocol[part] for part in parts)
    assert protocol["seed"] == 3


def test_what_cannot_be_known_is_null(tmp_path):
    content = json.loads(write_results(tmp_path, [blind()], started=time.time()).read_text())
    result = content["results"][0]
    assert {name for name, value in result["metrics"].items() if value is not None} == {"smoothness"}
    assert result["pck_curve"] is None
    assert list(result["subsets"]) == ["folder"]


def test_the_curve_is_the_mean_over_pairs_at_every_threshold(tss):
    curve = tss.pck_curve()
    share = dict(zip(curve["thresholds"], curve["pck"], strict=True))
    assert share[0.0] == pytest.approx((1 / 2 + 3 / 4) / 4)
    for threshold in (0.05, 0.1, 0.2):
        assert share[threshold] == pytest.approx(tss.metrics()[f"pck@{threshold:.2f}"])


def test_pairs_csv_has_a_row_for_each_pair_the_failed_ones_too(tss, tmp_path):
    write_results(tmp_path, [tss], started=time.time())
    rows = load_results(tmp_path)["pair_rows"]
    assert [(row["subset"], row["pair"], row["status"]) for row in rows][-2:] == [
        ("things", "d", "ok"),
        ("things", "e", "failed"),
    ]
    first = rows[0]
    assert (first["pck@0.05"], first["epe"], first["smoothness"], first["smoothness_truth"]) == (0.5, 15.0, 0.5, 0.25)
    assert (first["points"], first["excluded_pixels"], first["pck_length"], first["seconds"]) == (2, 2, 100, 0.25)
    assert (first["mean_keypoint_error"], first["mirrored"]) == (None, 0)
    assert rows[-1]["epe"] is None and rows[-1]["message"] == "the photograph is empty"


def test_a_failed_pair_fails_the_run_at_its_end_and_is_named(tss, tmp_path):
    with pytest.raises(FailedPairs, match=r"1 of 5 pairs failed[\s\S]*tss: e: the photograph is empty"):
        check_complete([tss])
    content = json.loads(write_results(tmp_path, [tss], started=time.time()).read_text())
    named = {
        "dataset": "tss",
        "subset": "things",
        "pair": "e",
        "image1": "1.png",
        "image2": "2.png",
        "message": "the photograph is empty",
    }
    assert content["failed_pairs"] == [named]


def test_an_evaluation_in_which_every_pair_failed_still_leaves_its_files(tss, tmp_path):
    lost = ImageDatasetResult("tss", "test", PROTOCOL, tss.failed)
    content = json.loads(write_results(tmp_path, [lost], started=time.time()).read_text())
    assert set(content["results"][0]["metrics"].values()) == {None}


def printed(*results) -> str:
    console = Console(file=io.StringIO(), width=240)
    print_table(results, console=console)
    return console.file.getvalue()


def test_the_table_has_a_row_for_each_subset_and_for_both_averages(tss):
    text = printed(tss)
    labels = ("cars", "things", "mean of pairs", "mean of subsets")
    row = {label: next(line for line in text.splitlines() if f"tss: {label}" in line) for label in labels}
    assert "41.7%" in row["cars"] and "31.2%" in row["mean of pairs"] and "20.8%" in row["mean of subsets"]
    assert "(+1 failed)" in row["things"]
    assert "0.25" in row["cars"]  # the smoothness of the truth
    assert "failed: tss e: the photograph is empty" in text


def test_the_protocol_under_the_table_says_what_made_the_figures(tss):
    assert (
        "protocol of tss: pairs 7 of 7 pairs | direction 2 → 1 | PCK "
        "reference image1 | keypoints bilinear | crop none | "
        "solver closed_form: nearest rows | fusion DINOv2 B/14 + SD 1.5 | seed 3" in printed(tss)
    )


def test_a_mode_that_the_solver_does_not_name_is_named():
    assert "| solver paper: gR on |" in ImageProtocol("all", "box1", "nearest", "box", "paper", "gR on", "x", 0).line()


def test_a_data_set_without_subsets_has_one_row():
    text = printed(blind())
    assert "folder (test)" in text and "folder: mean" not in text


def test_keypoints_alone_have_pck_and_an_error_in_pixels():
    points = score_keypoints(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2), length=50.0)
    pair = ImagePairResult("cat", "a", "1", "2", ImageScore(None, points, 1.0, None, "box"))
    metrics = ImageDatasetResult("spair71k", "test", PROTOCOL, [pair]).metrics()
    assert (metrics["pck@0.10"], metrics["pck@0.20"], metrics["epe"]) == (0.5, 1.0, None)
    assert (metrics["mean_keypoint_error"], metrics["keypoint_mse"]) == (2.5, 12.5)


def test_meshes_and_photographs_may_stand_in_one_file(tss, tmp_path):
    rules = EvalProtocol("unordered", "dijkstra", "none", "last")
    humans = DatasetResult("humans", "test", rules, [PairResult("x", "y", PairScore(torch.tensor([0.1]), 0.5, None))])
    write_results(tmp_path, [humans, tss], started=time.time())
    mesh, photo, *_ = load_results(tmp_path)["pair_rows"]
    assert (mesh["shape1"], mesh["geodesic_error_x100"], mesh["epe"]) == ("x", pytest.approx(10.0), None)
    assert (photo["shape1"], photo["pair"], photo["coverage"], photo["epe"]) == ("", "a", None, 15.0)
    assert printed(humans, tss).count("Results") == 2


def test_what_is_to_be_known_of_photographs_stands_beside_the_figures(tss, tmp_path):
    noted = replace(tss.pairs[0], message="1.png: there is nothing on it")
    write_results(tmp_path, [replace(tss, pairs=[noted, *tss.pairs[1:]])], started=time.time())
    read = load_results(tmp_path)
    assert read["results"][0]["notes"] == {"a": "1.png: there is nothing on it"}  # and not what made a pair fail
    assert [(row["status"], row["message"]) for row in read["pair_rows"]][:2] == [
        ("ok", "1.png: there is nothing on it"),
        ("ok", ""),
    ]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.json", "{", "not a JSON file"),
        ("metrics.json", "[" * 10_000 + "]" * 10_000, "nested more than"),
        ("metrics.json", "[]", "has no list of results"),
        ("metrics.json", '{"results": 3}', "has no list of results"),
        ("pairs.csv", "dataset,pair,epe\na,b,many\n", "line 2: cannot be read"),
        ("pairs.csv", "dataset,pair\na,b,1,2\n", "line 2: cannot be read"),
    ],
)
def test_damaged_results_are_named(tss, tmp_path, file, content, message):
    write_results(tmp_path, [tss], started=time.time())
    (tmp_path / file).write_text(content)
    with pytest.raises(UserError, match=rf"{file}.*{message}"):
        load_results(tmp_path)
