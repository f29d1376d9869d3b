"""Writers of small data sets of photographs in the true on-disk formats. Independent of the package,
which is tested on them.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

UNKNOWN = 1e10  # what TSS writes where there is no flow


def scene(seed: int, height: int = 24, width: int = 32) -> np.ndarray:
    """A colourful smooth picture (H, W, 3) of bytes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x * rng.uniform(0.1, 0.6) + y * rng.uniform(0.1, 0.6) + phase) for phase in rng.uniform(0, 6, 3)]
    return np.round(127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_flow(path: Path, flow: np.ndarray) -> None:
    """A flow (H, W, 2) as in TSS: magic, width, height, then x and y interleaved row by row, all little-endian."""
    height, width, _ = flow.shape
    header = np.array([202021.25], "<f4").tobytes() + np.array([width, height], "<i4").tobytes()
    path.write_bytes(header + flow.astype("<f4").tobytes())


def rectangle(height: int, width: int, box: Sequence[int]) -> np.ndarray:
    """A mask (H, W): x0, y0, x1, y1, the last two not included."""
    mask = np.zeros((height, width), dtype=bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def write_tss_pair(folder: Path, seed: int, *, flip: int = 0, on: int = 255) -> None:
    """One pair of TSS of different sizes: the object of photograph 2 is that of photograph 1, moved by (3, -2)."""
    masks = rectangle(24, 32, (8, 6, 20, 16)), rectangle(26, 30, (5, 8, 17, 18))
    for number, mask in enumerate(masks, start=1):
        pixels = scene(seed + number, *mask.shape)
        pixels[mask] = scene(seed)[:10, :12].reshape(-1, 3)
        write_image(folder / f"image{number}.png", pixels)
        write_image(folder / f"mask{number}.png", (mask * on).astype(np.uint8))
        flow = np.full((*mask.shape, 2), UNKNOWN)
        flow[mask] = (-3, 2) if number == 1 else (3, -2)
        write_flow(folder / f"flow{number}.flo", flow)
    (folder / "flip_gt.txt").write_text(f"{flip}\n")


def write_tss(root: Path) -> None:
    """Five pairs, one of them mirrored; JODS masks are 0/1."""
    write_tss_pair(root / "FG3DCar" / "001_005", 10)
    write_tss_pair(root / "FG3DCar" / "001_021", 20)
    write_tss_pair(root / "JODS" / "suv_01_02", 30, on=1)
    write_tss_pair(root / "PASCAL" / "bike_01_03", 40, flip=1)
    write_tss_pair(root / "PASCAL" / "busd_01_02", 50)


def write_spair_pair(root: Path, number: int, category: str, *, split: str = "test", mirror: int = 0) -> None:
    """One pair of SPair-71k: two JPEG photographs and their annotation."""
    source, target = (f"2008_{2 * number + side:06d}" for side in (0, 1))
    for side, name in enumerate((source, target)):
        write_image(root / "JPEGImages" / category / f"{name}.jpg", scene(2 * number + side, 24 + side, 32))
    annotation = {
        "pair_id": number,
        "src_imname": f"{source}.jpg",
        "trg_imname": f"{target}.jpg",
        "src_imsize": [32, 24, 3],
        "trg_imsize": [32, 25, 3],
        "src_bndbox": [4, 5, 20, 18],
        "trg_bndbox": [6, 3, 30, 22],
        "category": category,
        "src_kps": [[5, 6], [19, 17], [10 + number % 3, 9]],
        "trg_kps": [[7, 4], [29, 21], [15, 11 + number % 3]],
        "kps_ids": ["0", "3", "7"],
        "mirror": mirror,
        "viewpoint_variation": 0,
        "scale_variation": 1,
        "truncation": 0,
        "occlusion": 0,
    }
    path = root / "PairAnnotation" / split / f"{number:06d}-{source}-{target}:{category}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(annotation))


def write_spair_photo(root: Path, category: str, name: str, shown: Sequence[int]) -> None:
    """The annotation of one photograph of SPair-71k: thirty keypoints, null where the photograph does not show them."""
    path = _made(root / "ImageAnnotation" / category) / f"{name}.json"
    places = {str(i): [5 + i % 3, 6 + i % 5] if i in shown else None for i in range(30)}
    path.write_text(json.dumps({"filename": f"{name}.jpg", "category": category, "kps": places}))


def write_animals(root: Path, species: Sequence[str] = ("canidae/fox", "canidae/wolf", "felidae/cat")) -> None:
    """AP-10K as a benchmark: three photographs of each species, pairs within species, families and across them."""
    for rank, place in enumerate(species):
        for number in range(3):
            name = f"{place}/{rank}{number:011d}"
            write_image(root / "JPEGImages" / f"{name}.jpg", scene(10 * rank + number, 24 + number, 32))
            points = np.random.default_rng(10 * rank + number).uniform(2, 20, (17, 3)).round(1)
            points[:, 2] = [2, 1, 0, 2, 2, 0, 1, *[2] * 10] if number else [0, 2, 2, 1, 2, 0, 2, *[2] * 10]
            points[points[:, 2] == 0] = 0
            known = {"bbox": [2, 3, 28, 19], "width": 32, "height": 24 + number, "keypoints": points.flatten().tolist()}
            path = root / "ImageAnnotation" / f"{name}.json"
            _made(path.parent)
            path.write_text(json.dumps(known))
    last = [f"{place}/{rank}{2:011d}" for rank, place in enumerate(species)]
    for rank, place in enumerate(species):
        first = [f"{place}/{rank}{number:011d}" for number in range(3)]
        _write_animal_pair(root, "test", first[0], first[1], place.split("/")[1])
        _write_animal_pair(root, "test", first[1], first[2], place.split("/")[1])
    _write_animal_pair(root, "test_cross_species", last[0], last[1], "canidae")
    _write_animal_pair(root, "test_cross_family", last[0], last[2], "all")


def _write_animal_pair(root: Path, split: str, source: str, target: str, category: str) -> None:
    paths = {
        f"{side}_json_path": f"data/ap-10k/ImageAnnotation/{name}.json"
        for side, name in (("src", source), ("trg", target))
    }
    stems = [name.rpartition("/")[2] for name in (source, target)]
    path = _made(root / "PairAnnotation" / split) / f"{stems[0]}-{stems[1]}:{category}.json"
    path.write_text(json.dumps(paths))


def write_willow(root: Path, classes: Sequence[str], *, photos: int = 2) -> None:
    """PF-WILLOW: photographs of different heights, ten keypoints on each, whose first pixel Matlab calls (1, 1)."""
    for rank, name in enumerate(classes):
        for number in range(photos):
            seed = 100 * rank + number
            pixels = scene(seed, 22 + number, 30)
            write_image(root / name / f"Photo_{number:03d}a.png", pixels)
            points = np.random.default_rng(seed).uniform(1, [[30], [22]], (2, 10))
            savemat(root / name / f"Photo_{number:03d}a.mat", {"pts_coord": points})


def write_pascal(root: Path, rows: Sequence[tuple[str, str, int]]) -> None:
    """PF-PASCAL: photographs and the list of pairs (source, target, class from 1) with three or four keypoints each."""
    with open(_made(root) / "test_pairs.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["source_image", "target_image", "class", "XA", "YA", "XB", "YB"])
        for number, (source, target, category) in enumerate(rows):
            points = np.random.default_rng(number).uniform(2, 20, (4, 3 + number % 2))
            names = [f"PF-dataset-PASCAL/JPEGImages/{name}.jpg" for name in (source, target)]
            table.writerow([*names, category, *(";".join(f"{value:.6f}" for value in row) for row in points)])
            for name in (source, target):
                write_image(root / "JPEGImages" / f"{name}.jpg", scene(sum(name.encode())))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_spair(root):
    """Thirty pairs of cats and five of potted plants, and a validation pair of dogs."""
    for number in range(30):
        write_spair_pair(root, number, "cat", mirror=number % 2)
    for number in range(30, 35):
        write_spair_pair(root, number, "pottedplant")
    write_spair_pair(root, 40, "dog", split="val")


def names(dataset):
    """The names of the pairs of a data set, in order."""
    return [dataset.pair_name(i) for i in range(len(dataset))]


def by_name(dataset, name):
    """The pair of that name."""
    return dataset.load(names(dataset).index(name))


def write_tools(
    root: Path, categories: Sequence[str] = ("hammer", "saw"), tools: int = 3, *, ranks: bool = True
) -> None:
    """Tools of RGB-D Part Affordance, three frames each: a handle on the left to grasp, a head on the right."""
    height, width = 24, 32
    for seed, category in enumerate(categories):
        for number in range(1, tools + 1):
            for frame in range(1, 4):
                folder, stem = root / "tools" / f"{category}_{number:02}", f"{category}_{number:02}_{frame:08}"
                write_image(folder / f"{stem}_rgb.jpg", scene(10 * seed + number, height, width))
                write_image(folder / f"{stem}_depth.png", np.full((height, width), 900, np.uint16))
                handle, head = rectangle(height, width, (4, 8, 16, 14)), rectangle(height, width, (16, 4, 26, 18))
                label = handle * 1 + head * (5 if category == "hammer" else 2)
                savemat(folder / f"{stem}_label.mat", {"gt_label": label.astype(np.uint8)})
                if ranks:
                    rank = np.zeros((height, width, 7), np.uint8)
                    rank[handle, 0] = 1
                    rank[head, 0] = 3
                    rank[head, 4 if category == "hammer" else 1] = 1
                    savemat(folder / f"{stem}_label_rank.mat", {"gt_label": rank}, do_compression=True)
