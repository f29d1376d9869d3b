"""What a result says that its weights have seen: of every training that went before, too."""

from pathlib import Path

import pytest
import torch

from pullback.plain_data import PlainDataError
from pullback.runtime.learned import Before, changes, learned_by, learned_from, trained_on

SEEN = ", their test shapes among them, without ground truth"


def checkpoint(*sets: str, transductive: bool = False, step: int = 7, before: Before | None = None, **config):
    """As a training on these sets leaves it."""
    written = {name: {"_target_": "x.Set", "root": "r"} for name in sets}
    kept = {} if before is None else {"before": before.plain()}
    data = {"transductive": transductive, "k": 30, "cache_dir": "a"}
    return {"config": {"dataset": written, "data": data, **config}, "global_step": step, "state_dict": {}, **kept}


def saved(path: Path, content: dict) -> Path:
    torch.save(content | {"state_dict": {"a": torch.ones(1)}}, path)
    return path


def test_data_sets_are_called_as_results_call_them():
    content = checkpoint("faust", "folder")
    content["config"]["dataset"]["folder"]["name"] = "own"
    assert trained_on(content) == ["faust", "own"]


def test_weights_hand_on_what_they_have_seen(tmp_path):
    first = saved(tmp_path / "first.ckpt", checkpoint("scape", transductive=True))
    told, sets = learned_by(first)
    assert (told, sets) == (f"trained on scape{SEEN}", ("scape",))
    second = checkpoint("faust", weights=str(first), before=Before.of_weights(first))
    assert learned_from(second) == f"trained on faust, begun with the weights of first.ckpt (trained on scape{SEEN})"
    assert trained_on(second) == ["scape", "faust"]
    third = Before.of_weights(saved(tmp_path / "second.ckpt", second))
    assert (
        f"second.ckpt (trained on faust, begun with the weights of first.ckpt (trained on scape{SEEN}))" in third.told
    )
    assert third.sets == ("scape", "faust")


@pytest.mark.parametrize(
    "content",
    [
        {"networks": {}},
        {"config": {"model": "theirs"}},
        {"config": {"dataset": ["faust"], "data": {}}},
        {**checkpoint("faust"), "before": {"told": 3}},
    ],
)
def test_files_of_others_tell_nothing(tmp_path, content):
    path = saved(tmp_path / "theirs.pth", content)
    assert learned_by(path) == ("", ("unknown",))
    assert Before.of_weights(path) == Before(", begun with the weights of theirs.pth", ("unknown",))


def test_a_training_that_goes_on_with_other_data_keeps_what_it_saw():
    seen = checkpoint("faust", transductive=True)
    assert Before.of_resumed(seen, checkpoint("faust", transductive=True)["config"]) == Before()
    clean = Before.of_resumed(seen, checkpoint("faust")["config"])
    assert learned_from(checkpoint("faust", before=clean)) == (
        f"trained on faust, before its step 7 trained on faust{SEEN}"
    )
    assert Before.of_resumed(checkpoint("faust", before=clean), checkpoint("faust")["config"]) == clean
    other = Before.of_resumed(checkpoint("scape"), checkpoint("faust")["config"])
    assert trained_on(checkpoint("faust", before=other)) == ["scape", "faust"]


def test_older_checkpoints_tell_what_their_configuration_does():
    assert learned_from(checkpoint("faust", weights="a/b.pth")) == ("trained on faust, begun with the weights of b.pth")
    assert trained_on(checkpoint("faust", weights="a/b.pth")) == ["unknown", "faust"]
    assert Before.of(checkpoint("faust")) == Before()


def test_what_was_learned_before_is_read_as_strangers_data_are():
    with pytest.raises(PlainDataError, match="control characters"):
        Before.of({**checkpoint("faust"), "before": {"told": "\x1b[2J", "sets": []}})
    with pytest.raises(PlainDataError, match="no text with names"):
        Before.of({**checkpoint("faust"), "before": ["faust"]})


def test_a_training_that_goes_on_with_other_data_is_told():
    was, now = checkpoint("faust", "scape", transductive=True)["config"], checkpoint("faust", "smal")["config"]
    now["dataset"]["faust"]["root"] = "elsewhere"
    now["data"] |= {"cache_dir": "b", "newer": 1}
    assert [part for part, *_ in changes(was, now)] == ["dataset.scape", "dataset.smal", "data.transductive"]
    assert changes(was, was) == []
