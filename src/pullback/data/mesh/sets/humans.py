"""humans: the embedded data set, small synthetic bodies in the public domain (``data/humans/README.md``)."""

from pathlib import Path

from pullback.data.errors import MissingDataError
from pullback.data.mesh.dataset import MeshDataset, ShapeFiles, Split
from pullback.data.mesh.lists import read_names
from pullback.data.mesh.tree import require_files, require_tree

_SOURCE = (
    "The data set is part of the repository: restore it with `git checkout -- data/humans`, or make it anew with "
    "`python experiments/makers/make_humans.py` (extra: pip install 'pullback[humans]')."
)


class Humans(MeshDataset):
    """Human bodies of varied build and pose with exact ground truth.

    The people of the test split are not in the training split.
    """

    name = "humans"
    val_shapes = 5  # the last two people of the training split

    def __init__(self, root: str | Path):
        self.root = Path(root)

    def shapes(self, split: Split) -> list[ShapeFiles]:
        tree = require_tree(self.root, wanted="human_000.off … and human_000.vts …", source=_SOURCE)
        listing = self.root / f"{split}.txt"
        if not listing.is_file():
            raise MissingDataError(f"looked for {listing}, the names of the {split} shapes.\n{_SOURCE}")
        return require_files(tree, read_names(listing), root=self.root, source=_SOURCE)
