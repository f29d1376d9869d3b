"""Make the embedded data set `data/photos`: a real stereo pair, and photographs with warped, relit and noisy copies.

    pip install scikit-image
    python experiments/makers/make_photos.py --out data/photos

All photographs come with scikit-image; `data/photos/README.md` says whose they are and under which terms. Image 2 of a
warped pair is image 1 sampled where a closed formula says (`pullback.data.image.warps`), so its ground truth is
exact; light, colour and noise are changed after that. The same packages give the same bytes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import skimage
import torch
from scipy.ndimage import map_coordinates
from skimage.draw import ellipse, polygon
from skimage.feature import corner_peaks, corner_shi_tomasi
from skimage.transform import resize

from pullback.data.image.io import read_disparity, save_image, write_disparity, write_mask
from pullback.data.image.sets.photos import carried_mask
from pullback.data.image.warps import Warp

# Outlines (x, y) of the objects on the photographs as scikit-image has them, drawn by hand.
OUTLINES = {
    "astronaut": "153,70 165,45 195,22 235,14 270,25 295,55 301,95 290,118 272,135 262,165 290,190 304,230 302,250 "
    "330,265 350,280 "
    "361,320 362,350 400,345 440,355 480,385 497,430 508,470 511,511 24,511 22,440 20,380 40,290 70,245 112,215 "
    "112,190 122,165 150,150 "
    "185,148 180,125 160,112 153,90",
    "chelsea": (
        "38,0 404,0 390,25 372,45 357,72 364,105 364,135 355,170 340,200 320,225 315,255 300,299 0,299 "
        "0,128 25,115 38,90 34,50"
    ),
    "coffee": "395,72 412,66 425,70 424,85 412,130 390,220",  # the spoon's handle; saucer and cup are ellipses
}
ELLIPSES = {"coffee": [(279, 229, 202, 160, 8), (291, 113, 118, 96, 0)]}  # centre x, y, half axes, turn in degrees
CATEGORIES = {"astronaut": "person", "chelsea": "cat", "coffee": "cup of coffee"}

# Per pair: size of image 2 (H, W), turn in degrees, scale, shear, shift (share of image 1), waves (share of image 1's
# width, waves per width and height, phase), then gamma, gradient of light (x, y), gains of red, green and blue, noise
# in grey levels.
WARPS = {
    "astronaut_mild": (
        (512, 512),
        6,
        0.95,
        0.0,
        (0.06, -0.03),
        [(0.02, 0.015, 0.8, 0.6, 0.1)],
        0.8,
        (0.2, 0.0),
        (1.0, 1.0, 1.0),
        2,
    ),
    "astronaut_strong": (
        *((420, 480), -12, 1.1, 0.12, (-0.04, 0.05), [(0.04, 0.0, 0.3, 1.2, 0.2), (0.0, 0.035, 1.1, 0.2, 0.6)]),
        *(1.5, (-0.4, 0.3), (1.1, 1.0, 0.8), 6),
    ),
    "chelsea_mild": (
        (300, 451),
        -7,
        0.92,
        0.0,
        (0.07, 0.02),
        [(0.015, 0.02, 0.7, 0.9, 0.4)],
        1.25,
        (0.0, 0.25),
        (1.0, 1.0, 1.0),
        2,
    ),
    "chelsea_strong": (
        *((360, 400), 14, 0.85, -0.1, (0.05, -0.04), [(0.045, 0.0, 0.2, 1.0, 0.0), (0.0, 0.03, 1.2, 0.3, 0.3)]),
        *(0.65, (0.4, 0.2), (0.85, 1.0, 1.15), 6),
    ),
    "coffee_mild": (
        (400, 600),
        9,
        1.05,
        0.05,
        (-0.08, 0.03),
        [(0.02, 0.02, 0.9, 0.5, 0.7)],
        0.75,
        (-0.2, 0.1),
        (1.0, 1.0, 1.05),
        2,
    ),
    "coffee_strong": (
        *((440, 520), -20, 1.12, 0.1, (0.06, 0.06), [(0.035, 0.01, 0.4, 1.1, 0.5), (0.0, 0.03, 1.0, 0.4, 0.1)]),
        *(1.4, (0.3, -0.4), (0.9, 1.0, 1.2), 6),
    ),
}
# of the motorcycle on the left photograph
STEREO_BOXES = {"motorcycle": (90, 20, 684, 452), "motorcycle_near": (330, 60, 684, 452)}


def object_mask(name, shape):
    """The object's pixels, from its outline and its ellipses."""
    mask = np.zeros(shape, dtype=bool)
    x, y = np.array([point.split(",") for point in OUTLINES[name].split()], dtype=float).T
    mask[polygon(y, x, shape)] = True
    for cx, cy, a, b, turn in ELLIPSES.get(name, ()):
        mask[ellipse(cy, cx, b, a, shape, rotation=-np.radians(turn))] = True
    return mask


def warp_entry(size1, size2, turn, scale, shear, shift, waves):
    """The warp as it is written: centre goes to centre plus shift, and the waves come on top."""
    (h1, w1), (h2, w2) = size1, size2
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    fit = scale * max(h1 / h2, w1 / w2)
    linear = fit * np.array([[c, -s], [s, c]]) @ np.array([[1, shear], [0, 1]])
    centre1, centre2 = np.array([w1 - 1, h1 - 1]) / 2, np.array([w2 - 1, h2 - 1]) / 2
    offset = centre1 + np.array(shift) * w1 - linear @ centre2
    matrix = np.column_stack([linear, offset]).round(6)
    rows = [[round(ax * w1, 3), round(ay * w1, 3), cx, cy, phase] for ax, ay, cx, cy, phase in waves]
    return {"matrix": matrix.tolist(), "waves": rows}


def relit(colours, gamma, gradient, gains, noise, rng):
    """Colours (H, W, 3) in 0..1 under other light, with noise, as bytes."""
    height, width = colours.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 + gradient[0] * x / 2 + gradient[1] * y / 2
    changed = np.clip(colours, 0, 1) ** gamma * light[..., None] * np.array(gains)
    return np.clip(255 * changed + rng.normal(0, noise, changed.shape), 0, 255).round().astype(np.uint8)


def corners(image, known, count=10):
    """Well-spread corners (x, y) inside of `known`, the strongest first."""
    response = corner_shi_tomasi(image.mean(axis=2), sigma=2)
    peaks = corner_peaks(
        response,
        labels=known.astype(int),
        min_distance=round(0.06 * image.shape[1]),
        num_peaks=count,
        threshold_rel=0.01,
    )
    return [[int(x), int(y)] for y, x in peaks]


def tensor(image):
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def make_warped(out, name):
    """One pair of a photograph and its warped copy: writes the files, gives the entry of `pairs.json`."""
    size2, turn, scale, shear, shift, waves, *light = WARPS[name]
    base = name.split("_")[0]
    image1 = getattr(skimage.data, base)()
    mask1 = torch.from_numpy(object_mask(base, image1.shape[:2]))
    save_image(out / f"{base}.jpg", tensor(image1))
    write_mask(out / f"{base}_mask.png", mask1)
    written = warp_entry(image1.shape[:2], size2, turn, scale, shear, shift, waves)
    warp = Warp.of(written, size2)
    jacobian = torch.linalg.det(warp.jacobian(warp.pixels2()))
    if jacobian.min() < 0.2:
        raise ValueError(f"{name} folds: its Jacobian goes down to {float(jacobian.min()):.2f}; use weaker waves")
    x, y = warp.xy21(warp.pixels2()).unbind(dim=-1)
    channels = [
        map_coordinates(image1[..., c] / 255, [y.numpy(), x.numpy()], order=3, mode="nearest") for c in range(3)
    ]
    image2 = relit(np.stack(channels, axis=-1), *light, np.random.default_rng(sorted(WARPS).index(name)))
    save_image(out / f"{name}.jpg", tensor(image2))
    flow = warp.flow21()
    known = carried_mask(mask1, flow)
    size = flow.norm(dim=0)[known] / image1.shape[1]
    print(f"{name}: {known.sum()} pixels, moved by {size.mean():.1%} of the width on average, {size.max():.1%} at most")
    entry = {
        "name": name,
        "subset": "warp",
        "image1": f"{base}.jpg",
        "image2": f"{name}.jpg",
        "category": CATEGORIES[base],
    }
    return {**entry, "mask1": f"{base}_mask.png", "keypoints2": corners(image2, known.numpy()), "warp": written}


def visible(disparity):
    """Unknown where the point lies outside of the right photograph, or behind another one there."""
    height, width = disparity.shape
    x = np.arange(width) - disparity
    nearest = np.full((height, width + 2), -np.inf)
    rows, columns = np.nonzero(np.isfinite(disparity) & (x >= 0))
    left = np.floor(x[rows, columns]).astype(int)  # the right photograph's two pixels beside the point
    for place in (left, left + 1):
        np.maximum.at(nearest, (rows, place), disparity[rows, columns])
    seen = np.full(disparity.shape, np.nan)
    keep = disparity[rows, columns] > np.maximum(nearest[rows, left], nearest[rows, left + 1]) - 1
    seen[rows[keep], columns[keep]] = disparity[rows[keep], columns[keep]]
    return seen


def make_stereo(out, name, left, right, disparity, box, light):
    """One stereo pair: image 1 is the right photograph, image 2 the left one, on which the disparity is known."""
    right = relit(right / 255, *light, np.random.default_rng(1))
    save_image(out / f"{name}_left.jpg", tensor(left), quality=88)
    save_image(out / f"{name}_right.jpg", tensor(right), quality=88)
    seen = visible(disparity)
    write_disparity(out / f"{name}_disparity.png", torch.from_numpy(seen).float())
    stored = read_disparity(out / f"{name}_disparity.png").numpy()
    x0, y0, x1, y1 = box
    on_object = np.zeros(seen.shape, dtype=bool)
    on_object[round(y0) : round(y1) + 1, round(x0) : round(x1) + 1] = True
    on_object &= np.nan_to_num(stored) > np.nanquantile(stored, 0.6)  # nearer than the background
    shift = float(np.median(stored[on_object]))
    print(f"{name}: {np.isfinite(stored).mean():.1%} of the pixels known, {np.isfinite(disparity).mean():.1%} measured")
    entry = {
        "name": name,
        "subset": "stereo",
        "image1": f"{name}_right.jpg",
        "image2": f"{name}_left.jpg",
        "category": "motorcycle",
    }
    box1, box2 = (
        [float(value) for value in corners]
        for corners in ((max(0, round(x0 - shift, 1)), y0, round(x1 - shift, 1), y1), box)
    )
    return {
        **entry,
        "disparity": f"{name}_disparity.png",
        "box1": box1,
        "box2": box2,
        "keypoints2": corners(left, on_object),
    }


def shrunk(image, factor):
    """An image (H, W, 3) of bytes, smaller by `factor`."""
    size = round(image.shape[0] * factor), round(image.shape[1] * factor)
    return (255 * resize(image / 255, size, anti_aliasing=True)).round().astype(np.uint8)


def make_motorcycle(out):
    """The whole scene at two thirds of its size, and its right part at full size under other light."""
    left, right, disparity = skimage.data.stereo_motorcycle()
    disparity = np.where(np.isfinite(disparity), disparity, np.nan)
    small_left, small_right = shrunk(left, 0.675), shrunk(right, 0.675)
    (h, w), (height, width) = small_left.shape[:2], disparity.shape
    rows, columns = (((np.arange(n) + 0.5) * old / n - 0.5).round().astype(int) for n, old in ((h, height), (w, width)))
    small = disparity[np.ix_(rows, columns)] * (w / width)
    box = [round(value * w / width, 1) for value in STEREO_BOXES["motorcycle"]]
    whole = make_stereo(out, "motorcycle", small_left, small_right, small, box, (1.0, (0, 0), (1, 1, 1), 0))
    x0, y0, x1, y1 = 330, 60, 741, 480
    window = np.s_[y0:y1, x0:x1]
    left_box, top_box, right_box, bottom_box = STEREO_BOXES["motorcycle_near"]
    box = [left_box - x0, top_box - y0, right_box - x0, bottom_box - y0]
    light = (0.75, (0.3, 0.0), (0.9, 1.0, 1.1), 3)
    return [whole, make_stereo(out, "motorcycle_near", left[window], right[window], disparity[window], box, light)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/photos"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    pairs = make_motorcycle(out) + [make_warped(out, name) for name in WARPS]
    rows = ",\n  ".join(json.dumps(pair) for pair in pairs)
    (out / "pairs.json").write_text(f"[\n  {rows}\n]\n")


if __name__ == "__main__":
    main()
