"""The package as its users get it: built, installed into a fresh environment, called in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest
from tests.composing import CONFIGS, ROOT
from tests.fakes import write_mesh

import pullback

pytestmark = pytest.mark.slow


def done(*command: str | Path, folder: Path) -> subprocess.CompletedProcess:
    """A finished process that knows nothing of the checkout."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PULLBACK"))}
    quiet = {"PULLBACK_CACHE_DIR": str(folder / "cache"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run([*map(str, command)], cwd=folder, env=kept | quiet, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = done(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"),
        *("--wheel-dir", folder, ROOT),
        folder=folder,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of a fresh environment: the wheel, and beside it the packages of this one, without its ``.pth``."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    base = {"base": str(folder), "platbase": str(folder)}
    paths = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (Path(sysconfig.get_path("purelib", vars=base)) / "packages.pth").write_text("\n".join(paths))
    pip = (sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-deps", "--no-index")
    answer = done(*pip, wheel, folder=folder)
    assert answer.returncode == 0, answer.stderr
    return programs


def test_the_wheel_holds_configurations_embedded_data_and_licence_once(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(set(names)) == len(names)
    committed = [path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.yaml") if "local" not in path.parts]
    assert {f"pullback/configs/{path.as_posix()}" for path in committed} <= set(names)
    assert {"pullback/embedded/humans/off/human_000.off", "pullback/embedded/photos/pairs.json"} <= set(names)
    assert {"pullback/py.typed", "pullback/comparison/published.yaml"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_nothing_of_this_machine_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "configs/local" in name or "cache" in name.split("/")]


def test_version_and_licence_of_the_wheel_are_those_of_the_code(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        fields = Parser().parsestr(archive.read(metadata).decode())
    assert (fields["Version"], fields["License-Expression"]) == (pullback.__version__, "MIT")


def test_two_files_are_matched_in_an_empty_folder_elsewhere(installed, tmp_path, icosphere, permuted_twin):
    write_mesh(tmp_path / "a.off", *icosphere)
    write_mesh(tmp_path / "b.off", *permuted_twin[:2])
    answer = done(
        installed / "pullback", "match", "a.off", "b.off", "data.k=150", "backbone.descriptor.k=120", folder=tmp_path
    )
    assert answer.returncode == 0, answer.stderr
    (found,) = tmp_path.glob("runs/match/*/match.npz")
    with np.load(found) as match:
        assert (match["p2p21"] == permuted_twin[2]).mean() > 0.9
    assert (found.parent / "report" / "index.html").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"a.off", "b.off", "runs", "cache"}


def test_the_commands_find_their_configurations_and_speak_of_themselves(installed, tmp_path):
    answer = done(installed / "pullback", "eval", "--help", folder=tmp_path)
    assert answer.returncode == 0 and "diff_zoomout" in answer.stdout
    answer = done(installed / "pullback", "eval", "dataset=faust", "method=zoomout", folder=tmp_path)
    assert answer.returncode == 1
    assert "pullback check-data" in answer.stderr and ".py" not in answer.stderr


def test_the_embedded_data_are_found(installed, tmp_path):
    show = (installed / "pullback", "train", "--cfg", "job", "--resolve", "--package", "dataset.humans")
    answer = done(*show, "paths.output_dir=x", folder=tmp_path)
    assert answer.returncode == 0, answer.stderr
    (root,) = (line.split(": ")[1] for line in answer.stdout.splitlines() if line.startswith("root: "))
    assert (Path(root) / "off" / "human_000.off").is_file()


def test_data_sets_are_looked_for_in_the_folder_that_is_named(installed, tmp_path):
    (tmp_path / "data").mkdir()
    answer = done(installed / "pullback", "check-data", "--sets", "faust", folder=tmp_path)
    assert answer.returncode == 1 and "absent" in answer.stdout


def test_own_configurations_come_from_outside(installed, tmp_path):
    (tmp_path / "mine" / "solver").mkdir(parents=True)
    (tmp_path / "mine" / "solver" / "short.yaml").write_text("_target_: pullback.solvers.zoomout.ZoomOut\nk_init: 17\n")
    show = ("match", "--config-dir", "mine", "solver=short", "source=a", "target=b", "--cfg", "job", "-p", "solver")
    answer = done(installed / "pullback", *show, folder=tmp_path)
    assert answer.returncode == 0 and "k_init: 17" in answer.stdout, answer.stderr
