"""What an interrupted build of KeOps leaves is found and cleared away; what is whole stays."""

import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pullback.mapping.keops_builds as builds
from pullback.mapping.keops_builds import build_folders, is_whole_library, one_builder, remove_broken

INFO = "red_formula=Max_SumShiftExpWeight_Reduction(\n...)\ndim=4\ntagI=0\ndimy=5"


@pytest.fixture
def library() -> Path:
    """Some shared library of this machine."""
    return Path(importlib.util.find_spec("numpy._core._multiarray_umath").origin)


@pytest.fixture
def folder(tmp_path, monkeypatch, library) -> Path:
    """A finished build of one formula, as KeOps leaves it."""
    monkeypatch.setenv("KEOPS_CACHE_FOLDER", str(tmp_path))
    (folder,) = build_folders()
    (folder / "579cda1fb0.cpp").write_text("int main() {}")
    (folder / "579cda1fb0.nfo").write_text(INFO)
    (folder / "pykeops_cpp_579cda1fb0.cpp").write_text("int main() {}")
    shutil.copy(library, folder / "pykeops_cpp_579cda1fb0.cpython-311.so")
    (folder / "get_keops_dll_impl_cache.pkl").write_bytes(pickle.dumps({"formula": ("579cda1fb0", 4)}))
    (folder / "notes.txt").write_text("")
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_finished_build_stays(folder, caplog):
    before = names(folder)
    with one_builder():
        assert (folder / ".pullback.lock").exists()
    assert names(folder) == before and not caplog.records


@pytest.mark.parametrize(
    ("damage", "gone"),
    [
        (
            lambda f: (f / "pykeops_cpp_579cda1fb0.cpython-311.so").write_bytes(b""),
            ["pykeops_cpp_579cda1fb0.cpython-311.so"],
        ),
        (
            lambda f: os.truncate(f / "pykeops_cpp_579cda1fb0.cpython-311.so", 5000),
            ["pykeops_cpp_579cda1fb0.cpython-311.so"],
        ),
        (
            lambda f: (f / "579cda1fb0.cpp").write_text(""),
            ["579cda1fb0.cpp", "579cda1fb0.nfo", "get_keops_dll_impl_cache.pkl"],
        ),
        (lambda f: (f / "579cda1fb0.cpp").unlink(), ["579cda1fb0.nfo", "get_keops_dll_impl_cache.pkl"]),
        (lambda f: (f / "579cda1fb0.nfo").unlink(), ["579cda1fb0.cpp", "get_keops_dll_impl_cache.pkl"]),
        (
            lambda f: (f / "579cda1fb0.nfo").write_text(INFO[:30]),
            ["579cda1fb0.cpp", "579cda1fb0.nfo", "get_keops_dll_impl_cache.pkl"],
        ),
        (lambda f: (f / "get_keops_dll_impl_cache.pkl").write_bytes(b""), ["get_keops_dll_impl_cache.pkl"]),
        (lambda f: os.truncate(f / "get_keops_dll_impl_cache.pkl", 20), ["get_keops_dll_impl_cache.pkl"]),
    ],
)
def test_what_is_broken_is_removed_with_all_that_relies_on_it(folder, caplog, damage, gone):
    before = set(names(folder))
    damage(folder)
    removed = remove_broken(folder)
    assert sorted(path.name for path in removed) == gone
    assert not set(gone) & set(names(folder)) and before - set(gone) >= set(names(folder))
    assert "an interrupted build was found" in caplog.text
    assert remove_broken(folder) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux, whose format of libraries it breaks")
def test_a_library_that_is_cut_anywhere_is_told_from_a_whole_one(tmp_path, library):
    content, cut = library.read_bytes(), tmp_path / "cut.so"
    for size in (0, 1, 63, 64, 100, len(content) // 2, 3 * len(content) // 4):
        cut.write_bytes(content[:size])
        assert not is_whole_library(cut), size
    assert is_whole_library(library)
    cut.write_bytes(b"\0" * len(content))
    assert not is_whole_library(cut)


def test_without_keops_there_is_no_folder(monkeypatch):
    def absent(name):
        raise builds.PackageNotFoundError

    monkeypatch.delenv("KEOPS_CACHE_FOLDER", raising=False)
    monkeypatch.setattr(builds, "version", absent)
    assert build_folders() == []


PROGRAM = """
import torch
from pullback.mapping import soft_map
points = torch.arange(6.0)[:, None]
print("sum", soft_map(points, points, blur=0.1, backend="keops").pull_back(points).sum().item())
"""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("pykeops") is None or shutil.which("g++") is None,
    reason="needs pykeops (pip install 'pullback[keops]') and the compiler g++",
)
def test_an_empty_library_is_built_again(tmp_path):
    def run():
        environment = os.environ | {"KEOPS_CACHE_FOLDER": str(tmp_path)}
        return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)

    first = run()
    (library,) = tmp_path.glob("*/*.so")
    library.write_bytes(b"")
    again = run()
    assert again.returncode == 0, again.stderr
    assert "an interrupted build was found" in again.stderr
    assert first.stdout.splitlines()[-1] == again.stdout.splitlines()[-1] == "sum 15.0"
