"""FAUST: scans of 10 people in 10 poses each (Bogo et al. 2014), in the meshes that circulate."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pullback.data.mesh.dataset import FOR_TESTS_ONLY, Split
from pullback.data.mesh.published import PublishedSet

_SPLITS = {"train": range(80), "test": range(80, 100)}
_REGISTER = "FAUST is licensed for research only: register at https://faust-leaderboard.is.tuebingen.mpg.de."


class Faust(PublishedSet):
    """FAUST_r (Ren et al. 2018): people 0–7 (shapes 000–079) for training, people 8 and 9 for tests.

    Landmark i is the same point of the FAUST template on all shapes; ``.sym.vts`` holds its left-right mirror image.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"faust": {"folder": "FAUST_r"}}
    name = "faust"
    val_shapes = 10  # the last person of the training split in all poses
    vts_rows = 5000
    wanted = "tr_reg_000.off … tr_reg_099.off and tr_reg_000.vts …"
    source = (
        f"{_REGISTER} The remeshed version is that of Ren et al. 2018, published as "
        "github.com/llorz/SGA18_orientation_BCICP_dataset and "
        "re-hosted by most later papers. Then give paths.data_dir= (or "
        "PULLBACK_DATA_DIR) the folder that holds FAUST_r, or "
        "dataset.faust.root= FAUST_r itself."
    )

    def published_split(self, split: Split) -> list[str]:
        return [f"tr_reg_{number:03d}" for number in _SPLITS[split]]


class FaustA(Faust):
    """FAUST_a: the 20 test shapes with anisotropic triangles (Donati et al. 2022), for tests only."""

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"faust_a": {"folder": "FAUST_a"}}
    name = "faust_a"
    vts_rows = 6890
    advice_on_splits = FOR_TESTS_ONLY
    wanted = "tr_reg_080.off … tr_reg_099.off and tr_reg_080.vts …"
    source = (
        f"{_REGISTER} The anisotropic version is that of Donati et al. 2022 (DUO-FMNet), re-hosted with the data "
        "of later papers such as "
        "github.com/dongliangcao/Unsupervised-Learning-of-Robust-Spectral-Shape-Matching. Then give "
        "paths.data_dir= (or "
        "PULLBACK_DATA_DIR) the folder that holds FAUST_a, or dataset.faust_a.root= FAUST_a itself."
    )

    def published_split(self, split: Split) -> list[str]:
        return super().published_split("test") if split == "test" else []
