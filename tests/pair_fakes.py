"""Writers of small data sets whose ground truth belongs to pairs, in the true on-disk formats."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tests.fakes import body, write_mesh, write_numbers


def write_shrec19(
    root: Path, numbers: Iterable[int], pairs: Iterable[tuple[int, int]], *, layout: Sequence[str] = ("off", "corres")
) -> None:
    """SHREC19_r with the shapes of these numbers and a dense map for each of these pairs."""
    for number in numbers:
        verts, faces, _ = body(number)
        write_mesh(root / layout[0] / f"{number}.off", verts, faces)
    for a, b in pairs:
        write_numbers(root / layout[1] / f"{a}_{b}.map", true_map(a, b))


def true_map(a: int, b: int) -> np.ndarray:
    """For each vertex of body a the vertex of body b that is the same point."""
    places_a, places_b = body(a)[2], body(b)[2]
    return places_b[np.argsort(places_a)]


def template_rows(name: str) -> np.ndarray:
    """The points of ``body`` that the template of a class knows, in its order: other ones, and as many,
    in each class.
    """
    seed = sum(map(ord, name))
    return np.random.default_rng(seed).permutation(162)[: 100 + seed % 50]


def write_dt4d(root: Path, classes: dict[str, Sequence[int]], cross: Iterable[str], *, release: str = "DT4D_r") -> None:
    """DT4D-H: poses of each class by the numbers of their bodies, and the ``cross`` files such as crypto_drake,
    in either release.

    The first pose of a class is its template. In the first release (``release`` is not DT4D_r) it has no ``.vts`` file,
    its vertices being the points of the template.
    """
    remeshed = release == "DT4D_r"
    for name, numbers in classes.items():
        points = template_points(name, numbers[0], remeshed=remeshed)
        for i, number in enumerate(numbers):
            verts, faces, places = body(number)
            write_mesh(
                root / (f"off/{name}" if remeshed else name) / f"Pose{number:03d}{'.off' if remeshed else '.obj'}",
                verts,
                faces,
            )
            if i or remeshed:
                write_numbers(
                    root / (f"corres/{name}" if remeshed else f"{name}/corres") / f"Pose{number:03d}.vts",
                    places[points],
                )
        if not remeshed:
            for path in (root / name).glob("*.obj"):
                verts, faces, _ = body(int(path.stem[4:]))
                rows = [f"v {x} {y} {z}" for x, y, z in verts] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces]
                path.write_text("\n".join(rows) + "\n")
    for stem in cross:
        a, b = stem.split("_")
        points_a, points_b = (template_points(name, classes.get(name, [0])[0], remeshed=remeshed) for name in (a, b))
        near = np.linalg.norm(sphere_points()[points_a][:, None] - sphere_points()[points_b][None], axis=2).argmin(
            axis=1
        )
        write_numbers(
            root / ("corres/cross_category_corres" if remeshed else "cross_category_corres") / f"{stem}.vts", near
        )


def template_points(name: str, first: int, *, remeshed: bool) -> np.ndarray:
    """The point of ``body`` that each row of the class's ``.vts`` files stands for."""
    return template_rows(name) if remeshed else np.argsort(body(first)[2])


def sphere_points() -> np.ndarray:
    """Where the points of ``body`` lie on the sphere that all bodies are made of."""
    from tests.meshes import sphere

    return sphere(2)[0]


def write_lists(root: Path, classes: dict[str, Sequence[int]], test: int = 2) -> None:
    """train.txt and test.txt with rows class/name: the last ``test`` poses of each class are for tests."""
    rows = {"train": [], "test": []}
    for name, numbers in classes.items():
        names = [f"{name}/Pose{number:03d}" for number in numbers]
        rows["train"] += names[:-test]
        rows["test"] += names[-test:]
    root.mkdir(parents=True, exist_ok=True)
    for split, names in rows.items():
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")
