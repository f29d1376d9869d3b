"""What Lightning is given: which pairs for training, validation and tests,
and that nothing of a test set is in the others.
"""

from types import SimpleNamespace

import pytest
import torch
from tests.fakes import body, write_mesh, write_numbers, write_shape
from tests.later import later
from tests.pair_fakes import write_shrec19

from pullback.data.errors import MissingDataError, TooFewPairs
from pullback.data.mesh.sets.faust import Faust
from pullback.data.mesh.sets.folder import Folder
from pullback.data.mesh.sets.shrec19 import Shrec19
from pullback.geometry.cleaning import MeshError

datamodule = later("pullback.data.mesh.datamodule")


@pytest.fixture
def root(tmp_path):
    """Eight training shapes and four test shapes of a FAUST_r that is not complete."""
    for number in [*range(8), *range(80, 84)]:
        write_shape(tmp_path / "FAUST_r", f"tr_reg_{number:03d}", number)
    return tmp_path / "FAUST_r"


@pytest.fixture
def module(root, tmp_path):
    """A data module of that data set, with the settings that a test gives."""

    def make(**settings):
        given = {"k": 15, "val_shapes": 3, "prepare_workers": 1, **settings}
        return datamodule.PairDataModule({"faust": Faust(root, allow_missing=True)}, tmp_path / "cache", **given)

    return make


def short(names):
    return [name.replace("tr_reg_0", "") for name in names]


def pairs_of(dataset):
    return short(dataset.name(i) for i in range(len(dataset)))


def test_validation_shapes_are_held_out_of_training(module):
    data = module()
    assert {files.name for files in data.train_set.used()} == {f"tr_reg_00{i}" for i in range(5)}
    assert pairs_of(data.val_set) == ["05-06", "05-07", "06-07"]
    assert pairs_of(data.test_sets[0]) == ["80-81", "80-82", "80-83", "81-82", "81-83", "82-83"]


def test_training_takes_every_pair_in_both_directions(module):
    data = module()
    pairs = pairs_of(data.train_set)
    assert len(pairs) == 20
    assert pairs[10:] == [f"{pair[3:]}-{pair[:2]}" for pair in pairs[:10]]
    assert len(data.train_dataloader()) == 10


def test_more_processes_than_training_pairs_are_refused_with_how_many_there_may_be(module):
    data = module(train_shapes=2, val_shapes=0)
    data.trainer = SimpleNamespace(world_size=2, global_rank=1)
    with pytest.raises(TooFewPairs, match=r"2 processes need 2 pairs.*there are 1; use trainer\.devices=1"):
        data.train_dataloader()


def test_a_loader_hands_out_one_pair_at_a_time_in_the_order_of_its_seed(module):
    data = module()
    data.prepare_data()
    loader = data.train_dataloader()
    names = [pair.name for pair in loader]
    assert len({frozenset(name.split("-")) for name in names}) == 10
    assert [pair.name for pair in module().train_dataloader()] == names
    assert [pair.name for pair in module(seed=1).train_dataloader()] != names
    pair = next(iter(loader))
    assert pair.geodesics1 is None
    assert pair.corr1 is not None


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_a_loading_process_hands_over_whole_pairs(module):
    data = module()
    data.prepare_data()
    alone, handed = (next(iter(module(num_workers=workers, test_pairs=1).test_dataloader()[0])) for workers in (0, 1))
    assert torch.equal(alone.shape1.grad_x.to_dense(), handed.shape1.grad_x.to_dense())
    assert torch.equal(alone.geodesics1.dist, handed.geodesics1.dist)


@pytest.mark.parametrize(("protocol", "count"), [("unordered", 6), ("ordered", 12), ("ordered_self", 16)])
def test_the_protocol_decides_on_the_test_pairs(module, protocol, count):
    assert len(module(protocol=protocol).test_sets[0]) == count


def test_limits_draw_the_same_pairs_each_time(module):
    data = module(test_pairs=3, val_pairs=2, train_shapes=3)
    chosen = pairs_of(data.test_sets[0])
    assert len(chosen) == 3
    assert sorted(chosen) == chosen
    assert pairs_of(module(test_pairs=3).test_sets[0]) == chosen
    assert any(pairs_of(module(test_pairs=3, seed=seed).test_sets[0]) != chosen for seed in range(1, 5))
    assert len(data.val_set) == 2
    assert {files.name for files in data.train_set.used()} == {"tr_reg_000", "tr_reg_002", "tr_reg_004"}


def test_a_clean_protocol_is_the_default_and_another_must_be_asked_for(module, caplog):
    data = module(val_shapes=None, select_on_test=True)
    assert pairs_of(data.val_set) == pairs_of(data.test_sets[0])
    assert len(data.train_set.used()) == 8
    assert "selected on test pairs" in caplog.text
    with pytest.raises(ValueError, match=r"select_on_test=true .* data\.val_shapes=3"):
        module(select_on_test=True)


def test_transductive_training_sees_the_test_shapes_and_no_ground_truth(module):
    data = module(transductive=True)
    trained = {files.name for files in data.train_set.used()}
    assert trained == {f"tr_reg_00{i}" for i in range(5)} | {f"tr_reg_0{i}" for i in range(80, 84)}
    assert not any(pair.has_truth for pair in data.train_set.pairs)
    assert data.train_set[0].corr1 is None
    assert all(pair.has_truth for pair in [*data.val_set.pairs, *data.test_sets[0].pairs])


def test_a_set_for_tests_only_is_trained_on_where_that_is_transductive(tmp_path):
    write_shrec19(tmp_path / "SHREC19_r", [1, 2, 3], [(1, 2), (2, 3)])
    shrec = Shrec19(tmp_path / "SHREC19_r", allow_missing=True)
    data = datamodule.PairDataModule([shrec], tmp_path / "cache", k=15, transductive=True)
    assert len(data.train_set) == 2 * 3 and data.val_dataloader() == []
    with pytest.raises(ValueError, match="the train split has 0 shapes"):
        _ = datamodule.PairDataModule([shrec], tmp_path / "cache", k=15).train_set


def test_faust_holds_out_a_whole_person(tmp_path):
    assert Faust(tmp_path).val_shapes == 10


def test_without_validation_shapes_there_is_no_validation(module):
    data = module(val_shapes=0)
    assert len(data.train_set.used()) == 8
    assert data.val_dataloader() == []


def test_too_many_validation_shapes_are_refused(module):
    with pytest.raises(ValueError, match=r"of 8 training shapes, data\.val_shapes=7 leave 1, .* at most 6"):
        _ = module(val_shapes=7).train_set


def test_a_handful_of_meshes_is_trained_on_without_validation(tmp_path, caplog):
    for number in range(3):
        write_mesh(tmp_path / "mine" / f"scan{number}.off", *body(number)[:2])
    data = datamodule.PairDataModule([Folder(tmp_path / "mine", test_share=0.0)], tmp_path / "cache", k=15)
    assert len(data.train_dataloader()) == 3
    assert data.val_dataloader() == []
    assert "there is no validation" in caplog.text
    with pytest.raises(ValueError, match=r"folder: the test split has 0 shapes, and a pair needs two\. .*test_share"):
        data.test_dataloader()


def test_meshes_without_ground_truth_are_prepared_and_paired(tmp_path):
    for number in range(6):
        write_mesh(tmp_path / "mine" / f"scan{number}.off", *body(number)[:2])
    data = datamodule.PairDataModule(
        [Folder(tmp_path / "mine", test_share=0.34)], tmp_path / "cache", k=15, prepare_workers=1
    )
    data.prepare_data()
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()[0]):
        for pair in loader:
            assert pair.corr1 is pair.corr2 is pair.geodesics1 is None
    assert not (tmp_path / "cache" / "geodesics").exists()


def test_only_training_shapes_are_simplified(module):
    data = module(coarsen=80)
    data.prepare_data()
    assert all(pair.shape1.n < 90 for pair in data.train_dataloader())
    for loader in (data.val_dataloader(), data.test_dataloader()[0]):
        assert all(pair.shape1.n == pair.shape2.n == 162 for pair in loader)
    pair = next(iter(data.train_dataloader()))
    assert (pair.shape1.verts[pair.corr1] - pair.shape2.verts[pair.corr2]).norm(dim=1).max() < 0.3


def test_all_shapes_have_the_sample_and_the_basis_that_were_asked_for(module):
    plain, sampled = (module(samples=samples, basis=basis) for samples, basis in ((70, "exact"), (120, "sampled")))
    for data, count in ((plain, 70), (sampled, 120)):
        data.prepare_data()
        for loader in (data.train_dataloader(), data.val_dataloader(), *data.test_dataloader()):
            assert all(
                len(shape.basis.sample.points) == count for pair in loader for shape in (pair.shape1, pair.shape2)
            )
    exact, rough = (data.test_sets[0][0].shape1.basis.evals for data in (plain, sampled))
    assert 0 < ((rough - exact)[1:] / exact[1:]).max() < 0.1


def test_preparation_leaves_nothing_to_compute(module, monkeypatch):
    module().prepare_data()
    monkeypatch.setattr("pullback.data.mesh.shapes.compute_operators", None)
    monkeypatch.setattr("pullback.data.mesh.library.geodesic_rows", None)
    data = module()
    for loader in (data.train_dataloader(), data.val_dataloader(), *data.test_dataloader()):
        assert all(pair.shape1.n == 162 for pair in loader)
    assert all(pair.geodesics1 is not None for pair in data.val_dataloader())


def test_without_geodesics_none_are_computed(module, tmp_path):
    data = module(geodesics=None)
    data.prepare_data()
    assert next(iter(data.test_dataloader()[0])).geodesics1 is None
    assert not (tmp_path / "cache" / "geodesics").exists()


def test_preparation_finds_ground_truth_of_different_lengths(module, root):
    for suffix in (".vts", ".sym.vts"):
        write_numbers(root / "corres" / f"tr_reg_003{suffix}", body(3)[2][:50])
    with pytest.raises(MeshError, match=r"tr_reg_003\.vts has 50 rows but .* has 162"):
        module().prepare_data()


def test_several_data_sets_are_trained_on_together_and_tested_apart(root, tmp_path):
    for number in range(5):
        write_mesh(tmp_path / "mine" / f"scan{number}.off", *body(number)[:2])
    sets = {"faust": Faust(root, allow_missing=True), "folder": Folder(tmp_path / "mine", test_share=0.4)}
    data = datamodule.PairDataModule(sets, tmp_path / "cache", k=15, val_shapes=0)
    assert data.test_names == ["faust", "folder"]
    assert [len(pairs) for pairs in data.test_sets] == [6, 1]
    assert len(data.train_dataloader()) == 8 * 7 // 2 + 3
    mixed = [name for name in pairs_of(data.train_set) if ("scan" in name) and name.count("scan") == 1]
    assert mixed == []


def test_tests_may_be_done_on_other_data_sets(root, tmp_path):
    write_shrec19(tmp_path / "SHREC19_r", [1, 2, 3], [(1, 2), (3, 1)])
    faust, shrec = Faust(root, allow_missing=True), Shrec19(tmp_path / "SHREC19_r", allow_missing=True)
    data = datamodule.PairDataModule(
        [faust], tmp_path / "cache", test={"faust": faust, "shrec19": shrec}, k=15, val_shapes=3
    )
    assert (data.train_names, data.test_names) == (["faust"], ["faust", "shrec19"])
    assert [len(pairs) for pairs in data.test_sets] == [6, 2]
    assert pairs_of(data.val_set) == ["05-06", "05-07", "06-07"]
    selected = datamodule.PairDataModule([faust], tmp_path / "cache", test=[shrec], k=15, select_on_test=True)
    assert pairs_of(selected.val_set) == ["2-1", "1-3"]
    assert len(selected.train_set.used()) == 8


def test_preparation_passes_by_what_a_test_set_does_not_have(tmp_path):
    write_shrec19(tmp_path / "SHREC19_r", [1, 2], [(1, 2)])
    data = datamodule.PairDataModule(
        [Shrec19(tmp_path / "SHREC19_r", allow_missing=True)], tmp_path / "cache", k=15, prepare_workers=1
    )
    data.prepare_data()
    assert len(list((tmp_path / "cache" / "operators").iterdir())) == 2


def test_absent_test_sets_are_told_before_a_training(root, tmp_path):
    faust, shrec = Faust(root, allow_missing=True), Shrec19(tmp_path / "nowhere")
    with pytest.raises(
        MissingDataError, match=r"(?s)without them: dataset@test=\[faust\].*shrec19: looked in .*nowhere"
    ):
        datamodule.PairDataModule([faust], tmp_path / "cache", test=[faust, shrec], k=15).look_for_tests()
    with pytest.raises(MissingDataError, match=r"without them: run=\[\]"):
        datamodule.PairDataModule([faust], tmp_path / "cache", test=[shrec], k=15).look_for_tests()
    datamodule.PairDataModule([faust], tmp_path / "cache", k=15).look_for_tests()


def test_the_pairs_of_each_set_are_counted_in_the_log(module, caplog):
    caplog.set_level("INFO")
    data = module(val_pairs=2, test_pairs=4)
    _ = data.train_set, data.val_set, data.test_sets
    counts = (
        "10 training pairs, of 5 shapes",
        "2 of 3 validation pairs, of 3 shapes",
        "4 of 6 test pairs, of 4 shapes",
    )
    assert all(f"faust: {count}" in caplog.text for count in counts)


def test_two_data_sets_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"dataset\.folder\.name=NAME"):
        datamodule.PairDataModule([Folder(tmp_path), Folder(tmp_path)], tmp_path)


def test_no_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="dataset=humans"):
        datamodule.PairDataModule({}, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protocol": "all"}, "unordered, ordered, ordered_self"),
        ({"geodesics": "euclidean"}, "null or one of dijkstra"),
        ({"val_shapes": 1}, "one shape makes no pair"),
        ({"laplacian": "cotan"}, r"data\.laplacian=cotan"),
        ({"val_pair": 3}, r"data\.val_pair does not exist; data has k, laplacian"),
    ],
)
def test_contradictory_settings_are_refused(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        datamodule.PairDataModule([Folder(tmp_path)], tmp_path, **wrong)
