"""The three.js that trimesh brings along for its own viewer, as one script that defines ``THREE``."""

import re
from functools import cache
from io import BytesIO
from zipfile import BadZipFile, ZipFile

from pullback.errors import UserError

_TEMPLATE = "viewer.html.template"
# a licence in a comment, and behind it the library: one line, which makes itself known as THREE
_LIBRARY = re.compile(r"/\*\*(?:(?!\*/).)*@license(?:(?!\*/).)*\*/\s*!function[^\n]*\.THREE=\{\}[^\n]*", re.DOTALL)


class ViewerError(UserError, ImportError):
    """There is nothing to show meshes with."""


@cache
def three_js() -> str:
    """The library's source with its licence (MIT), 0.6 MB.

    Raises ViewerError where the installed trimesh has none.
    """
    import trimesh
    from trimesh.resources import get_bytes

    try:
        with ZipFile(BytesIO(get_bytes("templates/viewer.zip"))) as archive:
            found = _LIBRARY.search(archive.read(_TEMPLATE).decode("utf-8"))
    except (OSError, ValueError, KeyError, BadZipFile):
        found = None
    if found is None or "</script" in found[0].lower():
        raise ViewerError(
            f"trimesh {trimesh.__version__} brings no three.js that is known here, so there is no interactive viewer; "
            "with trimesh 5.2.0 there is"
        )
    return found[0]
