"""Two meshes matched as a checked configuration says: by ``match.py``, or from Python."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from omegaconf import DictConfig
from torch import nn

from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparationSettings, PreparedShape, load_shape, shape_of
from pullback.runtime.device import device_named
from pullback.runtime.match_adaptation import Adapting
from pullback.runtime.mesh_questions import Questions
from pullback.runtime.options import options_at_fault
from pullback.runtime.origin import refinement, rule_of, weights_from_elsewhere
from pullback.runtime.parts import name_of
from pullback.runtime.settings import as_yaml, instantiate, to_plain
from pullback.runtime.signals import stopping
from pullback.stages import Stage, StageClock, beside, listening, stage
from pullback.tasks.mesh.adapting import told_of
from pullback.tasks.mesh.landing import Landing, land
from pullback.tasks.mesh.partial.detection import check_choice, likely_part
from pullback.tasks.mesh.partial.matching import match_part, more_likely
from pullback.tasks.mesh.two_meshes import FileMatch, Landmarks, match_shapes, write_map
from pullback.tasks.point_tables import shown_table, write_table
from pullback.tasks.training.weights import load_weights
from pullback.threads import one_thread
from pullback.writing import sweep, telling_full_disks, write_text_atomically

if TYPE_CHECKING:
    from pullback.figures.camera import View
    from pullback.tasks.mesh.exports.writing import Exports

# Smaller files are done before anybody wonders how far they are.
_SHOWN_ABOVE = 4_000_000  # bytes
# Of larger ones one after the other is prepared: each takes much memory.
_AT_ONCE = 2_000_000  # bytes

Mesh: TypeAlias = str | Path | FileMesh


@dataclass(frozen=True, repr=False)
class MeshMatcher:
    """The parts that match two meshes, built."""

    backbone: nn.Module
    solver: Any
    starts: Any  # BestOfStarts; None: the features alone
    judge: Any  # of the verdict; None: none
    settings: PreparationSettings
    view: "View"  # of the pictures
    device: torch.device
    cache_dir: Path
    export: tuple[str, ...]  # the kinds of files for other programs that are written
    method: str  # in words
    adapting: Adapting | None  # what changes the weights before a match
    partial: str  # which shape is a part of the other: a choice of pullback.tasks.mesh.partial.detection
    config: Mapping[str, Any]  # all of it, resolved

    @classmethod
    def of(cls, cfg: DictConfig, checkpoint: Mapping[str, Any] | None = None, *, shown: bool = False) -> "MeshMatcher":
        """Those of a checked configuration, with the weights of the checkpoint. Random weights follow ``seed``. What
        takes long is ``shown`` by a progress bar.

        Raises OptionError for what a part refuses.
        """
        torch.manual_seed(cfg.seed)
        with options_at_fault():
            model, solver = nn.ModuleDict({"backbone": instantiate(cfg.backbone)}), instantiate(cfg.solver)
            view, settings = instantiate(cfg.view), instantiate(cfg.data)
            starts, judge = (instantiate(cfg.get(part)) for part in ("starts", "judge"))
            adapting = Adapting.of(cfg, checkpoint, settings, shown=shown)
        if checkpoint is not None:
            load_weights(model, checkpoint)
        origin = weights_from_elsewhere(cfg, model) or rule_of(cfg, model, checkpoint)
        features = name_of(to_plain(cfg.backbone))
        begun = features if cfg.get("initial") is None else f"initial map {Path(cfg.initial).name}"
        method = f"{begun}, {refinement(to_plain(cfg.solver))}; weights: {origin}"
        device, cache_dir = device_named(cfg.device), Path(cfg.paths.cache_dir)
        parts = (model["backbone"], solver, starts, judge)
        export, of_config = tuple(cfg.export), (check_choice(cfg.partial), to_plain(cfg))
        return cls(*parts, settings, view, device, cache_dir, export, method, adapting, *of_config)

    def prepare(self, mesh: Mesh, *, side: str) -> PreparedShape:
        """The shape of a file, or of a mesh that is in none and is called as its ``side``: source or target."""
        name = side if isinstance(mesh, FileMesh) else Path(mesh).name
        with stage(f"preparing the {side}, {name}"):
            if isinstance(mesh, FileMesh):
                return shape_of(mesh, self.settings, self.cache_dir, name=name)
            return load_shape(mesh, self.settings, self.cache_dir)

    def prepare_both(self, source: Mesh, target: Mesh) -> tuple[PreparedShape, PreparedShape]:
        """Source and target, at the same time where both are small and several threads may be used."""
        if torch.get_num_threads() < 2 or max(map(_size, (source, target))) > _AT_ONCE:
            return self.prepare(source, side="source"), self.prepare(target, side="target")
        # The limit on threads is the process's: who stays longer than both sets it.
        with one_thread(), beside(partial(self.prepare, target, side="target")) as wait:
            return self.prepare(source, side="source"), wait()

    def match(
        self,
        source: PreparedShape,
        target: PreparedShape,
        landmarks: Landmarks | None = None,
        initial: torch.Tensor | None = None,
    ) -> FileMatch:
        """The match of two shapes; ``landmarks`` are vertices of these, ``initial`` is a point map 2 → 1 of them.

        Where one is noticed to be a part of the other, it is also matched as such, and the better match is kept. An
        initial map, and weights that are adapted, are for wholes.
        """
        choosing = {"starts": self.starts, "judge": self.judge, "device": self.device, "landmarks": landmarks}
        given, able = (self.backbone, self.solver), None not in (self.starts, self.judge) and initial is None
        if self.adapting is not None:
            more = self.adapting.features(self.backbone, source, target, self.device)
            return match_shapes(source, target, *given, more=more, **choosing)
        part = likely_part(source, target, self.partial) if able else None
        if part is None:
            return match_shapes(source, target, *given, initial=initial, **choosing)
        found = match_part(source, target, part, *given, settings=self.settings, **choosing)
        if found is not None and part.asked:
            return found
        whole = match_shapes(source, target, *given, **choosing)
        return whole if found is None else more_likely(found, whole)

    def write(self, folder: Path, result: FileMatch, stages: Sequence[Stage] = ()) -> tuple[Path, "Exports"]:
        """Writes the map, files for other programs, pictures and the report into a folder; the path of the report, and
        what these files are.
        """
        paths = {**self.config["paths"], "output_dir": str(folder)}
        config = as_yaml({**self.config, "paths": paths})
        sweep(folder)
        write_text_atomically(folder / "config.yaml", config)
        with stage("files"):
            write_map(folder, result)
        from pullback.tasks.mesh.exports.writing import write_exports
        from pullback.tasks.mesh.match_report import write_match  # draws, which is slow to import

        exports = write_exports(folder, result, self.export, view=self.view)
        told: dict[str, Any] = {"method": self.method, "view": self.view, "config": config, "stages": stages}
        return write_match(folder, result, exports=exports, **told), exports


@dataclass(frozen=True)
class MatchedMeshes:
    """A match whose files are written."""

    result: FileMatch
    report: Path
    exports: "Exports"
    landing: Landing | None  # of points that were asked for


def match_files(cfg: DictConfig, checkpoint: Mapping[str, Any] | None = None) -> None:
    """Matches ``source`` and ``target`` and prints what was done, how, and where the results are.

    How far it is to stderr.
    """
    matcher, folder = MeshMatcher.of(cfg, checkpoint, shown=True), Path(cfg.paths.output_dir)
    with (
        stopping("the shapes that were prepared are kept, and the same command goes on from there"),
        telling_full_disks(folder),
        listening(StageClock(on_begin=_show if _is_long(cfg) else lambda stage: None)) as clock,
    ):
        done = match_and_write(cfg, matcher, *_prepared(cfg, matcher), folder, clock.stages)
    result = done.result
    print(f"matched with {matcher.method}")
    if result.verdict is not None:
        choice = result.verdict.choice
        if choice.is_open:
            print(f"of {len(choice.candidates)} starts the best was: {choice.best.name}")
        if told := told_of(choice):
            print(told)
        print(f"verdict: {result.verdict.verdict.sentence}")
    if result.landmarks is not None:
        print(
            f"the {len(result.landmarks[0])} landmarks land {result.landmark_distances().mean():.4f} √area from "
            "their places on average"
        )
    elif checkpoint is None and cfg.initial is None and cfg.get("weights") is None:
        print(
            "nothing was learned for this map, and left and right may be exchanged; for a trained one: "
            "ckpt=humans, or ckpt=RUN/checkpoints/best.ckpt"
        )
    if _is_long(cfg):
        took = f"{clock.seconds:.0f} s and at most {clock.peak_bytes / 2**30:.1f} GiB of memory"
        print(f"took {took}; stage by stage: {folder / 'metrics.json'}")
    _tell_files(folder, done)


def match_and_write(
    cfg: DictConfig,
    matcher: MeshMatcher,
    source: PreparedShape,
    target: PreparedShape,
    folder: Path,
    stages: Sequence[Stage] = (),
) -> MatchedMeshes:
    """Matches two shapes as a configuration asks, and writes all files of it."""
    asked = Questions.of(cfg, source, target)
    result = matcher.match(source, target, asked.landmarks, asked.initial)
    landing = None if asked.points is None else land(result, asked.points, side=asked.points_on)
    report, exports = matcher.write(folder, result, stages)
    if matcher.adapting is not None:
        matcher.adapting.save(folder / "adapted.ckpt")
    if landing is not None:
        write_table(folder / "points.csv", landing.rows())
    return MatchedMeshes(result, report, exports, landing)


def _tell_files(folder: Path, done: MatchedMeshes) -> None:
    if done.landing is not None:
        print(f"where the points of the {done.landing.side} land, in the numbers and coordinates of the files:")
        print(shown_table(done.landing.rows()))
        print(f"points: {folder / 'points.csv'}")
    for note in filter(None, (done.result.omissions(), *done.exports.notes)):
        print(note)
    print(f"report: {done.report}")
    if (folder / "adapted.ckpt").is_file():
        print(f"adapted weights, for more such shapes: ckpt={folder / 'adapted.ckpt'}")
    if done.exports.written:
        print(f"for other programs, in {folder}: {', '.join(each.name for each in done.exports.written)}")
    print(f"map (line i: the vertex of the source for vertex i of the target, counted from 1): {folder / 'p2p21.txt'}")


def _prepared(cfg: DictConfig, matcher: MeshMatcher) -> tuple[PreparedShape, PreparedShape]:
    shapes = matcher.prepare_both(cfg.source, cfg.target)
    for path, prepared in zip((cfg.source, cfg.target), shapes, strict=True):
        print(f"{path}: {prepared.shape.n} vertices", *prepared.notes, sep="; ")
    return shapes


def _is_long(cfg: DictConfig) -> bool:
    return _size(cfg.source) + _size(cfg.target) > _SHOWN_ABOVE


def _size(mesh: Mesh) -> int:
    """Bytes; 0 for a file that is not there."""
    if isinstance(mesh, FileMesh):
        return mesh.verts.nbytes + mesh.faces.nbytes
    return Path(mesh).stat().st_size if Path(mesh).is_file() else 0


def _show(entry: Stage) -> None:
    print(f"{entry.begun:7.1f} s  {'  ' * entry.depth}{entry.name}", file=sys.stderr, flush=True)
