"""Engines that run jobs elsewhere, each for real: joblib, Ray, Slurm, and two processes that train together.

``make test-clusters`` runs them; `make test` does not. Ray may have an environment of its own: PULLBACK_RAY_PYTHON is
its interpreter.
"""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.composing import ROOT
from tests.fakes import write_faust
from tests.test_entry_points import SHORT, SMALL, TINY_NETWORK, TINY_SOLVER, figures, metrics

pytestmark = [pytest.mark.clusters, pytest.mark.slow]
SWEEP = ["solver.init_blur=0.1,0.2"]
TIMEOUT = 300
SLURM = ROOT / ".ci" / "slurm"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_faust(folder / "data" / "FAUST_r", [*range(7), *range(80, 84)])
    return folder


@pytest.fixture(scope="module")
def train(home) -> list[str]:
    """The overrides of a tiny training, with three pairs to validate and six to test."""
    faust = ["dataset=faust", "dataset.faust.allow_missing=true", f"paths.data_dir={home / 'data'}"]
    tiny = [*SMALL, *TINY_NETWORK, *TINY_SOLVER, *SHORT, "run=[match,score]"]
    return [*faust, f"paths.cache_dir={home / 'cache'}", *tiny]


@pytest.fixture(scope="module")
def swept(home, train) -> Path:
    """The sweep, one job after the other in one process."""
    assert program(*train, "-m", *SWEEP, f"hydra.sweep.dir={home / 'swept'}").returncode == 0
    return home / "swept"


def started(*arguments: str, name: str = "train", python: str = sys.executable, **environment: str) -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [python, str(ROOT / f"{name}.py"), *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def program(*arguments: str, **options: str) -> subprocess.CompletedProcess:
    """What ``python train.py *arguments`` does, with its output in ``stdout``."""
    process = started(*arguments, **options)
    try:
        told, _ = process.communicate(timeout=TIMEOUT)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    print(told)
    return subprocess.CompletedProcess(process.args, process.returncode, told)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def validated(folder: Path) -> list[dict[str, str]]:
    """The validations of a run, as they are in its curve."""
    curve = rows(folder / "logs" / "csv" / "metrics.csv")
    return [{key: text for key, text in row.items() if key.startswith("val/")} for row in curve if row["val/loss"]]


def same(sweep: Path, other: Path) -> bool:
    """Whether both jobs of two sweeps have the same figures, to the last digit."""
    return [figures(sweep / job) for job in "01"] == [figures(other / job) for job in "01"]


@pytest.mark.joblib
def test_jobs_at_the_same_time_give_the_table_of_jobs_in_turn(home, train, swept):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs pip install 'pullback[cluster]'")
    done = program(*train, "-m", *SWEEP, "cluster=local", f"hydra.sweep.dir={home / 'joblib'}")
    assert done.returncode == 0 and same(home / "joblib", swept)
    *_, row, _, figure = done.stdout.rstrip().splitlines()
    assert row.startswith("| 1 "), "the sweep ends in its table"
    assert figure == f"written: {home / 'joblib' / 'sweep.png'}" and (home / "joblib" / "sweep.png").is_file()


@pytest.mark.ray
def test_jobs_of_ray_give_the_table_of_jobs_in_turn(home, train, swept):
    python = os.environ.get("PULLBACK_RAY_PYTHON", sys.executable)
    if python == sys.executable and importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None:
        pytest.skip("needs pip install 'pullback[ray]', or PULLBACK_RAY_PYTHON, an interpreter that has it")
    done = program(*train, "-m", *SWEEP, "cluster=ray", f"hydra.sweep.dir={home / 'ray'}", python=python)
    assert done.returncode == 0 and same(home / "ray", swept)


@pytest.mark.ddp
def test_two_processes_validate_and_score_as_one_does(home, train):
    """Three validation pairs and six test pairs; a step is two pairs, of two processes or of one after the other."""
    both = [*train, "trainer.val_check_interval=4", "loss.consistency.weight=1.0"]
    one = program(*both, "trainer.accumulate_grad_batches=2", f"hydra.run.dir={home / 'one'}")
    cache = home / "cache-of-two"
    two = program(
        *(part for part in both if not part.startswith(("trainer=", "trainer.val_check", "paths.cache_dir"))),
        *("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.val_check_interval=2"),
        *(f"paths.cache_dir={cache}", f"hydra.run.dir={home / 'two'}"),
        OMP_NUM_THREADS=str(os.cpu_count()),  # of each: two of them would share cores
    )
    assert (one.returncode, two.returncode) == (0, 0)
    assert len(validated(home / "two")) == 5 and validated(home / "two") == validated(home / "one")
    pairs = rows(home / "two" / "train_pairs.csv")
    assert len(pairs) == 16 + 5 * 3 and pairs == rows(home / "one" / "train_pairs.csv")
    assert figures(home / "two") == figures(home / "one") and metrics(home / "two")["results"][0]["failed"] == 0
    operators = len(list((home / "cache" / "operators").rglob("*.npz")))
    assert len(list((cache / "operators").rglob("*.npz"))) == operators > 0, "one process filled the cache"


@pytest.mark.ddp
def test_a_process_without_a_pair_lets_the_other_score_the_only_one(home, train):
    typed = [part for part in train if not part.startswith(("trainer", "recipe", "callbacks", "data.val"))]
    of_two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.test_pairs=1", "untrained=true"]
    done = program(*typed, *of_two, f"hydra.run.dir={home / 'only'}", name="eval")
    assert done.returncode == 0 and metrics(home / "only")["results"][0]["pairs"] == 1


@pytest.mark.ddp
@pytest.mark.parametrize("cluster", ["one_by_one", "local"])
def test_each_job_of_a_sweep_has_two_processes_of_its_own(home, train, cluster):
    if cluster == "local":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs pip install 'pullback[cluster]'")
    sweep = home / f"two-{cluster}"
    short = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_steps=2", "run=[]"]
    typed = [*(part for part in train if not part.startswith(("trainer=", "run="))), *short]
    done = program(*typed, "data.val_shapes=0", "-m", *SWEEP, f"cluster={cluster}", f"hydra.sweep.dir={sweep}")
    assert done.returncode == 0 and sorted(path.name for path in sweep.glob("*/")) == ["0", "1"]
    first, second = (rows(sweep / job / "train_pairs.csv") for job in "01")
    assert [row["step"] for row in first] == [row["step"] for row in second] == ["1", "1", "2", "2"]
    assert [row["pair"] for row in first] == [row["pair"] for row in second]
    assert [row["loss"] for row in first] != [row["loss"] for row in second], "each has the value of its job"


@pytest.fixture(scope="module")
def slurm() -> Iterator[str]:
    """A Slurm on this machine; its configuration file."""
    programs = ("slurmctld", "slurmd", "slurmdbd", "munged", "mysqld_safe")
    lacking = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if lacking or os.geteuid() != 0:
        pytest.skip(f"needs root, and {', '.join(lacking) or 'nothing more'}: .ci/slurm install")
    pytest.importorskip("submitit", reason="needs pip install 'pullback[cluster]'")
    folder = Path(tempfile.mkdtemp(prefix="pullback-slurm-"))  # pytest's own is for its user alone; MariaDB is another
    folder.chmod(0o755)
    try:
        subprocess.run([SLURM, "start", folder], check=True, timeout=90)
        yield str(folder / "slurm.conf")
    finally:
        subprocess.run([SLURM, "stop", folder], check=True, timeout=90)
        shutil.rmtree(folder)


@pytest.mark.slurm
def test_a_job_of_slurm_that_is_requeued_goes_on_and_the_table_is_the_same(home, train, swept, slurm):
    sweep = home / "slurm"
    of_one_core = ["hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2", f"hydra.sweep.dir={sweep}"]
    driver = started(*train, "-m", *SWEEP, "cluster=slurm", *of_one_core, SLURM_CONF=slurm)
    try:
        last = sweep / "0" / "checkpoints" / "last.ckpt"
        while driver.poll() is None and not last.is_file():
            time.sleep(0.05)
        job = rows(sweep / "0" / "attempts.csv")[0]["job"]
        subprocess.run(["scontrol", "requeue", job], check=True, env={**os.environ, "SLURM_CONF": slurm})
        told, _ = driver.communicate(timeout=TIMEOUT)
    finally:
        driver.kill()
    print(told)
    assert driver.returncode == 0 and same(sweep, swept)
    attempts = rows(sweep / "0" / "attempts.csv")
    assert len(attempts) == 2 and int(attempts[1]["from_step"]) > 0 and attempts[1]["job"] == job
    assert metrics(sweep / "0")["training"]["resumptions"] == 1
    assert len(list((sweep / "0" / "logs" / "tensorboard").glob("events.*"))) == 1
    assert validated(sweep / "0") == validated(swept / "0")


@pytest.mark.slurm
def test_what_is_wrong_with_a_job_of_slurm_is_told_where_it_was_typed(home, train, slurm):
    wrong = [*train, "-m", "solver.k_init=500", "cluster=slurm", f"hydra.sweep.dir={home / 'wrong'}"]
    done = program(*wrong, SLURM_CONF=slurm)
    assert done.returncode == 1 and "error: job 0 " in done.stdout and "eigenfunctions" in done.stdout


def test_without_slurm_the_message_says_where_to_type_the_command(home, train, tmp_path):
    pytest.importorskip("submitit", reason="needs pip install 'pullback[cluster]'")
    done = program(*train, "-m", *SWEEP, "cluster=slurm", f"hydra.sweep.dir={home / 'none'}", PATH=str(tmp_path))
    assert done.returncode == 1 and "there is no Slurm here" in done.stdout


@pytest.mark.joblib
def test_a_study_of_optuna_goes_on_with_what_it_knows(home, train):
    optuna = pytest.importorskip("optuna", reason="needs pip install 'pullback[optuna]'")
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs pip install 'pullback[optuna]'")
    storage = f"sqlite:///{home}/study/study.db"
    for turn in ("first", "second"):
        study = [f"hydra.sweeper.storage={storage}", "hydra.sweeper.n_trials=1", "hydra.sweeper.n_jobs=1"]
        done = program(*train, "sweep=optuna_sigma", *study, f"hydra.sweep.dir={home / 'study' / turn}")
        assert done.returncode == 0
    (name,) = optuna.get_all_study_summaries(storage)
    values = [trial.value for trial in optuna.load_study(study_name=name.study_name, storage=storage).trials]
    assert len(values) == 2 and None not in values
    assert json.loads((home / "study" / "second" / "0" / "metrics.json").read_text())["results"]
