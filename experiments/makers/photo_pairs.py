"""Pairs of photographs for the constants of ``configs/judge/image.yaml``, and to judge them on.

Pairs with ground truth, pairs without any correspondence, and turned copies, each with its match in both directions.

Photographs of the first half are for the constants, those of the second for the report; no photograph is in both.
"""

import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.data.image.io import image_of, read_image
from pullback.data.image.sets.pf_willow import PFWillow
from pullback.data.image.sets.photos import Photos
from pullback.data.image.sets.tss import TSS
from pullback.mapping.grid_match import keypoints_from_match
from pullback.types import Image, ImagePair, PatchMatch, PatchPair

_CLASSES = {
    "fit": ("car(G)", "motorbike(S)", "winebottle(wC)", "duck(S)"),
    "report": ("car(S)", "motorbike(G)", "winebottle(woC)", "duck(S)"),
}
_DUCKS = "duck(S)"  # a class that both parts share: the first half of its photographs for one, the second for the other
_TSS = {"fit": (0, 1, 3, 5), "report": (2, 4, 6)}
_EMBEDDED = {"fit": ("astronaut", "chelsea"), "report": ("coffee", "motorcycle")}
_PAIRS = 9  # of a class with itself
_POINTS = 200  # of a dense ground truth
UNRELATED = 0.4  # of the longer side: the error of a map where nothing corresponds, about that of a random one

Truth = Callable[[Float[Tensor, "t 2"]], Float[Tensor, "t 2"]]


@dataclass(frozen=True)
class Sample:
    """A pair, and points of image 2 with where they belong on image 1: None where nothing corresponds."""

    set: str
    pair: ImagePair
    points2: Float[Tensor, "t 2"]
    truth1: Float[Tensor, "t 2"] | None


@dataclass(frozen=True)
class Found:
    """A pair of photographs after matching in both directions, with the true errors in shares of the longer side."""

    set: str
    name: str
    patches: PatchPair
    match: PatchMatch  # with its ``reverse``
    points2: Float[Tensor, "t 2"]
    errors: Float[Tensor, " t"]


def found_in(
    part: str, match: Callable[[ImagePair], tuple[PatchPair, PatchMatch]], *, data: Path, embedded: Path, work: Path
) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Every pair of a part, ``fit`` or ``report``, by name, and what was found for it: matched now, or read from
    ``work``, so that an interrupted run goes on.
    """
    (work / "matches").mkdir(parents=True, exist_ok=True)
    samples = list(samples_of(part, data, embedded))
    random.Random(0).shuffle(samples)  # an interrupted run has seen some of all
    for sample in samples:
        name = f"{part}_{sample.set}_{sample.pair.name}"
        kept = work / "matches" / f"{name}.pkl"
        if not kept.exists():
            kept.write_bytes(pickle.dumps(_found(sample, match)))
            print(name, flush=True)
        yield name, lambda kept=kept: pickle.loads(kept.read_bytes())


def samples_of(part: str, data: Path, embedded: Path) -> Iterator[Sample]:
    """The pairs of a part, drawn with a fixed seed."""
    draw = random.Random(part)
    willow = PFWillow(data / "PF-dataset-WILLOW")
    by_class = {name: _photographs(willow, name, part) for name in _CLASSES[part]}
    pairs = {(files.source, files.target): files for files in willow.pairs}
    for photos in by_class.values():
        for couple in draw.sample(list(permutations(photos, 2)), _PAIRS):
            pair = willow.read(pairs[couple])
            yield Sample("PF-WILLOW", pair, pair.keypoints2, pair.keypoints1)
    tss, shown = TSS(data / "TSS_CVPR2016", allow_missing=True), Photos(embedded)
    dense = [("TSS", tss.load(i)) for i in _TSS[part]]
    dense += [
        ("embedded", shown.load(i)) for i in range(len(shown)) if shown.pair_name(i).split("_")[0] in _EMBEDDED[part]
    ]
    for name, pair in dense:
        points2 = _some(pair.known2 if pair.image2.mask is None else pair.known2 & pair.image2.mask)
        x, y = points2.long().T
        yield Sample(name, pair, points2, points2 + pair.flow21[:, y, x].T)
    for one, other in permutations(by_class, 2):
        yield _wrong(read_image(draw.choice(by_class[one])), read_image(draw.choice(by_class[other])))
    images = [read_image(draw.choice(photos)) for photos in by_class.values()]
    others = list({pair.image1.name: pair.image1 for name, pair in dense if name == "embedded"}.values())
    yield from (_wrong(other, image) for other, image in zip(others, images * 2, strict=False))
    yield from (_wrong(one, other) for one, other in permutations(others[-2:], 2))
    for image in (*images[:2], others[-1]):
        yield from _turned(image)
    noise = torch.Generator().manual_seed(draw.randrange(1000))
    for i in range(2):
        random_pixels = torch.randint(256, (240 + 60 * i, 320, 3), generator=noise, dtype=torch.uint8)
        yield _wrong(image_of(random_pixels.numpy(), name=f"noise{i}"), images[i])
        yield _wrong(images[i], image_of(torch.full_like(random_pixels, 200 * i).numpy(), name=f"plain{i}"))


def _photographs(willow: PFWillow, name: str, part: str) -> list[Path]:
    paths = sorted({files.source for files in willow.pairs if files.subset == name})
    if name != _DUCKS:
        return paths
    return paths[: len(paths) // 2] if part == "fit" else paths[len(paths) // 2 :]


def _wrong(image1: Image, image2: Image) -> Sample:
    return Sample("unrelated", ImagePair(f"{image1.name}-{image2.name}", image1, image2), _spread(image2), None)


def _turned(image: Image) -> Iterator[Sample]:
    """A photograph with copies of itself: mirrored, turned by 180° and by 90°."""
    far = torch.tensor([image.size[1] - 1.0, image.size[0] - 1.0])
    ways: dict[str, tuple[Tensor, Truth]] = {
        "mirrored": (image.pixels.flip(2), lambda xy: torch.stack([far[0] - xy[:, 0], xy[:, 1]], dim=1)),
        "turned_180": (image.pixels.flip(1, 2), lambda xy: far - xy),
        "turned_90": (image.pixels.rot90(1, (1, 2)), lambda xy: torch.stack([far[0] - xy[:, 1], xy[:, 0]], dim=1)),
    }
    for name, (pixels, truth) in ways.items():
        copy = replace(image, name=f"{image.name}_{name}", pixels=pixels.contiguous(), mask=None, box=None)
        points2 = _spread(copy)
        yield Sample(name, ImagePair(copy.name, image, copy), points2, truth(points2))


def _spread(image: Image) -> Float[Tensor, "t 2"]:
    return _some(torch.ones(image.size, dtype=torch.bool))


def _some(mask: Tensor) -> Float[Tensor, "t 2"]:
    """Pixels of a mask, drawn with a fixed seed."""
    yx = mask.nonzero()
    drawn = torch.randperm(len(yx), generator=torch.Generator().manual_seed(0))[:_POINTS]
    return yx[drawn].flip(1).float()


def _found(sample: Sample, match: Callable[[ImagePair], tuple[PatchPair, PatchMatch]]) -> Found:
    one, two = (replace(image, mask=None) for image in (sample.pair.image1, sample.pair.image2))  # as users have them
    patches, found = match(replace(sample.pair, image1=one, image2=two))
    image2 = patches.image2
    if sample.truth1 is None:
        errors = torch.full((len(sample.points2),), UNRELATED)
    else:
        places = keypoints_from_match(sample.points2, found.xy21, image2.grid, image2.size, image2.patches)
        errors = (places - sample.truth1).norm(dim=1) / max(patches.image1.size)
    return Found(sample.set, sample.pair.name, patches, found, sample.points2, errors)
