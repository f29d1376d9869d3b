"""Weights that come with the package, named without a path: ``ckpt=humans``. Beside each file lies its model card."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "weights"


def shipped_names() -> list[str]:
    """The names of the weights that are there."""
    return sorted(path.stem for path in FOLDER.glob("*.ckpt"))


def weights_file(name: str | Path) -> Path:
    """The file that a name means: the one of that name where there is one, else the shipped weights so called.

    A name that is neither is returned as the path that it would be.
    """
    path = Path(name)
    return path if path.is_file() or str(name) not in shipped_names() else FOLDER / f"{name}.ckpt"
