"""``pullback.match``: two meshes or two photographs in, one correspondence out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullback.api.inputs import (
    Given,
    GivenError,
    as_numpy,
    initial_vertices,
    is_image,
    landmark_vertices,
    read_given,
    stem,
    typed,
)
from pullback.runtime.composing import composing, typed_overrides
from pullback.waiting import load_torch

if TYPE_CHECKING:
    from torch import Tensor

    from pullback.api.image_results import ImageMatch
    from pullback.api.results import MeshMatch
    from pullback.data.mesh.shapes import PreparedShape
    from pullback.runtime.match_meshes import MeshMatcher
    from pullback.tasks.mesh.two_meshes import Landmarks
    from pullback.types import Image


def match(
    source: Any,
    target: Any,
    *,
    landmarks: Any = None,
    initial: Any = None,
    mask1: Any = None,
    mask2: Any = None,
    options: Mapping[str, Any] | None = None,
    config_dir: str | Path | None = None,
    **named: Any,
) -> "MeshMatch | ImageMatch":
    """The correspondence of two meshes, or of two photographs: for each point of ``target`` one of ``source``.

    Either side is a path; ``(verts, faces)``; a mesh of trimesh, PyVista, Open3D or torch-geometric; a shape from
    ``pullback.prepare``; or a photograph: a path, an array (height, width, 3), a picture of Pillow.

    Options are those of ``pullback match``, by name (``ckpt="best.ckpt"``, ``solver="sampled_zoomout"``,
    ``device="cpu"``), dotted ones in ``options={"data.k": 100}``. ``landmarks`` is a file, counted from 1, or an array
    (t, 2) of vertices of source and target, counted from 0. ``initial`` is a map to begin with, in the place of all
    starts: a file (as of the option), or for each vertex of the target one of the source, counted from 0, -1 for none.
    ``mask1`` and ``mask2`` say which part of the photographs source and target is matched: files, or arrays
    (height, width) whose values above 0 are the object. ``config_dir`` is a folder of yaml files of your own.

    The result is that of ``pullback match`` with the same files and options. Nothing is printed, and nothing written
    but the cache (``options={"paths.cache_dir": DIR}``) until its ``save(DIR)``. Logging, signal handlers, Hydra and
    the random numbers of the caller stay as they are. Raises UserError, with what to do, for what cannot be matched.
    """
    sides = [read_given(source, name="source"), read_given(target, name="target")]
    if len({is_image(side) for side in sides}) > 1:
        raise GivenError("one of the two is a photograph and the other a mesh; give two meshes or two photographs")
    chosen = {**(options or {}), **named}
    load_torch()
    if not is_image(sides[0]):
        if mask1 is not None or mask2 is not None:
            raise GivenError("mask1 and mask2 are parts of photographs; leave them out for meshes")
        return _match_meshes(sides, landmarks, initial, chosen, config_dir)
    if landmarks is not None or initial is not None:
        raise GivenError("landmarks and initial maps are of meshes; leave them out for photographs")
    return _match_images(sides, (mask1, mask2), chosen, config_dir)


@contextmanager
def configured(
    sides: list[Given] | None,
    options: Mapping[str, Any],
    config_dir: str | Path | None,
    given: Mapping[str, Any] | None = None,
) -> Iterator[Any]:
    """The checked configuration of ``pullback match``; ``given`` takes the place of options that cannot be typed."""
    from pullback.runtime.foreign_fit import settled
    from pullback.runtime.input_checks import check_early

    words = [side if isinstance(side, str) else None for side in sides or (None, None)]
    named = {side: word for side, word in zip(("source", "target"), words, strict=True) if word is not None}
    with composing("match", typed({**options, **named}), config_dir=config_dir) as composed:
        cfg = settled(composed, "match", typed_overrides())
        for key, value in {"source": None, "target": None, **named, **(given or {})}.items():
            cfg[key] = value
        check_early(cfg)
        yield cfg


def matcher_for(
    sides: list[Given] | None,
    options: Mapping[str, Any],
    config_dir: str | Path | None,
    given: Mapping[str, Any] | None = None,
) -> "MeshMatcher":
    """The parts for two meshes, with the weights of the checkpoint."""
    from pullback.runtime.checks import check
    from pullback.runtime.match_meshes import MeshMatcher
    from pullback.runtime.origin import with_origin

    with configured(sides, options, config_dir, given) as cfg:
        cfg, checkpoint = with_origin(cfg, typed_overrides())
        check(cfg)
        return MeshMatcher.of(cfg, checkpoint)


@contextmanager
def random_numbers_apart() -> Iterator[None]:
    """Random numbers that are drawn inside leave those of the caller as they were."""
    import torch

    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(list(gpus)):
        yield


def _match_meshes(
    sides: list[Given], landmarks: Any, initial: Any, options: Mapping[str, Any], config_dir: str | Path | None
) -> "MeshMatch":
    with random_numbers_apart():
        matcher = matcher_of(sides, landmarks, initial, options, config_dir)
        return matched(matcher, *_both_prepared(matcher, *sides), landmarks, initial)


def matcher_of(
    sides: list[Given], landmarks: Any, initial: Any, options: Mapping[str, Any], config_dir: str | Path | None
) -> "MeshMatcher":
    """The parts for two meshes, with landmarks or an initial map where these are given."""
    if landmarks is not None and initial is not None:
        raise GivenError("landmarks and initial are two beginnings of one map; give one of them")
    given: dict[str, Any] = {}
    if isinstance(landmarks, str | Path):
        options = {**options, "landmarks": landmarks}
    elif landmarks is not None:
        options = {"backbone": "landmarks", **options}
        given["landmarks"] = max(1, as_numpy(landmarks).size // 2)
    if isinstance(initial, str | Path):
        options = {**options, "initial": initial}
    elif initial is not None:
        options, given["initial"] = {"ckpt": None, **options}, "given"
    return matcher_for(sides, options, config_dir, given)


def matched(
    matcher: "MeshMatcher", source: "PreparedShape", target: "PreparedShape", landmarks: Any, initial: Any = None
) -> "MeshMatch":
    """The match of two shapes, from landmarks or an initial map where these are given."""
    from pullback.api.results import MeshMatch

    known = _landmarks(landmarks, source, target), _initial(initial, source, target)
    return MeshMatch(matcher, matcher.match(source, target, *known))


def _both_prepared(matcher: "MeshMatcher", source: Any, target: Any) -> "tuple[PreparedShape, PreparedShape]":
    if any(type(side).__name__ == "PreparedShape" for side in (source, target)):
        return prepared(matcher, source, "source"), prepared(matcher, target, "target")
    return matcher.prepare_both(source, target)


def prepared(matcher: "MeshMatcher", mesh: Any, side: str) -> "PreparedShape":
    """The shape of a mesh. Raises GivenError for one that was prepared with fewer eigenfunctions than are asked for."""
    if type(mesh).__name__ != "PreparedShape":
        return matcher.prepare(mesh, side=side)
    k, wanted = mesh.shape.basis.k, min(matcher.settings.k, mesh.shape.n)
    if k < wanted:
        raise GivenError(f"{side} was prepared with k={k}, and {wanted} are needed: prepare it with k={wanted}")
    return mesh


def _landmarks(given: Any, source: "PreparedShape", target: "PreparedShape") -> "Landmarks | None":
    """Landmarks as vertices of the shapes."""
    import torch

    from pullback.runtime.mesh_questions import landmarks_of

    if given is None:
        return None
    if isinstance(given, str | Path):
        return landmarks_of(given, source, target)
    n1, n2 = (len(side.relabel.successor) for side in (source, target))
    ids1, ids2 = landmark_vertices(given, n1=n1, n2=n2)
    return torch.from_numpy(source.relabel(ids1)), torch.from_numpy(target.relabel(ids2))


def _initial(given: Any, source: "PreparedShape", target: "PreparedShape") -> "Tensor | None":
    """A point map 2 → 1 of the files as one of the shapes."""
    from pullback.runtime.mesh_questions import initial_of
    from pullback.tasks.mesh.two_meshes import between_shapes

    if given is None or isinstance(given, str | Path):
        return None if given is None else initial_of(given, source, target)
    n1, n2 = (len(side.relabel.successor) for side in (source, target))
    return between_shapes(initial_vertices(given, n1=n1, n2=n2), source, target)


def _match_images(
    sides: list[Given], masks: tuple[Any, Any], options: Mapping[str, Any], config_dir: str | Path | None
) -> "ImageMatch":
    from pullback.api.image_results import ImageMatch
    from pullback.data.image.masks import with_mask
    from pullback.runtime.match_images import ImageMatcher
    from pullback.types import ImagePair

    with random_numbers_apart():
        photos = [_photograph(side, name) for side, name in zip(sides, ("source", "target"), strict=True)]
        named = zip(photos, masks, ("mask1", "mask2"), strict=True)
        image1, image2 = (photo if mask is None else with_mask(photo, mask, key=key) for photo, mask, key in named)
        with configured(sides, {"files": "image", **options}, config_dir) as cfg:
            matcher = ImageMatcher.of(cfg)
        pair = ImagePair(f"{stem(sides[0], 'source')}-{stem(sides[1], 'target')}", image1, image2)
        return ImageMatch(matcher, pair, *matcher.match(pair))


def _photograph(given: Any, name: str) -> "Image":
    from pullback.data.image.io import image_of, read_image
    from pullback.runtime.match_images import MOST_MATCHED
    from pullback.types import Image

    if isinstance(given, Image):
        return given
    if isinstance(given, str):
        return read_image(given, shrink_above=MOST_MATCHED)
    return image_of(given, name=name, shrink_above=MOST_MATCHED)
