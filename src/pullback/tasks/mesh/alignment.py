"""Says so where a network takes coordinates and the shapes do not lie alike."""

import logging
from typing import Any

from torch import nn

log = logging.getLogger(__name__)


def tell_misaligned(backbone: nn.Module, data: Any) -> None:
    """Warns of each data set whose shapes are turned against each other, if any part of the backbone minds.

    ``data`` is the datamodule, which measured them while they were prepared; None, or one that measures nothing.
    """
    if not any(getattr(part, "wants_alignment", False) for part in backbone.modules()):
        return
    aligned = getattr(getattr(data, "settings", None), "align", None)
    advice = "Use data.align=own, or all" if aligned is None else f"data.align={aligned} did not help: use all"
    for name, found in getattr(data, "misalignments", {}).items():
        if found.is_large:
            log.warning(
                "%s: %s, and coordinates as input mean something else on each. %s rotations in training: "
                "backbone.descriptor.axes=full",
                name,
                found,
                advice,
            )
