"""Makes the two pictures of the README out of what ``match.py`` writes: ``python docs/images/make.py``, from the
repository, in a minute.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image as Pillow

from pullback.data.image.io import read_image
from pullback.data.image.truth import read_flo
from pullback.figures.flow import draw_flow
from pullback.figures.image_pair import draw_dense_correspondence
from pullback.figures.picture import Picture, sheet
from pullback.figures.plot import save_figure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BODIES = ("data/humans/off/human_020.off", "data/humans/off/human_024.off")
PHOTOGRAPHS = ("data/photos/chelsea.jpg", "data/photos/chelsea_strong.jpg")


def run(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "match.py", *arguments, f"hydra.run.dir={folder}"], cwd=ROOT, check=True)


def bodies(folder: Path) -> None:
    """What match.py draws, in 255 colours."""
    run(folder, *BODIES)
    drawn = Pillow.open(folder / "match.png").convert("RGB").quantize(255)
    drawn.save(HERE / "bodies.png", optimize=True)


def photographs(folder: Path) -> None:
    """Places by colour, and the flow."""
    run(folder, *PHOTOGRAPHS)
    source, target = (read_image(ROOT / name) for name in PHOTOGRAPHS)
    flow21 = read_flo(folder / "flow21.flo")
    places = draw_dense_correspondence(source, target, flow21, title="", names=("source", "target"))
    flow = draw_flow(target, {"predicted": flow21}, title="")
    panels = (*places.panels, *flow.panels[:2])
    save_figure(sheet([Picture("target → source", panels)]), folder / "sheet.png")
    Pillow.open(folder / "sheet.png").convert("RGB").save(HERE / "photographs.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        bodies(Path(folder) / "bodies")
        photographs(Path(folder) / "photographs")
