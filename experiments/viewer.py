"""Measures the interactive viewer in a headless Chromium with software graphics, and prints a table.

    python -m experiments.viewer [VERTICES …]

For each size two lumpy tori of so many vertices: the size of the page, the time until the first frame, that of a frame
while both shapes turn (1000 × 500 pixels, all views), of finding the vertex under the pointer, and of a brush stroke.
Frames also in processor seconds of the browser, which mean the same beside other jobs.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.browser import Browser, program

from pullback.figures.viewer import Side, ViewedPair, write_viewer

FRAMES = 10
_FRAME = """(() => { const s = viewer.stage, gl = s.renderer.getContext(); s.camera(0).turn(0.1, 0.02); s.draw();
s.drawNow(); gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)); })()"""


def torus(n: int) -> Side:
    """A lumpy torus of about n vertices with 20 smooth functions."""
    around, across = int(np.sqrt(2 * n)), int(n / int(np.sqrt(2 * n)))
    i, j = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    u, v = 2 * np.pi * i.ravel() / around, 2 * np.pi * j.ravel() / across
    radius = 0.4 + 0.05 * np.sin(5 * u + 3 * v)
    ring = 1 + radius * np.cos(v)
    verts = np.stack([ring * np.cos(u), ring * np.sin(u), radius * np.sin(v)], axis=1) / 4
    ids = np.arange(len(u)).reshape(around, across)
    right, up = np.roll(ids, -1, axis=0), np.roll(ids, -1, axis=1)
    both = np.roll(right, -1, axis=1)
    faces = np.concatenate([np.stack(it, axis=-1).reshape(-1, 3) for it in ((ids, right, up), (right, both, up))])
    evecs = np.stack([np.cos(a * u + b * v + a) for a in range(5) for b in range(4)], axis=1).astype(np.float32)
    mass = np.full(len(verts), 1 / len(verts), dtype=np.float32)
    return Side("torus", verts.astype(np.float32), faces, evecs=evecs, mass=mass, features=evecs[:, :8])


def pair_of(n: int) -> ViewedPair:
    side = torus(n)
    ids = np.arange(len(side.verts))
    channels, sure = [str(i) for i in range(8)], np.linspace(0, 1, len(ids))
    return ViewedPair("tori", side, side, ids, ids, fmap12=np.eye(20), channels=channels, confidence2=sure)


def milliseconds(browser: Browser, expression: str, times: int) -> float:
    """Of one call, the median of several, by the clock of the browser."""
    measured = browser.value(
        f"(() => {{ const all = []; for (let i = 0; i < {times}; i++) {{ const t = performance.now(); {expression}; "
        "all.push(performance.now() - t); } return all; })()"
    )
    return float(np.median(measured))


def processor_seconds(session: int) -> float:
    """Of all processes of a session that still run."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(n: int, folder: Path) -> str:
    start = time.process_time()
    path = write_viewer(folder / "viewer.html", pair_of(n))
    made, browser = time.process_time() - start, Browser(program())
    try:
        browser.open(path, width=1000, height=760)
        browser.until("viewer.stage.frames > 0")
        loaded = browser.value("performance.now()")
        before = processor_seconds(browser.session)
        frame = milliseconds(browser, _FRAME, FRAMES)
        processor = (processor_seconds(browser.session) - before) / FRAMES
        pick = milliseconds(browser, "viewer.stage.actors[0].seen = null; viewer.stage.pick(0, 200, 250)", FRAMES)
        stroke = milliseconds(browser, "viewer.paint(0, 0.12)", 3)
    finally:
        browser.close()
    size = path.stat().st_size / 2**20
    cells = (f"{n:,}", f"{size:.1f}", f"{made:.2f}", f"{loaded / 1000:.1f}", f"{frame:.0f}", f"{processor:.2f}")
    return f"| {' | '.join(cells)} | {pick:.0f} | {stroke:.0f} |"


def main(command: Sequence[str] | None = None) -> None:
    sizes = [int(word) for word in (sys.argv[1:] if command is None else command)] or [5_000, 100_000]
    print(
        "| vertices | page, MiB | made, s | first frame, s | frame, ms | processor s a frame | pick, ms | stroke, ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            print(measure(n, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
