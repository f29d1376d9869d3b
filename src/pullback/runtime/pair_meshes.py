"""The pairs of a list of meshes: parts are built once, and shapes are prepared once."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.data.mesh.shapes import PreparedShape
from pullback.mapping.pointmap import coverage
from pullback.runtime.checks import check
from pullback.runtime.match_meshes import MeshMatcher, match_and_write
from pullback.runtime.origin import with_origin
from pullback.runtime.pair_lists import PairRow
from pullback.runtime.settings import to_plain

_MOST_BYTES = 1 << 30  # of shapes that are held in memory


class Shelf:
    """Prepared shapes by their files, those last used, up to a gigabyte; others come from the cache again."""

    def __init__(self, most_bytes: int = _MOST_BYTES):
        self.most_bytes = most_bytes
        self._held: OrderedDict[Path, PreparedShape] = OrderedDict()

    def get(self, matcher: MeshMatcher, path: str, *, side: str) -> PreparedShape:
        """The shape of a file, prepared if it is not here."""
        key = Path(path).resolve()
        if key not in self._held:
            self._held[key] = matcher.prepare(path, side=side)
        self._held.move_to_end(key)
        while len(self._held) > 2 and sum(map(_size, self._held.values())) > self.most_bytes:
            self._held.popitem(last=False)
        return self._held[key]


def _size(prepared: PreparedShape) -> int:
    return 5 * prepared.shape.n * (prepared.shape.basis.k + 20)


class MeshPairs:
    """Matches pairs of meshes with one configuration, those with landmarks with that of landmarks."""

    def __init__(self, cfg: DictConfig):
        self._cfg, self._shelf = cfg, Shelf()
        self._matchers: dict[bool, tuple[DictConfig, MeshMatcher]] = {}

    def config(self, row: PairRow) -> Mapping[str, Any]:
        return self._parts(row)[1].config

    def match(self, row: PairRow, folder: Path) -> Mapping[str, Any]:
        cfg, matcher = self._parts(row)
        sides = {"source": row.source, "target": row.target, "landmarks": row.landmarks}
        cfg = cfg.copy()
        cfg.landmarks = row.landmarks
        matcher = replace(matcher, config={**matcher.config, **sides, "pairs": None})
        source, target = (self._shelf.get(matcher, sides[side] or "", side=side) for side in ("source", "target"))
        done = match_and_write(cfg, matcher, source, target, folder)
        return {
            **({} if done.result.verdict is None else verdict_columns(done.result.verdict.verdict)),
            "coverage": round(float(coverage(done.result.p2p21, done.result.source.shape.basis.mass)), 4),
            "n1": done.result.source.shape.n,
            "n2": done.result.target.shape.n,
        }

    def _parts(self, row: PairRow) -> tuple[DictConfig, MeshMatcher]:
        kind = row.landmarks is not None
        if kind not in self._matchers:
            typed = list(HydraConfig.get().overrides.task)
            cfg = self._cfg
            if kind:
                typed = [word for word in typed if word.replace("'", "") != "ckpt=humans"]
                typed += [] if any(word.startswith("backbone=") for word in typed) else ["backbone=landmarks"]
                cfg = compose("match", overrides=[word for word in typed if not word.startswith("hydra")])
                cfg.paths, cfg.landmarks = self._cfg.paths, row.landmarks
                cfg.source = cfg.target = None
            cfg, checkpoint = with_origin(cfg, typed)
            check(cfg)
            to_plain(cfg)  # nothing is missing
            self._matchers[kind] = cfg, MeshMatcher.of(cfg, checkpoint)
        return self._matchers[kind]


def verdict_columns(verdict: Any) -> dict[str, Any]:
    """A verdict in a table of pairs."""
    return {"verdict": verdict.level, "expected_error": round(verdict.expected_error, 4), "why": "; ".join(verdict.why)}
