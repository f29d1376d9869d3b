"""What weights have learned from, in this training and in those before it: no result hides a test shape they saw."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pullback.errors import UserError
from pullback.plain_data import PlainDataError, plain_data
from pullback.tasks.training.weights import load_checkpoint

UNKNOWN = "unknown"  # the name of a data set that nobody knows
_PARTS = ("backbone", "solver", "loss", "optimizer", "scheduler", "seed")  # what a training is made of, beside its data
# Of ``data``: what changes no training, and the data sets, which are compared by themselves.
_ASIDE_OF_DATA = (
    *("_target_", "datasets", "test", "cache_dir", "memory_shapes", "num_workers", "prepare_workers", "shard"),
    *("test_pairs", "protocol"),
)


@dataclass(frozen=True)
class Before:
    """What a network had learned from before its training began."""

    told: str = ""  # follows "trained on faust" in a protocol: ", begun with the weights of x.ckpt (trained on scape)"
    sets: tuple[str, ...] = ()  # names of data sets, ``UNKNOWN`` among them for weights of others

    def plain(self) -> dict[str, Any]:
        """As a checkpoint keeps it under ``before``."""
        return {"told": self.told, "sets": list(self.sets)}

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> "Before":
        """That of a checkpoint; of an older one as far as its configuration tells.

        Raises PlainDataError, and KeyError or TypeError for a configuration that is none.
        """
        kept = plain_data(checkpoint.get("before"), what="what a checkpoint learned before")
        if kept is None:
            weights = checkpoint["config"].get("weights")
            return cls(_begun(weights), (UNKNOWN,)) if weights else cls()
        if not (isinstance(kept, dict) and isinstance(kept.get("told"), str) and isinstance(kept.get("sets"), list)):
            raise PlainDataError("what a checkpoint learned before is no text with names of data sets")
        return cls(kept["told"], tuple(map(str, kept["sets"])))

    @classmethod
    def of_weights(cls, path: str | Path) -> "Before":
        """Of a training that begins with a file of weights."""
        told, sets = learned_by(path)
        return cls(_begun(path, told), sets)

    @classmethod
    def of_resumed(cls, checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> "Before":
        """Of a training that goes on from a checkpoint, now with ``config``."""
        before = cls.of(checkpoint)
        if _lesson(checkpoint["config"]) == _lesson(config):
            return before
        told = f", before its step {checkpoint['global_step']} {learned_from(checkpoint)}"
        return cls(told, tuple(trained_on(checkpoint)))


def learned_from(checkpoint: Mapping[str, Any]) -> str:
    """``trained on faust``, and what else there is to tell. Raises as ``Before.of``."""
    return _lesson(checkpoint["config"]) + Before.of(checkpoint).told


def trained_on(checkpoint: Mapping[str, Any]) -> list[str]:
    """The names of the data sets that the weights of a checkpoint have seen, as results call them.

    Those of the trainings before this one come first. Raises as ``Before.of``.
    """
    now = [written.get("name", key) for key, written in checkpoint["config"]["dataset"].items()]
    return list(dict.fromkeys([*Before.of(checkpoint).sets, *now]))


def learned_by(path: str | Path) -> tuple[str, tuple[str, ...]]:
    """What a file of weights has learned from, in words and as names: nothing and ``UNKNOWN`` for others' files."""
    try:
        checkpoint = load_checkpoint(path)
        return learned_from(checkpoint), tuple(trained_on(checkpoint))
    except (UserError, KeyError, TypeError, AttributeError):  # of others, or with an edited configuration
        return "", (UNKNOWN,)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """In what the configurations of two trainings differ: the part, what it was and what it is.

    An option of ``data`` that one of them does not have is passed over: another version of the program wrote it.
    """
    pairs = [(part, before.get(part), after.get(part)) for part in _PARTS]
    was, now = _sets(before), _sets(after)
    pairs += [(f"dataset.{name}", was.get(name), now.get(name)) for name in dict.fromkeys([*was, *now])]
    options = [key for key in before["data"] if key in after["data"] and key not in _ASIDE_OF_DATA]
    pairs += [(f"data.{key}", before["data"][key], after["data"][key]) for key in options]
    return [(part, one, other) for part, one, other in pairs if one != other]


def _sets(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the data sets, wherever these lie."""
    return {
        name: {key: value for key, value in options.items() if key != "root"}
        for name, options in config["dataset"].items()
    }


def _lesson(config: Mapping[str, Any]) -> str:
    seen = ", their test shapes among them, without ground truth" if config["data"].get("transductive") else ""
    return f"trained on {' + '.join(config['dataset'])}{seen}"


def _begun(path: str | Path, learned: str = "") -> str:
    return f", begun with the weights of {Path(path).name}" + (f" ({learned})" if learned else "")
