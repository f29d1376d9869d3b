"""What is particular to the evaluation of photographs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from pullback.data.cache import CacheError
from pullback.data.image.datamodule import TestPairs
from pullback.data.image.decoding import ImageError
from pullback.data.shards import share_of
from pullback.errors import UserError
from pullback.runtime.build import Run
from pullback.runtime.foreign_predictions import warn_of_conventions
from pullback.runtime.origin import description_of
from pullback.runtime.parts import class_of
from pullback.runtime.settings import instantiate, located
from pullback.tasks.evaluated import Evaluated
from pullback.tasks.image.exporting import export_predictions
from pullback.tasks.image.foreign import ForeignStore
from pullback.tasks.image.patches import PatchLibrary
from pullback.tasks.image.reporting import report_images
from pullback.tasks.image.results import ImageProtocol
from pullback.tasks.image.scoring import score_image_store
from pullback.tasks.scoring import Predictions
from pullback.types import ImagePair, PatchPair

_SHOWN = 51  # eigenfunctions that a report may show


class ImageEvaluation:
    """Maps between photographs, scored in pixels.

    ``interpolation`` carries matches of patches to keypoints: bilinear or nearest.
    """

    def __init__(self, *, interpolation: str = "bilinear", metrics: Mapping[str, Any] | None = None):
        if metrics:
            raise ValueError(f"metric={', '.join(metrics)} is for meshes; leave it out for photographs")
        if interpolation not in ("bilinear", "nearest"):
            raise ValueError(f"evaluation.interpolation={interpolation} is unknown; use bilinear or nearest")
        self.interpolation = interpolation

    def prepare(self, run: Run) -> None:
        """The features of all photographs.

        What is wrong with some is told together at the end, or pair by pair where they are matched.
        """
        run.data.prepare_data()
        run.module.to(run.trainer.strategy.root_device)
        problems = []
        with Progress(console=Console(stderr=True)) as progress:
            shared = share_of(run.data.test_sets, run.data.settings.shard)
            for pairs, name in zip(shared, run.data.test_names, strict=True):
                for i in progress.track(range(len(pairs)), description=f"features {name}"):
                    try:
                        pair = pairs[i]
                        run.module.library.prepare([pair.image1, pair.image2])
                    except CacheError:
                        raise
                    except UserError as error:
                        problems.append(str(error))
        if problems and "match" not in run.cfg.run:
            raise ImageError("\n".join([f"{len(problems)} pairs could not be prepared:", *dict.fromkeys(problems)]))

    def origin(self, run: Run) -> dict[str, Any]:
        """Crop, fusion, weights, graph, solver and precision."""
        crops = {pairs.crop for pairs in run.data.test_sets}
        # null of several sets that are cropped each in its own way
        data = {"crop": crops.pop() if len(crops) == 1 else None, "margin": float(run.config["data"]["margin"])}
        branches = {"basis": run.module.fusion.basis, "descriptors": run.module.fusion.descriptors}
        weights = {name: branch.backbone.fingerprint()["weights_sha256"] for name, branch in branches.items()}
        parts = {part: run.config[part] for part in ("fusion", "graph", "solver")}
        turned = {"mirrored": run.cfg.mirrored} if run.cfg.mirrored != "never" else {}
        return {"data": data, **parts, **turned, "weights": weights, "seed": run.cfg.seed}

    def score(
        self, run: Run, pairs: TestPairs, store: Predictions, *, dataset: str, progress: Callable[[int], None]
    ) -> Evaluated:
        """Scores the stored matches of a data set, or what another program wrote."""
        with description_of(str(store.signature)):
            told = foreign_method(store.fingerprint) if "foreign" in store.fingerprint else method(store.fingerprint)
        rules: dict[str, Any] = {
            "pck_reference": pairs.dataset.pck_reference,
            "interpolation": self.interpolation,
            "crop": pairs.crop,
        }
        protocol = ImageProtocol(pairs=pairs.protocol, **rules, **told)
        result = score_image_store(store, pairs, dataset=dataset, split="test", protocol=protocol, progress=progress)
        if isinstance(store, ForeignStore):
            warn_of_conventions(store, pairs)
        return Evaluated(pairs, store, result)

    def report(self, run: Run, evaluated: Sequence[Evaluated]) -> Path:
        """Writes the report, with pictures of eigenfunctions where a model is at hand."""
        return report_images(run.folder, evaluated, title=run.title, graphs=self._graphs(run), shown_to=run.show)

    def export(self, run: Run, evaluated: Sequence[Evaluated]) -> list[Path]:
        """Writes what was matched for other programs, below ``exported/``; returns a folder or file for each set."""
        return [export_predictions(run.folder / "exported", part) for part in evaluated]

    def _graphs(self, run: Run) -> dict[str, Callable[[ImagePair], PatchPair]]:
        """The patch graphs of a pair: the one in use, and the one whose edges weigh the content as the paper prints."""
        if run.module is None:
            return {}
        module = run.module.to("cpu")
        library: PatchLibrary = module.library
        printed = replace(library.graph, weights="exponential", normalisation="sym", k=min(library.graph.k, _SHOWN))
        libraries = {"the graph in use": library}
        if library.graph.weights != printed.weights:
            libraries["the graph as the paper prints it"] = PatchLibrary(
                library.fusion, printed, library.cache_dir, memory_images=1
            )
        return {name: partial(_patches, each) for name, each in libraries.items()}


def _patches(library: PatchLibrary, pair: ImagePair) -> PatchPair:
    return library.pair(pair, device=torch.device("cpu"))


def method(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """What a protocol says of the method that stored predictions come from."""
    solver = instantiate(made_by["solver"])
    notes = notes_of(made_by, graph=solver.mode != "raw")
    named = {"mode": solver.mode, "solver": solver.describe(), "fusion": fusion_line(made_by["fusion"])}
    return {**named, "seed": made_by["seed"], "notes": notes}


def foreign_method(made_by: Mapping[str, Any]) -> dict[str, Any]:
    """The same of predictions that another program wrote, of which no more is known."""
    named = made_by["method_name"] or f"{made_by['foreign']['what']} in {made_by['foreign']['name']}"
    return {"mode": "foreign", "solver": named, "fusion": "not told", "seed": 0, "notes": "of another program"}


def fusion_line(fusion: Mapping[str, Any]) -> str:
    """Both branches of a fusion: ``basis Dino (weights …, layer 9), descriptors …``."""
    return ", ".join(f"{name} {branch_line(fusion[name])}" for name in ("basis", "descriptors"))


def branch_line(branch: Mapping[str, Any]) -> str:
    """A branch as the class of its backbone describes itself."""
    backbone = branch["backbone"]
    options = {key: value for key, value in backbone.items() if key != "_target_"}
    describe = getattr(located(backbone["_target_"]), "describe", None)
    return describe(options) if describe is not None else class_of(backbone)


def notes_of(made_by: Mapping[str, Any], *, graph: bool) -> str:
    """What else sets the predictions of a fingerprint apart: their graph, and whether mirror images were tried."""
    turned = "mirror images tried too" if made_by.get("mirrored") == "auto" else ""
    return ", ".join(part for part in (graph_line(made_by["graph"]) if graph else "", turned) if part)


def graph_line(graph: Mapping[str, Any]) -> str:
    """The patch graph: ``graph exponential, sym, k 200``."""
    # earlier graphs had no rule of signs to name
    unusual = [
        ", signs by QR" * (graph.get("signs", "largest") == "qr"),
        ", objects only" * bool(graph["objects_only"]),
    ]
    return f"graph {graph['weights']}, {graph['normalisation']}, k {graph['k']}" + "".join(unusual)
