"""Writers of published data sets of meshes in their true on-disk formats: the right names,
with small bodies as shapes.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.fakes import write_shape

SCAPE_NAMES = [f"mesh{number:03d}" for number in range(72) if number != 51]
TOSCA_NAMES = [
    *(f"cat{i}" for i in range(11)),
    *(f"centaur{i}" for i in range(6)),
    *(f"david{i}" for i in (0, 1, 6, 10, 11, 12, 13)),
    *(f"dog{i}" for i in (0, 1, 2, 3, 5, 6, 7, 8, 10)),
    *(f"horse{i}" for i in (0, 5, 6, 7, 10, 14, 15, 17)),
    *(f"michael{i}" for i in range(20)),
    *(f"victoria{i}" for i in (0, 1, 2, 4, 7, 10, 12, 17, 21, 24, 25, 26)),
    *(f"wolf{i}" for i in range(3)),
]


def write_set(
    root: Path, names: Sequence[str], *, layout: Sequence[str] = ("off", "corres"), distinct: int = 1
) -> None:
    """Shapes of these names with ground truth; ``distinct`` different bodies, copied as often as needed."""
    for i, name in enumerate(names):
        if i < distinct:
            write_shape(root, name, i, layout=layout)
            continue
        for folder, suffix in ((layout[0], ".off"), (layout[1], ".vts"), (layout[1], ".sym.vts")):
            shutil.copy(root / folder / f"{names[i % distinct]}{suffix}", root / folder / f"{name}{suffix}")


def write_list(path: Path, names: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(names) + "\n")
