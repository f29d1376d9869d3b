"""Where a figure comes from: command, commit, versions, hardware."""

import os
import platform
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import pullback
from pullback.places import called_as

_PACKAGES = (
    *("torch", "lightning", "torchmetrics", "numpy", "scipy", "hydra-core", "omegaconf"),
    *("torch-geometric", "transformers", "diffusers"),
    *("potpourri3d", "fast-simplification", "meshio", "robust-laplacian", "pykeops", "matplotlib"),
)
# KEY='some/path' or KEY='name.off', which mean the same to Hydra without the quotes.
_QUOTED_PATH = re.compile(r"^(\+{0,2}[\w.@/]+=)'([\w./~-]*(?:/[\w./~-]*|\.[A-Za-z]{2,}))'$")


def run_facts() -> dict[str, Any]:
    """``command, commit, dirty, versions, hardware`` of this process, as plain containers."""
    return {
        "command": command_line(),
        **commit_of(Path(pullback.__file__)),
        "versions": versions(),
        "hardware": hardware(),
    }


def command_line() -> str:
    """The command as it could be typed again in the same folder: paths without the quotes that they have for Hydra."""
    words = (_QUOTED_PATH.sub(r"\1\2", word) for word in sys.argv[1:])
    return f"{called_as()} {shlex.join(words)}".rstrip()


def commit_of(file: Path) -> dict[str, Any]:
    """``commit`` (hash) and ``dirty`` (uncommitted changes?) of the repository that tracks the file.

    Both are None where no repository tracks it: an installed copy, or a machine without git. An environment that lies
    inside some repository is not tracked by it.
    """
    folder = file.resolve().parent
    if _git(folder, "ls-files", "--error-unmatch", file.name) is None:
        return {"commit": None, "dirty": None}
    status = _git(folder, "status", "--porcelain")
    return {"commit": _git(folder, "rev-parse", "HEAD"), "dirty": None if status is None else status != ""}


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the installed ones among those that can change a figure."""
    found = {"python": platform.python_version(), "pullback": pullback.__version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, usable cores, threads of PyTorch, memory in GiB, and the GPUs that PyTorch sees."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = (
        [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "memory_gib": _memory_gib(),
        "gpu": [{"name": gpu.name, "memory_gib": round(gpu.total_memory / 2**30, 1)} for gpu in gpus],
        "system": platform.platform(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # not every system counts its pages
        return None
