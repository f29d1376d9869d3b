"""The published data sets of one folder: their names, splits, pairs and lists,
on fakes of the right names and on the real files.
"""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from tests.composing import composed, options
from tests.data.mesh.test_datasets import names, write_listing
from tests.later import later
from tests.published_fakes import SCAPE_NAMES, TOSCA_NAMES, write_list, write_set

from pullback.data.errors import MissingDataError
from pullback.data.mesh.io import read_mesh, read_vts
from pullback.data.mesh.pairs import all_pairs
from pullback.data.mesh.sets.faust import Faust, FaustA
from pullback.data.mesh.sets.scape import Scape, ScapeA, ScapeAcvd
from pullback.data.mesh.sets.smal import SPECIES, SPLIT_SPECIES, Smal, species_by_name
from pullback.data.mesh.sets.tosca import Tosca, class_of
from pullback.runtime.settings import instantiate

datamodule = later("pullback.data.mesh.datamodule")

LAYOUTS = [("off", "corres"), ("shapes", "correspondences"), ("vtx_5k", "vtx_5k/corres")]


@pytest.fixture(scope="module")
def scape(tmp_path_factory):
    """All 71 names of SCAPE_r."""
    root = tmp_path_factory.mktemp("data") / "SCAPE_r"
    write_set(root, SCAPE_NAMES)
    return root


@pytest.fixture(scope="module")
def smal(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "SMAL_r"
    write_set(root, sorted(species_by_name()))
    return root


@pytest.fixture
def tosca(tmp_path):
    root = tmp_path / "TOSCA_Isometric"
    write_set(root, TOSCA_NAMES, layout=LAYOUTS[2])
    return root


@pytest.mark.parametrize("kind", [Scape, ScapeAcvd])
def test_scape_is_51_and_20_shapes_without_mesh051(scape, kind):
    train, test = (names(kind(scape).shapes(split)) for split in ("train", "test"))
    assert (len(train), len(test)) == (51, 20)
    assert train + test == SCAPE_NAMES
    assert (train[-1], test[0]) == ("mesh050", "mesh052")


@pytest.mark.parametrize("layout", LAYOUTS, ids=["off", "shapes", "vtx_5k"])
def test_every_layout_of_folders_is_found(tmp_path, layout):
    write_set(tmp_path, SCAPE_NAMES[51:], layout=layout)
    shapes = Scape(tmp_path).shapes("test")
    assert len(shapes) == 20
    assert all(files.vts.is_file() and files.mirrored_vts.is_file() for files in shapes)


def test_anisotropic_sets_are_the_20_test_shapes_and_nothing_to_train_on(scape, tmp_path):
    assert ScapeA(scape).shapes("train") == []
    assert names(ScapeA(scape).shapes("test")) == SCAPE_NAMES[51:]
    write_set(tmp_path / "FAUST_a", [f"tr_reg_{number:03d}" for number in range(80, 100)])
    assert FaustA(tmp_path / "FAUST_a").shapes("train") == []
    assert len(FaustA(tmp_path / "FAUST_a").shapes("test")) == 20


@pytest.mark.parametrize("kind", [Scape, ScapeAcvd, ScapeA, FaustA, Smal, Tosca])
def test_an_absent_set_says_where_to_get_it_and_what_to_type(tmp_path, kind):
    said = rf"(?s)looked in .*nowhere.*does not exist.*PULLBACK_DATA_DIR.*dataset\.{kind.name}\.root="
    with pytest.raises(MissingDataError, match=said):
        kind(tmp_path / "nowhere").shapes("test")


def test_an_incomplete_set_names_what_it_lacks_unless_told_to_make_do(scape, tmp_path):
    write_set(tmp_path, SCAPE_NAMES[:30])
    with pytest.raises(MissingDataError, match=r"of 51 shapes, 21 in all: mesh030\.off"):
        Scape(tmp_path).shapes("train")
    assert len(Scape(tmp_path, allow_missing=True).shapes("train")) == 30


def test_the_species_of_smal_are_29_and_20_shapes_that_differ():
    assert {species: len(found) for species, found in SPECIES.items()} == {
        **{"cow": 8, "dog": 9, "fox": 4, "lion": 5, "wolf": 3},
        **{"cougar": 4, "hippo": 6, "horse": 10},
    }
    assert len(species_by_name()) == 49
    assert sorted(species for split in SPLIT_SPECIES.values() for species in split) == sorted(SPECIES)


def test_smal_trains_on_five_species_and_tests_on_three_others(smal):
    split = {split: Smal(smal).shapes(split) for split in ("train", "test")}
    assert [len(shapes) for shapes in split.values()] == [29, 20]
    for part, shapes in split.items():
        assert {species_by_name()[files.name] for files in shapes} == set(SPLIT_SPECIES[part])


def test_where_a_smal_file_says_its_species_the_table_agrees():
    for name, species in species_by_name().items():
        said = [kind for kind in ("cow", "dog", "fox", "lion", "wolf", "hippo", "cougar") if kind in name.lower()]
        assert said in ([], [species]), name


def test_smal_validates_on_one_shape_of_each_species(smal):
    train = Smal(smal).shapes("train")
    held_out = Smal(smal).held_out(train, 5)
    assert [species_by_name()[files.name] for files in held_out] != ["wolf"] * 5
    assert {species_by_name()[files.name] for files in held_out} == set(SPLIT_SPECIES["train"])
    assert len(Smal(smal).held_out(train, 7)) == 7
    data = datamodule.PairDataModule([Smal(smal)], smal.parent / "cache")
    assert not {*names(data.val_set.used())} & {*names(data.train_set.used())}
    assert (len(data.val_set), len(data.train_set)) == (10, 24 * 23)


def test_a_random_split_of_smal_mixes_the_species_and_depends_on_its_seed(smal):
    train, test = (names(Smal(smal, split="random").shapes(split)) for split in ("train", "test"))
    assert (len(train), len(test)) == (29, 20)
    assert sorted(train + test) == sorted(species_by_name())
    assert len({species_by_name()[name] for name in test}) > 3
    assert names(Smal(smal, split="random").shapes("test")) == test
    assert names(Smal(smal, split="random", seed=1).shapes("test")) != test
    assert Smal(smal, split="random", seed=1).pairs_rule == "20 of all animals, drawn with seed 1"
    assert Smal(smal).pairs_rule == ""
    with pytest.raises(ValueError, match=r"dataset\.smal\.split=cats is unknown; use one of species, random"):
        Smal(smal, split="cats")


def test_the_lists_of_the_common_smal_release_win_over_the_table(tmp_path):
    root = tmp_path / "SMAL_r"
    write_set(root, sorted(species_by_name()))
    write_list(root / "train_cat.txt", ["cougar", "fox.off", "wolf_alph2"])
    assert names(Smal(root).shapes("train")) == ["cougar", "fox", "wolf_alph2"]
    assert len(Smal(root).shapes("test")) == 46
    write_list(root / "test_cat.txt", ["hippo5", "hippos"])
    assert names(Smal(root).shapes("test")) == ["hippo5", "hippos"]
    assert len(Smal(root, split="random").shapes("test")) == 20


def test_lists_of_ones_own_replace_the_published_split(scape, tmp_path):
    write_listing(tmp_path / "test.txt", ["mesh060", "mesh003.off"])
    chosen = Scape(scape, lists=tmp_path)
    assert names(chosen.shapes("test")) == ["mesh060", "mesh003"]
    assert len(chosen.shapes("train")) == 69
    write_listing(tmp_path / "train.txt", ["mesh001", "mesh002"])
    assert names(chosen.shapes("train")) == ["mesh001", "mesh002"]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"train": ["mesh001", "mesh099"]},
            r"train\.txt \(line 2\) names 1 shapes that the data set does not have: mesh099",
        ),
        ({"train": ["mesh001", "mesh001"]}, r"train\.txt, line 2: mesh001 was named in line 1 already"),
        ({"train": ["mesh001"], "test": ["mesh001"]}, r"1 names are in both train\.txt and test\.txt \(mesh001\)"),
        ({}, r"looked in .* for train\.txt or test\.txt"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(scape, tmp_path, lists, message):
    for split, listed in lists.items():
        write_listing(tmp_path / f"{split}.txt", listed)
    with pytest.raises((ValueError, MissingDataError), match=message):
        Scape(scape, lists=tmp_path).shapes("test")


def test_tosca_pairs_the_poses_of_a_class_and_no_others(tosca):
    data = Tosca(tosca)
    assert data.shapes("train") == []
    assert len(data.shapes("test")) == 76
    pairs = data.pairs("test")
    assert len(pairs) == sum(n * (n - 1) // 2 for n in (11, 6, 7, 9, 8, 20, 12, 3))
    assert all(pair.shape1.name.rstrip("0123456789") == pair.shape2.name.rstrip("0123456789") for pair in pairs)
    assert len({pair.name for pair in pairs}) == len(pairs)
    assert names(data.shapes("test"))[:3] == ["cat0", "cat1", "cat2"]
    assert len(Tosca(tosca, protocol="ordered").pairs("test")) == 2 * len(pairs)
    with pytest.raises(ValueError, match="both is unknown"):
        Tosca(tosca, protocol="both")


def test_tosca_takes_the_pairs_of_the_release_in_their_direction(tosca):
    listed = Tosca(tosca, pairing="listed")
    with pytest.raises(MissingDataError, match=r"test_pairs\.txt.*dataset\.tosca\.pairing=classes does without"):
        listed.pairs("test")
    (tosca / "test_pairs.txt").write_text("cat3 cat0\nwolf0.off\twolf2.off\n")
    assert [pair.name for pair in listed.pairs("test")] == ["cat3-cat0", "wolf0-wolf2"]
    (tosca / "test_pairs.txt").write_text("cat3 cat99\n")
    with pytest.raises(MissingDataError, match="names 1 shapes of which there is no mesh: cat99"):
        listed.pairs("test")
    (tosca / "test_pairs.txt").write_text("cat3 cat1 cat2\n")
    with pytest.raises(ValueError, match="line 1: a line names two shapes, but 'cat3 cat1 cat2' does not"):
        listed.pairs("test")
    with pytest.raises(ValueError, match=r"dataset\.tosca\.pairing=all is unknown"):
        Tosca(tosca, pairing="all")


def test_a_tosca_of_other_counts_is_refused_unless_told_to_make_do(tosca):
    assert Tosca(tosca).pairs_rule == "all pairs within a class, unordered"
    (tosca / "vtx_5k" / "dog10.off").unlink()
    with pytest.raises(MissingDataError, match=r"8 of 9 dog\. dataset\.tosca\.allow_missing=true"):
        Tosca(tosca).shapes("test")
    assert len(Tosca(tosca, allow_missing=True).pairs("test")) == 414 - 8
    assert Tosca(tosca, allow_missing=True).pairs_rule.endswith("unordered, 75 of the 76 test shapes")


def test_tosca_is_trained_on_where_lists_say_so(tosca, tmp_path):
    write_listing(tmp_path / "train.txt", [name for name in TOSCA_NAMES if not name.startswith("wolf")])
    split = Tosca(tosca, lists=tmp_path)
    assert names(split.shapes("test")) == ["wolf0", "wolf1", "wolf2"]
    assert (len(split.pairs("train")), len(split.pairs("test"))) == (411, 3)


def test_without_ground_truth_a_tosca_cat_is_trained_with_cats_alone(tosca, tmp_path):
    data = datamodule.PairDataModule([Tosca(tosca)], tmp_path / "cache", k=15, transductive=True)
    assert len(data.train_set) == 2 * 414
    assert all(class_of(pair.shape1.name) == class_of(pair.shape2.name) for pair in data.train_set.pairs)


@pytest.mark.parametrize("name", ["faust", "faust_a", "scape", "scape_a", "scape_acvd", "smal", "tosca"])
def test_the_configured_data_set_is_called_as_its_file(name):
    assert name in options("dataset")
    cfg = composed("train", f"dataset={name}", "paths.data_dir=/nowhere", "data.protocol=ordered")
    assert instantiate(cfg.dataset[name]).name == name


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("kind", "folder", "shapes", "pairs"),
    [
        (Faust, "FAUST_r", (80, 20), (3160, 190)),
        (FaustA, "FAUST_a", (0, 20), (0, 190)),
        (ScapeAcvd, "SCAPE_acvd", (51, 20), (1275, 190)),
        (Smal, "SMAL_r", (29, 20), (406, 190)),
    ],
)
def test_the_real_sets_have_the_published_counts(real_data_dir, kind, folder, shapes, pairs):
    dataset = kind(real_data_dir / folder)
    found = [dataset.shapes(split) for split in ("train", "test")]
    assert tuple(map(len, found)) == shapes
    assert tuple(len(all_pairs(part, "unordered")) for part in found) == pairs


@pytest.mark.real_data
@pytest.mark.parametrize(("kind", "folder"), [(ScapeAcvd, "SCAPE_acvd"), (Smal, "SMAL_r"), (FaustA, "FAUST_a")])
def test_real_shapes_correspond_row_by_row(real_data_dir, kind, folder):
    """Points that are neighbours on one shape are near each other on another: the ground truth is no shuffle."""
    points = []
    for files in kind(real_data_dir / folder).shapes("test")[:2]:
        verts, _ = read_mesh(files.mesh)
        rows = read_vts(files.vts, n_vertices=len(verts))
        assert len(rows) == kind.vts_rows
        points.append(verts[rows[:: len(rows) // 300]])
    first, second = points
    _, near = cKDTree(second).query(second, k=2)
    apart = np.linalg.norm(first - first[near[:, 1]], axis=1)
    assert np.median(apart) < 0.3 * np.median(np.linalg.norm(first - first[::-1], axis=1))
