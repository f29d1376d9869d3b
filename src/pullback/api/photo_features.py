"""Features of photographs for those who want these alone: a frozen network in, a grid of vectors out."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pullback.api.feature_grids import PhotoFeatures
from pullback.api.inputs import GivenError, stem
from pullback.api.matching import configured, random_numbers_apart
from pullback.data.image.io import image_of, read_image
from pullback.mapping.grid_match import patch_centres
from pullback.nn.fusion import finest_grid, resample
from pullback.runtime.device import device_named
from pullback.runtime.match_images import MOST_MATCHED
from pullback.runtime.options import options_at_fault
from pullback.runtime.settings import instantiate, located, to_plain
from pullback.types import Image

if TYPE_CHECKING:
    from pullback.nn.image_backbone import ImageBackbone

log = logging.getLogger(__name__)

_OF_RUN = ("device", "paths.")  # options that are none of the network's


class PhotoNetwork:
    """A branch of ``configs/branch`` that is built once for many photographs."""

    def __init__(self, branch: str | None, options: Mapping[str, Any], config_dir: str | Path | None = None):
        """``branch`` is a name, or None for the network whose features ``match`` would align. ``options`` are those of
        the branch (``size``, ``layer``, ``weights``, …) and ``device``.
        """
        role = "descriptors" if branch is None else "basis"
        typed: dict[str, Any] = {"files": "image", "fusion": "best" if branch is None else "gradients_gradients"}
        typed |= {} if branch is None else {"branch@fusion.basis.backbone": branch}
        typed |= {k if k.startswith(_OF_RUN) else f"fusion.{role}.backbone.{k}": value for k, value in options.items()}
        with configured(None, typed, config_dir) as cfg:
            part = cfg.fusion[role].backbone
            device = device_named(cfg.device)
            with options_at_fault():
                self.network: ImageBackbone = instantiate(part).to(device)
            self.branch: str = located(part["_target_"]).describe(to_plain(part))

    @torch.no_grad()
    def __call__(self, photo: Image) -> PhotoFeatures:
        """Raises UserError for a photograph too narrow for a grid."""
        (maps,) = self.network([photo])
        grid = finest_grid(maps)
        values = torch.cat([resample(one, grid) for one in maps.values()]).permute(1, 2, 0)
        places = patch_centres(grid, photo.size).reshape(*grid, 2)
        channels = {name: len(one) for name, one in maps.items()}
        return PhotoFeatures(values.cpu().numpy(), places.numpy(), photo.size, channels, self.branch)


def photo_features(
    given: Any, branch: str | None, options: Mapping[str, Any], config_dir: str | Path | None
) -> PhotoFeatures:
    """The features of one photograph. Raises UserError for options that the branch does not have."""
    if "landmarks" in options:
        raise GivenError("landmarks are of meshes; leave them out for photographs")
    with random_numbers_apart():
        if isinstance(given, str):
            photo = read_image(given, shrink_above=MOST_MATCHED)
        elif isinstance(given, Image):
            photo = given
        else:
            photo = image_of(given, name=stem(given, "photograph"), shrink_above=MOST_MATCHED)
        for note in photo.notes:
            log.warning("%s: %s", photo.name, note)
        return PhotoNetwork(branch, options, config_dir)(photo)
