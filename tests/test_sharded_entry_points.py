"""Evaluations shared out among processes: three shares, scored together, are one run to the last digit."""

import pytest
import torch
from tests.fakes import write_faust
from tests.later import later
from tests.test_entry_points import metrics, run
from tests.test_image_entry_points import SMALL as SMALL_PHOTOS

from pullback.data.image.io import save_image
from pullback.tasks.results import FailedPairs

shards = later("pullback.runtime.shards")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_faust(folder / "data" / "FAUST_r", [*range(2), *range(80, 83)])
    return folder


@pytest.fixture(scope="module", params=["meshes", "photographs"])
def overrides(request, home) -> list[str]:
    if request.param == "photographs":
        return ["dataset=photos", "data.test_pairs=4", *SMALL_PHOTOS, f"paths.cache_dir={home / 'cache'}"]
    small = ["data.k=40", "data.protocol=ordered", "data.prepare_workers=1", "trainer.enable_progress_bar=false"]
    method = ["backbone=raw_wks", "backbone.descriptor.k=40", "solver=zoomout", "solver.k_init=10", "solver.n_steps=2"]
    data = ["dataset=faust", "dataset.faust.allow_missing=true", f"paths.data_dir={home / 'data'}", *small]
    return [*data, *method, "solver.step=5", "trainer=cpu", f"paths.cache_dir={home / 'cache'}"]


@pytest.fixture(scope="module")
def whole(home, overrides):
    run("eval", *overrides, "run=[match,score]", folder=home / overrides[0])
    return home / overrides[0]


def matched(overrides: list[str], folder, shares: list[str]) -> None:
    for i, share in enumerate(shares):
        run("eval", *overrides, f"shard={share}", folder=folder / str(i))


def results(folder) -> list[dict]:
    """What a run found, but not how long it took."""
    return metrics(folder)["results"]


def test_three_shares_in_stores_of_their_own_are_one_run_to_the_last_digit(overrides, whole, tmp_path, capsys):
    matched(overrides, tmp_path, ["1/3", "2/3", "3/3"])
    assert "shard 3/3: 2 of 2 pairs are matched" in capsys.readouterr().out
    assert not (tmp_path / "0" / "metrics.json").exists()  # figures of a part would be taken for those of all
    run("eval", *overrides, "run=[score]", f"predictions={tmp_path}", folder=tmp_path / "scored")
    assert results(tmp_path / "scored") == results(whole)


def test_shares_in_one_store_are_one_run_and_a_missing_one_is_named(overrides, whole, tmp_path):
    store = f"predictions={tmp_path / 'store'}"
    matched([*overrides, store], tmp_path, ["2/2"])
    with pytest.raises(shards.MissingShard, match=r"shard=1/2: \d of its pairs are missing \(never begun\)"):
        run("eval", *overrides, "run=[score]", store, folder=tmp_path / "scored")
    matched([*overrides, store], tmp_path, ["1/2"])
    run("eval", *overrides, "run=[score]", store, folder=tmp_path / "scored")
    assert results(tmp_path / "scored") == results(whole)


def test_a_pair_that_failed_fails_its_share_and_counts_as_no_missing_one(home, tmp_path):
    photographs = tmp_path / "in"
    photographs.mkdir()
    for name in "ab":
        save_image(photographs / f"{name}.png", torch.randint(0, 255, (3, 90, 120), dtype=torch.uint8))
    (photographs / "c.png").write_bytes(b"no photograph")
    own = ["dataset=image_folder", f"dataset.image_folder.root={photographs}", *SMALL_PHOTOS]
    own = [*own, f"paths.cache_dir={home / 'cache'}", f"predictions={tmp_path / 'store'}"]
    run("eval", *own, "shard=1/2", folder=tmp_path / "1")
    with pytest.raises(FailedPairs, match="1 of 1 pairs failed"):
        matched(own, tmp_path, ["2/2"])
    with pytest.raises(FailedPairs, match="1 of 2 pairs failed"):
        run("eval", *own, "run=[score]", folder=tmp_path / "scored")
