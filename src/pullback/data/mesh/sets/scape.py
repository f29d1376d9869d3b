"""SCAPE: one man in 71 poses (Anguelov et al. 2005), in the meshes that circulate."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pullback.data.mesh.dataset import FOR_TESTS_ONLY, Split
from pullback.data.mesh.published import PublishedSet

# There is no mesh051.
_SPLITS = {"train": range(51), "test": range(52, 72)}
_REQUEST = "SCAPE is given by its authors on request: http://robotics.stanford.edu/~drago/Projects/scape/scape.html."


class Scape(PublishedSet):
    """SCAPE_r: remeshed to about 5,000 vertices (Ren et al. 2018); mesh000–050 for training, mesh052–071 for tests."""

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"scape": {"folder": "SCAPE_r"}}
    name = "scape"
    up = "x"
    front = "-y"
    val_shapes = 6  # the last poses of the training split: 15 pairs
    vts_rows = 5000
    wanted = "mesh000.off … mesh071.off (71 files, without mesh051) and mesh000.vts …"
    source = (
        f"{_REQUEST} The remeshed version is that of Ren et al. 2018, re-hosted by most later papers. Then give "
        "paths.data_dir= (or "
        "PULLBACK_DATA_DIR) the folder that holds SCAPE_r, or dataset.scape.root= SCAPE_r itself; SCAPE_acvd, a "
        "stand-in made of the "
        "original scans, is dataset=scape_acvd."
    )

    def published_split(self, split: Split) -> list[str]:
        return [f"mesh{number:03d}" for number in _SPLITS[split]]


class ScapeAcvd(Scape):
    """A stand-in for SCAPE_r: the same 71 scans of 12,500 vertices, remeshed to about 5,000 with ACVD.

    Results are not those of SCAPE_r.

    Row i of a ``.vts`` file is the vertex nearest to vertex i of the original scan.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"scape_acvd": {"folder": "SCAPE_acvd"}}
    name = "scape_acvd"
    vts_rows = 12500
    source = (
        "It is made of the original scans with a uniform remesher: off/meshXXX.off, and corres/meshXXX.vts with "
        "the nearest new vertex "
        f"(from 1) of each of the 12,500 old ones. {_REQUEST} Then give paths.data_dir= (or PULLBACK_DATA_DIR) the "
        "folder that holds "
        "SCAPE_acvd, or dataset.scape_acvd.root= SCAPE_acvd itself."
    )


class ScapeA(Scape):
    """SCAPE_a: the 20 test shapes with anisotropic triangles (Donati et al. 2022), for tests only."""

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"scape_a": {"folder": "SCAPE_a"}}
    name = "scape_a"
    vts_rows = 12500
    advice_on_splits = FOR_TESTS_ONLY
    wanted = "mesh052.off … mesh071.off and mesh052.vts …"
    source = (
        f"{_REQUEST} The anisotropic version is that of Donati et al. 2022 (DUO-FMNet), re-hosted with the data of "
        "later papers such as "
        "github.com/dongliangcao/Unsupervised-Learning-of-Robust-Spectral-Shape-Matching. Then give "
        "paths.data_dir= (or "
        "PULLBACK_DATA_DIR) the folder that holds SCAPE_a, or dataset.scape_a.root= SCAPE_a itself."
    )

    def published_split(self, split: Split) -> list[str]:
        return super().published_split("test") if split == "test" else []
