"""Contradictions that no constructor can see: each message holds both values and what to type.

What must be known of a class for that, the class says itself (``pullback.declared``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from pullback.runtime.loss_checks import check_gradients, check_schedules, check_terms
from pullback.runtime.option_checks import check_options
from pullback.runtime.parts import ConfigError, chosen_terms, class_of, declaration, name_of, terms_that
from pullback.runtime.settings import as_written
from pullback.runtime.size_checks import check_eigenfunctions, check_preparation

EXPORTS = ("ply", "obj", "deformed", "landmarks", "confidence", "glb", "barycentric", "mat")
STAGES = ("prepare", "match", "score", "report", "export")

__all__ = ["ConfigError", "check", "check_stages", "check_weights"]


def check(cfg: DictConfig) -> None:
    """Raises ConfigError at the first contradiction.

    Reads no data: what depends on them is checked by ``truth_checks``.
    """
    # an interpolation into a part that was not chosen must not fail before its check
    raw = as_written(cfg)
    check_parts(raw)
    check_options(raw)
    check_landmark_option(raw)
    check_initial(raw)
    check_masks(raw)
    check_points(raw)
    check_adapt(raw)
    check_kind(raw)
    check_adaptation(raw)
    check_weights(raw)
    check_stages(raw)
    check_exports(raw)
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
        # values may be left of what was dropped
        if not cfg.get(name) or (name != "dataset" and "_target_" not in cfg[name]):
            raise ConfigError(f"there is no {name}; choose one, such as {usual}")
    if "data" not in cfg and (part == "backbone" or "source" not in cfg):
        raise ConfigError("the options of data were deleted; leave ~data out")


def check_learned(cfg: Mapping[str, Any]) -> None:
    """A training has something to train, and a network with random weights is only evaluated where that is wanted."""
    learns = cfg["kind"] == "mesh" and declaration(cfg["backbone"]).says("learns", True)
    if cfg.get("optimizer") and cfg["kind"] == "mesh" and not learns:
        raise ConfigError(
            f"the backbone {name_of(cfg['backbone'])} has nothing to train; use "
            "backbone=diffusion_net, or evaluate it as it is with eval.py"
        )
    if "untrained" not in cfg or cfg["untrained"] or "match" not in cfg.get("run", ["match"]) or cfg["kind"] == "image":
        return
    if cfg["ckpt"] is None and cfg.get("weights") is None and learns:
        in_eval = "source" not in cfg
        raise ConfigError(
            "there are no weights, and a network with random ones says nothing; give ckpt=humans, "
            "ckpt=RUN/checkpoints/best.ckpt"
            " or weights=FILE, use what needs none "
            f"({'method=zoomout, or ' if in_eval else ''}backbone=raw_wks), "
            "or have the random network on purpose: untrained=true"
        )


def check_landmark_option(cfg: Mapping[str, Any]) -> None:
    """Landmarks come with the features that are made of them, and with no others."""
    landmarks, backbone = cfg.get("landmarks"), cfg.get("backbone") or {}
    takes = "_target_" in backbone and declaration(backbone).says("needs_landmarks", False)
    if landmarks is None and takes:
        points = "landmarks=FILE" if "source" in cfg else "landmarks=6 (ground-truth points of each pair) to eval.py"
        raise ConfigError(f"backbone=landmarks measures from known points; give {points}, or use backbone=raw_wks")
    if landmarks is None:
        return
    if cfg["kind"] == "image":
        photographs = cfg.get("source") or ",".join(cfg.get("dataset") or ["the pair"])
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
        raise ConfigError(
            f"landmarks={landmarks} is of no use to the backbone {name_of(backbone)}; "
            "use backbone=landmarks, or landmarks=null"
        )


def check_initial(cfg: Mapping[str, Any]) -> None:
    """A map to begin with is one of meshes, and the only beginning."""
    initial = cfg.get("initial")
    if initial is None:
        return
    if cfg["kind"] == "image":
        raise ConfigError(
            f"initial={initial} is a map between meshes, and {cfg['source']} is a photograph; leave it out"
        )
    if cfg.get("landmarks") is not None:
        raise ConfigError(
            f"initial={initial} and landmarks={cfg['landmarks']} are two beginnings of one map; give one of them"
        )


def check_masks(cfg: Mapping[str, Any]) -> None:
    """Masks are parts of photographs."""
    given = [f"{key}={cfg[key]}" for key in ("mask1", "mask2") if cfg.get(key) is not None]
    if given and cfg["kind"] == "mesh":
        raise ConfigError(f"{given[0]} is a mask of a photograph, and {cfg['source']} is a mesh; leave it out")
    if given and cfg.get("pairs") is not None:
        raise ConfigError(f"{given[0]} is the mask of one photograph, and pairs={cfg['pairs']} are many; leave it out")


def check_points(cfg: Mapping[str, Any]) -> None:
    """Points that are asked for are vertices of meshes, places on photographs, or a file of either."""
    points = cfg.get("points")
    if points is None or isinstance(points, str):
        return
    listed = points if isinstance(points, list) else []
    if cfg["kind"] == "image":
        if not listed or not all(isinstance(each, list) and len(each) == 2 for each in listed):
            raise ConfigError(f"points={points}: give x, y in pixels as points=[[120,40],[33,80]], or a file of them")
    elif not listed or not all(type(each) is int for each in listed):
        raise ConfigError(f"points={points}: give vertices as points=[12,57], counted from 1, or a file")


def check_adapt(cfg: Mapping[str, Any]) -> None:
    """What adapts to two meshes before they are matched has weights, and several starts to stand beside."""
    wish = cfg.get("adapt", False)
    if wish is False:
        return
    if cfg["kind"] == "image":
        raise ConfigError(
            f"adapt={wish} changes the weights for meshes; those for photographs are frozen: leave it out"
        )
    if cfg.get("ckpt") is None:
        raise ConfigError(f"adapt={wish} goes on with trained weights, and there are none; use ckpt=humans")
    for key in ("initial", "landmarks"):
        if cfg.get(key) is not None:
            raise ConfigError(f"adapt={wish} and {key}={cfg[key]} are two beginnings of one map; give one of them")
    starts = (cfg.get("starts") or {}).get("starts", ())
    if all(start.get("only_first") for start in starts):  # or there are none
        raise ConfigError(f"adapt={wish} is one start among several; use starts=several")
    if str(cfg.get("partial")).lower() not in ("auto", "false"):
        raise ConfigError(f"adapt={wish} is for whole shapes, and partial={cfg['partial']} says that one is a part")
    if isinstance(wish, str) and not Path(wish).is_dir():
        raise ConfigError(f"adapt={wish} is no folder of meshes; give one, or adapt=true for the two shapes alone")


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
    for name in terms_that(cfg, "needs_truth"):
        raise ConfigError(
            f"loss.{name} would tune a test pair to the truth it is measured by; use loss=[orthogonality,consistency]"
        )


def check_kind(cfg: Mapping[str, Any]) -> None:
    """Data sets, networks and solver are all for meshes, or all for photographs."""
    chosen = {**cfg.get("dataset", {}), **(cfg.get("test") or {})}
    kinds = {name: declaration(written).says("kind", "mesh") for name, written in chosen.items()}
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
    if kind == "mesh" and cfg.get("mirrored", "never") != "never":
        raise ConfigError(f"mirrored={cfg['mirrored']} is for photographs; leave it out for meshes")
    if kind == "mesh" and cfg.get("fusion") is not None:
        raise ConfigError(
            "fusion= joins two networks of photographs, but "
            f"dataset={names or '(mesh files)'} holds meshes; use backbone="
        )
    if kind == "image" and cfg.get("backbone") is not None:
        raise ConfigError(
            f"backbone= is a network of meshes, but dataset={names or '(image files)'} holds photographs; use fusion="
        )
    if declaration(cfg["solver"]).says("kind", "mesh") != kind:
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
    if not declaration(cfg["backbone"]).says("learns", True):
        raise ConfigError(
            f"weights={weights} is of no use to the backbone {class_of(cfg['backbone'])}, "
            "which learns nothing; use backbone=diffusion_net"
        )


def check_exports(cfg: Mapping[str, Any]) -> None:
    """The kinds of files that match.py is asked for exist."""
    unknown = [str(name) for name in cfg.get("export") or [] if name not in EXPORTS]
    if unknown:
        raise ConfigError(
            f"export names {', '.join(unknown)}; there are {', '.join(EXPORTS)}, as in export=[ply,glb], "
            "and export=[] is none"
        )


def check_stages(cfg: Mapping[str, Any]) -> None:
    """The stages of an evaluation are known, and a report has scores to show."""
    run = cfg.get("run", [])
    unknown = [stage for stage in run if stage not in STAGES]
    if unknown:
        raise ConfigError(
            f"run=[{','.join(run)}] names {', '.join(unknown)}; the stages are {', '.join(STAGES)}, as in run=[score]"
        )
    if "export" in run and (cfg.get("kind") != "image" or "score" not in run):
        raise ConfigError(
            f"run=[{','.join(run)}]: export writes the scored matches of photographs for other programs; "
            "use run=[match,score,export], with a data set of photographs"
        )
    if cfg.get("shard") is not None and not {"match", "prepare"} & set(run):
        raise ConfigError(f"shard={cfg['shard']} is a share of the pairs to match; leave it out where all are scored")
    if "report" in run and "score" not in run:
        raise ConfigError(f"run=[{','.join(run)}] has no scores to report; use run=[score,report]")
