"""A sweep ends in one table also where jobs fail, and its folder tells which failed, and why."""

import signal
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tests.later import later

from pullback.comparison.compare import main as compare
from pullback.comparison.progress import progress
from pullback.runtime.signals import AGAIN, _leave
from pullback.runtime.sweeping import SWEEP_FILE, SweepTable, note_failure, with_table

build = later("pullback.runtime.build")
printed = []


def table(arguments):
    printed.append(arguments)
    raise SystemExit(1)  # as one that has told what it lacks


@pytest.fixture
def sweep(tmp_path) -> Path:
    """A sweep of three jobs, one of which has finished."""
    printed.clear()
    overrides = {"hydra": [], "task": ["seed=0,1,2"]}
    settings = {"sweeper": {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper", "params": None}}
    OmegaConf.save(OmegaConf.create({"hydra": {**settings, "overrides": overrides}}), tmp_path / SWEEP_FILE)
    for job in "01":
        (tmp_path / job / ".hydra").mkdir(parents=True)
        (tmp_path / job / ".hydra" / "overrides.yaml").write_text(f"- seed={job}\n")
    (tmp_path / "0" / "metrics.json").write_text("{}")
    return tmp_path


def run(sweep: Path, error: BaseException | None = None) -> None:
    """What Hydra does around the jobs of a sweep."""
    callback = SweepTable(table=f"{__name__}.table", figure=f"{__name__}.table")
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(sweep)}, "runtime": {"cwd": "/"}}})
    callback.on_multirun_start(config, config_name="train")
    if error is not None:
        raise error
    callback.on_multirun_end(config, config_name="train")


def test_a_sweep_whose_jobs_all_end_well_prints_its_table_once(sweep):
    with with_table():
        run(sweep)
    assert printed == [[str(sweep)]]


def test_a_sweep_prints_the_table_of_the_other_jobs_before_it_ends_by_the_error_of_one(sweep):
    with pytest.raises(RuntimeError, match="of a job"), with_table():
        run(sweep, RuntimeError("of a job"))
    assert printed == [[str(sweep)]]


def test_the_error_of_a_job_is_told_where_the_figure_cannot_be_drawn(sweep, monkeypatch):
    monkeypatch.setattr(f"{__name__}.table", lambda arguments: (sweep / "none" / "sweep.png").write_text(""))
    with pytest.raises(RuntimeError, match="of a job"), with_table():
        run(sweep, RuntimeError("of a job"))


def test_a_sweep_that_its_user_stops_prints_no_table_and_the_next_one_not_that_of_this(sweep):
    with pytest.raises(SystemExit), with_table():
        run(sweep, SystemExit(130))
    with pytest.raises(ValueError, match="of another"), with_table():
        raise ValueError("of another")
    assert printed == []


@pytest.mark.parametrize(
    ("launcher", "sweeper", "told"),
    [
        ("JoblibLauncher", "BasicSweeper", "the same command goes on with resume=auto hydra.sweep.dir=/home/me/runs/x"),
        ("SlurmLauncher", "BasicSweeper", "what is submitted runs on: squeue lists it, scancel ends it"),
        ("BasicLauncher", "OptunaSweeper", "the study goes on with what it knows: give the same command again"),
    ],
)
def test_ctrl_c_while_jobs_run_elsewhere_tells_how_the_sweep_goes_on(launcher, sweeper, told, capfd, monkeypatch):
    hydra = {"sweep": {"dir": "runs/x"}, "runtime": {"cwd": "/home/me"}}
    hydra |= {"launcher": {"_target_": f"a.{launcher}"}, "sweeper": {"_target_": f"a.{sweeper}"}}
    monkeypatch.setattr("os._exit", lambda status: None)
    with with_table():
        SweepTable(table="", figure="").on_multirun_start(OmegaConf.create({"hydra": hydra}), config_name="train")
        _leave(signal.SIGINT, None)
    assert capfd.readouterr().err.startswith(f"\nstopped by Ctrl-C; {told}")
    _leave(signal.SIGINT, None)
    assert capfd.readouterr().err == f"\nstopped by Ctrl-C; {AGAIN}\n"


def test_a_job_that_failed_is_told_with_its_reason_until_it_is_begun_again(sweep):
    note_failure(sweep / "1", "data.k=40 is too small \x1b[31m")
    (told,) = progress([sweep])
    assert told.startswith("1 of 3 jobs have finished; 1: failed: data.k=40 is too small") and "\x1b" not in told
    assert told.endswith("; 1 not begun")
    note_failure(sweep / "1", None)
    assert progress([sweep]) == ["1 of 3 jobs have finished; 1: begun; 1 not begun"]


def test_sweeps_in_a_folder_are_told_with_their_names(sweep):
    assert f"{sweep.name}: 1 of 3 jobs have finished; 1: begun; 1 not begun" in progress([sweep.parent])


def test_of_a_sweep_of_which_no_job_has_finished_the_table_tells_how_far_they_are(sweep, capsys):
    (sweep / "0" / "metrics.json").unlink()
    compare([str(sweep)])
    assert capsys.readouterr().out.strip() == "0 of 3 jobs have finished; 0: begun; 1: begun; 1 not begun"
