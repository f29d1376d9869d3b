"""DT4D-H: pairs within and across classes, in the two releases that circulate."""

import pytest
import torch
from tests.later import later
from tests.pair_fakes import template_points, write_dt4d, write_lists

from pullback.data.errors import MissingDataError
from pullback.data.mesh.sets.dt4d import Dt4d
from pullback.geometry.cleaning import MeshError

datamodule = later("pullback.data.mesh.datamodule")

CLASSES = {
    "crypto": range(5),
    "drake": range(5, 10),
    "mousey": range(10, 14),
    "pumpkinhulk": range(14, 17),
    "zlorp": range(17, 22),
}
CROSS = ["crypto_drake", "crypto_zlorp", "crypto_pumpkinhulk", "drake_crypto"]


@pytest.fixture(params=["DT4D_r", "DeformingThings4DMatching"])
def root(request, tmp_path):
    """Five small classes, one of them pumpkinhulk, three with files across."""
    folder = tmp_path / request.param
    write_dt4d(folder, CLASSES, CROSS, release=request.param)
    write_lists(folder, CLASSES)
    return folder


@pytest.fixture
def module(root, tmp_path):
    """A data module of these shapes by the pairing."""

    def make(*pairings, **settings):
        given = {"k": 15, "prepare_workers": 1, "geodesics": "dijkstra", **settings}
        return datamodule.PairDataModule(
            [Dt4d(root, pairing=pairing) for pairing in pairings], tmp_path / "cache", **given
        )

    return make


def apart(pair):
    """How far the two places of each landmark are from each other: bodies hardly differ."""
    return (pair.shape1.verts[pair.corr1] - pair.shape2.verts[pair.corr2]).norm(dim=1)


def test_pairs_within_a_class_meet_at_its_template(root, module):
    data = module("intra")
    data.prepare_data()
    pairs = data.test_sets[0]
    assert [pairs.name(i) for i in range(4)] == [
        "crypto/Pose003-crypto/Pose004",
        "drake/Pose008-drake/Pose009",
        "mousey/Pose012-mousey/Pose013",
        "zlorp/Pose020-zlorp/Pose021",
    ]
    assert len(pairs) == 4
    for pair, name in zip(pairs, ("crypto", "drake", "mousey", "zlorp"), strict=True):
        assert len(pair.corr1) == len(template_points(name, 0, remeshed=root.name == "DT4D_r"))
        assert apart(pair).max() < 0.1
        assert pair.geodesics1.sources.tolist() == sorted(set(pair.corr1.tolist()))


@pytest.mark.parametrize(("pairing", "pairs"), [("intra", 10 + 10 + 6 + 10), ("inter", 5 * 5 + 5 * 5)])
def test_without_ground_truth_the_classes_are_trained_as_they_are_paired(module, pairing, pairs):
    assert len(module(pairing, transductive=True, val_shapes=0).train_set) == 2 * pairs


def test_the_template_of_a_class_corresponds_to_itself(root, module):
    pairs = module("intra", val_shapes=0).train_set
    names = [pairs.name(i) for i in range(len(pairs))]
    pair = pairs[names.index("crypto/Pose000-crypto/Pose002")]
    assert apart(pair).max() < 0.1
    back = pairs[names.index("crypto/Pose002-crypto/Pose000")]
    assert torch.equal(back.corr1, pair.corr2)
    if root.name != "DT4D_r":
        assert pair.corr1.tolist() == list(range(162))


def test_pairs_across_classes_go_through_the_files_that_there_are(root, module):
    data = module("inter")
    data.prepare_data()
    pairs = data.test_sets[0]
    classes = [tuple(name.split("/")[0] for name in pairs.name(i).split("-")) for i in range(len(pairs))]
    assert classes == [("crypto", "drake")] * 4 + [("crypto", "zlorp")] * 4 + [("drake", "crypto")] * 4
    exact = root.name != "DT4D_r"  # the points of two remeshed templates are not the same
    for pair in pairs:
        assert apart(pair).median() < (0.1 if exact else 0.4)
        assert len(pair.corr1) == len(pair.corr2)
    assert "(crypto_drake, crypto_zlorp, drake_crypto)" in pairs.selection.rule


def test_pumpkinhulk_is_left_out(root):
    for split in ("train", "test"):
        assert {files.name.split("/")[0] for files in Dt4d(root).shapes(split)} == {
            "crypto",
            "drake",
            "mousey",
            "zlorp",
        }


def test_every_class_has_its_share_of_validation_shapes(module):
    data = module("intra", "inter", val_shapes=7)
    held_out = {files.name for files in data.val_set.used()}
    assert held_out <= {
        f"{name}/Pose{i:03d}" for name, i in [("crypto", 1), ("crypto", 2), ("drake", 6), ("drake", 7)]
    } | {
        "mousey/Pose011",
        "mousey/Pose010",
        "zlorp/Pose018",
        "zlorp/Pose019",
    }
    assert not held_out & {files.name for files in data.train_set.used()}
    assert any(data.val_set.name(i).startswith("crypto/Pose002-drake") for i in range(len(data.val_set)))


def test_training_pairs_are_listed_and_turned_round(module):
    data = module("intra", "inter", val_shapes=0)
    within = 3 + 3 + 1 + 3
    across = 3 * (3 * 3)
    assert len(data.train_dataloader()) == within + across
    assert all(pair.corr1 is not None and pair.geodesics1 is None for pair in data.train_dataloader())


def test_pairs_within_a_class_follow_the_protocol_in_tests(root):
    assert len(Dt4d(root, protocol="ordered_self").pairs("test")) == 4 * 4
    assert len(Dt4d(root, protocol="ordered_self").pairs("train")) == 3 + 3 + 1 + 3
    with pytest.raises(ValueError, match="ordered_self"):
        Dt4d(root, protocol="all")
    with pytest.raises(ValueError, match="intra, inter"):
        Dt4d(root, pairing="both")


def test_lists_may_lie_elsewhere(root, tmp_path):
    write_lists(tmp_path / "lists", CLASSES, test=1)
    assert len(Dt4d(root, lists=tmp_path / "lists").shapes("test")) == 4
    with pytest.raises(MissingDataError, match=r"looked for .*test\.txt.*class/name a line"):
        Dt4d(root, lists=tmp_path).shapes("test")


def test_what_is_missing_is_named(root, tmp_path):
    for path in [*root.rglob("Pose004.o*"), *root.rglob("Pose018.vts")]:
        path.unlink()
    with pytest.raises(
        MissingDataError, match=r"zlorp: 1 shapes have no \.vts file in .* \(Pose018\), but only the first"
    ):
        Dt4d(root).shapes("test")
    for path in root.rglob("Pose018.o*"):
        path.unlink()
    with pytest.raises(MissingDataError, match=r"lacks 1 of the 8 test shapes: crypto/Pose004\.\n.*DT4D-H"):
        Dt4d(root).shapes("test")
    assert len(Dt4d(root, allow_missing=True).shapes("test")) == 7
    for pairing in ("intra", "inter"):
        assert Dt4d(root, pairing=pairing, allow_missing=True).pairs_rule.endswith(", 7 of the 8 test shapes")
    with pytest.raises(MissingDataError, match="does not exist"):
        Dt4d(tmp_path / "nowhere").shapes("test")


def test_without_files_across_there_are_no_pairs_across(root):
    for path in root.rglob("*crypto*_*.vts"):
        path.unlink()
    for path in root.rglob("drake_crypto.vts"):
        path.unlink()
    with pytest.raises(
        MissingDataError, match=r"no shapes of two classes A and B with a file cross_category_corres/A_B\.vts"
    ):
        Dt4d(root, pairing="inter").pairs("test")


def test_a_file_across_of_another_release_is_refused(root, module):
    path = next(root.rglob("crypto_drake.vts"))
    path.write_text("1\n500\n")
    with pytest.raises(MeshError, match=r"crypto_drake\.vts names rows of .*Pose00[89]\.vts, which has 1\d\d: "):
        module("inter").prepare_data()
    path.write_text("1\n2\n")
    data = module("inter")
    data.prepare_data()
    with pytest.raises(MeshError, match=r"has 1\d\d rows on .*Pose003.* but 2 on .*Pose008"):
        data.test_sets[0][0]
