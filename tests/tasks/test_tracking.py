"""Results of a run in its trackers, beside the curves."""

import math

import numpy as np
import pytest
from tests.later import later
from tests.tasks.training.test_events import events, files, log, logged, logger_of

loggers = later("lightning.pytorch.loggers")
geodesic = later("pullback.metrics.geodesic")
mesh_results = later("pullback.tasks.mesh.results")
picture_module = later("pullback.figures.picture")
tracking = later("pullback.tasks.tracking")

ROWS = [{"shape1": "a", "shape2": "b|c", "error": 1.5}, {"shape1": "a", "shape2": "d", "error": None}]


@pytest.fixture
def results():
    protocol = mesh_results.EvalProtocol("unordered", "dijkstra", "none", "last")
    score = geodesic.PairScore(errors=None, coverage=0.5, flip_rate=None)
    return [mesh_results.DatasetResult("faust", "test", protocol, [mesh_results.PairResult("a", "b", score)])]


@pytest.fixture
def picture():
    panel = picture_module.Panel(np.full((40, 60, 4), 255, np.uint8), "source")
    return picture_module.Picture("the worst pair", (panel,))


def test_scores_tables_and_pictures_join_the_curves_in_one_event_file(tmp_path, results, picture):
    log(logger_of(tmp_path), range(3))
    logger = logger_of(tmp_path)
    tracking.track([logger], results, ROWS, [picture], step=3)
    tracking.finish([logger])
    assert len(files(tmp_path)) == 1
    tags = {tag: step for tag, step, _ in logged(tmp_path)}
    assert tags.items() >= {"loss": 2, "test/faust/coverage": 3, "test/01 the worst pair": 3}.items()
    assert "test/faust/geodesic_error_x100" not in tags, "nothing is known of it"
    texts = [
        value.tensor.string_val[0].decode()
        for event in events.events_of(files(tmp_path)[0])
        for value in event.summary.value
        if value.tag.startswith("test/pairs")
    ]
    assert "| a | b\\|c | 1.5 |" in texts[0] and "| a | d |  |" in texts[0]


def test_results_go_to_weights_and_biases_without_a_network(tmp_path, results, picture, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="needs pip install 'pullback[wandb]'")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = loggers.WandbLogger(save_dir=tmp_path, project="pullback", offline=True, version="one", resume="allow")
    logger.log_metrics({"train/loss": 2.0}, 1)
    tracking.track([logger], results, ROWS, [picture], step=3)
    run = logger.experiment
    summary = dict(run.summary)
    assert summary["test/faust/coverage"] == 0.5 and math.isclose(summary["train/loss"], 2.0)
    tracking.finish([logger])
    assert wandb.run is None, "the next job of a sweep is another run"
    media = next((tmp_path / "wandb").glob("offline-run-*-one/files/media"))
    assert len(list(media.rglob("*.png"))) == 1 and len(list(media.rglob("*.table.json"))) == 2


def test_other_loggers_are_left_alone(results, tmp_path):
    other = loggers.CSVLogger(tmp_path)
    tracking.track([other], results, ROWS, [], step=0)
    tracking.finish([other])
    assert not any(tmp_path.iterdir())
