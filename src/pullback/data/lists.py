"""Split lists: ``train.txt`` and ``test.txt``, one shape name a line, that say which shapes belong to which split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pullback.data.dataset import MissingDataError, read_names, shortened

_NAMES = MappingProxyType({"train": "train.txt", "test": "test.txt"})


def has_lists(folder: Path, *, files: Mapping[str, str] = _NAMES) -> bool:
    """Whether one of the two lists is in the folder."""
    return any((folder / file).is_file() for file in files.values())


def listed_splits(folder: Path, known: Sequence[str], *, files: Mapping[str, str] = _NAMES) -> dict[str, list[str]]:
    """The names of each split, in the order of the lists; with one list only, the other split is the rest of the ``known`` names.

    ``files``: the names of the two lists, where they are not train.txt and test.txt. Raises MissingDataError without any list and for
    names that are not known, ValueError for a name in both lists.
    """
    lists = {split: _listed(folder / file, known) for split, file in files.items() if (folder / file).is_file()}
    if not lists:
        raise MissingDataError(f"looked in {folder} for {' or '.join(files.values())}, one shape name a line. Write one of them there")
    both = sorted(set(lists.get("train", ())) & set(lists.get("test", ())))
    if both:
        raise ValueError(
            f"{folder}: {len(both)} names are in both {files['train']} and {files['test']} ({shortened(both)}): strike them from one"
        )
    for split, other in (("train", "test"), ("test", "train")):
        if split not in lists:
            taken = set(lists[other])
            lists[split] = [name for name in known if name not in taken]
    return lists


def _listed(path: Path, known: Sequence[str]) -> list[str]:
    listed = read_names(path)
    unknown = sorted(set(listed) - set(known))
    if unknown:
        raise MissingDataError(f"{path} names {len(unknown)} shapes that the data set does not have: {shortened(unknown)}. Correct it")
    twice = sorted({name for name in listed if listed.count(name) > 1})
    if twice:
        raise ValueError(f"{path} names {len(twice)} shapes more than once: {shortened(twice)}. Strike the repetitions")
    return listed
