"""Contradictions that no constructor can see: each message holds both values and what to type."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pullback.errors import UserError
from pullback.runtime.dataset_kinds import kind_of
from pullback.runtime.settings import as_written

STAGES = ("prepare", "match", "score", "report")
# They match by nearest neighbours, through which no gradient reaches the features.
HARD_SOLVERS = (
    "pullback.solvers.zoomout.ZoomOut",
    "pullback.solvers.nearest.FeatureNearest",
    "pullback.solvers.discrete.DiscreteOptimisation",
)


class ConfigError(UserError, ValueError):
    """Two parts of the configuration contradict each other."""


def check(cfg: DictConfig) -> None:
    """Raises ConfigError at the first contradiction. Reads no data:
    what depends on them is checked by ``truth_checks``.
    """
    # an interpolation into a part that was not chosen must not fail before its check
    raw = as_written(cfg)
    check_parts(raw)
    check_landmark_option(raw)
    check_kind(raw)
    check_adaptation(raw)
    check_weights(raw)
    check_stages(raw)
    check_terms(raw)
    check_schedules(raw)
    check_gradients(raw)
    check_eigenfunctions(cfg)
    check_preparation(cfg)
    check_learned(raw)


def check_parts(cfg: Mapping[str, Any]) -> None:
    """The parts without which nothing can be matched are there."""
    part = "fusion" if cfg.get("kind") == "image" else "backbone"
    needed = {part: "backbone=raw_wks" if part == "backbone" else "fusion=gradients_cnn", "solver": "solver=zoomout"}
    if "source" not in cfg:
        needed |= {"dataset": "dataset=humans", "trainer": "trainer=auto"}
    for name, usual in needed.items():
        # a recipe may leave values of what was dropped
        if not cfg.get(name) or (name != "dataset" and "_target_" not in cfg[name]):
            raise ConfigError(f"there is no {name}; choose one, such as {usual}")
    if "data" not in cfg and (part == "backbone" or "source" not in cfg):
        raise ConfigError("the options of data were deleted; leave ~data out")


def check_learned(cfg: Mapping[str, Any]) -> None:
    """A training has something to train, and a network with random weights is only evaluated where that is wanted."""
    if cfg.get("optimizer") and cfg["kind"] == "mesh" and not has_network(cfg["backbone"]):
        name = class_of(cfg["backbone"].get("descriptor") or cfg["backbone"])
        raise ConfigError(
            f"the backbone {name} has nothing to train; use "
            "backbone=diffusion_net, or evaluate it as it is with eval.py"
        )
    if "untrained" not in cfg or cfg["untrained"] or "match" not in cfg.get("run", ["match"]) or cfg["kind"] == "image":
        return
    if cfg["ckpt"] is None and cfg.get("weights") is None and has_network(cfg["backbone"]):
        in_eval = "weights" in cfg
        raise ConfigError(
            "there are no weights, and a network with random ones says nothing; give ckpt=RUN/checkpoints/best.ckpt"
            f"{' or weights=FILE' if in_eval else ''}, use what needs none "
            f"({'method=zoomout, or ' if in_eval else ''}backbone=raw_wks), "
            "or have the random network on purpose: untrained=true"
        )


def check_landmark_option(cfg: Mapping[str, Any]) -> None:
    """Landmarks come with the features that are made of them, and with no others."""
    landmarks, backbone = cfg.get("landmarks"), cfg.get("backbone") or {}
    takes = backbone.get("_target_", "").endswith(".LandmarkFeatures")
    if landmarks is None and takes:
        points = "landmarks=FILE" if "source" in cfg else "landmarks=6 (ground-truth points of each pair) to eval.py"
        raise ConfigError(f"backbone=landmarks measures from known points; give {points}, or use backbone=raw_wks")
    if landmarks is None:
        return
    if cfg["kind"] == "image":
        photographs = cfg.get("source") or ",".join(cfg["dataset"])
        raise ConfigError(
            f"landmarks={landmarks} are vertices of meshes, but {photographs} holds photographs; use landmarks=null"
        )
    if "source" not in cfg and not isinstance(landmarks, int):
        raise ConfigError(
            f"landmarks={landmarks} is a file for match.py; in eval.py it is "
            "the number of ground-truth points: landmarks=6"
        )
    if cfg.get("ckpt") is not None:
        raise ConfigError(f"landmarks={landmarks} and ckpt={cfg['ckpt']} are two kinds of features; give one of them")
    if not takes:
        name = class_of(backbone.get("network") or backbone["descriptor"])
        raise ConfigError(
            f"landmarks={landmarks} is of no use to the backbone {name}; use backbone=landmarks, or landmarks=null"
        )


def class_of(part: Mapping[str, Any]) -> str:
    """The name of the class that a part is made of."""
    return part["_target_"].rsplit(".", 1)[-1]


def has_network(backbone: Mapping[str, Any]) -> bool:
    """Whether a backbone learns. A recipe may also hold values of a network that was not chosen:
    those have no ``_target_``.
    """
    return "_target_" in (backbone.get("network") or {})


def check_adaptation(cfg: Mapping[str, Any]) -> None:
    """Test pairs are tuned by losses that need no ground truth."""
    if cfg.get("adaptation") is None:
        return
    if cfg["kind"] == "image":
        raise ConfigError(
            "adaptation= changes the networks of meshes; the networks of photographs are frozen: use adaptation=null"
        )
    terms = chosen_terms(cfg)
    if not terms and "match" in cfg["run"]:
        raise ConfigError(
            "adaptation= has no loss to tune by; give ckpt=… for those of its training, or "
            "loss=[orthogonality,consistency]"
        )
    if "supervised" in terms:
        raise ConfigError(
            "loss.supervised would tune a test pair to the truth it is measured by; use "
            "loss=[orthogonality,consistency]"
        )


def check_kind(cfg: Mapping[str, Any]) -> None:
    """Data sets, networks and solver are all for meshes, or all for photographs."""
    chosen = {**cfg.get("dataset", {}), **(cfg.get("test") or {})}
    kinds = {name: kind_of(written["_target_"]) for name, written in chosen.items()}
    names = ",".join(kinds)
    if len(set(kinds.values())) > 1:
        raise ConfigError(
            f"dataset=[{names}] mixes meshes and photographs ({kinds}); evaluate them one after the other"
        )
    kind = next(iter(kinds.values()), cfg.get("kind"))
    if kind == "image" and cfg.get("optimizer"):
        raise ConfigError(
            f"dataset={names} holds photographs, for which nothing is trained; use python eval.py dataset={names}"
        )
    if kind == "mesh" and cfg.get("fusion") is not None:
        raise ConfigError(
            "fusion= joins two networks of photographs, but "
            f"dataset={names or '(mesh files)'} holds meshes; use backbone="
        )
    if kind == "image" and cfg.get("backbone") is not None:
        raise ConfigError(
            f"backbone= is a network of meshes, but dataset={names or '(image files)'} holds photographs; use fusion="
        )
    of_images = cfg["solver"]["_target_"].startswith("pullback.solvers.patch_matching.")
    if of_images != (kind == "image"):
        matched, fitting = ("photographs", "closed_form") if kind == "image" else ("meshes", "diff_zoomout")
        raise ConfigError(f"the solver {class_of(cfg['solver'])} is not for {matched}; use solver={fitting}")


def check_weights(cfg: Mapping[str, Any]) -> None:
    """Weights of other code bases fill the network of a mesh backbone, and nothing else fills it."""
    weights = cfg.get("weights")
    if cfg.get("ckpt") is not None and cfg["kind"] == "image":
        raise ConfigError(
            f"ckpt={cfg['ckpt']} is for networks of meshes; those of photographs are chosen with fusion=NAME"
        )
    if weights is None:
        return
    if cfg.get("ckpt") is not None:
        raise ConfigError(f"weights={weights} and ckpt={cfg['ckpt']} both fill the network; give one of them")
    if cfg["kind"] == "image":
        raise ConfigError(
            f"weights={weights} is for networks of meshes; those of photographs "
            "have weights of their own, as in fusion="
        )
    if "network" not in cfg["backbone"]:
        name = class_of(cfg["backbone"])
        raise ConfigError(
            f"weights={weights} is of no use to the backbone {name}, which learns nothing; use backbone=diffusion_net"
        )


def check_stages(cfg: Mapping[str, Any]) -> None:
    """The stages of an evaluation are known, and a report has scores to show."""
    run = cfg.get("run", [])
    unknown = [stage for stage in run if stage not in STAGES]
    if unknown:
        raise ConfigError(
            f"run=[{','.join(run)}] names {', '.join(unknown)}; the stages are {', '.join(STAGES)}, as in run=[score]"
        )
    if "report" in run and "score" not in run:
        raise ConfigError(f"run=[{','.join(run)}] has no scores to report; use run=[score,report]")


def check_terms(cfg: Mapping[str, Any]) -> None:
    """There is a loss to train with, and every term gets the maps that it needs."""
    terms = chosen_terms(cfg)
    if cfg.get("optimizer") and not terms:
        raise ConfigError("there is no loss term to train with; choose some, as in loss=[orthogonality,consistency]")
    if "bijectivity" in terms and not cfg["solver"].get("two_way"):
        raise ConfigError(
            "loss.bijectivity compares maps in both directions but solver.two_way=false; use solver.two_way=true"
        )


def chosen_terms(cfg: Mapping[str, Any]) -> list[str]:
    """The loss terms. A recipe may also hold values of terms that were not chosen: those have no ``_target_``."""
    return [name for name, term in cfg.get("loss", {}).items() if "_target_" in term]


def check_schedules(cfg: Mapping[str, Any]) -> None:
    """Every schedule finds what it changes."""
    chosen = chosen_terms(cfg)
    terms = ",".join(chosen)
    for name, callback in cfg.get("callbacks", {}).items():
        term = callback.get("term")
        if term is not None and term not in chosen:
            raise ConfigError(
                f"callbacks.{name} changes the weight of the loss term {term}, but the terms are loss=[{terms}]; "
                f"choose it too, loss=[{terms},{term}], or drop the schedule, ~callbacks.{name}"
            )
        if (
            callback.get("_target_", "").endswith((".BlurAnneal", ".SharpnessRamp"))
            and "init_blur" not in cfg["solver"]
        ):
            raise ConfigError(
                f"callbacks.{name} changes solver.init_blur, which this solver does not have; "
                f"use solver=diff_zoomout, or ~callbacks.{name}"
            )


def check_gradients(cfg: Mapping[str, Any]) -> None:
    """Gradients of the loss reach the features by every way that its terms rely on."""
    if not cfg.get("optimizer") and cfg.get("adaptation") is None:
        return
    solver, terms = cfg["solver"], cfg["loss"]
    purpose = "training" if cfg.get("optimizer") else "fine-tuning"
    name = class_of(solver)
    if name == "SampledZoomOut" and solver["blur"] is None:
        raise ConfigError(
            f"{purpose} needs gradients but solver.blur=null means nearest neighbours, which pass none; "
            "use solver.blur=0.01"
        )
    if solver["_target_"] in HARD_SOLVERS:
        raise ConfigError(
            f"{purpose} needs gradients but the solver {name} passes none; "
            "use solver=diff_zoomout, and keep it for eval.py"
        )
    relying = [f"loss.{name}.of=final" for name in chosen_terms(cfg) if terms[name].get("of") == "final"]
    relying += [
        f"loss.{name}.stop_gradient=false" for name in chosen_terms(cfg) if terms[name].get("stop_gradient") is False
    ]
    if relying and solver.get("refinement", "soft") != "soft":
        raise ConfigError(
            f"{relying[0]} needs gradients through the refined map "
            f"but solver.refinement={solver['refinement']} makes it a constant; "
            "use solver.refinement=soft"
        )


def check_eigenfunctions(cfg: DictConfig) -> None:
    """As many eigenfunctions are prepared as every part takes."""
    if cfg.kind == "image":  # read-outs and solvers take as many as there are
        return
    available = cfg.data.k
    lacking = [(key, value, needed) for key, value, needed in eigenfunctions_taken(cfg) if needed > available]
    if lacking:
        key, value, most = max(lacking, key=lambda taken: taken[2])
        fewer = " ".join(
            f"{name}={available if name != 'solver.n_steps' else _steps_within(cfg)}" for name, *_ in lacking
        )
        raise ConfigError(
            f"{key}={value} needs {most} eigenfunctions but data.k={available}. Use data.k={most} or {fewer}."
        )


def _steps_within(cfg: DictConfig) -> int:
    """How many steps of the solver the eigenfunctions that there are suffice for."""
    return max(0, cfg.data.k - cfg.solver.k_init) // cfg.solver.step


def eigenfunctions_taken(cfg: DictConfig) -> Iterator[tuple[str, int, int]]:
    """Keys, their values, and how many eigenfunctions these ask for."""
    solver = cfg.solver
    if solver.get("k") is not None:
        yield "solver.k", solver.k, solver.k
    if "k_init" in solver:
        yield "solver.k_init", solver.k_init, solver.k_init
    if "n_steps" in solver:
        yield "solver.n_steps", solver.n_steps, solver.k_init + solver.step * solver.n_steps
    for key in ("backbone.descriptor.k", "backbone.network.k"):
        k = OmegaConf.select(cfg, key)
        if k is not None:
            yield key, k, k


def check_preparation(cfg: DictConfig) -> None:
    """Simplified meshes and samples have a point for each eigenfunction. The preparation checks it too,
    but after the slow imports.
    """
    for key in ("coarsen", "samples") if cfg.kind == "mesh" else ():
        count = cfg.data.get(key)
        if count is not None and count < cfg.data.k:
            raise ConfigError(
                f"data.{key}={count} points are fewer than the data.k={cfg.data.k} eigenfunctions; "
                f"use data.{key}={max(3000, cfg.data.k)}"
            )
