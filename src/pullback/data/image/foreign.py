"""Predictions that other programs wrote: a folder of flows, or a table of keypoints.

A flow is asked on image 2 and leads to image 1, in pixels of the whole photographs: ``NAME.flo`` with the name of the
pair, or at the place that the data set's own layout has for it (``JODS/car_03_04/flow2.flo`` of TSS); in its place an
array of NumPy, ``NAME.npy`` or ``NAME.npz``. Keypoints are the places on image 1 that the keypoints of image 2 are
carried to, in the order in which the data set lists them.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.errors import shorten
from pullback.data.image.annotations import keypoints_of
from pullback.data.image.flow_files import flow_files, read_flow
from pullback.errors import UserError
from pullback.files import MissingFileError, read_json, read_text

_COLUMNS = ("pair", "keypoint", "x", "y")
TABLES = (".csv", ".json")


class ForeignError(UserError, ValueError):
    """Predictions of another program that are damaged, or of other pairs. The message names the file."""


@dataclass(frozen=True)
class FlowFolder:
    """Flows in ``root``; ``places`` are the files that the pairs may have there, by name, the first ones first."""

    root: Path
    places: Mapping[str, Sequence[str]]

    @cached_property
    def _there(self) -> dict[str, list[Path]]:
        """The files of flows by the place that they are for, whatever their ending."""
        found: dict[str, list[Path]] = {}
        for path in flow_files(self.root):
            found.setdefault(path.relative_to(self.root).with_suffix(".flo").as_posix(), []).append(path)
        return found

    def files(self) -> list[Path]:
        """Those that belong to a pair. Raises ForeignError when none does."""
        wanted = {place for places in self.places.values() for place in places}
        if not wanted & set(self._there):
            there = [path.relative_to(self.root).as_posix() for paths in self._there.values() for path in paths]
            name, places = next(iter(self.places.items()))
            raise ForeignError(
                f"{self.root}: of its {len(there)} flows ({shorten(there)}) none is of a pair of this data set, whose "
                f"first is {name}: its flow is called {' or '.join(places)}"
            )
        return [path for place, paths in self._there.items() if place in wanted for path in paths]

    def strangers(self) -> list[str]:
        """The flows that belong to no pair; what lies in the folder of a pair is its own in the other direction."""
        used = self.files()
        homes = {path.parent for path in used} - {self.root}
        others = [path for paths in self._there.values() for path in paths if path not in used]
        return [path.relative_to(self.root).as_posix() for path in others if path.parent not in homes]

    def path(self, pair: str) -> Path | None:
        """The file of a pair; None where it has none. Raises ForeignError when it has two."""
        found = [path for place in self.places[pair] for path in self._there.get(place, ())]
        if len(found) > 1:
            raise ForeignError(f"{pair} has two flows, {found[0]} and {found[1]}: remove one")
        return found[0] if found else None

    def read(self, pair: str) -> Float[Tensor, "2 H W"]:
        """The flow of a pair. Raises MissingFileError with the names looked for, and ImageError for a damaged file."""
        path = self.path(pair)
        if path is not None:
            return read_flow(path)
        looked = " and ".join(str(self.root / place) for place in self.places[pair])
        raise MissingFileError(f"no flow of {pair}: looked for {looked}{self._other(pair)}")

    def _other(self, pair: str) -> str:
        """A hint where a flow of the other direction is there alone."""
        for place in map(Path, self.places[pair]):
            if place.name in ("flow1.flo", "flow2.flo"):
                other = place.with_name("flow2.flo" if place.name == "flow1.flo" else "flow1.flo")
                if (self.root / other).is_file():
                    return (
                        f". {other} is there, which leads the other way: the flow of this pair is asked on photograph "
                        f"{place.stem[-1]} (dataset.tss.directions=both asks both ways)"
                    )
        return ""


@dataclass(frozen=True)
class KeypointTable:
    """Keypoints on image 1 by the names of pairs, as a file has them."""

    path: Path
    points: Mapping[str, Float[Tensor, "t 2"]]

    @classmethod
    def of(cls, path: Path) -> "KeypointTable":
        """From a csv file with the columns pair, keypoint, x, y, or a json file ``{"PAIR": [[x, y], …], …}``.

        Keypoints are counted from 0. Raises ForeignError or ImageError with the line or the pair, and as ``read_text``.
        """
        if path.suffix.lower() == ".json":
            content = read_json(path)
            if not isinstance(content, dict):
                raise ForeignError(f'{path} should hold {{"PAIR": [[x, y], …], …}}, but is a {type(content).__name__}')
            points = {name: keypoints_of(written, f"{path}: {name}") for name, written in content.items()}
        else:
            points = {name: torch.tensor(rows) for name, rows in _rows_by_pair(path)}
        twice = sorted(name for name in points if _plain(name) != name and _plain(name) in points)
        if twice:
            raise ForeignError(f"{path}: {twice[0]} and {_plain(twice[0])} are one pair. Remove one")
        return cls(path, {_plain(name): some for name, some in points.items()})

    def read(self, pair: str) -> Float[Tensor, "t 2"]:
        """The keypoints of a pair; a pair that a sample holds again (``NAME~2``) has those of the first.

        Raises ForeignError.
        """
        for name in (pair, pair.partition("~")[0]):
            if name in self.points:
                return self.points[name]
        raise ForeignError(f"{self.path} has no keypoints of the pair {pair}. Add them: where each lands on image 1")

    def check(self, pairs: Sequence[str]) -> list[str]:
        """The names that belong to no pair. Raises ForeignError when none belongs to one."""
        if not self.points:
            raise ForeignError(
                f"{self.path} holds no keypoints. Write them: {','.join(_COLUMNS)} in each line of a .csv"
            )
        known = {name for pair in pairs for name in (pair, pair.partition("~")[0])}
        strangers = sorted(set(self.points) - known)
        if len(strangers) == len(self.points):
            raise ForeignError(
                f"{self.path}: of its {len(self.points)} pairs ({shorten(strangers)}) none is one of this data set, "
                f"whose first is {pairs[0]}"
            )
        return strangers


def _plain(name: str) -> str:
    """The name of a pair as results call it: SPair-71k's and AP-10K's annotations have a colon before the category."""
    return name.removesuffix(".json").replace(":", "_")


def _rows_by_pair(path: Path) -> Iterator[tuple[str, list[list[float]]]]:
    found: dict[str, dict[int, list[float]]] = {}
    text = read_text(path, what="table of keypoints")
    rows = csv.DictReader(io.StringIO(text), delimiter=_delimiter(text), skipinitialspace=True)
    try:
        heads = [name.strip().lower() for name in rows.fieldnames or ()]
        lacking = [name for name in _COLUMNS if name not in heads]
        if lacking:
            raise ForeignError(f"{path}, line 1: there is no column {lacking[0]}; it needs {','.join(_COLUMNS)}")
        rows.fieldnames = heads
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            if None in row:  # a comma in a number, a name with one
                raise ForeignError(f"{where}: more cells than the {len(heads)} columns have. Write it again")
            point = found.setdefault(row["pair"], {})
            number = _number(row, where)
            if number in point:
                raise ForeignError(f"{where}: keypoint {number} of {row['pair']} is there twice. Remove one")
            point[number] = keypoints_of([[_decimal(row["x"]), _decimal(row["y"])]], where)[0].tolist()
    except csv.Error as error:
        raise ForeignError(f"{path}, line {rows.line_num}: not a csv file ({error}). Write it again") from None
    for name, points in found.items():
        gaps = sorted(set(range(max(points) + 1)) - set(points))
        if gaps:
            raise ForeignError(f"{path}: {name} has keypoint {max(points)} but not {gaps[0]}. Keypoints count from 0")
        yield name, [points[i] for i in range(len(points))]


def _delimiter(text: str) -> str:
    """What stands between the names of the columns: spreadsheets write semicolons or tabs, too."""
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _number(row: Mapping[str, Any], where: str) -> int:
    text = row["keypoint"] or ""
    if not text.isdecimal() or len(text) > 6:
        raise ForeignError(f"{where}: keypoint should be a number from 0, but is {text[:40]!r}")
    return int(text)


def _decimal(text: str | None) -> float | str | None:
    try:
        return float(text or "")
    except ValueError:
        return text  # told with its line by whoever checks it
