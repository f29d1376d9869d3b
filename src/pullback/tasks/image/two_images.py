"""Two photographs in, one correspondence out: a dense flow, the functional map and pictures."""

import json
from pathlib import Path

import numpy as np

from pullback.data.image.truth import write_flo
from pullback.figures.eigenfunctions import draw_eigenfunctions
from pullback.figures.image_pair import draw_image_match
from pullback.figures.keypoints import draw_keypoints
from pullback.figures.photo_viewer import ViewedPhotos, write_photo_viewer
from pullback.figures.picture import Picture, sheet
from pullback.figures.plot import save_figure
from pullback.figures.report import Gallery, ReportContent, write_report
from pullback.figures.report_kinds import IMAGES
from pullback.tasks.image.judging import ImageVerdict, verdict_line
from pullback.tasks.image.landing import PlacesLanding
from pullback.tasks.image.module import stored
from pullback.tasks.image.pixel_maps import pixel_confidence, pixel_flow
from pullback.tasks.image.reporting import fmaps_by_name
from pullback.tasks.provenance import run_facts
from pullback.types import ImagePair, PatchMatch, PatchPair
from pullback.writing import write_atomically

_POINTS = "Lines join each point that was asked for with the place that it lands on; points.csv has the numbers."


def write_image_match(
    folder: Path,
    pair: ImagePair,
    patches: PatchPair,
    match: PatchMatch,
    *,
    method: str,
    config: str,
    verdict: ImageVerdict | None = None,
    landing: PlacesLanding | None = None,
) -> Path:
    """Writes ``flow21.flo``, ``match.npz``, ``metrics.json``, ``match.png``, ``report/viewer.html`` and
    ``report/index.html``.

    Returns the path of the last.
    """
    flow21 = pixel_flow(pair, patches, match)
    write_flo(folder / "flow21.flo", flow21)
    arrays = {name: value.numpy() for name, value in stored(patches, match).items() if value is not None}
    judged = {} if verdict is None else verdict.arrays()
    write_atomically(folder / "match.npz", lambda file: np.savez(file, **arrays, **judged))
    _write_metrics(folder / "metrics.json", pair, patches, method, verdict)
    certain2 = None if verdict is None else pixel_confidence(pair, patches, verdict).numpy()
    names = (f"source: {pair.image1.name}", f"target: {pair.image2.name}")
    title = f"{pair.image2.name} → {pair.image1.name}"
    fmaps = fmaps_by_name(arrays) or None
    pictures = draw_image_match(
        pair.image1, pair.image2, flow21, title=title, fmaps=fmaps, names=names, confidence2=certain2
    )
    points = [] if landing is None else [_points_picture(pair, landing)]
    dense, texture, *rest = pictures
    save_figure(sheet([dense, texture, *points, *rest]), folder / "match.png")
    told = (*verdict_line(verdict), *pair.notes)
    viewed = ViewedPhotos(title, pair.image1, pair.image2, flow21, told=told)
    viewer = write_photo_viewer(folder / "report" / "viewer.html", viewed)
    facts = run_facts()
    content = ReportContent(
        title=title,
        subtitle=". ".join([*verdict_line(verdict), method, *pair.notes]),
        viewer=viewer.name,
        kind=IMAGES,
        correspondences=[dense],
        galleries=[
            Gallery("points", "Points", points, _POINTS),
            Gallery("texture", "Texture transfer", [texture]),
            Gallery(
                "eigenfunctions", "Eigenfunctions", draw_eigenfunctions(patches, pair.image1, pair.image2, title=title)
            ),
        ],
        fmaps=fmaps,
        fmap_pair=pair.name,
        config=config,
        command=facts.pop("command"),
        environment=facts,
    )
    return write_report(folder / "report" / "index.html", content)


def _points_picture(pair: ImagePair, landing: PlacesLanding) -> Picture:
    """The points that land somewhere, joined with where they land."""
    known = np.isfinite(landing.lands_place).all(axis=1)
    lost = f"{(~known).sum()} of {len(known)} lie outside the mask" if not known.all() else ""
    on1, on2 = landing.on("source")[known], landing.on("target")[known]
    return draw_keypoints(pair.image1, pair.image2, on2, on1, title="Points", note=lost)


def _write_metrics(path: Path, pair: ImagePair, patches: PatchPair, method: str, verdict: ImageVerdict | None) -> None:
    """What is known of a match without ground truth: how it was made, and of which photographs."""
    sides = {"source": (pair.image1, patches.image1), "target": (pair.image2, patches.image2)}
    photographs = {
        side: {"name": photo.name, "size": photo.size, "grid": graph.grid, "notes": photo.notes}
        for side, (photo, graph) in sides.items()
    }
    told = {} if verdict is None else verdict.metrics()
    text = json.dumps({"method": method, **told, **photographs}, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
