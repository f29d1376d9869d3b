"""Which files are found, in which split, and what is said when they are not there."""

import shutil
from pathlib import Path

import pytest
from tests.fakes import body, write_faust, write_mesh, write_shape

from pullback.data.errors import ListError, MissingDataError
from pullback.data.mesh.dataset import ShapeFiles
from pullback.data.mesh.lists import read_names
from pullback.data.mesh.selection import NoPairs, at_least_two
from pullback.data.mesh.sets.faust import Faust
from pullback.data.mesh.sets.folder import Folder
from pullback.data.mesh.sets.humans import Humans
from pullback.errors import UserError


def names(files):
    return [shape.name for shape in files]


def write_listing(path, names):
    path.write_text("\n".join(names) + "\n")


@pytest.fixture
def own_meshes(tmp_path):
    """Ten meshes of four formats in one folder, without ground truth."""
    root = tmp_path / "mine"
    for number in range(10):
        verts, faces, _ = body(number)
        write_mesh(root / f"scan{number}.off", verts, faces)
    for number, suffix in enumerate((".obj", ".PLY", ".stl")):
        (root / f"scan{number}.off").rename(root / f"scan{number}{suffix}")
    (root / "notes.txt").write_text("not a mesh")
    (root / ".hidden.off").write_text("nor is this")
    return root


def test_faust_is_split_by_its_numbers_in_both_layouts(fake_faust):
    faust = Faust(fake_faust, allow_missing=True)
    assert names(faust.shapes("train")) == [f"tr_reg_{number:03d}" for number in range(8)]
    assert names(faust.shapes("test")) == [f"tr_reg_{number:03d}" for number in range(80, 84)]
    for shape in faust.shapes("test"):
        assert shape.mesh.is_file()
        assert shape.vts.name == f"{shape.name}.vts"
        assert shape.mirrored_vts.name == f"{shape.name}.sym.vts"


def test_an_incomplete_faust_says_what_it_lacks_and_where_to_get_it(fake_faust):
    with pytest.raises(
        MissingDataError, match=r"of 80 shapes, 72 in all: tr_reg_008\.off.* 67 more\.\n.*register at https"
    ) as caught:
        Faust(fake_faust).shapes("train")
    assert str(fake_faust) in str(caught.value)


def test_a_complete_split_is_accepted_even_if_the_other_one_is_absent(tmp_path):
    root = tmp_path / "FAUST_r"
    write_faust(root, [80])
    for folder, suffix in (("off", ".off"), ("corres", ".vts")):
        for number in range(81, 100):
            shutil.copy(root / folder / f"tr_reg_080{suffix}", root / folder / f"tr_reg_{number:03d}{suffix}")
    assert len(Faust(root).shapes("test")) == 20
    assert Faust(root).shapes("test")[5].mirrored_vts is None
    (root / "corres" / "tr_reg_091.vts").unlink()
    with pytest.raises(MissingDataError, match=r"split of 20 shapes, 1 in all: tr_reg_091\.vts"):
        Faust(root).shapes("test")


def test_an_absent_data_set_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(
        MissingDataError, match=r"FAUST_r \(it does not exist\) for off/ \(shapes/, vtx_5k/\) with corres/"
    ):
        Faust(tmp_path / "FAUST_r").shapes("train")
    (tmp_path / "FAUST_r").mkdir()
    with pytest.raises(MissingDataError, match=r"(?s)exists, but has neither.*dataset\.faust\.root="):
        Faust(tmp_path / "FAUST_r").shapes("train")


def test_humans_are_split_by_their_lists(tmp_path):
    for number in range(4):
        write_shape(tmp_path, f"human_{number:03d}", number)
    write_listing(tmp_path / "train.txt", ["human_000", "human_002"])
    with pytest.raises(MissingDataError, match=r"test\.txt.*\n.*git checkout"):
        Humans(tmp_path).shapes("test")
    write_listing(tmp_path / "test.txt", ["human_001", "human_003", "human_007"])
    assert names(Humans(tmp_path).shapes("train")) == ["human_000", "human_002"]
    with pytest.raises(MissingDataError, match=r"human_007\.off"):
        Humans(tmp_path).shapes("test")


def test_a_folder_holds_meshes_of_all_formats_with_or_without_subfolder(own_meshes):
    assert names(Folder(own_meshes, test_share=0.0).shapes("train")) == [f"scan{number}" for number in range(10)]
    (own_meshes / "off").mkdir()
    for path in [*own_meshes.glob("scan*")]:
        path.rename(own_meshes / "off" / path.name)
    shapes = Folder(own_meshes, test_share=0.0).shapes("train")
    assert names(shapes) == [f"scan{number}" for number in range(10)]
    assert shapes[0].vts is None
    assert {shape.mesh.suffix for shape in shapes} == {".obj", ".PLY", ".stl", ".off"}


def test_a_folder_is_split_by_share_the_same_way_each_time(own_meshes):
    train, test = (names(Folder(own_meshes, test_share=0.3).shapes(split)) for split in ("train", "test"))
    assert len(test) == 3
    assert sorted(train + test) == [f"scan{number}" for number in range(10)]
    assert names(Folder(own_meshes, test_share=0.3).shapes("test")) == test
    assert names(Folder(own_meshes, test_share=1.0).shapes("test")) == sorted(train + test)
    assert any(names(Folder(own_meshes, test_share=0.3, seed=seed).shapes("test")) != test for seed in range(1, 5))


def test_a_new_mesh_changes_a_split_by_one_shape_at_most(own_meshes):
    before = set(names(Folder(own_meshes, test_share=0.3).shapes("test")))
    write_mesh(own_meshes / "later.off", *body(1)[:2])
    assert len(before - set(names(Folder(own_meshes, test_share=0.3).shapes("test")))) <= 1


def test_lists_in_a_folder_decide_who_is_trained_on(own_meshes):
    write_listing(own_meshes / "test.txt", ["# the last two", "scan9", "", "scan8.off"])
    folder = Folder(own_meshes)
    assert names(folder.shapes("test")) == ["scan9", "scan8"]
    assert names(folder.shapes("train")) == [f"scan{number}" for number in range(8)]
    write_listing(own_meshes / "train.txt", ["scan1", "scan2"])
    assert names(folder.shapes("train")) == ["scan1", "scan2"]


def test_contradictory_lists_are_refused(own_meshes):
    write_listing(own_meshes / "train.txt", ["scan1", "scan2"])
    write_listing(own_meshes / "test.txt", ["scan2", "scan3"])
    with pytest.raises(ValueError, match=r"1 names are in both train\.txt and test\.txt \(scan2\)"):
        Folder(own_meshes).shapes("test")
    write_listing(own_meshes / "test.txt", ["scan3", "scan77"])
    with pytest.raises(MissingDataError, match=r"test\.txt \(line 2\) names 1 shapes .* not have: scan77"):
        Folder(own_meshes).shapes("test")


def test_ground_truth_in_a_folder_is_found_and_gaps_are_told(own_meshes, caplog):
    (own_meshes / "corres").mkdir()
    for number in (0, 4):
        (own_meshes / "corres" / f"scan{number}.vts").write_text("1\n2\n")
    shapes = Folder(own_meshes, test_share=1.0).shapes("test")
    assert [shape.name for shape in shapes if shape.vts] == ["scan0", "scan4"]
    assert "8 of 10 shapes have no .vts file" in caplog.text


def test_two_meshes_of_one_name_are_refused(own_meshes):
    shutil.copy(own_meshes / "scan3.off", own_meshes / "scan3.ply.gz")
    (own_meshes / "scan3.off").rename(own_meshes / "scan3.obj")
    with pytest.raises(ValueError, match=r"scan3\.obj and scan3\.ply\.gz would both be called scan3"):
        Folder(own_meshes).shapes("train")


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_meshes_says_where_it_looked(tmp_path, exists):
    root = tmp_path / "mine"
    if exists:
        root.mkdir()
    with pytest.raises(MissingDataError, match=r"\.off, \.obj, \.ply, \.stl.*mine.*dataset\.folder\.root=DIR"):
        Folder(root).shapes("train")


def test_a_share_is_between_0_and_1(tmp_path):
    with pytest.raises(ValueError, match="is out of range; give a number from 0 to 1"):
        Folder(tmp_path, test_share=20.0)


def test_names_in_lists_may_have_dots_and_suffixes(tmp_path):
    (tmp_path / "train.txt").write_text("a.b\n c.off \nd.OBJ\n")
    assert read_names(tmp_path / "train.txt") == ["a.b", "c", "d"]


def test_a_shape_whose_name_would_command_the_terminal_is_refused():
    with pytest.raises(ListError, match="holds characters that command a terminal"):
        ShapeFiles("a\x1b]0;owned\x07", Path("a\x1b]0;owned\x07.off"))
    assert ShapeFiles("人体\u3000(1)", Path("x.off")).name == "人体\u3000(1)"


def test_too_few_meshes_for_a_pair_are_told_as_what_their_user_can_mend(tmp_path):
    write_mesh(tmp_path / "a.off", *body(0)[:2])
    with pytest.raises(
        NoPairs, match=r"folder: the test split has \d shapes, and a pair needs two\. Give another"
    ) as told:
        at_least_two(Folder(tmp_path), "test")
    assert isinstance(told.value, UserError)


@pytest.fixture
def duo_fm(tmp_path):
    """The folders of DUO-FM and ConsistentFMaps: a folder of meshes for each split, one of ground truth."""
    root = tmp_path / "FAUST_r"
    for number in [0, 1, 2, 80, 81]:
        folder = "shapes_train" if number < 80 else "shapes_test"
        write_shape(root, f"tr_reg_{number:03d}", number, layout=(folder, "corres"))
    return root


def test_folders_of_each_split_are_found_by_a_published_set(duo_fm):
    dataset = Faust(duo_fm, allow_missing=True)
    assert names(dataset.shapes("train")) == ["tr_reg_000", "tr_reg_001", "tr_reg_002"]
    assert names(dataset.shapes("test")) == ["tr_reg_080", "tr_reg_081"]
    assert all(files.vts is not None for files in dataset.shapes("test"))


def test_folders_of_each_split_are_the_split_of_ones_own_meshes(duo_fm):
    assert names(Folder(duo_fm).shapes("train")) == ["tr_reg_000", "tr_reg_001", "tr_reg_002"]
    assert names(Folder(duo_fm).shapes("test")) == ["tr_reg_080", "tr_reg_081"]


def test_a_mesh_of_both_splits_is_refused(duo_fm):
    shutil.copy(duo_fm / "shapes_train" / "tr_reg_000.off", duo_fm / "shapes_test")
    with pytest.raises(UserError, match=r"tr_reg_000 lies in shapes_train and in shapes_test: remove one"):
        Folder(duo_fm).shapes("train")


def test_a_published_set_without_ground_truth_makes_training_pairs(tmp_path):
    write_faust(tmp_path, [0, 1, 2])
    shutil.rmtree(tmp_path / "corres")
    shapes = Faust(tmp_path, allow_missing=True).shapes("train")
    assert names(shapes) == ["tr_reg_000", "tr_reg_001", "tr_reg_002"] and {files.vts for files in shapes} == {None}
