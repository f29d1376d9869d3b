"""Scoring stored predictions gives what scoring the fresh ones gives, and failures where there are none."""

import logging

import pytest
import torch
from tests.line_shapes import line_pair

from pullback.metrics.geodesic import score_pair
from pullback.tasks.mesh.results import DatasetResult, EvalProtocol, PairResult
from pullback.tasks.mesh.scoring import score_store
from pullback.tasks.store import PredictionStore

PROTOCOL = EvalProtocol("unordered", "dijkstra", "none", "none (no training)")
PAIRS = [line_pair(mirrored=True, names=("a", "b")), line_pair(mirrored=True, names=("a", "c"))]


@pytest.fixture
def store(tmp_path):
    return PredictionStore(tmp_path, {"seed": 0})


def score(store, pairs=PAIRS, **options) -> DatasetResult:
    return score_store(store, pairs, dataset="lines", split="test", protocol=PROTOCOL, **options)


def test_stored_predictions_score_as_fresh_ones_do(store):
    maps = [torch.randint(0, 8, (8,), generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    for p2p21, pair in zip(maps, PAIRS, strict=True):
        store.save(pair.name, p2p21, seconds=0.5)
    fresh = [
        PairResult("a", pair.shape2.name, score_pair(p2p21, pair), 0.5) for p2p21, pair in zip(maps, PAIRS, strict=True)
    ]
    again = score(store)
    assert again.summary() == DatasetResult("lines", "test", PROTOCOL, fresh).summary()
    assert again.metrics()["geodesic_error_x100"] > 0
    assert [pair.seconds for pair in again.pairs] == [0.5, 0.5]


def test_a_pair_without_a_prediction_has_failed_and_the_others_are_scored(store):
    store.save("a-c", torch.arange(8))
    first, second = score(store).pairs
    assert first.status == "failed" and "no stored prediction" in first.message
    assert second.status == "ok" and second.score.mean == 0


def test_a_prediction_made_on_another_mesh_has_failed(store, caplog):
    store.save("a-b", torch.arange(5))
    store.save("a-c", torch.arange(8))
    with caplog.at_level(logging.WARNING):
        first, _ = score(store).pairs
    assert first.status == "failed"
    assert "5 rows but b has 8 vertices" in first.message


def test_progress_counts_the_pairs(store):
    counts = []
    score(store, progress=counts.append)
    assert counts == [1, 1]
