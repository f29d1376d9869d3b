"""Images and materials that lie beside a mesh file.

Names in files of strangers are data: what lies outside of the folder of the mesh is not opened, and that is said.
"""

import re
from collections.abc import Callable
from pathlib import Path

from pullback.data.image.decoding import ImageError, ImageSupportError
from pullback.data.image.textures import Texture, read_texture
from pullback.errors import UserError

# Options of a line map_Kd, each with how many words may follow it.
_OPTIONS = {
    **dict.fromkeys(("-blendu", "-blendv", "-cc", "-clamp", "-imfchan", "-texres", "-bm", "-boost"), 1),
    **{"-mm": 2, "-o": 3, "-s": 3, "-t": 3},
}
_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")


def file_beside(mesh: Path, name: str, tell: Callable[[str], None], *, what: str) -> Path | None:
    """The file that a mesh file names, where it lies in the mesh's folder or below.

    ``tell`` hears why there is none. A name that leads elsewhere is not followed; a file of the same name beside the
    mesh takes its place.
    """
    home = mesh.parent.resolve()
    plain = name.strip().strip('"').replace("\\", "/")
    last = plain.rsplit("/", 1)[-1]
    if not last or "\0" in plain:
        tell(f"its {what} has no name that can be read")
        return None
    there = home / plain
    try:
        inside = not re.match(r"[A-Za-z]:|[a-z]+://", plain) and there.resolve().is_relative_to(home)
        if inside and there.is_file():
            return there
        near = home / last
        if near.is_file() and near.resolve().is_relative_to(home):
            tell(f"its {what} {plain[:80]!r} is not there or lies elsewhere: {last} beside the mesh was taken")
            return near
    except OSError:
        inside = True
    where = "is not there" if inside else "lies outside of its folder and was not opened"
    tell(f"its {what} {plain[:80]!r} {where}; copy it beside {mesh.name} to have it")
    return None


def texture_beside(mesh: Path, name: str, tell: Callable[[str], None]) -> Texture | None:
    """The image that a mesh file names; None, with a reason for ``tell``, where it cannot be had."""
    path = file_beside(mesh, name, tell, what="image")
    if path is None:
        return None
    try:
        return read_texture(path)
    except (ImageError, ImageSupportError, UserError) as error:
        tell(f"its image was left out: {error}")
        return None


def image_name(words: str) -> str:
    """The name in a line ``map_Kd -s 1 1 1 name with blanks.png``, without the options before it."""
    rest = words.strip()
    while rest.startswith("-"):
        option, _, behind = rest.partition(" ")
        if option.lower() not in _OPTIONS:
            break
        rest = behind.lstrip()
        for taken in range(_OPTIONS[option.lower()]):
            word, _, behind = rest.partition(" ")
            if not behind or (taken and not _NUMBER.fullmatch(word)):
                break
            rest = behind.lstrip()
    return rest
