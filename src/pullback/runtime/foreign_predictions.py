"""Predictions of other programs, scored as ours are: ``run=[score] predictions=FOLDER_OF_FLOWS`` or ``=TABLE.csv``."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pullback.errors import UserError
from pullback.runtime.parts import ConfigError
from pullback.tasks.image.conventions import Convention, suspected
from pullback.tasks.image.foreign import ForeignStore, source_of

log = logging.getLogger(__name__)

_ASKED = 100  # pairs that tell a convention


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


def warn_of_conventions(store: ForeignStore, pairs: Any) -> None:
    """Says so where most predictions fit the truth much better in another convention than ours: another direction,
    x and y exchanged, shares in the place of pixels. Asks some of the pairs.
    """
    asked, found = 0, Counter[Convention]()
    for i in range(0, len(pairs), 1 + len(pairs) // _ASKED):
        try:
            pair, prediction = pairs[i], store.read(pairs.name(i))
            convention = None if prediction is None else suspected(prediction, pair)
            asked += 1
        except (UserError, ValueError):  # told where it was scored
            continue
        if convention is not None:
            found[convention] += 1
    for likeliest, count in found.most_common(1):
        if 2 * count > asked:
            told = f"{count} of {asked} {store.what} fit the truth better {likeliest.fits}. {likeliest.advice}"
            log.warning("%s: %s", store.directory, told)
