"""Split lists: ``train.txt`` and ``test.txt``, one shape name a line, that say which shapes belong to which split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pullback.data.errors import ListError, MissingDataError, shorten
from pullback.data.mesh.dataset import numbered_names

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
    both = sorted(set(lists.get("train", ())) & set(lists.get("test", ())))
    if both:
        raise ListError(
            f"{folder}: {len(both)} names are in both {files['train']} and {files['test']} ({shorten(both)}): "
            "strike them from one"
        )
    for split, other in (("train", "test"), ("test", "train")):
        if split not in lists:
            taken = set(lists[other])
            lists[split] = [name for name in known if name not in taken]
    return lists


def _listed(path: Path, known: Sequence[str]) -> list[str]:
    """The names of a list. Raises MissingDataError and ListError, with file and line."""
    lines: dict[str, int] = {}
    unknown = {name: line for line, name in numbered_names(path) if name not in set(known)}
    if unknown:
        line = min(unknown.values())
        what = f"{path} (line {line}) names {len(unknown)} shapes that the data set does not have"
        raise MissingDataError(f"{what}: {shorten(sorted(unknown))}. Correct it")
    for line, name in numbered_names(path):
        if name in lines:
            raise ListError(f"{path}, line {line}: {name} was named in line {lines[name]} already. Strike one of them")
        lines[name] = line
    return list(lines)
