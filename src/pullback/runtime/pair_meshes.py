"""The pairs of a list of meshes: parts are built once, and shapes are prepared once."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.data.mesh.shelf import Shelf
from pullback.runtime.checks import check
from pullback.runtime.match_meshes import MeshMatcher, match_and_write
from pullback.runtime.origin import with_origin
from pullback.runtime.pair_lists import PairRow
from pullback.runtime.settings import to_plain
from pullback.tasks.pairs_overview import verdict_columns


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
        source, target = (
            self._shelf.get(path.resolve(), partial(matcher.prepare, path, side=side))
            for side, path in (("source", Path(row.source)), ("target", Path(row.target)))
        )
        done = match_and_write(cfg, matcher, source, target, folder)
        judged = done.result.verdict
        return {
            **verdict_columns(None if judged is None else judged.verdict),
            "coverage": round(done.result.coverage(), 4),
            "n1": done.result.source.shape.n,
            "n2": done.result.target.shape.n,
        }

    def _parts(self, row: PairRow) -> tuple[DictConfig, MeshMatcher]:
        kind = row.landmarks is not None
        if kind not in self._matchers:
            typed = list(HydraConfig.get().overrides.task)
            cfg = self._cfg
            if kind:
                typed = [word for word in typed if word.replace("'", "") != "ckpt=humans" and word[:8] != "weights="]
                typed += [] if any(word.startswith("backbone=") for word in typed) else ["backbone=landmarks"]
                cfg = compose("match", overrides=[word for word in typed if not word.startswith("hydra")])
                cfg.paths, cfg.landmarks = self._cfg.paths, row.landmarks
                cfg.source = cfg.target = None
            cfg, checkpoint = with_origin(cfg, typed)
            check(cfg)
            to_plain(cfg)  # nothing is missing
            self._matchers[kind] = cfg, MeshMatcher.of(cfg, checkpoint)
        return self._matchers[kind]
