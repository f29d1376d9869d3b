"""Classes that moved: files of earlier versions name them by their old places, and are still read."""

from collections.abc import Mapping
from typing import Any

# The modules whose classes stand in checkpoints and beside stored predictions.
_MOVED = {
    **{
        f"pullback.data.{name}.": f"pullback.data.mesh.sets.{name}."
        for name in ("dt4d", "faust", "folder", "humans", "scape", "shrec19", "smal", "tosca")
    },
    **{
        f"pullback.data.{name}.": f"pullback.data.image.sets.{name}."
        for name in ("pf_pascal", "pf_willow", "photos", "spair71k", "tss")
    },
    "pullback.data.datamodule.": "pullback.data.mesh.datamodule.",
    "pullback.data.image_datamodule.": "pullback.data.image.datamodule.",
    "pullback.data.image_folder.": "pullback.data.image.sets.folder.",
    "pullback.data.settings.": "pullback.data.mesh.settings.",
    "pullback.data.shapes.": "pullback.data.mesh.shapes.",
    "pullback.tasks.adaptation.": "pullback.tasks.mesh.adaptation.",
    "pullback.tasks.callbacks.": "pullback.tasks.training.callbacks.",
    "pullback.tasks.checkpoint.": "pullback.tasks.training.checkpoint.",
    "pullback.tasks.curves.": "pullback.tasks.training.curves.",
    "pullback.tasks.image.ImageMatching": "pullback.tasks.image.module.ImageMatching",
    "pullback.tasks.mesh.MeshMatching": "pullback.tasks.mesh.module.MeshMatching",
    "pullback.tasks.patches.": "pullback.tasks.image.patches.",
    "pullback.tasks.schedules.": "pullback.tasks.training.schedules.",
}


def with_present_names(config: Any) -> Any:
    """A copy of a plain configuration in which each ``_target_`` names its class by its present place."""
    if isinstance(config, Mapping):
        return {
            key: _present(below) if key == "_target_" else with_present_names(below) for key, below in config.items()
        }
    return [with_present_names(below) for below in config] if isinstance(config, list) else config


def _present(target: Any) -> Any:
    for before, now in _MOVED.items():
        if isinstance(target, str) and target.startswith(before):
            return now + target.removeprefix(before)
    return target
