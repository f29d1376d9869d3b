"""Split lists: ``train.txt`` and ``test.txt``, one shape name a line, that say which shapes belong to which split."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pullback.data.errors import ListError, MissingDataError, shorten
from pullback.data.mesh.io import is_mesh_file, mesh_name
from pullback.files import read_lines

_NAMES = MappingProxyType({"train": "train.txt", "test": "test.txt"})


def has_lists(folder: Path, *, files: Mapping[str, str] = _NAMES) -> bool:
    """Whether one of the two lists is in the folder."""
    return any((folder / file).is_file() for file in files.values())


def listed_splits(folder: Path, known: Sequence[str], *, files: Mapping[str, str] = _NAMES) -> dict[str, list[str]]:
    """The names of each split, in the lists' order; with one list, the other split is the rest of ``known``.

    ``files``: the names of the two lists, where they are not train.txt and test.txt. Raises MissingDataError without
    any list and for names that are not known, ListError for a name in both lists or twice in one.
    """
    lists = {split: _listed(folder / file, known) for split, file in files.items() if (folder / file).is_file()}
    if not lists:
        raise MissingDataError(
            f"looked in {folder} for {' or '.join(files.values())}, one shape name a line. Write one of them there"
        )
    check_apart(folder, lists, files=files)
    for split, other in (("train", "test"), ("test", "train")):
        if split not in lists:
            taken = set(lists[other])
            lists[split] = [name for name in known if name not in taken]
    return lists


def check_apart(folder: Path, lists: Mapping[str, Sequence[str]], *, files: Mapping[str, str] = _NAMES) -> None:
    """Raises ListError for names that are in the lists of both splits."""
    both = sorted(set(lists.get("train", ())) & set(lists.get("test", ())))
    if both:
        raise ListError(
            f"{folder}: {len(both)} names are in both {files['train']} and {files['test']} ({shorten(both)}): "
            "strike them from one"
        )


def read_names(path: Path) -> list[str]:
    """A list of shape names, one a line; the ending of a mesh or of its ground truth may be given.

    Empty lines, lines that begin with #, and what follows a # after a blank do not count.

    Raises MissingFileError and TextFileError, as ``read_lines``.
    """
    return [name for _, name in numbered_names(path)]


def numbered_names(path: Path) -> list[tuple[int, str]]:
    """As ``read_names``, with the line of each."""
    lines = (
        (number, re.sub(r"(^|\s)#.*", "", line.strip().strip("\ufeff")).strip())
        for number, line in enumerate(read_lines(path, what="list of names"), start=1)
    )
    return [(number, _without_ending(line)) for number, line in lines if line]


def name_among(known: Collection[str], written: str) -> str:
    """Which of the known names a list means: as it is written, or without the folders that stand in front of it.

    As it is written where none fits.
    """
    parts = written.replace("\\", "/").split("/")
    return next((name for i in range(len(parts)) if (name := "/".join(parts[i:])) in known), written)


def _without_ending(name: str) -> str:
    if name.lower().endswith(".vts"):
        return name[: -len(".vts")]
    return name.removesuffix(Path(name).name) + mesh_name(name) if is_mesh_file(name) else name


def _listed(path: Path, known: Sequence[str]) -> list[str]:
    """The names of a list. Raises MissingDataError and ListError, with file and line."""
    among = set(known)
    names = [
        (line, written if written in among else name_among(among, written)) for line, written in numbered_names(path)
    ]
    unknown = {name: line for line, name in reversed(names) if name not in among}
    if unknown:
        line = min(unknown.values())
        what = f"{path} (line {line}) names {len(unknown)} shapes that the data set does not have"
        raise MissingDataError(f"{what}: {shorten(sorted(unknown))}. Correct it")
    lines: dict[str, int] = {}
    for line, name in names:
        if name in lines:
            raise ListError(f"{path}, line {line}: {name} was named in line {lines[name]} already. Strike one of them")
        lines[name] = line
    return list(lines)
