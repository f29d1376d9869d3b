"""FAUST_r: the remeshed FAUST scans, 10 people in 10 poses (Bogo et al. 2014; remeshed by Ren et al. 2018)."""

from pathlib import Path

from pullback.data.dataset import MeshDataset, ShapeFiles, Split, require_files, require_tree

_SPLITS = {"train": range(80), "test": range(80, 100)}
_SOURCE = (
    "FAUST is licensed for research only: register at https://faust-leaderboard.is.tuebingen.mpg.de. The remeshed version is that of "
    "Ren et al. 2018, published as github.com/llorz/SGA18_orientation_BCICP_dataset and re-hosted by most later papers. Then give "
    "paths.data_dir= (or PULLBACK_DATA_DIR) the folder that holds FAUST_r, or dataset.faust.root= FAUST_r itself."
)


class Faust(MeshDataset):
    """100 shapes of about 5,000 vertices: people 0–7 (000–079) for training, people 8 and 9 (080–099) for tests.

    Landmark i is the same point of the FAUST template on all shapes; ``.sym.vts`` holds its left-right mirror image.
    """

    name = "faust"
    val_shapes = 10  # the last person of the training split in all poses

    def __init__(self, root: str | Path, *, allow_missing: bool = False):
        """``allow_missing``: make do with the shapes that are there, instead of raising MissingDataError."""
        self.root = Path(root)
        self.allow_missing = allow_missing

    def shapes(self, split: Split) -> list[ShapeFiles]:
        tree = require_tree(self.root, wanted="tr_reg_000.off … tr_reg_099.off and tr_reg_000.vts …", source=_SOURCE)
        names = [f"tr_reg_{number:03d}" for number in _SPLITS[split]]
        if self.allow_missing:
            return [tree.files(name) for name in names if name in tree.meshes]
        return require_files(tree, names, root=self.root, source=_SOURCE)
