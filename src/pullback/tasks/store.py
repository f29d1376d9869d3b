"""Predictions on disk: match once, score many times.

A folder for each data set, with one npz a pair and a ``fingerprint.json`` that tells which configuration made them all.
A run that was stopped goes on where it ended; a run with another configuration is refused.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from pullback.data.shards import Shard
from pullback.errors import UserError
from pullback.files import read_json
from pullback.moved import with_present_names
from pullback.plain_data import plain_data, printable
from pullback.tasks.stored_arrays import UnusableMap, check_arrays, check_size
from pullback.writing import write_atomically, write_text_atomically

log = logging.getLogger(__name__)

_FINGERPRINT = "fingerprint.json"
_SHARD = re.compile(r"shard-(\d+)-of-(\d+)\.txt")
_FAILED = ".failed.txt"  # in the place of .npz
_LONGEST_REASON = 2000  # characters
_LONGEST_NAME = 120  # characters before ".npz"; file systems allow 255 bytes


class ForeignPredictions(UserError, ValueError):
    """The folder holds predictions of another configuration, or of none that can be told."""


class DamagedPrediction(UserError, ValueError):
    """A stored file holds no match, or that of another pair. The message names it."""


class NoPredictions(UserError, FileNotFoundError):
    """The folder holds no predictions."""


@dataclass(frozen=True)
class Prediction:
    """What was stored of one pair: the point map 2 → 1 and whatever else came with it (``fmap12``, ``seconds``, …)."""

    p2p21: Int[Tensor, " n2"]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


class PredictionStore:
    """The predictions of one configuration on one data set.

    ``fingerprint`` is the part of the resolved configuration (plain containers) on which predictions depend: data,
    backbone, checkpoint, solver. Raises ForeignPredictions when the folder was filled under another one.
    """

    def __init__(self, directory: str | Path, fingerprint: Mapping[str, Any]) -> None:
        self.directory = Path(directory)
        # as it will be read back: lists, not tuples
        self.fingerprint = json.loads(json.dumps(fingerprint, sort_keys=True))
        self._check_or_sign()

    @classmethod
    def open(cls, directory: str | Path) -> "PredictionStore":
        """An existing store under its own fingerprint. Raises NoPredictions where there is none."""
        path = Path(directory) / _FINGERPRINT
        if not cls.is_in(Path(directory)):
            raise NoPredictions(
                f"no stored predictions in {directory}: it has no {_FINGERPRINT}. Give predictions= the folder "
                "predictions/ of a run"
            )
        return cls(directory, _read_fingerprint(path))

    @staticmethod
    def is_in(directory: Path) -> bool:
        """Whether a folder is a store."""
        return (directory / _FINGERPRINT).is_file()

    @property
    def signature(self) -> Path:
        """The file that holds the fingerprint."""
        return self.directory / _FINGERPRINT

    @property
    def sha256(self) -> str:
        return fingerprint_sha256(self.fingerprint)

    def path(self, pair: str) -> Path:
        """The file of a pair, whatever characters its name has (a name of DT4D holds slashes)."""
        safe = quote(pair, safe="+=,@ ")
        if len(safe) > _LONGEST_NAME:
            safe = f"{safe[:80]}~{hashlib.sha256(pair.encode()).hexdigest()[:16]}"
        return self.directory / f"{safe}.npz"

    def save(self, pair: str, p2p21: Int[Tensor, " n2"], **arrays: Any) -> None:
        """Stores the point map 2 → 1 and further arrays or tensors by name (None is left out)."""
        extra = {name: _as_array(value) for name, value in arrays.items() if value is not None}
        content: dict[str, Any] = {"pair": np.array(pair), "p2p21": _as_array(p2p21).astype(np.int32), **extra}
        write_atomically(self.path(pair), lambda file: np.savez(file, **content))
        self._failure_path(pair).unlink(missing_ok=True)

    def load(self, pair: str) -> Prediction | None:
        """What is stored of the pair; None if nothing is. A damaged file counts as nothing, with a warning."""
        try:
            return self.read(pair)
        except DamagedPrediction as error:
            log.warning("%s; the pair %s counts as not matched yet", error, pair)
            return None

    def read(self, pair: str) -> Prediction | None:
        """What is stored of the pair; None if nothing is.

        Raises DamagedPrediction for a file that holds no match of the pair.
        """
        path = self.path(pair)
        if not path.exists():
            return None
        if not path.is_file():
            raise DamagedPrediction(f"{path} is no file but a folder, a device or a pipe. Remove it")
        name, prediction = _read(path)
        if name != pair:
            raise DamagedPrediction(f"{path} belongs to the pair {printable(name, longest=200)}, not to {pair}")
        return prediction

    def pairs(self) -> list[str]:
        """The names of the stored pairs, in the order of their files; a damaged file is passed over with a warning."""
        names = []
        for path in sorted(self.directory.glob("*.npz")):
            try:
                names.append(_read(path)[0])
            except DamagedPrediction as error:
                log.warning("%s; it is passed over", error)
        return names

    def save_failure(self, pair: str, reason: str) -> None:
        """Keeps why a pair could not be matched, until it is."""
        write_atomically(
            self._failure_path(pair), lambda file: file.write(reason[:_LONGEST_REASON].encode(errors="replace"))
        )

    def failure(self, pair: str) -> str | None:
        """Why the pair could not be matched; None where nobody said."""
        path = self._failure_path(pair)
        if not path.is_file():
            return None
        with open(path, encoding="utf-8", errors="replace") as file:
            return printable(file.read(_LONGEST_REASON))

    def _failure_path(self, pair: str) -> Path:
        return self.path(pair).with_suffix(_FAILED)

    def is_untried(self, pair: str) -> bool:
        """Whether neither a match of the pair is here nor a word on why there is none."""
        return not self.path(pair).exists() and not self._failure_path(pair).exists()

    def mark_shard(self, shard: Shard) -> None:
        """Keeps that a process has begun with this share of the pairs."""
        path = self.directory / f"shard-{shard.number}-of-{shard.of}.txt"
        write_atomically(path, lambda file: file.write(f"begun: {shard}\n".encode()))

    @property
    def shards(self) -> set[Shard]:
        """The shares that some process has begun with."""
        names = [_SHARD.fullmatch(path.name) for path in self.directory.glob("shard-*-of-*.txt")]
        return {Shard.named(f"{name[1]}/{name[2]}") for name in names if name is not None}

    def __contains__(self, pair: str) -> bool:
        return self.load(pair) is not None

    def take_from(self, other: "PredictionStore") -> int:
        """Copies what only the other store has (a shard of a cluster run): pairs, why others failed, which shards.

        Returns how many pairs.

        Raises ForeignPredictions unless both have the same fingerprint.
        """
        if other.fingerprint != self.fingerprint:
            raise ForeignPredictions(_refusal(other.directory, other.fingerprint, self.fingerprint))
        taken = 0
        for path in sorted(other.directory.glob("*.npz")):
            try:
                pair, prediction = _read(path)
            except DamagedPrediction as error:
                log.warning("%s; it is left where it is", error)
                continue
            if pair not in self:
                self.save(pair, prediction.p2p21, **prediction.arrays)
                taken += 1
        for path in sorted(other.directory.glob(f"*{_FAILED}")):
            if path.is_file() and not (self.directory / path.name.replace(_FAILED, ".npz")).exists():
                reason = path.read_bytes()[:_LONGEST_REASON].decode(errors="replace")
                write_text_atomically(self.directory / path.name, reason)
        for shard in other.shards:
            self.mark_shard(shard)
        return taken

    def _check_or_sign(self) -> None:
        path = self.signature
        filled = any(self.directory.glob("*.npz"))  # asked first: other processes sign before they fill
        if path.exists():
            stored = _read_fingerprint(path)
            if stored != self.fingerprint:
                raise ForeignPredictions(_refusal(self.directory, stored, self.fingerprint))
            return
        if filled:
            raise ForeignPredictions(
                f"{self.directory} holds npz files but no {_FINGERPRINT}: nobody knows what made them. {_ADVICE}"
            )
        signed = {"sha256": self.sha256, "config": self.fingerprint}
        write_atomically(path, lambda file: file.write(json.dumps(signed, indent=2, sort_keys=True).encode()))


def fingerprint_sha256(fingerprint: Mapping[str, Any]) -> str:
    """Hash of plain containers that does not depend on the order of their keys."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


_ADVICE = "Use another folder (hydra.run.dir=NEW_DIR), or delete this one to match its pairs anew"


def _read(path: Path) -> tuple[str, Prediction]:
    try:
        check_size(path)
        with np.load(path, allow_pickle=False) as archive:  # reading a member checks its CRC
            content = {name: archive[name] for name in archive.files}
        pair = str(content.pop("pair"))
        check_arrays(content)
    except UnusableMap as error:
        raise DamagedPrediction(f"{path} holds no match: {error}") from error
    except Exception as error:  # a broken zip archive raises about anything
        raise DamagedPrediction(f"{path} is damaged ({type(error).__name__}: {error})") from error
    return pair, Prediction(torch.from_numpy(content.pop("p2p21").astype(np.int64)), content)


def _read_fingerprint(path: Path) -> dict[str, Any]:
    try:
        signed = plain_data(read_json(path), what="it")
        if not isinstance(signed["config"], dict) or fingerprint_sha256(signed["config"]) != signed["sha256"]:
            raise ValueError("its hash does not fit its content")
        return with_present_names(signed["config"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ForeignPredictions(f"{path} is damaged or was edited ({error}). {_ADVICE}") from error


def _refusal(directory: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    before, now = dict(_flat(stored)), dict(_flat(asked))
    absent = "(absent)"
    changed = [key for key in sorted(before | now) if before.get(key, absent) != now.get(key, absent)]
    shown = [f"  {key}: stored {before.get(key, absent)}, asked for {now.get(key, absent)}" for key in changed[:20]]
    if len(changed) > 20:
        shown.append(f"  … and {len(changed) - 20} more")
    same = " ".join(f"{key}={before[key]}" for key in changed[:3] if key in before)
    again = f", or type {same} to go on with the stored ones" if same and len(changed) <= 3 else ""
    return (
        f"the predictions in {directory} were made with another configuration:\n"
        + "\n".join(shown)
        + f"\n{_ADVICE}{again}"
    )


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _flat(below, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _as_array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
