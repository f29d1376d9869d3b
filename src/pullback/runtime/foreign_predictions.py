"""Predictions of other programs, scored as ours are: ``run=[score] predictions=FOLDER_OF_FLOWS`` or ``=TABLE.csv``."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pullback.errors import UserError
from pullback.runtime.parts import ConfigError
from pullback.tasks.image.foreign import ForeignStore, leads_the_other_way, source_of

log = logging.getLogger(__name__)


def is_foreign(cfg: DictConfig, datasets: Iterable[str]) -> bool:
    """Whether the predictions that a run scores are flows or keypoints of another program, for any of its sets."""
    place = Path(cfg.predictions)
    return cfg.get("kind") == "image" and any(source_of(place, name) is not None for name in datasets)


def on_whole_photographs(cfg: DictConfig, typed: Sequence[str]) -> DictConfig:
    """The configuration without a crop: other programs predict on whole photographs.

    Raises ConfigError for a typed one.
    """
    cropped = [key for key in typed if key.split("=")[0] == "data.crop" and key != "data.crop=none"]
    if cropped:
        raise ConfigError(
            f"{cropped[0]}, but predictions={cfg.predictions} are another program's, which lie on whole photographs; "
            "leave it out"
        )
    result = cfg.copy()
    OmegaConf.update(result, "data.crop", "none")
    return result


def foreign_store(cfg: DictConfig, pairs: Any, name: str) -> ForeignStore | None:
    """What another program predicted for a data set; None where the predictions are our own."""
    if not is_foreign(cfg, [name]):
        return None
    found = source_of(Path(cfg.predictions), name)
    assert found is not None  # just asked
    return ForeignStore(found, pairs.flow_places(), dataset=name, method=cfg.get("method_name"))


def warn_of_exchanged_directions(store: ForeignStore, pairs: Any) -> None:
    """Says so where most flows fit the truth much better with their sign exchanged."""
    asked = exchanged = 0
    for i in range(len(pairs)):
        try:
            pair, prediction = pairs[i], store.read(pairs.name(i))
            exchanged += prediction is not None and leads_the_other_way(prediction, pair)
            asked += 1
        except (UserError, IndexError):  # told where it was scored
            continue
    if 2 * exchanged > asked:
        log.warning(
            "%s: %d of %d flows fit the truth better with their sign exchanged. Do they lead from image 1 to image 2? "
            "Flows are asked on image 2 and lead to image 1: place on image 1 = pixel of image 2 + flow",
            store.directory,
            exchanged,
            asked,
        )
