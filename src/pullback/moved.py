"""What has another name now: files of earlier versions, and commands that somebody wrote down, are still read."""

import re
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


# The branch of a fusion whose features the functional map aligns was called loss, as the training's loss is.
_OPTIONS = {
    "pullback.nn.fusion.Fusion": {"loss": "descriptors"},
    "pullback.solvers.pair_losses.PairLoss": {"scale_free": "units"},
}
_UNITS = {True: "features", False: "printed"}  # of the paper's loss: scale_free was true or false
_WORDS = {"loss": "descriptors", "transferred_loss": "transferred_descriptors"}
_WORDED = {  # the options that have such words as values
    "pullback.mapping.readout.Readout": "embedding",
    "pullback.nn.fusion.Fusion": "grid",
    "pullback.solvers.pair_descriptors.PairDescriptors": "source",
    "pullback.solvers.pair_release.ReleaseOptimiser": "descriptors",
    "pullback.solvers.patch_refinement.SoftMapRefinement": "embedding",
}
_TYPED = (
    (re.compile(r"^(files=)photo(?:s|graphs)$"), r"\1image"),
    (re.compile(r"^(files=)meshes$"), r"\1mesh"),
    (re.compile(r"^([+]*solver\.optimiser\.loss\.)scale_free[=](?i:true)$"), r"\1units=features"),
    (re.compile(r"^([+]*solver\.optimiser\.loss\.)scale_free[=](?i:false)$"), r"\1units=printed"),
    (re.compile(r"^([~+]*(?:branch@)?fusion\.)loss(?=[.=]|$)"), r"\1descriptors"),
    (re.compile(r"^((?:solver|.*[.]solver)=.*?)\braw_loss\b"), r"\1raw_descriptors"),
    (
        re.compile(
            r"^([+]*(?:fusion\.grid|solver\.(?:[\w.]+\.)?(?:embedding|source|descriptors))=.*?)\b(transferred_)?loss\b"
        ),
        r"\1\2descriptors",
    ),
)


def with_present_names(config: Any) -> Any:
    """A copy of a plain configuration in today's words.

    Each ``_target_`` names its class by its present place; options and words are those of the present.
    """
    if isinstance(config, list):
        return [with_present_names(below) for below in config]
    if not isinstance(config, Mapping):
        return config
    target = _present(config.get("_target_"))
    known = target if isinstance(target, str) else ""  # a stranger's file may hold anything
    options, worded = _OPTIONS.get(known, {}), _WORDED.get(known)
    result = {}
    for key, below in config.items():
        value = target if key == "_target_" else with_present_names(below)
        if key == "scale_free" and key in options and isinstance(value, bool):
            value = _UNITS[value]
        result[options.get(key, key)] = _in_words(value) if key == worded else value
    return result


def as_typed_now(option: str) -> str:
    """An option of the command line, ``KEY=VALUE``, with the present names of keys and words."""
    for before, now in _TYPED:
        changed = before.sub(now, option)
        while changed != option:  # a list may hold several
            option, changed = changed, before.sub(now, changed)
    return option


def _in_words(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_words(below) for below in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value


def _present(target: Any) -> Any:
    for before, now in _MOVED.items() if isinstance(target, str) else ():
        if target.startswith(before):
            return now + target.removeprefix(before)
    return target
