"""Flows and keypoints that other programs wrote: which file is whose, and what is said of those that do not fit."""

import json

import numpy as np
import pytest
from tests.image_fakes import write_flow

from pullback.data.image.decoding import ImageError
from pullback.data.image.flow_files import flow_files
from pullback.data.image.foreign import FlowFolder, ForeignError, KeypointTable
from pullback.files import MissingFileError

PLACES = {
    "JODS-suv_01_02": ["JODS/suv_01_02/flow2.flo", "JODS-suv_01_02.flo"],
    "JODS-suv_03_04": ["JODS/suv_03_04/flow2.flo", "JODS-suv_03_04.flo"],
}
HEAD = "pair,keypoint,x,y\n"


def flow_at(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_flow(path, np.ones((3, 4, 2)))
    return path


def table(path, text):
    path.write_text(text)
    return KeypointTable.of(path)


def test_flows_are_found_in_the_layout_of_the_set_and_by_the_names_of_pairs(tmp_path):
    paths = [flow_at(tmp_path / "JODS" / "suv_01_02" / "flow2.flo"), flow_at(tmp_path / "JODS-suv_03_04.flo")]
    folder = FlowFolder(tmp_path, PLACES)
    assert [folder.path(pair) for pair in PLACES] == paths
    assert folder.read("JODS-suv_03_04").shape == (2, 3, 4) and folder.strangers() == []


def test_a_missing_flow_is_told_with_the_names_looked_for(tmp_path):
    flow_at(tmp_path / "JODS-suv_01_02.flo")
    with pytest.raises(MissingFileError, match=r"suv_03_04/flow2\.flo and .*JODS-suv_03_04\.flo$"):
        FlowFolder(tmp_path, PLACES).read("JODS-suv_03_04")


def test_a_flow_of_the_other_direction_alone_is_told(tmp_path):
    flow_at(tmp_path / "JODS" / "suv_01_02" / "flow1.flo")
    with pytest.raises(MissingFileError, match=r"flow1\.flo is there, which leads the other way: .* photograph 2"):
        FlowFolder(tmp_path, PLACES).read("JODS-suv_01_02")


def test_two_flows_of_one_pair_are_refused(tmp_path):
    flow_at(tmp_path / "JODS" / "suv_01_02" / "flow2.flo")
    flow_at(tmp_path / "JODS-suv_01_02.flo")
    with pytest.raises(ForeignError, match="has two flows"):
        FlowFolder(tmp_path, PLACES).read("JODS-suv_01_02")


def test_a_folder_of_other_flows_is_refused_with_the_name_that_is_wanted(tmp_path):
    flow_at(tmp_path / "00001.flo")
    with pytest.raises(ForeignError, match=r"of its 1 flows \(00001\.flo\) none .* JODS/suv_01_02/flow2\.flo or"):
        FlowFolder(tmp_path, PLACES).strangers()


def test_strangers_beside_flows_of_pairs_are_named(tmp_path):
    flow_at(tmp_path / "JODS-suv_01_02.flo")
    flow_at(tmp_path / "extra.flo")
    assert FlowFolder(tmp_path, PLACES).strangers() == ["extra.flo"]


def test_a_file_that_is_no_flow_is_named(tmp_path):
    flow_at(tmp_path / "JODS-suv_01_02.flo").write_bytes(b"PNG and so on")
    with pytest.raises(ImageError, match=r"JODS-suv_01_02\.flo: begins with b'PNG "):
        FlowFolder(tmp_path, PLACES).read("JODS-suv_01_02")


def test_a_flow_of_the_other_byte_order_is_told_what_to_write(tmp_path):
    path = flow_at(tmp_path / "JODS-suv_01_02.flo")
    content = path.read_bytes()
    path.write_bytes(np.frombuffer(content, "<u4").astype(">u4").tobytes())
    with pytest.raises(ImageError, match=r"its numbers are big-endian.* Write '<f4'"):
        FlowFolder(tmp_path, PLACES).read("JODS-suv_01_02")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("JODS-suv_01_02.npy", lambda path, flow: np.save(path, flow)),
        ("JODS-suv_01_02.npy", lambda path, flow: np.save(path, flow.transpose(2, 0, 1).astype(np.float64))),
        ("JODS-suv_01_02.npz", lambda path, flow: np.savez_compressed(path, flow)),
        ("JODS-suv_01_02.npz", lambda path, flow: np.savez(path, flow=flow, confidence=flow[..., 0])),
        ("JODS-suv_01_02.FLO", write_flow),
        ("JODS/suv_01_02/flow2.npy", lambda path, flow: np.save(path, flow)),
    ],
)
def test_flows_are_arrays_of_numpy_too(tmp_path, name, write):
    flow = np.random.default_rng(0).standard_normal((3, 4, 2)).astype(np.float32)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    write(tmp_path / name, flow)
    folder = FlowFolder(tmp_path, PLACES)
    assert folder.read("JODS-suv_01_02").numpy() == pytest.approx(flow.transpose(2, 0, 1)) and folder.strangers() == []


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (
            lambda path: np.save(path, np.zeros((3, 4))),
            r"float64 of shape \(3, 4\); a flow is an array of numbers, height",
        ),
        (lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True), "cannot be read as an array"),
        (lambda path: path.write_bytes(b""), "cannot be read as an array"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"), "cannot be read as an array"),
    ],
)
def test_an_array_that_is_no_flow_is_named(tmp_path, write, words):
    path = tmp_path / "JODS-suv_01_02.npy"
    write(path)
    with pytest.raises(ImageError, match=words) as raised:
        FlowFolder(tmp_path, PLACES).read("JODS-suv_01_02")
    assert str(path) in str(raised.value)


def test_of_several_arrays_the_flow_is_to_be_named(tmp_path):
    np.savez(tmp_path / "JODS-suv_01_02.npz", first=np.zeros((3, 4, 2)), second=np.zeros((3, 4, 2)))
    with pytest.raises(ImageError, match="holds the arrays first, second; call that of the flow flow"):
        FlowFolder(tmp_path, PLACES).read("JODS-suv_01_02")


def test_stored_matches_of_our_own_are_no_flows(tmp_path):
    np.savez(tmp_path / "JODS-suv_01_02.npz", p2p21=np.zeros(3))
    (tmp_path / "fingerprint.json").write_text("{}")
    assert list(flow_files(tmp_path)) == []


def test_keypoints_are_read_from_csv_in_any_order_and_from_json(tmp_path):
    rows = table(tmp_path / "a.csv", HEAD + "a,1,3.5,4\na,0,1,2\n")
    points = table(tmp_path / "a.json", json.dumps({"a": [[1, 2], [3.5, 4]]}))
    assert rows.read("a").tolist() == points.read("a").tolist() == [[1, 2], [3.5, 4]]


def test_a_pair_may_bear_the_name_of_its_annotation_and_a_repetition_has_the_same_keypoints(tmp_path):
    points = table(tmp_path / "a.json", '{"000001-x-y:cat.json": [[1, 2]]}')
    assert points.read("000001-x-y_cat~2").tolist() == [[1, 2]]
    assert points.check(["000001-x-y_cat", "000001-x-y_cat~2"]) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pair,x,y\n", "line 1: there is no column keypoint"),
        (HEAD + "a,first,1,2\n", "line 2: keypoint should be a number from 0, but is 'first'"),
        (HEAD + "a,0,1,2\na,0,1,2\n", "line 3: keypoint 0 of a is there twice"),
        (HEAD + "a,0,1,2\na,2,1,2\n", "a has keypoint 2 but not 1. Keypoints count from 0"),
        (HEAD + "a,0,nan,2\n", r"line 2: keypoint 1 should be two finite numbers"),
        (HEAD + "a,0,left,2\n", r"line 2: keypoint 1 should be two finite numbers"),
        (HEAD + "a,0,1,5,2\n", "line 2: more cells than the 4 columns have"),
    ],
)
def test_a_damaged_table_is_told_with_its_line(tmp_path, text, words):
    with pytest.raises((ForeignError, ImageError), match=words):
        table(tmp_path / "a.csv", text)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpair;keypoint;x;y\r\na;0;1;2\r\n",  # of a spreadsheet
        "pair\tkeypoint\tx\ty\na\t0\t1\t2\n",
        "Pair, Keypoint, X, Y\na, 0, 1, 2\n",
        "score,y,x,keypoint,pair\n0.9,2,1,0,a\n",
    ],
)
def test_tables_are_read_as_programs_write_them(tmp_path, text):
    assert table(tmp_path / "a.csv", text).read("a").tolist() == [[1, 2]]


def test_a_table_without_keypoints_is_told(tmp_path):
    with pytest.raises(ForeignError, match="holds no keypoints"):
        table(tmp_path / "a.csv", HEAD).check(["a"])


def test_two_spellings_of_one_pair_are_refused(tmp_path):
    with pytest.raises(ForeignError, match="1:cat and 1_cat are one pair"):
        table(tmp_path / "a.json", '{"1:cat": [[1, 2]], "1_cat": [[3, 4]]}')


def test_keypoints_of_other_pairs_are_refused_and_missing_ones_named(tmp_path):
    points = table(tmp_path / "a.csv", HEAD + "a,0,1,2\n")
    with pytest.raises(ForeignError, match=r"of its 1 pairs \(a\) none .* first is b"):
        points.check(["b", "c"])
    with pytest.raises(ForeignError, match=r"a\.csv has no keypoints of the pair b\. Add them"):
        points.read("b")
