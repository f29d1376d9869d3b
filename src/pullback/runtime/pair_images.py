"""The pairs of a list of photographs: networks are built once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pullback.data.image.io import read_image
from pullback.runtime.match_images import MOST_MATCHED, ImageMatcher, match_and_write
from pullback.runtime.pair_lists import PairRow
from pullback.tasks.pairs_overview import verdict_columns
from pullback.types import ImagePair


class ImagePairs:
    """Matches pairs of photographs with one configuration."""

    def __init__(self, cfg: DictConfig):
        self._cfg, self._matcher = cfg, ImageMatcher.of(cfg)

    def config(self, row: PairRow) -> Mapping[str, Any]:
        return self._matcher.config

    def match(self, row: PairRow, folder: Path) -> Mapping[str, Any]:
        sides = {"source": row.source, "target": row.target}
        matcher = replace(self._matcher, config={**self._matcher.config, **sides, "pairs": None})
        source, target = (read_image(path, shrink_above=MOST_MATCHED) for path in (row.source, row.target))
        pair = ImagePair(f"{Path(row.source).stem}-{Path(row.target).stem}", source, target)
        done = match_and_write(self._cfg, matcher, pair, folder)
        sizes = {f"size{i}": f"{image.size[1]}x{image.size[0]}" for i, image in enumerate((source, target), 1)}
        judged = verdict_columns(None if done.verdict is None else done.verdict.verdict)
        return {**sizes, "n1": done.patches.image1.n, "n2": done.patches.image2.n, **judged}
