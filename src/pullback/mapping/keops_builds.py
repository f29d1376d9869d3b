"""The folder in which KeOps builds: one process at a time, and leftovers of killed ones are cleared first.

KeOps takes a library for built as soon as its file is there. A compiler that was killed leaves an empty or cut one, on
which every later run would end.
"""

import contextlib
import logging
import os
import pickletools
import platform
import re
import struct
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pullback.locks import turn

log = logging.getLogger(__name__)

_LOCK = ".pullback.lock"
_LIST = "_cache.pkl"  # of the formulas that KeOps has seen, written when a process ends
# the names of generated code, with its description in a file of its own, written last
_HASHED = re.compile(r"[0-9a-f]{10}")
_DESCRIPTION = re.compile(r"red_formula=.*\ndim=.+\ntagI=.+\ndimy=\d+$", re.DOTALL)


def build_folders() -> list[Path]:
    """Where KeOps builds for this machine and this Python (made if needed); with CUDA one for each choice of GPUs."""
    chosen = os.environ.get("KEOPS_CACHE_FOLDER")
    try:
        home = Path(chosen) if chosen else Path.home() / ".cache" / f"keops{version('keopscore')}"
    except PackageNotFoundError:
        return []
    name = "_".join(platform.uname()[:3]) + f"_p{sys.version.split(' ')[0]}"
    with contextlib.suppress(OSError):  # KeOps will say so
        (home / name).mkdir(parents=True, exist_ok=True)
    return sorted(path for path in home.glob("*") if path.name.startswith(name) and path.is_dir())


@contextlib.contextmanager
def one_builder() -> Iterator[None]:
    """Within, no other process of ours builds kernels, and what an interrupted build left has been removed.

    Where the folder can hold no lock, several may build the same at once.
    """
    with contextlib.ExitStack() as stack:
        for folder in build_folders():
            with contextlib.suppress(OSError):
                stack.enter_context(turn(folder / _LOCK, waiting=_tell_waiting))
            remove_broken(folder)
        yield


def _tell_waiting() -> None:
    log.warning("waiting for another process that builds KeOps kernels")


def remove_broken(folder: Path) -> list[Path]:
    """Removes what an interrupted build left, with a warning; returns the files.

    The lists of known formulas go last: they must not promise code that is not there.
    """
    files = [path for path in sorted(folder.glob("*")) if path.is_file()]
    broken = []
    for path in sorted(files, key=lambda path: path.name.endswith(_LIST)):
        if _is_broken(path):
            broken.append(path)
            with contextlib.suppress(OSError):
                path.unlink()
    if broken:
        log.warning(
            "KeOps: an interrupted build was found in %s (%s); it is done again",
            folder,
            ", ".join(path.name for path in broken),
        )
    return broken


def _is_broken(path: Path) -> bool:
    if path.suffix == ".so":
        return not is_whole_library(path)
    if path.name.endswith(_LIST):
        return not _is_true_list(path)
    if _HASHED.fullmatch(path.stem):
        return not _is_whole_code(path.with_suffix(""))
    return False


def _is_whole_code(stem: Path) -> bool:
    """Whether the generated code of a formula is there, and its description, which is written after it."""
    description, code = (
        stem.with_suffix(".nfo"),
        [path for path in stem.parent.glob(f"{stem.name}.*") if path.suffix != ".nfo"],
    )
    described = description.is_file() and _DESCRIPTION.match(description.read_text(errors="replace"))
    return bool(described and code and all(path.stat().st_size for path in code))


def is_whole_library(path: Path) -> bool:
    """Whether a shared library is complete: on Linux, whether all that its tables name lies within the file."""
    content = path.read_bytes()
    if not sys.platform.startswith("linux"):
        return bool(content)
    if len(content) < 64 or content[:5] != b"\x7fELF\x02":
        return False
    segments, sections = struct.unpack_from("<QQ", content, 32)
    segment_size, n_segments, section_size, n_sections = struct.unpack_from("<HHHH", content, 54)
    if not n_segments or max(segments + segment_size * n_segments, sections + section_size * n_sections) > len(content):
        return False
    ends = [sum(struct.unpack_from("<Q16xQ", content, segments + i * segment_size + 8)) for i in range(n_segments)]
    return max(ends) <= len(content)


def _is_true_list(path: Path) -> bool:
    """Whether a list of formulas is whole, and the code that it names is there.

    Read without building anything of it.
    """
    try:
        values = [value for _, value, _ in pickletools.genops(path.read_bytes())]
    except Exception:  # pickletools reports cut files in many ways
        return False
    names = {value for value in values if isinstance(value, str) and _HASHED.fullmatch(value)}
    return all(_is_whole_code(path.with_name(name)) for name in names)
