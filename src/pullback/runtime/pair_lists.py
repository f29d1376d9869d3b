"""Lists of pairs to match, ``pairs=list.csv``: read before anything slow is imported."""

import csv
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pullback.data.kinds import looks_like_image
from pullback.errors import UserError
from pullback.files import MissingFileError, read_lines

COLUMNS = ("source", "target", "landmarks", "name")
_WANTED = "write `source,target` in its first line and two files in each line below, as in a.off,b.off"


class PairListError(UserError, ValueError):
    """A list of pairs that cannot be used. The message names file and line, and says what to do."""


@dataclass(frozen=True)
class PairRow:
    """One pair of a list."""

    name: str  # of its folder
    source: str
    target: str
    landmarks: str | None
    line: int

    @property
    def is_image(self) -> bool:
        """Whether photographs are matched."""
        return looks_like_image(self.source)


def read_pairs(path: str | Path) -> list[PairRow]:
    """The pairs of a list, whose files are all there, and all meshes or all photographs.

    ``.csv`` with commas or semicolons, or text with blanks; the first line may name the columns source, target,
    landmarks, name, else they come in this order. Names of files are those of the list's folder or of the current one.
    Blank lines and what follows a # are skipped. Raises PairListError, MissingFileError.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no list of pairs {path}; {_WANTED}")
    found: list[PairRow] = []
    columns: tuple[str, ...] = COLUMNS
    for number, cells in _lines(path):
        if not found and {cell.lower() for cell in cells} >= {"source", "target"}:
            columns = _columns(path, number, cells)
            continue
        if len(cells) > len(columns) or len(cells) < 2:
            raise PairListError(
                f"{path}, line {number}: {len(cells)} entries, but {', '.join(columns)} are wanted; {_WANTED}. A name "
                "with blanks or commas belongs in quotes"
            )
        found.append(_row(path, number, dict(zip(columns, cells, strict=False))))
    if not found:
        raise PairListError(f"{path}: there are no pairs in it; {_WANTED}")
    _check_kinds(path, found)
    return _named_apart(path, found)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that holds any."""
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in read_lines(path, what="list of pairs")]
    first = next((line for line in lines if line), "")
    mark = max(",;\t", key=first.count)
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        if first.count(mark):
            cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True))
        else:
            try:
                cells = shlex.split(line, posix=True) if "\\" not in line else line.split()
            except ValueError as error:
                raise PairListError(f"{path}, line {number}: {error}. Put names with quotes in double quotes") from None
        yield number, [cell.strip() for cell in cells]


def _columns(path: Path, number: int, cells: Sequence[str]) -> tuple[str, ...]:
    named = tuple(cell.lower() for cell in cells)
    unknown = [name for name in named if name not in COLUMNS]
    if unknown or len(set(named)) < len(named):
        told = unknown[0] if unknown else "one twice"
        raise PairListError(f"{path}, line {number}: the columns are {', '.join(COLUMNS)}, and it names {told}")
    return named


def _row(path: Path, number: int, cells: dict[str, str]) -> PairRow:
    files = {}
    for column in ("source", "target", "landmarks"):
        if column != "landmarks" or cells.get(column):
            files[column] = _file(path, number, column, cells.get(column, ""))
    name = cells.get("name") or f"{Path(files['source']).stem}-{Path(files['target']).stem}"
    plain = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "pair"
    return PairRow(plain, files["source"], files["target"], files.get("landmarks"), number)


def _file(path: Path, number: int, column: str, name: str) -> str:
    """The file of a cell: beside the list, or in the current folder."""
    places = [path.parent / Path(name).expanduser(), Path(name).expanduser()]
    there = next((place for place in places if name and place.is_file()), None)
    if there is None:
        told = f"{name!r} is neither in {path.parent} nor in the current folder" if name else "is not given"
        raise PairListError(f"{path}, line {number}: the {column} {told}; correct the line, or remove it")
    return str(there)


def _check_kinds(path: Path, rows: Sequence[PairRow]) -> None:
    """All meshes, or all photographs."""
    first = rows[0]
    for row in rows:
        for name in (row.source, row.target):
            if looks_like_image(name) != first.is_image:
                here, there = ("a mesh", "photographs") if first.is_image else ("a photograph", "meshes")
                raise PairListError(
                    f"{path}, line {row.line}: {name} is {here}, and line {first.line} names {there}; write a list for "
                    "each kind"
                )
        if row.landmarks and first.is_image:
            raise PairListError(f"{path}, line {row.line}: landmarks are vertices of meshes; leave them out")


def _named_apart(path: Path, rows: Sequence[PairRow]) -> list[PairRow]:
    """The rows with names that occur once: a second one gets a number."""
    found: list[PairRow] = []
    taken: set[str] = set()
    for row in rows:
        name, count = row.name, 1
        while name.lower() in taken:  # some disks do not know capitals
            count += 1
            name = f"{row.name}-{count}"
        taken.add(name.lower())
        found.append(replace(row, name=name))
    return found
