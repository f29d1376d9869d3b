"""What a command can know to be wrong before it imports torch: values, files, folders, devices, contradictions."""

import difflib
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pullback.data.kinds import looks_like_image
from pullback.runtime.checks import check, check_kind, check_stages, check_weights
from pullback.runtime.pair_lists import read_pairs
from pullback.runtime.parts import ConfigError
from pullback.runtime.settings import as_written
from pullback.runtime.value_checks import check_given, check_values
from pullback.tasks.training.shipped import weights_file

_NO_TORCH_FILE = "is no file that torch wrote, or its end is missing"
_GPU_SIGNS = ("/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/kfd")


class MissingFile(ConfigError, FileNotFoundError):
    """A file or a folder that was named is not there."""


def check_early(cfg: DictConfig) -> None:
    """All that can be checked before the slow imports.

    What a checkpoint or stored predictions bring is checked when they are loaded.
    """
    raw = as_written(cfg)
    check_place()
    check_given(raw)
    check_values(cfg)
    check_matched_files(cfg)
    check_named_files(cfg)
    check_device(cfg)
    if cfg.get("ckpt") is None and ("match" in cfg.get("run", ["match"]) or "score" not in cfg.run):
        check(cfg)
    else:
        check_weights(raw)
        check_kind(raw)
        check_stages(raw)
    check_roots(cfg)


def take_pairs(cfg: DictConfig) -> None:
    """Where a list of pairs is given, no two files are; the list is read, to see that its files are there.

    Raises ConfigError, and as ``read_pairs``.
    """
    if cfg.get("pairs") is None:
        return
    for key in ("source", "target", "landmarks", "initial"):
        if not OmegaConf.is_missing(cfg, key) and cfg.get(key) is not None:
            told = "give them in its column landmarks" if key == "landmarks" else "give one of the two"
            raise ConfigError(f"pairs={cfg.pairs} is a list of pairs, and {key}={cfg[key]} belongs to one pair; {told}")
    read_pairs(cfg.pairs)
    cfg.source = cfg.target = None


def check_place() -> None:
    """The command works where it was typed: names of files are those of that folder."""
    if HydraConfig.initialized() and HydraConfig.get().job.chdir:
        raise ConfigError(
            "hydra.job.chdir would look for files in the folder of the results; leave it out, results go there anyway"
        )


def check_matched_files(cfg: DictConfig) -> None:
    """The two files of match.py are there, are files, and are of one kind."""
    sides = [(side, Path(cfg[side])) for side in ("source", "target") if cfg.get(side) is not None]
    for side, path in sides:
        if re.match(r"[a-z]+://", cfg[side]):
            raise ConfigError(f"{side}={cfg[side]} is an address; download the file, and give its name")
        _check_file(path, f"{side}={cfg[side]}", "a file of a mesh or a photograph", f"{side}=")
    if len({looks_like_image(path) for _, path in sides}) > 1:
        photo, mesh = sorted((path for _, path in sides), key=looks_like_image, reverse=True)
        raise ConfigError(f"{photo} is a photograph and {mesh} is a mesh; give two meshes or two photographs")


def check_named_files(cfg: DictConfig) -> None:
    """Checkpoints, weights, landmarks and stored predictions are where they are said to be."""
    for key in ("ckpt", "resume", "weights"):
        name = cfg.get(key)
        if name is None or (key == "resume" and name == "auto"):
            continue
        path = weights_file(str(name)) if key != "resume" else Path(str(name))
        _check_file(
            path, f"{key}={name}", "a checkpoint" if key != "weights" else "a file of weights", f"{key}=", _without(key)
        )
        if key in ("ckpt", "resume") and not is_torch_file(path):
            raise ConfigError(
                f"{key}={name} {_NO_TORCH_FILE}; give a checkpoint of train.py, "
                f"{key}=RUN/checkpoints/{_usual(key)}.ckpt"
            )
    if isinstance(cfg.get("landmarks"), str) and "source" in cfg:
        wanted = "a text file, a line `source target` for each landmark"
        _check_file(Path(cfg.landmarks), f"landmarks={cfg.landmarks}", wanted, "landmarks=")
    if isinstance(cfg.get("points"), str):
        wanted = (
            "a text file with x y in each line; or pixels: points=[[120,40],[33,80]]"
            if cfg.kind == "image"
            else "a text file with a vertex, or x y z, in each line; or vertices: points=[12,57]"
        )
        _check_file(Path(cfg.points), f"points={cfg.points}", wanted, "points=")
    for key in ("mask1", "mask2"):
        if isinstance(cfg.get(key), str):
            _check_file(Path(cfg[key]), f"{key}={cfg[key]}", "a picture, white where the object is", f"{key}=")
    if isinstance(cfg.get("initial"), str) and cfg.initial != "given":  # from Python, an array
        wanted = "a point map: text with the vertex of the source for each of the target, .npy, .npz or .mat"
        _check_file(Path(cfg.initial), f"initial={cfg.initial}", wanted, "initial=")
    if (
        "match" not in cfg.get("run", ["match"])
        and "score" in cfg.run
        and not cfg.get("optimizer")
        and not Path(cfg.predictions).is_dir()
    ):
        table = cfg.kind == "image" and Path(cfg.predictions).is_file()
        if not (table and Path(cfg.predictions).suffix.lower() in (".csv", ".json")):
            told = "no table (.csv, .json) of keypoints, and flows are given as their folder" if table else "no folder"
            raise MissingFile(
                f"run=[{','.join(cfg.run)}] scores stored predictions, but predictions={cfg.predictions} is {told}; "
                "give that of a run, predictions=RUN/predictions, or match first: run=[match,score]"
            )


def _check_file(path: Path, given: str, wanted: str, option: str, otherwise: str = "") -> None:
    """Raises MissingFile where there is no such file, with a name that is near, and ConfigError for what is no file."""
    if path.is_dir():
        inside = next((found for found in _checkpoints_in(path)), None) if option in ("ckpt=", "resume=") else None
        raise ConfigError(f"{given} is a folder; give {wanted}" + (f", {option}{inside}" if inside else ""))
    if path.is_symlink() and not path.exists():
        raise MissingFile(f"{given} is a link to {path.readlink()}, which does not exist; give {wanted}{otherwise}")
    if not path.exists():
        near = near_names(path)
        meant = f"; did you mean {option}{near[0]}?" if near else f"; give {wanted}{otherwise}"
        raise MissingFile(f"{given} does not exist{meant}")
    if not path.is_file():
        raise ConfigError(
            f"{given} is a pipe or a device, and a file is read more than once; save it as a file, and give that"
        )
    if path.stat().st_size == 0:
        raise ConfigError(f"{given} is an empty file; give {wanted}")


def near_names(path: Path) -> list[Path]:
    """Files whose names are like that of a file that is not there, in its folder."""
    folder = path.parent
    if not folder.is_dir():
        return []
    names = [entry.name for entry in folder.iterdir()]
    same = [
        name
        for name in names
        if name.lower() == path.name.lower() or Path(name).stem == path.stem or name.startswith(f"{path.name}.")
    ]
    return [folder / name for name in [*same, *difflib.get_close_matches(path.name, names, n=2, cutoff=0.7)]]


def _checkpoints_in(folder: Path) -> Iterator[Path]:
    return (
        folder / below
        for below in ("checkpoints/best.ckpt", "best.ckpt", "checkpoints/last.ckpt")
        if (folder / below).is_file()
    )


def _without(key: str) -> str:
    return ", or resume=auto for the last one in hydra.run.dir" if key == "resume" else f", or {key}=null for none"


def _usual(key: str) -> str:
    return "best" if key == "ckpt" else "last"


def is_torch_file(path: Path) -> bool:
    """Whether a file is as those of torch.save are: a zip archive with its end, or a pickle of older versions."""
    with path.open("rb") as file:
        begins = file.read(2)
    return begins in (b"\x80\x02", b"\x80\x03", b"\x80\x04") or zipfile.is_zipfile(path)


def check_device(cfg: DictConfig) -> None:
    """A GPU that is asked for is there, as far as files of the system tell."""
    device, accelerator = cfg.get("device"), OmegaConf.select(cfg, "trainer.accelerator")
    if device is not None and not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(device)):
        raise ConfigError(f"device={device} is unknown; use device=auto, device=cpu or device=cuda")
    if sys.platform != "linux" or any(Path(sign).exists() for sign in _GPU_SIGNS):
        return
    lacking = "but this machine has no GPU (or its driver is not loaded)"
    if str(device).startswith("cuda"):
        raise ConfigError(f"device={device}, {lacking}; use device=cpu, or device=auto")
    if accelerator in ("gpu", "cuda"):
        raise ConfigError(f"trainer.accelerator={accelerator}, {lacking}; use trainer=cpu, or trainer=auto")


def check_roots(cfg: DictConfig) -> None:
    """The folders of the data sets are there."""
    for part in ("dataset", "test"):
        for name, written in (cfg.get(part) or {}).items():
            root = written.get("root") if OmegaConf.is_dict(written) else None
            if isinstance(root, str) and not Path(root).is_dir():
                raise MissingFile(_no_root(f"{part}.{name}.root", name, Path(root), cfg))


def _no_root(key: str, name: str, root: Path, cfg: DictConfig) -> str:
    data_dir = OmegaConf.select(cfg, "paths.data_dir")
    why = "is a file, not a folder" if root.exists() else "does not exist"
    if data_dir is None or not root.is_relative_to(data_dir):
        return f"{key}={root} {why}; give the folder of the data, {key}=DIR"
    return (
        f"{name} is looked for in {root}, which {why}; say where it is with paths.data_dir=DIR (the folder that "
        f"holds {root.name}) or "
        f"{key}=DIR, and where to get it is told by: python -m pullback.data.check"
    )
