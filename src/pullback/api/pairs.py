"""``pullback.match_pairs``: many pairs, one after the other; each shape is prepared once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullback.api.inputs import Given, GivenError, as_numpy, is_image, read_given, stem
from pullback.api.matching import match, matched, matcher_of, prepared, random_numbers_apart
from pullback.errors import UserError
from pullback.waiting import load_torch

if TYPE_CHECKING:
    from pullback.api.image_results import ImageMatch
    from pullback.api.results import MeshMatch
    from pullback.data.mesh.shapes import PreparedShape
    from pullback.runtime.match_meshes import MeshMatcher


@dataclass(frozen=True)
class MatchedPair:
    """What came of one pair: a match, or the error that says what is wrong with it."""

    name: str
    match: "MeshMatch | ImageMatch | None"
    error: UserError | None = None


def match_pairs(
    pairs: Any, *, options: Mapping[str, Any] | None = None, config_dir: str | Path | None = None, **named: Any
) -> Iterator[MatchedPair]:
    """Matches one pair after the other, as ``match`` does with the same options, and yields what came of each.

    ``pairs`` is a list as of ``pullback match pairs=list.csv``, or pairs ``(source, target)`` or ``(source, target,
    landmarks)`` of whatever ``match`` takes. A mesh that occurs several times is prepared once. A pair that cannot be
    matched has an ``error``, and the next follows. Nothing is written: ``each.match.save(folder / each.name)``.
    """
    load_torch()
    held = _Held({**(options or {}), **named}, config_dir)
    for name, source, target, landmarks in _rows(pairs):
        try:
            yield MatchedPair(name, held.match(source, target, landmarks))
        except UserError as error:
            yield MatchedPair(name, None, error)


class _Itself:
    """An object as a key that is equal to that object alone, and holds it, so that no other takes its id."""

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


class _Held:
    """The parts and shapes of pairs that were matched before."""

    def __init__(self, options: Mapping[str, Any], config_dir: str | Path | None):
        from pullback.data.mesh.shelf import Shelf

        self.options, self.config_dir = options, config_dir
        self.matchers: dict[tuple[Any, ...], MeshMatcher] = {}
        self.shapes = Shelf()

    def match(self, source: Any, target: Any, landmarks: Any) -> "MeshMatch | ImageMatch":
        """Raises UserError for a pair that cannot be matched."""
        sides = [read_given(source, name="source"), read_given(target, name="target")]
        if any(map(is_image, sides)):
            return match(source, target, landmarks=landmarks, options=self.options, config_dir=self.config_dir)
        with random_numbers_apart():
            by_file = isinstance(landmarks, str | Path)
            key = (
                by_file,
                None if landmarks is None or by_file else as_numpy(landmarks).size,
                isinstance(sides[0], str),
            )
            if key not in self.matchers:
                self.matchers[key] = matcher_of(sides, landmarks, None, self.options, self.config_dir)
            matcher = self.matchers[key]
            names = {
                label: side if isinstance(side, str) else None
                for label, side in zip(("source", "target"), sides, strict=True)
            }
            matcher = replace(
                matcher, config={**matcher.config, **names, "landmarks": str(landmarks) if by_file else None}
            )
            shapes = [self._shape(matcher, given, side) for given, side in zip((source, target), sides, strict=True)]
            return matched(matcher, shapes[0], shapes[1], landmarks)

    def _shape(self, matcher: "MeshMatcher", given: Any, side: Given) -> "PreparedShape":
        """The shape of a mesh, prepared unless it was among the last ones; a file by its name, others by themselves."""
        key, label = (Path(side).resolve(), Path(side).name) if isinstance(side, str) else (_Itself(given), "source")
        return self.shapes.get(key, lambda: prepared(matcher, side, label))


def _rows(pairs: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    if isinstance(pairs, str | Path):
        from pullback.runtime.pair_lists import read_pairs

        yield from ((row.name, row.source, row.target, row.landmarks) for row in read_pairs(pairs))
        return
    if not isinstance(pairs, Iterable):
        raise GivenError("pairs: give the path of a list, or pairs (source, target) one after the other")
    for i, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
            raise GivenError(f"pairs[{i}]: give (source, target), or (source, target, landmarks)")
        source, target, landmarks = (*pair, None)[:3]
        yield f"{_name(source, 'source')}-{_name(target, 'target')}", source, target, landmarks


def _name(thing: Any, label: str) -> str:
    return stem(read_given(thing, name=label), label)
