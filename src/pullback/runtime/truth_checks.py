"""What asks for ground truth finds it: checked when the data are known."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from pullback.runtime.parts import ConfigError, terms_that


def check_ground_truth(cfg: DictConfig, *, training: bool, validation: bool) -> None:
    """What asks for ground truth finds it.

    ``training`` and ``validation`` say whether all pairs of that kind have it.
    """
    names = ", ".join(cfg.dataset)
    for name in terms_that(cfg, "needs_truth") if not training else ():
        if cfg.data.get("transductive"):
            raise ConfigError(
                f"loss.{name} needs ground truth, which data.transductive=true takes away from all training pairs; use "
                f"~loss.{name}, or data.transductive=false"
            )
        raise ConfigError(
            f"loss.{name} needs ground truth, but training shapes of {names} have no .vts file; use "
            f"~loss.{name}, or add the files"
        )
    if "geodesic_error" in (cfg.get("monitor") or "") and not validation:
        raise ConfigError(
            f"monitor={cfg.monitor} needs ground truth and data.geodesics={cfg.data.geodesics}, but validation "
            f"pairs of {names} have none; "
            "use monitor=val/loss, or monitor=null to choose by what there is"
        )


def check_known_points(cfg: Mapping[str, Any], blind: Sequence[str]) -> None:
    """Landmarks are taken from ground truth. ``blind`` are the tested data sets with pairs that have none."""
    if blind:
        raise ConfigError(
            f"landmarks={cfg['landmarks']} are taken from the ground truth, "
            f"which pairs of {', '.join(blind)} do not have; "
            "use backbone=raw_wks landmarks=null"
        )
