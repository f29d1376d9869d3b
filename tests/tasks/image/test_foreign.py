"""Predictions of other programs are scored as ours are."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from tests.image_fakes import write_flow, write_tss, write_willow
from tests.later import later

from pullback.data.image.sets.pf_willow import PFWillow
from pullback.data.image.sets.tss import TSS
from pullback.data.image.truth import read_flo, write_flo
from pullback.runtime.foreign_predictions import on_whole_photographs, warn_of_conventions
from pullback.runtime.parts import ConfigError
from pullback.tasks.image.foreign import ForeignStore, source_of
from pullback.tasks.image.results import ImageProtocol
from pullback.tasks.image.scoring import score_image_store

loading = later("pullback.data.image.datamodule")


@pytest.fixture
def tss(tmp_path):
    write_tss(tmp_path / "tss")
    return loading.ImagePairDataModule([TSS(tmp_path / "tss", allow_missing=True)]).test_sets[0]


@pytest.fixture
def willow(tmp_path):
    write_willow(tmp_path / "willow", ["car(S)"])
    return loading.ImagePairDataModule([PFWillow(tmp_path / "willow", allow_missing=True)]).test_sets[0]


def scored(place, pairs, **options):
    """The result on a data set, from predictions in a folder or a table."""
    name = pairs.dataset.name
    store = ForeignStore(source_of(place, name), pairs.flow_places(), dataset=name)
    protocol = ImageProtocol(
        **{"pairs": "", "pck_reference": pairs.dataset.pck_reference, "interpolation": "bilinear", "crop": "none"},
        **{"mode": "foreign", "solver": "", "fusion": "", "seed": 0},
    )
    return score_image_store(store, pairs, dataset=name, split="test", protocol=protocol)


def flows(folder, pairs, change=lambda flow: flow):
    """The true flow of each pair, changed, as NAME.flo with what TSS writes for unknown outside the mask."""
    folder.mkdir()
    for pair in pairs:
        write_flo(folder / f"{pair.name}.flo", torch.where(pair.known2, change(pair.flow21), 1e10))
    return folder


def test_the_true_flows_in_the_layout_of_the_set_are_right_everywhere(tmp_path, tss):
    result = scored(tmp_path / "tss", tss)
    assert not result.failed and result.metrics()["pck@0.05"] == 1 and result.metrics()["epe"] == 0
    assert result.metrics()["smoothness"] == result.metrics()["smoothness_truth"]


def test_flows_that_are_wrong_by_a_known_distance_have_that_error(tmp_path, tss):
    result = scored(flows(tmp_path / "moved", tss, lambda flow: flow + torch.tensor([3.0, 4.0])[:, None, None]), tss)
    assert result.metrics()["epe"] == pytest.approx(5, abs=1e-5)


def test_zero_flow_has_the_length_of_the_true_one_as_its_error(tmp_path, tss):
    result = scored(flows(tmp_path / "zero", tss, torch.zeros_like), tss)
    assert result.metrics()["epe"] == pytest.approx(np.hypot(3, 2), abs=1e-6)
    assert [pair.score.points.pck(0.10) for pair in result.pairs] == [float(np.hypot(3, 2) <= 0.10 * 32)] * 5


def test_missing_damaged_and_ill_sized_flows_fail_alone_and_say_why(tmp_path, tss):
    folder = flows(tmp_path / "some", tss)
    first, second, third, fourth, last = (folder / f"{pair.name}.flo" for pair in tss)
    first.unlink()
    second.write_bytes(second.read_bytes()[:-8])
    write_flow(third, np.zeros((24, 32, 2)))  # the size of image 1
    write_flow(fourth, np.zeros((13, 15, 2)))
    told = [pair.message for pair in scored(folder, tss).pairs]
    assert f"no flow of {tss.name(0)}" in told[0] and "FG3DCar/001_005/flow2.flo" in told[0]
    assert str(second) in told[1] and "cut short" in told[1]
    assert str(third) in told[2] and "leads the other way" in told[2] and "is asked on JODS-suv_01_02-2" in told[2]
    assert str(fourth) in told[3] and "write the flow at the size of the photograph" in told[3]
    assert told[4] == "" and last.is_file()


def test_unknown_flow_at_pixels_that_count_is_refused_with_their_number(tmp_path, tss):
    folder = flows(tmp_path / "holes", tss)
    path = folder / f"{tss.name(0)}.flo"
    flow = read_flo(path)
    row, column = tss[0].known2.nonzero()[0].tolist()
    flow[:, row, column] = float("nan")
    write_flo(path, flow)
    assert "has no flow at 1 of the" in scored(folder, tss).pairs[0].message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flow: flow, None),
        (lambda flow: -flow, "with their sign exchanged. Do they lead from image 1"),
        (lambda flow: flow.flip(0), "with x and y exchanged. Write x, to the right"),
        (lambda flow: flow / torch.tensor([30.0, 26.0])[:, None, None], "as shares of width and height. Write pixels"),
    ],
)
def test_flows_in_another_convention_are_suspected(tmp_path, tss, caplog, change, words):
    store = ForeignStore(flows(tmp_path / "some", tss, change), tss.flow_places(), dataset="tss")
    with caplog.at_level(logging.WARNING):
        warn_of_conventions(store, tss)
    told = [record.getMessage() for record in caplog.records]
    assert (len(told) == 1 and f"5 of 5 flows fit the truth better {words}" in told[0]) if words else told == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda points, size: points + 0.5, None),
        (lambda points, size: points.flip(1), "with x and y exchanged"),
        (lambda points, size: points / torch.tensor([size[1], size[0]]), "as shares of width and height"),
    ],
)
def test_keypoints_in_another_convention_are_suspected(tmp_path, willow, caplog, change, words):
    content = {pair.name: change(pair.keypoints1, pair.image1.size).tolist() for pair in willow}
    (tmp_path / "points.json").write_text(json.dumps(content))
    store = ForeignStore(tmp_path / "points.json", willow.flow_places(), dataset="pf_willow")
    with caplog.at_level(logging.WARNING):
        warn_of_conventions(store, willow)
    told = [record.getMessage() for record in caplog.records]
    assert (len(told) == 1 and f"2 of 2 keypoints fit the truth better {words}" in told[0]) if words else told == []


def test_a_table_of_keypoints_is_scored_without_a_flow(tmp_path, willow):
    lines = [
        f"{pair.name},{number},{x + 1},{y}" for pair in willow for number, (x, y) in enumerate(pair.keypoints1.tolist())
    ]
    path = tmp_path / "pf_willow.csv"
    path.write_text("\n".join(["pair,keypoint,x,y", *lines]))
    result = scored(tmp_path, willow)  # found by its name in a folder
    assert result.metrics()["mean_keypoint_error"] == pytest.approx(1, abs=1e-4)
    assert result.metrics()["smoothness"] is None and result.details()["smoothness_regions"] == ["none"]


def test_a_table_with_another_number_of_keypoints_fails_that_pair(tmp_path, willow):
    path = tmp_path / "points.json"
    path.write_text(f'{{"{willow.name(0)}": [[1, 2]]}}')
    told = [pair.message for pair in scored(path, willow).pairs]
    assert "has 1 keypoints, but the data set 10" in told[0] and "has no keypoints of the pair" in told[1]


def test_keypoints_for_a_set_of_dense_flows_are_refused(tmp_path, tss):
    path = tmp_path / "points.json"
    path.write_text(f'{{"{tss.name(0)}": [[1, 2]]}}')
    assert "but a dense flow: give a folder of .flo files" in scored(path, tss).pairs[0].message


def test_stores_of_our_own_and_folders_of_something_else_are_no_foreign_predictions(tmp_path):
    own = tmp_path / "predictions" / "tss"
    own.mkdir(parents=True)
    (own / "fingerprint.json").write_text("{}")
    shutil.copytree(own, tmp_path / "none" / "else")
    assert source_of(tmp_path / "predictions", "tss") is None
    assert source_of(tmp_path / "none", "tss") is None and source_of(own / "fingerprint.txt", "tss") is None


def test_predictions_of_others_lie_on_whole_photographs_whatever_the_set_is_cropped_to():
    cfg = OmegaConf.create({"data": {"crop": None}, "predictions": "flows"})
    assert on_whole_photographs(cfg, ["dataset=spair71k"]).data.crop == "none"
    with pytest.raises(ConfigError, match=r"data\.crop=box, but predictions=flows .* leave it out"):
        on_whole_photographs(cfg, ["data.crop=box"])
