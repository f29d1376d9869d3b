"""Two photographs in, one correspondence out: a dense flow, the functional map and pictures."""

import json
from pathlib import Path

import numpy as np

from pullback.data.image.truth import write_flo
from pullback.figures.eigenfunctions import draw_eigenfunctions
from pullback.figures.image_pair import draw_image_match
from pullback.figures.photo_viewer import ViewedPhotos, write_photo_viewer
from pullback.figures.picture import sheet
from pullback.figures.plot import save_figure
from pullback.figures.report import Gallery, ReportContent, write_report
from pullback.figures.report_kinds import IMAGES
from pullback.mapping.grid_match import flow_from_match
from pullback.tasks.image.module import stored
from pullback.tasks.image.reporting import fmaps_by_name
from pullback.tasks.provenance import run_facts
from pullback.types import ImagePair, PatchMatch, PatchPair
from pullback.writing import write_atomically


def write_image_match(
    folder: Path, pair: ImagePair, patches: PatchPair, match: PatchMatch, *, method: str, config: str
) -> Path:
    """Writes ``flow21.flo``, ``match.npz``, ``metrics.json``, ``match.png``, ``report/viewer.html`` and
    ``report/index.html``.

    Returns the path of the last.
    """
    image2 = patches.image2
    flow21 = flow_from_match(match.xy21, image2.grid, image2.size, image2.patches)
    write_flo(folder / "flow21.flo", flow21)
    arrays = {name: value.numpy() for name, value in stored(patches, match).items() if value is not None}
    write_atomically(folder / "match.npz", lambda file: np.savez(file, **arrays))
    _write_metrics(folder / "metrics.json", pair, patches, method)
    names = (f"source: {pair.image1.name}", f"target: {pair.image2.name}")
    title = f"{pair.image2.name} → {pair.image1.name}"
    fmaps = fmaps_by_name(arrays) or None
    pictures = draw_image_match(pair.image1, pair.image2, flow21, title=title, fmaps=fmaps, names=names)
    save_figure(sheet(pictures), folder / "match.png")
    dense, texture = pictures[:2]
    viewed = ViewedPhotos(title, pair.image1, pair.image2, flow21, told=pair.notes)
    viewer = write_photo_viewer(folder / "report" / "viewer.html", viewed)
    facts = run_facts()
    content = ReportContent(
        title=title,
        subtitle=". ".join([method, *pair.notes]),
        viewer=viewer.name,
        kind=IMAGES,
        correspondences=[dense],
        galleries=[
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


def _write_metrics(path: Path, pair: ImagePair, patches: PatchPair, method: str) -> None:
    """What is known of a match without ground truth: how it was made, and of which photographs."""
    sides = {"source": (pair.image1, patches.image1), "target": (pair.image2, patches.image2)}
    photographs = {
        side: {"name": photo.name, "size": photo.size, "grid": graph.grid, "notes": photo.notes}
        for side, (photo, graph) in sides.items()
    }
    text = json.dumps({"method": method, **photographs}, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
