"""Broken files for the readers of photographs and of what is known of them: what is read makes sense,
or an error names the file.
"""

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat
from tests.fuzzing import REFUSED, RIGHT, Subject, damaged_samples, verdict
from tests.image_fakes import rectangle, scene, write_flow, write_image

from pullback.data.image.io import read_disparity, read_image, read_mask
from pullback.data.image.sets.pf_pascal import PFPascal
from pullback.data.image.sets.photos import Photos
from pullback.data.image.sets.spair71k import SPair71k, SPairFiles
from pullback.data.image.truth import is_known_flow, read_flo, read_mat_keypoints
from pullback.files import read_json
from pullback.tasks.results import load_results

SPAIR = "000001-2008_000001-2008_000002:cat.json"


def saved(pixels: np.ndarray, kind: str, **options) -> bytes:
    """A picture as the bytes of a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def photographs() -> dict[str, bytes]:
    pixels = scene(3, 20, 26)
    alpha = np.dstack([pixels, pixels[..., 0]])
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.fromarray(scene(seed, 20, 26)) for seed in (4, 5)]
    return {
        "a.jpg": saved(pixels, "JPEG", exif=exif),
        "progressive.jpg": saved(pixels, "JPEG", progressive=True),
        "a.png": saved(alpha, "PNG", exif=exif),
        "palette.png": saved(np.asarray(Image.fromarray(pixels).quantize(8)), "PNG"),
        "deep.png": saved(np.arange(20 * 26, dtype=np.uint16).reshape(20, 26) + 27000, "PNG"),
        "animated.png": saved(pixels, "PNG", save_all=True, append_images=frames),
        "a.gif": saved(pixels, "GIF", save_all=True, append_images=frames),
        "a.bmp": saved(pixels, "BMP"),
        "a.tif": saved(pixels, "TIFF", compression="tiff_lzw"),
        "float.tif": saved(np.linspace(-3, 40, 20 * 26, dtype=np.float32).reshape(20, 26), "TIFF"),
        "a.webp": saved(alpha, "WEBP", exif=exif),
        "a.avif": saved(pixels, "AVIF"),
        "a.jp2": saved(pixels, "JPEG2000"),
        "a.j2k": saved(pixels, "JPEG2000", no_jp2=True),
        "a.ppm": saved(pixels, "PPM"),
        "a.qoi": saved(pixels, "QOI"),
    }


def matlab(**options) -> bytes:
    file = io.BytesIO()
    savemat(file, {"pts_coord": np.random.default_rng(0).uniform(1, 20, (2, 10)), "other": {"a": "text"}}, **options)
    return file.getvalue()


def flow() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_flow(Path(folder) / "a.flo", np.random.default_rng(0).normal(size=(5, 7, 2)))
        return (Path(folder) / "a.flo").read_bytes()


def annotation() -> bytes:
    sides = {
        "src_imname": "2008_000001.jpg",
        "trg_imname": "2008_000002.jpg",
        "src_bndbox": [4, 5, 20, 18],
        "trg_bndbox": [6, 3, 25, 19],
    }
    points = {"src_kps": [[5, 6], [19, 17], [11, 9]], "trg_kps": [[7, 4], [25, 18], [15, 12]]}
    return json.dumps({**sides, **points, "category": "cat", "mirror": 0}).encode()


def pairs_of_photos() -> bytes:
    warp = {"matrix": [[1.0, 0.1, 0.5], [-0.1, 1.0, 2.0]], "waves": [[0.5, 0.2, 1.0, 0.4, 0.1]]}
    common = {"category": "cup", "image1": "one.png", "image2": "two.png", "keypoints2": [[8, 9], [12, 11]]}
    boxes = {"box1": [2, 3, 20, 15], "box2": [2, 3, 20, 15]}
    return json.dumps(
        [
            {"name": "a", "subset": "warp", **common, "mask1": "mask.png", "warp": warp},
            {"name": "b", "subset": "stereo", **common, "disparity": "disparity.png", **boxes},
        ]
    ).encode()


def pascal() -> bytes:
    rows = ["source_image,target_image,class,XA,YA,XB,YB", "JPEGImages/one.jpg,JPEGImages/two.jpg,20,2.5;7,3;8,4;9,5;6"]
    return "\n".join(rows).encode()


def around(path: Path) -> Path:
    """The photographs that lists and annotations speak of, beside them; their folder."""
    folder = path.parent
    if not (folder / "JPEGImages").is_dir():
        for name in ("cat/2008_000001", "cat/2008_000002", "one", "two"):
            write_image(folder / "JPEGImages" / f"{name}.jpg", scene(len(name), 20, 26))
        write_image(folder / "one.png", scene(1, 20, 26))
        write_image(folder / "two.png", scene(2, 20, 26))
        write_image(folder / "mask.png", rectangle(20, 26, (4, 4, 20, 16)))
        write_image(folder / "disparity.png", np.full((20, 26), 400, np.uint16))
    return folder


def read_all(dataset):
    dataset.check()
    return [dataset.load(i) for i in range(len(dataset))]


def read_spair(path: Path):
    return [SPair71k(around(path)).read(SPairFiles("a", "cat", path))]


def read_results(path: Path):
    (path.parent / "pairs.csv").write_text("dataset,pair,epe\na,b,1.5\n")
    return load_results(path.parent)


def check_photo(photo) -> None:
    assert photo.pixels.dtype == torch.uint8
    assert photo.pixels.shape[0] == 3 and min(photo.size) > 0
    assert all(note and len(note) < 300 for note in photo.notes)


def check_grey(values) -> None:
    assert values.ndim == 2 and values.numel() > 0
    assert values.dtype == torch.bool or (values[values.isfinite()] > 0).all()


def check_points(points) -> None:
    assert points.ndim == 2 and points.shape[1] == 2
    assert points.isfinite().all() and (points.abs() <= 1e6).all()


def check_pairs(pairs) -> None:
    for pair in pairs:
        check_photo(pair.image1)
        check_photo(pair.image2)
        check_points(pair.keypoints1)
        check_points(pair.keypoints2)
        assert len(pair.keypoints1) == len(pair.keypoints2) > 0
        assert (pair.image1.box[2:] > pair.image1.box[:2]).all()
        assert pair.flow21 is None or (pair.flow21.isfinite().all() and pair.known2.any())


SUBJECTS = [
    Subject("photographs", photographs(), read_image, check_photo),
    Subject("masks", {"m.png": saved(rectangle(20, 26, (4, 4, 20, 16)), "PNG")}, read_mask, check_grey),
    Subject("disparities", {"d.png": saved(np.full((20, 26), 400, np.uint16), "PNG")}, read_disparity, check_grey),
    Subject("flows", {"a.flo": flow()}, read_flo, lambda flow: check_grey(is_known_flow(flow))),
    Subject(
        "keypoints of Matlab",
        {"a.mat": matlab(), "packed.mat": matlab(do_compression=True), "old.mat": matlab(format="5", oned_as="row")},
        read_mat_keypoints,
        check_points,
    ),
    Subject("annotations of SPair", {SPAIR: annotation()}, read_spair, check_pairs),
    Subject("pairs.json", {"pairs.json": pairs_of_photos()}, lambda path: read_all(Photos(around(path))), check_pairs),
    Subject(
        "pairs of PF-PASCAL", {"test_pairs.csv": pascal()}, lambda path: read_all(PFPascal(around(path))), check_pairs
    ),
    Subject(
        "metrics.json",
        {"metrics.json": b'{"results": [{"pairs": 2}], "started": "now"}'},
        read_results,
        lambda content: None,
    ),
    Subject("JSON", {"a.json": annotation()}, read_json, json.dumps),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_whole_files_are_read(folder, subject):
    for name, content in subject.samples.items():
        (folder / name).write_bytes(content)
        assert verdict(subject, folder / name).outcome == RIGHT, verdict(subject, folder / name)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_broken_file_is_read_rightly_or_refused_by_name(folder, subject, data):
    name, kind, content = data.draw(damaged_samples(subject))
    (folder / name).write_bytes(content)
    found = verdict(subject, folder / name)
    assert found.outcome in (RIGHT, REFUSED), f"{name}, {kind}: {found.outcome}\n{found.said}\n{content[:300]!r}"
