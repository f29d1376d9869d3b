"""Where a picture is taken from: an orthographic camera placed by words rather than by matrices."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from pullback.geometry.mesh import face_normals_times_twice_area
from pullback.ranges import finite

_AXES = {sign + name: (-1.0 if sign else 1.0) * np.eye(3)[i] for sign in ("", "-") for i, name in enumerate("xyz")}


@dataclass(frozen=True)
class View:
    """Direction of sight. The default suits shapes that stand along y and face +z, as bodies usually do."""

    up: str = "y"  # the axis of the shape that points up in the picture: x, y, z, -x, -y or -z
    front: str = "z"  # the axis that points at the camera
    azimuth: float = 0.0  # degrees the camera walks around the shape, to the shape's left (the picture's right)
    elevation: float = 0.0  # degrees it climbs

    def __post_init__(self) -> None:
        finite(azimuth=self.azimuth, elevation=self.elevation)
        for field, axis in (("up", self.up), ("front", self.front)):
            if axis not in _AXES:
                raise ValueError(f"View {field}={axis!r} is no axis; use one of {', '.join(_AXES)}")
        if self.up[-1] == self.front[-1]:
            raise ValueError(f"View up={self.up!r} and front={self.front!r} lie on one line; choose two different axes")

    def rotation(self) -> Float[ndarray, "3 3"]:
        """Rows right, up, towards the camera: ``verts @ rotation().T`` are camera coordinates."""
        up, front = _AXES[self.up], _AXES[self.front]
        azimuth, elevation = np.radians(self.azimuth), np.radians(self.elevation)
        around = np.cos(azimuth) * front + np.sin(azimuth) * np.cross(up, front)
        towards = np.cos(elevation) * around + np.sin(elevation) * up
        right = np.cross(up, around)
        return np.stack([right, np.cross(towards, right), towards])


def broadest_view(verts: Float[ndarray, "n 3"], faces: Int[ndarray, "f 3"], *, view: View | None = None) -> View:
    """The given view or, where it shows clearly more surface, that of the flank, as of four-legged animals."""
    view = view or View()
    flank = next(axis for axis in "xyz" if axis not in (view.up[-1], view.front[-1]))
    normals = face_normals_times_twice_area(verts, faces)
    shown = {axis: np.abs(normals @ _AXES[axis]).sum() for axis in (view.front, flank)}
    # A clear margin, so that the camera does not go to and fro between the poses of one body.
    return view if shown[flank] < 1.3 * shown[view.front] else replace(view, front=flank)
