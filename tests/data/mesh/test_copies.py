"""Copies of data sets as they really lie: other folders, cases and endings, archives in folders of their own name,
what file managers leave behind, lists with folders in front of the names.
"""

import shutil

import pytest
from tests.data.mesh.test_datasets import names, write_listing
from tests.published_fakes import SCAPE_NAMES, write_set

from pullback.data.errors import ListError, MissingDataError
from pullback.data.mesh.dataset import ShapeFiles
from pullback.data.mesh.selection import references_of
from pullback.data.mesh.sets.dt4d import Dt4d
from pullback.data.mesh.sets.folder import Folder
from pullback.data.mesh.sets.scape import Scape, ScapeA
from pullback.data.mesh.sets.shrec19 import Shrec19
from pullback.data.mesh.sets.smal import SPECIES, Smal
from pullback.data.mesh.sets.tosca import ToscaNonIsometric
from pullback.data.mesh.tree import find_tree

TESTED = SCAPE_NAMES[51:]
GORILLAS = [f"8_gorilla_{i:02d}" for i in range(1, 6)]
PEOPLE = [f"8_man_{i:02d}" for i in range(1, 8)] + [f"8_woman_{i:02d}" for i in range(1, 13)]


def with_truth(shapes: list[ShapeFiles]) -> int:
    return sum(files.vts is not None for files in shapes)


@pytest.mark.parametrize(
    "layout",
    [
        ("OFF", "Corres"),
        ("meshes", "corres"),
        ("ply", "correspondences"),
        (".", "corres"),
        (".", "."),
        ("SCAPE_r/off", "SCAPE_r/corres"),
        ("scape_r/shapes", "scape_r/correspondences"),
        ("shapes_test", "corres"),
        ("shapes_test", "shapes_test/corres"),
    ],
    ids="/".join,
)
def test_a_copy_is_found_whatever_its_folders_are_called(tmp_path, layout):
    root = tmp_path / "SCAPE_r"
    write_set(root, TESTED, layout=layout)
    shapes = Scape(root).shapes("test")
    assert names(shapes) == TESTED
    assert with_truth(shapes) == 20


def test_an_archive_in_a_folder_of_any_name_is_looked_into_unless_there_are_several(tmp_path):
    write_set(tmp_path / "data-main", TESTED)
    (tmp_path / "__MACOSX").mkdir()
    assert len(ScapeA(tmp_path).shapes("test")) == 20
    write_set(tmp_path / "data-old", TESTED)
    with pytest.raises(MissingDataError, match="exists, but has neither of them"):
        ScapeA(tmp_path).shapes("test")


def test_endings_in_capitals_and_what_file_managers_leave_are_no_trouble(tmp_path):
    write_set(tmp_path, TESTED)
    for path in [*tmp_path.glob("off/*.off"), *tmp_path.glob("corres/*[0-9].vts")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._mesh052.off"):
        (tmp_path / "off" / name).write_bytes(b"\0\1")
        (tmp_path / "corres" / name).write_bytes(b"\0\1")
    (tmp_path / "off" / "backup.off").mkdir()
    shapes = Scape(tmp_path).shapes("test")
    assert (len(shapes), with_truth(shapes)) == (20, 20)
    assert all(files.mirrored_vts is not None for files in shapes)
    assert "backup" not in find_tree(tmp_path).meshes


def test_an_empty_folder_of_ground_truth_hides_no_other(tmp_path):
    write_set(tmp_path, TESTED, layout=("off", "correspondences"))
    (tmp_path / "corres").mkdir()
    assert with_truth(Scape(tmp_path).shapes("test")) == 20


def test_of_an_off_and_another_file_of_one_name_the_off_is_taken_and_told(tmp_path, caplog):
    write_set(tmp_path, TESTED, layout=("shapes_test", "corres"))
    for name in TESTED:  # as SMAL_r of DUO-FM
        shutil.copy(tmp_path / "shapes_test" / f"{name}.off", tmp_path / "shapes_test" / f"{name}.obj")
    assert {files.mesh.suffix for files in Scape(tmp_path).shapes("test")} == {".off"}
    assert "an .off of each of them, which is taken: mesh052.obj" in caplog.text


@pytest.mark.parametrize(
    "line", ["off/mesh052.off", "SCAPE_r\\off\\mesh052.off", "./mesh052", "mesh052.vts", "mesh052 # sits"]
)
def test_a_list_may_name_shapes_with_folders_endings_and_remarks(tmp_path, line):
    write_set(tmp_path / "set", TESTED[:3])
    write_listing(tmp_path / "test.txt", [line])
    assert names(Scape(tmp_path / "set", lists=tmp_path).shapes("test")) == ["mesh052"]
    write_listing(tmp_path / "set" / "test.txt", [line])
    assert names(Folder(tmp_path / "set").shapes("test")) == ["mesh052"]
    assert names(Folder(tmp_path / "set").shapes("train")) == TESTED[1:3]


def test_a_shape_that_a_folders_list_names_twice_makes_no_pair_with_itself(tmp_path):
    write_set(tmp_path, TESTED[:3])
    write_listing(tmp_path / "test.txt", ["mesh052", "off/mesh052.off"])
    with pytest.raises(ListError, match=r"test\.txt, line 2: mesh052 was named in line 1 already"):
        Folder(tmp_path).shapes("test")


def test_ground_truth_beside_the_meshes_of_a_folder_is_found(tmp_path):
    write_set(tmp_path / "mine", TESTED[:3], layout=(".", "."))
    assert with_truth(Folder(tmp_path / "mine", test_share=1.0).shapes("test")) == 3
    assert names(Folder(tmp_path, test_share=1.0).shapes("test")) == TESTED[:3]


def test_a_folder_of_folders_says_which_there_are(tmp_path):
    for name in ("cats", "dogs"):
        write_set(tmp_path / name, TESTED[:1], layout=(".", "."))
    with pytest.raises(MissingDataError, match=r"It has the folders cats, dogs\. Give their folder: dataset\.folder"):
        Folder(tmp_path).shapes("test")


def test_half_of_a_set_is_made_do_with_and_the_protocol_says_so(tmp_path):
    write_set(tmp_path, TESTED[::2])
    with pytest.raises(MissingDataError, match=r"dataset\.scape\.allow_missing=true makes do with what is there"):
        Scape(tmp_path).shapes("test")
    half = Scape(tmp_path, allow_missing=True)
    assert names(half.shapes("test")) == TESTED[::2]
    assert half.pairs_rule == "10 of the 20 test shapes"
    (tmp_path / "corres" / "mesh052.vts").unlink()
    assert half.pairs_rule == "10 of the 20 test shapes, 1 of them without ground truth"
    (tmp_path / "lists").mkdir()
    write_listing(tmp_path / "lists" / "test.txt", TESTED[:4])
    assert Scape(tmp_path, lists=tmp_path / "lists", allow_missing=True).pairs_rule == (
        "the split of lists/, 2 of the 4 test shapes, 1 of them without ground truth"
    )


def test_a_set_without_its_training_shapes_is_aligned_by_those_that_it_has(tmp_path):
    write_set(tmp_path, TESTED)
    assert len(references_of(Scape(tmp_path), "own")) == 7


def test_lists_of_smal_are_found_within_an_archive_and_with_folders_in_front(tmp_path):
    shapes = sorted(name for kinds in SPECIES.values() for name in kinds)
    write_set(tmp_path / "SMAL_r" / "SMAL_r", shapes)
    write_listing(tmp_path / "SMAL_r" / "SMAL_r" / "test_cat.txt", [f"off/{name}.off" for name in shapes[:3]])
    assert names(Smal(tmp_path / "SMAL_r").shapes("test")) == shapes[:3]


def test_a_gorilla_meets_each_person_and_errors_are_measured_on_it(tmp_path):
    write_set(tmp_path, GORILLAS + PEOPLE, layout=("vtx_5k", "vtx_5k/corres"))
    pairs = ToscaNonIsometric(tmp_path).pairs("test")
    assert len(pairs) == 95  # as test_pairs.txt of the release has them
    assert (pairs[0].name, pairs[-1].name) == ("8_gorilla_01-8_man_01", "8_gorilla_05-8_woman_12")
    assert all(pair.has_truth for pair in pairs)
    assert len(ToscaNonIsometric(tmp_path, protocol="ordered").pairs("test")) == 190


def test_the_names_of_the_original_tosca_are_understood_and_gaps_are_named(tmp_path):
    write_set(tmp_path, ["gorilla0", "gorilla14", "victoria12", "david1", "michael3", "cat0"])
    with pytest.raises(MissingDataError, match=r"2 of 5 gorillas, 2 of 7 men, 1 of 12 women"):
        ToscaNonIsometric(tmp_path).shapes("test")
    there = ToscaNonIsometric(tmp_path, allow_missing=True)
    assert [pair.name for pair in there.pairs("test")] == [
        f"{gorilla}-{person}"
        for gorilla in ("gorilla0", "gorilla14")
        for person in ("david1", "michael3", "victoria12")
    ]
    assert there.pairs_rule == "each gorilla with each person, unordered, 5 of the 24 test shapes"


@pytest.fixture
def characters(tmp_path):
    """Two classes of DT4D_r, whose second shapes are test shapes."""
    root = tmp_path / "DT4D_r"
    for name in ("crypto", "drake"):
        write_set(root, [f"{name}/Pose{i}" for i in range(4)])
        (root / "corres" / name / "Pose0.vts").unlink()  # the template
    write_listing(root / "train.txt", ["off\\crypto\\Pose0.off", "off/crypto/Pose1.off", "drake/Pose0", "drake/Pose1"])
    write_listing(root / "test.txt", ["crypto/Pose2.obj", "./crypto/Pose3", "drake/Pose2", "drake/Pose3"])
    return root


def test_lists_of_dt4d_may_have_folders_in_front_and_must_not_overlap(characters):
    assert names(Dt4d(characters).shapes("train"))[:2] == ["crypto/Pose0", "crypto/Pose1"]
    assert names(Dt4d(characters).shapes("test"))[:2] == ["crypto/Pose2", "crypto/Pose3"]
    write_listing(characters / "test.txt", ["crypto/Pose1", "crypto/Pose2"])
    with pytest.raises(ListError, match=r"1 names are in both train\.txt and test\.txt \(crypto/Pose1\)"):
        Dt4d(characters).shapes("test")


def test_a_character_without_ground_truth_is_left_out_where_that_is_allowed(characters):
    (characters / "corres" / "drake" / "Pose3.vts").unlink()
    with pytest.raises(MissingDataError, match=r"1 shapes have no \.vts file"):
        Dt4d(characters).shapes("test")
    assert "drake/Pose3" not in names(Dt4d(characters, allow_missing=True).shapes("test"))


@pytest.mark.parametrize("without", [28, "28", [28], [28, 28], ["28"]])
def test_a_scan_of_shrec19_is_left_out_however_it_is_written(tmp_path, without):
    assert Shrec19(tmp_path, without=without).without == [28]


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ([40], "names 40, but the shapes are 1 … 44 without 40"),
        ("scan28", "names scan28"),
        ([n for n in range(1, 45) if n != 40], r"leaves no pair: dataset\.shrec19\.without=\[28,32\]"),
    ],
)
def test_scans_that_shrec19_does_not_have_cannot_be_left_out(tmp_path, without, message):
    with pytest.raises(ValueError, match=message):
        Shrec19(tmp_path, without=without)


def test_maps_of_shrec19_may_be_numbered_with_zeros_in_front(tmp_path):
    write_set(tmp_path, ["1", "2"])
    (tmp_path / "corres" / "001_002.map").write_text("1\n")
    shrec = Shrec19(tmp_path, allow_missing=True)
    assert [pair.name for pair in shrec.pairs("test")] == ["2-1"]
    assert "1 of the 407 maps" in shrec.pairs_rule
