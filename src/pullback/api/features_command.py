"""The features of photographs in files, for other programs.

    pullback features a.jpg [b.jpg … | FOLDER] [branch=dinov2_s14] [size=560] [layer=[9,11]] [device=cpu] [out=DIR]

Writes for each photograph NAME.npz into DIR (by default the folder where the command is typed): features (h, w, c) on a
grid of patches, places (h, w, 2) with the x, y of their middles in pixels of the photograph, size (its height and
width), layers and channels (how many channels each layer has, in the order in which they lie beside each other), and
branch, the network in words. A branch is a file of configs/branch, by default the best at hand; its options are those
of that file.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pullback.data.kinds import looks_like_image
from pullback.errors import UsageError, UserError
from pullback.runtime.doorway import telling


class NoPhotograph(UserError, FileNotFoundError):
    """A name that is none of a photograph, nor of a folder with some."""


def main(command: Sequence[str] | None = None) -> None:
    """Raises nothing: what goes wrong is told in one paragraph."""
    words = list(sys.argv[1:] if command is None else command)
    if not words or {"--help", "-h"} & set(words):
        print(__doc__)
        return
    with telling():
        _write_all([word for word in words if word != "--debug"])


def _write_all(words: Sequence[str]) -> None:
    pairs = [word.lstrip("-").partition("=") for word in words if "=" in word and not Path(word).exists()]
    options = {key: value for key, _, value in pairs}
    files = photographs([word for word in words if "=" not in word or Path(word).exists()])
    folder, branch = Path(options.pop("out", ".")), options.pop("branch", None)
    twice = sorted({file.stem for file in files if [each.stem for each in files].count(file.stem) > 1})
    if twice:
        raise UsageError(f"several photographs are called {twice[0]}, and both would be {twice[0]}.npz; give one")
    from pullback.api.photo_features import PhotoNetwork  # imports torch
    from pullback.data.image.io import read_image
    from pullback.runtime.match_images import MOST_MATCHED

    network = PhotoNetwork(branch, options)
    print(network.branch)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        photo = read_image(file, shrink_above=MOST_MATCHED)
        found = network(photo)
        rows, columns, channels = found.features.shape
        told = [f"{rows} × {columns} patches, {channels} channels", *photo.notes]
        print(f"{found.save(folder / f'{file.stem}.npz')}: {'; '.join(told)}")


def photographs(names: Sequence[str]) -> list[Path]:
    """The files that are named, and the photographs in the folders that are. Raises NoPhotograph."""
    found: list[Path] = []
    for path in map(Path, names):
        inside = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
        images = [each for each in inside if each.is_file() and looks_like_image(each)]
        if not images:
            raise NoPhotograph(
                f"{path} is {'a folder without photographs' if path.is_dir() else 'no photograph'}; give a photograph, "
                "or a folder of some"
            )
        found += images
    if not found:
        raise UsageError("no photograph is named; give some: pullback features a.jpg b.jpg")
    return found


if __name__ == "__main__":
    main()
