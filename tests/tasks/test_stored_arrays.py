"""Stored predictions that are no maps are told from those that are, by pair, file and fault."""

import io
import logging
import pickle
import zipfile

import numpy as np
import pytest
import torch
from tests.conftest import shape_of
from tests.later import later
from tests.line_shapes import line_pair
from tests.meshes import sphere
from torch import nn

from pullback.solvers.zoomout import ZoomOut
from pullback.tasks import stored_arrays
from pullback.tasks.mesh.results import EvalProtocol
from pullback.tasks.mesh.scoring import score_store
from pullback.tasks.store import DamagedPrediction, PredictionStore
from pullback.tasks.stored_arrays import UnusableMap, check_arrays, check_map
from pullback.types import ShapePair

lightning = later("lightning.pytorch")
module = later("pullback.tasks.mesh.module")

PAIR = line_pair(mirrored=True, names=("a", "b"))  # 8 vertices each
HONEST = {"p2p21": np.arange(8), "fmap12": np.eye(3, dtype=np.float32), "seconds": np.array(0.5)}
IMAGE = {
    "p2p21": np.arange(4),
    "xy21": np.zeros((4, 2), np.float32),
    "patches1": np.arange(4),
    "patches2": np.arange(4),
    **{f"grid{side}": np.array([2, 2]) for side in "12"},
    **{f"size{side}": np.array([20, 30]) for side in "12"},
}
UNUSABLE = {
    "a negative vertex": ({"p2p21": np.array([0, 1, -5, 3, 4, 5, 6, 7])}, "p2p21 holds -5"),
    "a vertex beyond counting": ({"p2p21": np.array([0, 10**12, 2, 3, 4, 5, 6, 7])}, "p2p21 holds 1000000000000"),
    "a vertex that wraps around": ({"p2p21": np.full(8, 2**63, dtype=np.uint64)}, "p2p21 holds 9223372036854775808"),
    "a vertex of another mesh": ({"p2p21": np.arange(8) + 1}, "reaches 1..8 but a has the vertices 0..7"),
    "another number of vertices": ({"p2p21": np.arange(5)}, "5 rows but b has 8 vertices"),
    "no vertex": ({"p2p21": np.arange(0)}, "p2p21 is empty"),
    "NaN": ({"p2p21": np.full(8, np.nan)}, "p2p21 holds float64, but should hold whole numbers"),
    "fractions": ({"p2p21": np.arange(8) + 0.5}, "p2p21 holds float64"),
    "booleans": ({"p2p21": np.ones(8, bool)}, "p2p21 holds bool"),
    "words": ({"p2p21": np.array(["0"] * 8)}, "p2p21 holds <U1"),
    "two dimensions": ({"p2p21": np.arange(8)[:, None]}, r"p2p21 has the shape \(8, 1\)"),
    "one number": ({"p2p21": np.array(3)}, r"p2p21 has the shape \(\)"),
    "objects": ({"p2p21": np.array([0, None] * 4, dtype=object)}, "allow_pickle"),
    "an object beside it": ({"extra": np.array([None], dtype=object)}, "allow_pickle"),
    "no map": ({"p2p21": None}, "holds no p2p21, but fmap12, seconds"),
    "another pair": ({"pair": np.array("c-d")}, "belongs to the pair c-d, not to a-b"),
    "no pair": ({"pair": None}, "'pair is not a file|KeyError"),
    "a functional map that is NaN": ({"fmap12": np.full((3, 3), np.nan)}, "fmap12 holds NaN"),
    "a functional map in one dimension": ({"fmap12": np.ones(3)}, r"fmap12 has the shape \(3,\)"),
    "seconds of NaN": ({"seconds": np.array(np.nan)}, "seconds holds NaN"),
    "seconds below 0": ({"seconds": np.array(-1.0)}, "seconds is -1"),
    "many seconds": ({"seconds": np.ones(3)}, r"seconds has the shape \(3,\)"),
}


@pytest.fixture
def store(tmp_path):
    return PredictionStore(tmp_path / "lines", {"seed": 0})


def write(store: PredictionStore, name: str, **arrays) -> None:
    content = {"pair": np.array(name), **HONEST, **arrays}
    np.savez(store.path(name), **{name: values for name, values in content.items() if values is not None})


def score(store: PredictionStore, pair: ShapePair = PAIR):
    return score_store(
        store, [pair], dataset="lines", split="test", protocol=EvalProtocol("u", "d", "none", "none")
    ).pairs[0]


@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_stored_prediction_that_is_no_map_fails_its_pair_by_name(store, fault):
    arrays, message = UNUSABLE[fault]
    write(store, "a-b", **arrays)
    outcome = score(store)
    assert outcome.status == "failed"
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(outcome.message)
    assert "a-b" in outcome.message


def test_an_honest_one_is_scored(store):
    write(store, "a-b")
    assert (score(store).status, score(store).seconds) == ("ok", 0.5)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:200],
        lambda data: b"",
        lambda data: b"PK\x05\x06",
        pickle.dumps,
        lambda data: b"\x93NUMPY" + data,
    ],
)
def test_a_file_that_is_no_archive_fails_its_pair_by_name(store, damage):
    write(store, "a-b")
    store.path("a-b").write_bytes(damage(store.path("a-b").read_bytes()))
    assert score(store).status == "failed" and "a-b.npz is damaged" in score(store).message


def test_an_archive_that_unpacks_to_more_than_it_is_is_not_unpacked(store, monkeypatch):
    monkeypatch.setattr(stored_arrays, "_UNPACKED", 2**20)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (10**8,)})
    with (
        zipfile.ZipFile(store.path("a-b"), "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("p2p21.npy", "w", force_zip64=True) as file,
    ):
        file.write(header.getvalue())
        file.write(bytes(3 * 2**20))
    with pytest.raises(DamagedPrediction, match=r"a-b\.npz holds no match: it is .* bytes that unpack to 3,145,"):
        store.read("a-b")


def test_an_array_that_claims_more_than_it_has_is_damaged(store):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(store.path("a-b"), "w") as archive:
        archive.writestr("p2p21.npy", header.getvalue())
    with pytest.raises(DamagedPrediction, match=r"a-b\.npz is damaged"):
        store.read("a-b")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"xy21": np.full((4, 2), np.nan)}, "xy21 holds NaN"),
        ({"xy21": np.zeros((4, 3))}, "xy21 has the shape"),
        ({"xy21": np.zeros((3, 2))}, "xy21 has 3 rows, but p2p21 4"),
        ({"patches2": np.array([0, 1, 2, 9])}, "patches2 holds 9, but may hold 0 to 3"),
        ({"patches2": np.array([0, 1, 2, -1])}, "patches2 holds -1"),
        ({"patches1": np.arange(3)}, "p2p21 holds 3, but may hold 0 to 2"),
        ({"grid2": np.array([10**6, 10**6])}, "grid2 has .* patches on"),
        ({"grid2": np.array([0, 2])}, "grid2 holds 0"),
        ({"grid2": np.array([2, 2, 2])}, "grid2 has the shape"),
        ({"size1": np.array([10**7, 2])}, "size1 holds 10000000"),
        ({"size2": np.array([2.5, 2])}, "size2 holds float64"),
    ],
)
def test_a_match_of_photographs_is_looked_at_too(arrays, message):
    check_arrays(IMAGE)
    with pytest.raises(UnusableMap, match=message):
        check_arrays({**IMAGE, **arrays})


def test_a_map_that_sends_every_vertex_to_one_is_refused():
    check_map(torch.arange(5), torch.eye(3), of="a-b")
    with pytest.raises(UnusableMap, match="the map of a-b sends all 5 points to one"):
        check_map(torch.full((5,), 3), torch.eye(3), of="a-b")
    with pytest.raises(UnusableMap, match="the map of a-b is NaN"):
        check_map(torch.arange(5), torch.full((3, 3), torch.nan), of="a-b")


class Features(nn.Module):
    """Gives what it is told to, whatever the shape."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, shape):
        return self.change(shape.verts.clone())


@pytest.fixture(scope="module")
def pair():
    shapes = [shape_of(name, *sphere(1), k=8) for name in ("a", "b")]
    return ShapePair(*shapes)


def matched(pair: ShapePair, store: PredictionStore, change=lambda verts: verts) -> None:
    model = module.MeshMatching(Features(change), ZoomOut(k_init=4, step=2, n_steps=1))
    model.stores = [store]
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    trainer.predict(
        model, torch.utils.data.DataLoader([pair], batch_size=None, collate_fn=None), return_predictions=False
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda verts: verts * torch.nan, "the features of a are NaN or infinite at 42 of 42 points"),
        (
            lambda verts: verts.index_fill(0, torch.tensor(3), torch.inf),
            "the features of a are NaN or infinite at 1 of 42 points",
        ),
        (lambda verts: verts * 0 + 2, "the features of a are the same at all 42 points"),
    ],
)
def test_a_pair_whose_features_are_of_no_use_fails_with_the_reason_and_is_matched_when_they_are(
    pair, store, change, message
):
    matched(pair, store, change)
    assert store.load(pair.name) is None
    outcome = score(store, pair)
    assert outcome.status == "failed" and outcome.message.startswith(message)
    assert PredictionStore.open(store.directory).failure(pair.name) == outcome.message
    matched(pair, store)
    assert store.failure(pair.name) is None and score(store, pair).status == "ok"


@pytest.mark.parametrize(
    "p2p21", [np.arange(5), np.arange(42) + 1, np.arange(42) - 1, np.full(42, np.nan), np.zeros((42, 2), int)]
)
def test_a_stored_map_of_no_use_is_matched_anew_with_a_warning(pair, store, p2p21, caplog):
    write(store, pair.name, p2p21=p2p21)
    with caplog.at_level(logging.WARNING):
        matched(pair, store)
    assert "a-b.npz" in caplog.text
    assert score(store, pair).status == "ok"


def test_the_reason_of_a_failure_is_bounded_and_stays_in_the_folder(store, tmp_path):
    for name in ("../../x", "a/b", "x" * 400):
        store.save_failure(name, "because " * 10_000)
        assert len(store.failure(name)) == 2000
    store._failure_path("a-b").write_text("because\x1b]0;owned\x07")
    assert store.failure("a-b") == "because]0;owned"
    assert {path.parent for path in tmp_path.rglob("*.failed.txt")} == {store.directory}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "null",
        '{"sha256": "x"}',
        '{"sha256": "x", "config": 5}',
        "\x00",
        '{"sha256": 1, "config": {}}',
    ],
)
def test_a_fingerprint_that_is_none_is_refused_by_name(store, text):
    store.signature.write_text(text)
    with pytest.raises(ValueError, match=r"fingerprint\.json is damaged or was edited"):
        PredictionStore.open(store.directory)
