"""Programs that are stopped, or find damage: what they keep, how they end, and that the same command goes on."""

import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tests.fakes import write_faust
from tests.test_entry_points import SHORT, SMALL, TINY_NETWORK, TINY_SOLVER, figures, metrics, run

from pullback.errors import UserError
from pullback.locks import alone
from pullback.runtime.checks import ConfigError
from pullback.runtime.signals import Stopped
from pullback.runtime.sweeping import FolderInUse

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_faust(folder / "data" / "FAUST_r", [*range(6), *range(80, 84)])
    return folder


@pytest.fixture(scope="module")
def train(home) -> list[str]:
    """The overrides of a tiny training."""
    faust = [
        "dataset=faust",
        "dataset.faust.allow_missing=true",
        f"paths.data_dir={home / 'data'}",
        f"paths.cache_dir={home / 'cache'}",
    ]
    return [*faust, *SMALL, *TINY_NETWORK, *TINY_SOLVER, *SHORT, "run=[match,score]"]


@pytest.fixture(scope="module")
def trained(home, train) -> Path:
    run("train", *train, folder=home / "whole")
    return home / "whole"


@pytest.fixture(scope="module")
def evaluate(train) -> list[str]:
    """The overrides of an evaluation, of an untrained network: six pairs of four shapes."""
    return [override for override in train if override not in SHORT and not override.startswith("data.val")] + [
        "untrained=true"
    ]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def stopping(pairs: int, number: int) -> str:
    return f"+callbacks.stop={{_target_:tests.interruption.SignalAfter,pairs:{pairs},number:{int(number)}}}"


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_stopped_evaluation_keeps_its_pairs_and_goes_on(home, evaluate, number, capsys):
    folder = home / number.name
    with pytest.raises(Stopped) as caught:
        run("eval", *evaluate, stopping(2, number), folder=folder)
    assert caught.value.code == STATUS[number]
    word = "SIGTERM" if number == signal.SIGTERM else "Ctrl-C"
    assert (
        f"stopped by {word}; all pairs so far are kept; the same command goes on from there with hydra.run.dir={folder}"
        in (capsys.readouterr().err)
    )
    kept = {path: path.stat().st_mtime_ns for path in (folder / "predictions").rglob("*.npz")}
    assert len(kept) == 2 and not (folder / "metrics.json").exists()
    run("eval", *evaluate, folder=folder)
    assert (metrics(folder)["results"][0]["pairs"], metrics(folder)["results"][0]["failed"]) == (6, 0)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}, "matched once"


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_a_stopped_training_goes_on_exactly(home, train, trained, number, capsys):
    folder = home / f"training-{number.name}"
    with pytest.raises(Stopped) as caught:
        run("train", *train, "callbacks.last.minutes=60.0", stopping(4, number), folder=folder)
    assert caught.value.code == STATUS[number]
    assert f"resume=auto hydra.run.dir={folder}" in capsys.readouterr().err
    step = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert step == (5 if number == signal.SIGTERM else 3), (
        "SIGTERM ends the step and keeps it; Ctrl-C goes back to the last checkpoint"
    )
    run("train", *train, "resume=auto", folder=folder)
    for name, values in weights(trained).items():
        assert torch.equal(weights(folder)[name], values)
    assert figures(folder) == figures(trained)


def test_two_trainings_do_not_share_a_folder(train, tmp_path):
    with alone(tmp_path / ".training"), pytest.raises(UserError, match=r"another process trains in .*attempts\.csv"):
        run("train", *train, folder=tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_a_job_that_another_process_is_at_work_on_has_not_failed(train, tmp_path):
    (tmp_path / "0").mkdir()
    with alone(tmp_path / "0" / ".training"), pytest.raises(FolderInUse):
        run("train", *train, "-m", "seed=0", f"hydra.sweep.dir={tmp_path}")
    assert not (tmp_path / "0" / "error.txt").exists()


@pytest.mark.parametrize(
    ("other", "told"), [("solver.init_blur=0.3", "another solver: init_blur "), ("dataset@test=faust", "")]
)
def test_a_job_of_a_sweep_goes_on_with_its_own_values_alone(home, train, trained, tmp_path, other, told):
    """A study gives the number of a trial to other values the next time."""
    shutil.copytree(trained, tmp_path / "0")
    job = [*train, "-m", other, "resume=auto", f"hydra.sweep.dir={tmp_path}", "run=[]"]
    if told:
        with pytest.raises(UserError, match=f"{told}.*hydra.sweep.dir=DIR"):
            run("train", *job)
    else:
        run("train", *job)


def test_a_training_goes_on_from_the_checkpoint_before_a_damaged_one(home, train, trained, capsys):
    folder = home / "damaged"
    shutil.copytree(trained / "checkpoints", folder / "checkpoints")
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    run("train", *train, "resume=auto", folder=folder)
    printed = capsys.readouterr().out
    assert (
        "last.ckpt is no checkpoint of plain tensors, or is damaged" in printed
        and "goes on from last-previous.ckpt" in printed
    )
    assert (
        metrics(folder)["results"][0]["protocol"]["checkpoint"]
        == metrics(trained)["results"][0]["protocol"]["checkpoint"]
    )
    for name, values in weights(trained).items():
        assert torch.equal(weights(folder)[name], values)


def test_a_training_that_is_done_is_scored_in_another_folder(home, train, trained, capsys):
    last = trained / "checkpoints" / "last.ckpt"
    run("train", *train, f"resume={last}", folder=home / "done")
    assert re.search(r"has made (\d+) steps, so nothing is left of trainer\.max_steps=\1;", capsys.readouterr().out)
    assert metrics(home / "done")["training"]["steps"] > 0
    assert metrics(home / "done")["results"][0]["pairs"] == 6


def test_a_training_that_goes_on_without_the_test_shapes_confesses_that_it_saw_them(home, train, capsys):
    seen = [option for option in train if not option.startswith("run=")]
    run("train", *seen, "run=[]", "data.transductive=true", folder=home / "seen")
    longer = [option for option in train if not option.startswith("trainer.max_steps")]
    last = home / "seen" / "checkpoints" / "last.ckpt"
    run("train", *longer, "trainer.max_steps=10", f"resume={last}", folder=home / "later")
    assert "was trained with another data.transductive: True; now it is False" in capsys.readouterr().out
    rule = metrics(home / "later")["results"][0]["protocol"]["checkpoint"]
    assert "trained on faust, before its step 8 trained on faust, their test shapes among them" in rule


def test_a_text_file_is_nothing_to_resume_from(home, train):
    (home / "notes.txt").write_text("lr was too high")
    with pytest.raises(ConfigError, match=r"notes\.txt is no file that torch wrote"):
        run("train", *train, f"resume={home / 'notes.txt'}", folder=home / "none")


@pytest.mark.parametrize(("limit", "count"), [("2", 2), ("0.5", 3)])
def test_a_limit_leaves_pairs_out_and_says_so(home, evaluate, limit, count):
    folder = home / f"limit-{limit}"
    run("eval", *evaluate, f"trainer.limit_predict_batches={limit}", folder=folder)
    (result,) = metrics(folder)["results"]
    assert (result["pairs"], result["failed"]) == (count, 0)
    assert result["protocol"]["notes"].endswith(f"the first {count} of 6 pairs")


def test_a_cache_that_cannot_be_written_ends_a_preparation_and_no_evaluation(evaluate, tmp_path, capsys):
    """Its place is taken by a file."""
    (tmp_path / "cache").write_text("")
    overrides = [*evaluate, f"paths.cache_dir={tmp_path / 'cache'}", "trainer.limit_predict_batches=1"]
    with pytest.raises(
        OSError, match=r"cache cannot be written: Not a directory\. Remove what stands .*paths\.cache_dir=DIR"
    ):
        run("eval", *overrides, "run=[prepare]", folder=tmp_path / "prepare")
    capsys.readouterr()
    run("eval", *overrides, "run=[match,score]", folder=tmp_path / "match")
    assert metrics(tmp_path / "match")["results"][0]["pairs"] == 1
    assert capsys.readouterr().out.count("until then all is computed and not kept") == 1
