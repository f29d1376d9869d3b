"""The names of a program's options, and the right one for a wrong one."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

PROGRAMS = ("train", "eval", "match")
# What other programs call an option of ours. Where a program has several of the names on the left, the first counts.
_OTHER_NAMES = {
    "hydra.run.dir": (
        "o out output output_dir outdir out_dir output_folder output_path folder dir run_dir save "
        "save_dir results log_dir"
    ),
    "ckpt": "checkpoint checkpoint_path ckpt_path model model_path pretrained load network",
    "paths.data_dir": "data_dir data_root data_path datadir dataroot data_folder",
    "paths.cache_dir": "cache cache_path cachedir",
    "optimizer.lr": "lr learning_rate rate",
    "trainer.max_steps": (
        "steps epochs epoch max_epoch max_epochs iterations iters n_iter num_steps num_epochs n_epochs"
    ),
    "trainer.accumulate_grad_batches": "batch_size batch bs batchsize",
    "trainer=gpu": "gpu gpus cuda device devices",
    "device=cuda": "gpu gpus cuda trainer",
    "device": "accelerator trainer.accelerator",
    "trainer=cpu": "cpu",
    "device=cpu": "cpu",
    "data.num_workers": "workers n_workers num_worker nworkers j",
    "data.k": "k n_eig n_eigs k_eig n_evecs num_evecs n_eigenfunctions eigenfunctions n_fmap",
    "solver.blur": "blur sigma",
    "solver.k_init": "k_start n_init",
    "trainer.precision": "precision amp fp16 bf16 half",
    "experiment": "exp config cfg preset",
    "dataset": "data_set datasets ds sets",
    "source": "s src shape1 mesh1 image1 file1 first from input1 img1 path1 mesh_1 shape_1",
    "target": "t tgt dst dest destination shape2 mesh2 image2 file2 second to input2 img2 path2 mesh_2 shape_2",
    "landmarks": "lm lms correspondences corres",
    "points": "keypoints queries query_points",
    "pairs": "list pair_list pairs_list batch_file",
    "adapt": "finetune fine_tune tune adaptation test_time",
    "initial": "init_map initial_map p2p start_map",
    "mask1": "mask source_mask mask_source",
    "mask2": "target_mask mask_target",
    "export": "exports formats write",
    "resume": "resume_from resume_from_checkpoint restart continue",
    "weights": "init init_weights pretrained_weights state_dict",
    "predictions": "preds prediction maps",
    "seed": "random_seed rng random_state",
    "run": "stages stage mode",
    "partial": "part parts partiality is_partial",
    "untrained": "random no_ckpt random_weights",
    "trainer.enable_progress_bar": "progress quiet silent verbose progress_bar",
    "cluster": "launcher slurm joblib ray parallel",
}
_VALUES = {("device", "gpu"): "cuda"}  # a value of that other option, as ours is called
# The same wish in a program that does it by another option.
_INSTEAD = {
    ("train", "ckpt"): "resume=FILE goes on with a training, weights=FILE begins one with the weights of another",
    (
        "eval",
        "resume",
    ): "eval.py goes on by itself in the same hydra.run.dir=RUN; the weights of a training are ckpt=FILE",
    ("eval", "experiment"): "an experiment is for train.py; eval.py takes what it was trained with from ckpt=FILE",
    (
        "match",
        "dataset",
    ): "match.py takes two files, python match.py a.off b.off; data sets are for eval.py, python eval.py dataset=NAME",
    ("train", "source"): "two files are matched by match.py: python match.py a.off b.off",
    ("eval", "source"): "two files are matched by match.py: python match.py a.off b.off",
}
_INSTEAD |= {(program, "target"): told for (program, key), told in list(_INSTEAD.items()) if key == "source"}


class Vocabulary:
    """The options of one program. With ``open_ended`` (the configuration is not ours alone) every name is known."""

    switches = ("untrained",)  # may be given as --NAME alone

    def __init__(self, program: str, configs: Path, *, open_ended: bool = False):
        self.program, self.configs, self.open_ended = program, configs, open_ended
        self.takes_files = program == "match"

    @cached_property
    def _written(self) -> Mapping[str, Any]:
        return _yaml(self.configs / f"{self.program}.yaml")

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The choices of the defaults list, by group (``dataset@test``)."""
        chosen = [entry for entry in self._written["defaults"] if isinstance(entry, Mapping)]
        return {key.removeprefix("optional "): value for entry in chosen for key, value in entry.items()}

    @cached_property
    def groups(self) -> set[str]:
        """The config groups that the program has; branches and frames are parts of a fusion."""
        return {key.split("@")[0] for key in self.defaults} | {"branch", "frame"}

    @cached_property
    def needed(self) -> set[str]:
        """The groups that it cannot do without, whatever else is chosen."""
        needs = {"solver", "dataset", "trainer", "paths", "hydra", "cluster", "task", "files", "judge"}
        return self.groups & (needs | {"optimizer", "scheduler"} if self.program == "train" else needs)

    @cached_property
    def top(self) -> set[str]:
        """First segments of all keys."""
        laid_over = "files" if self.takes_files else "task"
        files = [*(self.configs / laid_over).glob("*.yaml"), *(self.configs / "local").glob("*.yaml")]
        below = {key for path in files for key in _yaml(path)}
        return (set(self._written) | below | self.groups | {"hydra"}) - {"defaults", "local"}

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the default configurations, dotted, and a few of Hydra's own. Composes them: only for answers."""
        kinds: dict[str, list[list[str]]] = {"match": [[], ["files=image"]], "eval": [[], ["dataset=tss"]]}
        try:
            with nullcontext() if GlobalHydra.instance().is_initialized() else _initialised(self.configs):
                composed = [compose(self.program, overrides=chosen) for chosen in kinds.get(self.program, [[]])]
        # a file of the configuration itself is at fault, and Hydra will say so
        except (HydraException, OmegaConfBaseException):
            return sorted(self.top)
        dotted = [key for cfg in composed for key in _dotted(OmegaConf.to_container(cfg, resolve=False))]
        return list(dict.fromkeys([*dotted, "hydra.run.dir", "hydra.sweep.dir"]))

    def knows(self, key: str) -> bool:
        """Whether the first segment of a key is one of the program's."""
        first = key.replace("@", ".").replace("/", ".").split(".")[0]
        return self.open_ended or first in self.top

    def group_of(self, key: str) -> str | None:
        """The config group that a key chooses from; None where it is a value."""
        group = key.split("@")[0]
        return group if group in self.groups and (self.configs / group).is_dir() else None

    def options(self, group: str) -> list[str]:
        return sorted(path.stem for path in (self.configs / group).glob("*.yaml"))

    def default(self, key: str) -> Any:
        return self.defaults.get(key)

    def near(self, key: str) -> list[str]:
        """The options that somebody may mean by a key that does not exist, the likeliest first; three at most."""
        low = key.lower().replace("-", "_")
        last = low.rsplit(".", 1)[-1]
        named = [right for right, others in _OTHER_NAMES.items() if low in others.split() and self._has(right)]
        if named:
            return named[:1]
        ends = [known for known in self.keys if known.rsplit(".", 1)[-1].lower() == last]
        if low in self.keys:  # in capitals
            return [low]
        if ends and low != last:  # the right name in another part
            ends = [known for known in ends if known.split(".")[0] == low.split(".")[0]] or ends
        alike = difflib.get_close_matches(low, [*self.keys, *self.top], n=3, cutoff=0.75)
        leaves = {known.rsplit(".", 1)[-1]: known for known in reversed(self.keys)}
        below = [leaves[leaf] for leaf in difflib.get_close_matches(last, leaves, n=2, cutoff=0.75)]
        return list(dict.fromkeys([*ends[:3], *alike, *below]))[:3]

    def _has(self, right: str) -> bool:
        key = right.split("=")[0]
        return key.split(".")[0] in self.top and (key in self.groups or key in self.keys)

    def answer(self, argument: str, *, typed: str | None = None) -> str:
        """What to type in the place of an argument that is no option."""
        key, equals, value = argument.partition("=")
        key = key.lstrip("+~-").strip()
        if not equals or not key:
            return self._answer_to_word(argument)
        told = f"{typed or argument} is no option of {self.program}.py"
        return f"{told}: {self._advice(key, value)}"

    def _advice(self, key: str, value: str) -> str:
        low = key.lower()
        meant = next((right for right, others in _OTHER_NAMES.items() if low == right or low in others.split()), low)
        named = self.near(key)
        if (self.program, meant) in _INSTEAD and not (
            named and named[0].split("=")[0] != meant and low in _all_names(named[0])
        ):
            return _INSTEAD[self.program, meant]
        if named:
            told = [right if "=" in right else f"{right}={_VALUES.get((right, value), value)}" for right in named]
            return f"did you mean {' or '.join(told)}?"
        elsewhere = [
            other
            for other in PROGRAMS
            if other != self.program and key.split(".")[0] in Vocabulary(other, self.configs).top
        ]
        if elsewhere:
            return f"it is one of {' and '.join(f'{other}.py' for other in elsewhere)}"
        return f"python {self.program}.py --help lists all"

    def _answer_to_word(self, word: str) -> str:
        if not word.strip():
            return "an empty name was typed: is a variable of the shell without a value?"
        groups = sorted(group for group in self.groups if word in self.options(group))
        if groups:
            return f"{word} needs a name: did you mean {' or '.join(f'{group}={word}' for group in groups)}?"
        if Path(word).suffix == ".ckpt":
            return f"{word} needs a name: {'resume' if self.program == 'train' else 'ckpt'}={word}"
        if Path(word).suffix or Path(word).exists():
            return (
                f"{word} needs a name; {self.program}.py takes options KEY=VALUE, two files are matched by "
                "python match.py a.off b.off"
            )
        return (
            f"{word!r} is no option: options are written KEY=VALUE without blanks; python {self.program}.py "
            "--help lists them"
        )


def _initialised(configs: Path) -> Any:
    return initialize_config_dir(version_base="1.3", config_dir=str(configs))


def _all_names(right: str) -> list[str]:
    return _OTHER_NAMES.get(right, "").split()


def _dotted(tree: Any, prefix: str = "") -> Iterator[str]:
    for key, below in tree.items():
        yield f"{prefix}{key}"
        if isinstance(below, Mapping):
            yield from _dotted(below, f"{prefix}{key}.")


@cache
def _yaml(path: Path) -> Mapping[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
