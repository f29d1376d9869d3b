"""The prediction store: whole files, one fingerprint, nothing lost and nothing mixed."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pullback.data.shards import Shard
from pullback.tasks.store import DamagedPrediction, ForeignPredictions, PredictionStore, fingerprint_sha256

CONFIG = {"solver": {"k_final": 130, "steps": [30, 40]}, "checkpoint": None, "data": {"k": 200}}
P2P21 = torch.tensor([3, 1, 4, 1, 5])


@pytest.fixture
def store(tmp_path):
    return PredictionStore(tmp_path / "faust", CONFIG)


def test_what_is_saved_comes_back(store):
    fmap12 = torch.randn(4, 3)
    store.save("a-b", P2P21, fmap12=fmap12, seconds=1.5, two_way=None)
    prediction = store.load("a-b")
    assert torch.equal(prediction.p2p21, P2P21)
    assert prediction.p2p21.dtype == torch.int64
    np.testing.assert_array_equal(prediction.arrays["fmap12"], fmap12.numpy())
    assert prediction.arrays["seconds"] == 1.5
    assert set(prediction.arrays) == {"fmap12", "seconds"}


def test_the_file_is_an_ordinary_npz_with_a_32_bit_map(store):
    store.save("a-b", P2P21)
    with np.load(store.directory / "a-b.npz") as archive:
        assert archive["p2p21"].dtype == np.int32
        assert archive["p2p21"].tolist() == P2P21.tolist()


def test_pairs_done_are_known_and_others_are_not(store):
    store.save("a-b", P2P21)
    assert "a-b" in store
    assert "b-a" not in store
    assert store.load("b-a") is None


def test_a_store_opened_again_under_the_same_configuration_goes_on(store):
    store.save("a-b", P2P21)
    reordered = {"data": {"k": 200}, "checkpoint": None, "solver": {"steps": (30, 40), "k_final": 130}}
    assert "a-b" in PredictionStore(store.directory, reordered)
    assert "a-b" in PredictionStore.open(store.directory)


def test_another_configuration_is_refused_with_the_keys_that_differ_and_what_to_type(store):
    with pytest.raises(ForeignPredictions) as refusal:
        PredictionStore(store.directory, {**CONFIG, "solver": {"k_final": 100, "steps": [30, 40]}, "seed": 1})
    message = str(refusal.value)
    assert "solver.k_final: stored 130, asked for 100" in message
    assert "seed: stored (absent), asked for 1" in message
    assert "solver.steps" not in message and "data.k" not in message
    assert "solver.k_final=130" in message
    assert "hydra.run.dir=" in message


def test_files_of_unknown_origin_are_refused(tmp_path):
    np.savez(tmp_path / "a-b.npz", p2p21=np.arange(3))
    with pytest.raises(ForeignPredictions, match=r"no fingerprint\.json"):
        PredictionStore(tmp_path, CONFIG)


@pytest.mark.parametrize("content", ["{", '{"sha256": "0", "config": {"k": 1}}', "[]"])
def test_a_damaged_or_edited_fingerprint_is_refused(tmp_path, content):
    (tmp_path / "fingerprint.json").write_text(content)
    with pytest.raises(ForeignPredictions, match=r"fingerprint\.json is damaged or was edited"):
        PredictionStore(tmp_path, CONFIG)


def test_the_fingerprint_file_can_be_read_by_a_person_and_a_program(store):
    signed = json.loads((store.directory / "fingerprint.json").read_text())
    assert signed == {"config": CONFIG, "sha256": fingerprint_sha256(CONFIG)}
    assert store.sha256 == signed["sha256"]


def test_opening_an_empty_folder_says_what_to_give(tmp_path):
    with pytest.raises(FileNotFoundError, match="predictions="):
        PredictionStore.open(tmp_path)


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def with_a_flipped_bit(content: bytes) -> bytes:
    place = content.index(np.array([3, 1, 4], dtype=np.int32).tobytes())
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [truncated, with_a_flipped_bit, lambda content: b"", lambda content: b"not a zip"])
def test_a_damaged_file_counts_as_missing_with_a_warning_and_can_be_written_again(store, caplog, damage):
    store.save("a-b", P2P21)
    path = store.path("a-b")
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert "a-b" not in store
    assert "a-b.npz is damaged" in caplog.text
    store.save("a-b", P2P21)
    assert torch.equal(store.load("a-b").p2p21, P2P21)


def test_pair_names_with_any_characters_have_files_of_their_own_inside_the_folder(store):
    names = [
        "crypto/Idle000-crypto/Run010",
        "crypto_Idle000-crypto_Run010",
        "../../up",
        "..",
        "日本",
        "a%2Fb",
        "a/b",
        "x" * 400,
    ]
    for i, name in enumerate(names):
        store.save(name, torch.tensor([i]))
    assert [store.load(name).p2p21.item() for name in names] == list(range(len(names)))
    assert all(store.path(name).resolve().parent == store.directory.resolve() for name in names)
    assert all(len(store.path(name).name) < 200 for name in names)


def test_a_file_under_the_name_of_another_pair_is_not_believed(store, caplog):
    store.save("a-b", P2P21)
    store.path("a-b").rename(store.path("c-d"))
    assert store.load("c-d") is None
    assert "belongs to the pair a-b" in caplog.text


def test_an_interrupted_write_leaves_the_old_prediction_and_no_litter(store, monkeypatch):
    store.save("a-b", P2P21)

    def fails_half_way(file, **content):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fails_half_way)
    with pytest.raises(OSError, match="disk full"):
        store.save("a-b", P2P21 + 1)
    assert torch.equal(store.load("a-b").p2p21, P2P21)
    assert sorted(path.name for path in store.directory.iterdir()) == ["a-b.npz", "fingerprint.json"]


def test_shards_of_one_configuration_merge_without_overwriting(store, tmp_path):
    store.save("a-b", P2P21)
    shard = PredictionStore(tmp_path / "shard", CONFIG)
    shard.save("a-b", P2P21 + 1)
    shard.save("c/d-e", P2P21 + 2, seconds=2.0)
    shard.save("broken", P2P21)
    shard.path("broken").write_bytes(b"")
    shard.save_failure("e", "its features are NaN")
    shard.mark_shard(Shard(2, 3))
    assert store.take_from(shard) == 1
    assert store.failure("e") == "its features are NaN" and store.shards == {Shard(2, 3)}
    assert torch.equal(store.load("a-b").p2p21, P2P21)
    assert store.load("c/d-e").arrays["seconds"] == 2.0


def test_a_shard_of_another_configuration_is_refused(store, tmp_path):
    with pytest.raises(ForeignPredictions, match=r"data\.k: stored 100, asked for 200"):
        store.take_from(PredictionStore(tmp_path / "shard", {**CONFIG, "data": {"k": 100}}))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_stands_in_the_place_of_a_prediction_but_is_no_file_is_not_read(store, make):
    make(store.path("a-b"))
    make(store.path("c").with_suffix(".failed.txt"))
    with pytest.raises(DamagedPrediction, match=r"a-b\.npz is no file"):
        store.read("a-b")
    assert store.failure("c") is None
