"""Many pairs at once, ``pairs=list.csv``: a folder for each pair, one table; what is finished is not done again."""

import json
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import pullback
from pullback.data.cache import content_hash
from pullback.data.mesh.formats import content_of
from pullback.errors import UserError
from pullback.files import read_bytes, read_json
from pullback.runtime.doorway import in_one_paragraph, message_of
from pullback.runtime.pair_images import ImagePairs
from pullback.runtime.pair_lists import PairRow, read_pairs
from pullback.runtime.pair_meshes import MeshPairs
from pullback.runtime.settings import as_yaml
from pullback.runtime.signals import stopping
from pullback.tasks.pairs_overview import print_pairs, write_overview
from pullback.tasks.training.shipped import weights_file
from pullback.writing import telling_full_disks, write_text_atomically

_STATE = "pair.json"  # in the folder of a pair: what came of it, written last
# What says where files are, and what results are called, changes no result.
_ELSEWHERE = ("paths", "source", "target", "landmarks", "pairs")


class PairsFailed(UserError, RuntimeError):
    """Some pairs of a list could not be matched; the message says which, and why."""


@runtime_checkable
class Pairs(Protocol):
    """Matches the pairs of a list, of one kind."""

    def config(self, row: PairRow) -> Mapping[str, Any]:
        """What a pair is matched with, resolved."""
        ...

    def match(self, row: PairRow, folder: Path) -> Mapping[str, Any]:
        """Matches a pair and writes its folder; what the table says of it."""
        ...


def match_pairs(cfg: DictConfig) -> None:
    """Matches every pair of the list ``cfg.pairs`` and prints a table.

    Writes ``pairs.csv``, ``summary.json`` and ``index.html`` beside the folders of the pairs. A pair that is finished,
    with the same files and settings, is taken as it is. Raises PairsFailed at the end where pairs failed.
    """
    rows, folder = read_pairs(cfg.pairs), Path(cfg.paths.output_dir)
    pairs: Pairs = ImagePairs(cfg) if rows[0].is_image else MeshPairs(cfg)
    columns = (
        TextColumn("matching pairs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    found: list[Mapping[str, Any]] = []
    advice = f"finished pairs are kept in {folder}, and the same command goes on from there"
    with (
        stopping(advice),
        telling_full_disks(folder),
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("", total=len(rows))
        for row in rows:
            progress.update(task, description=row.name)
            found.append(_one(pairs, row, folder / row.name))
            if found[-1]["status"] == "failed":
                progress.console.print(
                    f"{row.name} failed: {found[-1]['error']}", markup=False, highlight=False, soft_wrap=True
                )
            progress.advance(task)
        progress.update(task, description="")
        index = write_overview(folder, found, title=f"Pairs of {Path(cfg.pairs).name}")
    print_pairs(found)
    print(f"one line a pair: {folder / 'pairs.csv'}, {folder / 'summary.json'}")
    print(f"report: {index}")
    failed = [each for each in found if each["status"] == "failed"]
    if failed:
        told = "; ".join(f"{each['name']} (line {each['line']}): {each['error']}" for each in failed[:5])
        more = f"; and {len(failed) - 5} more, see pairs.csv" if len(failed) > 5 else ""
        raise PairsFailed(
            f"{len(failed)} of {len(found)} pairs failed: {told}{more}. The same command tries only these again"
        )


def _one(pairs: Pairs, row: PairRow, folder: Path) -> Mapping[str, Any]:
    """What came of a pair: as it is stored, or matched now. An error is part of the answer."""
    known = {"name": row.name, "line": row.line, "source": row.source, "target": row.target}
    begun = time.perf_counter()
    try:
        fingerprint = _fingerprint(pairs.config(row), row)
        stored = _stored(folder / _STATE)
        if stored.get("fingerprint") == fingerprint:
            return {**stored["row"], **known, "status": "done before"}
        told = {**known, "status": "done", **pairs.match(row, folder)}
        told["seconds"] = round(time.perf_counter() - begun, 2)
        state = {"fingerprint": fingerprint, "row": told}
        write_text_atomically(folder / _STATE, json.dumps(state, indent=2, ensure_ascii=False) + "\n")
        return told
    except Exception as error:
        message = message_of(error)
        if message is None:  # a fault of the program: its place is of use to whoever reports it
            write_text_atomically(folder / "error.txt", "".join(traceback.format_exception(error)))
            message = f"{type(error).__name__}: {error}; see {folder / 'error.txt'}"
        return {**known, "status": "failed", "error": in_one_paragraph(message)}


def _stored(path: Path) -> dict[str, Any]:
    try:
        stored = read_json(path)
    except (UserError, OSError):
        return {}
    return stored if isinstance(stored, dict) and isinstance(stored.get("row"), dict) else {}


def _fingerprint(config: Mapping[str, Any], row: PairRow) -> str:
    """Equal for equal settings, files and weights."""
    settings = {key: value for key, value in config.items() if key not in _ELSEWHERE}
    files = {
        "source": read_bytes(Path(row.source)) if row.is_image else content_of(Path(row.source)),
        "target": read_bytes(Path(row.target)) if row.is_image else content_of(Path(row.target)),
        "landmarks": read_bytes(Path(row.landmarks)) if row.landmarks else b"",
        **{key: read_bytes(weights_file(str(config[key]))) if config.get(key) else b"" for key in ("ckpt", "weights")},
        "points": read_bytes(Path(config["points"])) if isinstance(config.get("points"), str) else b"",
    }
    return content_hash({"version": pullback.__version__, "settings": as_yaml(settings), **files})
