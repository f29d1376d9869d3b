"""Checkpoints and predictions of strangers: what their configuration names is not run, looked up or believed."""

import logging
from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tests.composing import composed, options, yaml_of
from tests.foreign_files import TINY, calls, changed, honest_checkpoint, write_checkpoint, write_predictions

from pullback.errors import UserError
from pullback.plain_data import PlainDataError, plain_data
from pullback.runtime.doorway import LogFormatter, tell
from pullback.runtime.offered import OFFERED, PUBLISHED_WEIGHTS, ForeignConfigError, check_offered
from pullback.runtime.origin import check_described, description_of, with_origin
from pullback.runtime.settings import as_yaml, instantiate, to_plain

HARMS = list(calls(Path("x")))
PLACES = ["solver", "backbone", "backbone.descriptor", "backbone.network", "graph", "fusion"]


@cache
def evaluation(*overrides: str):
    """The configuration of an evaluation, composed once."""
    return composed("eval", *overrides)


def opened(checkpoint: Path, *overrides: str):
    """What eval.py makes of a checkpoint, and the parts that it would build of it."""
    cfg = evaluation(*overrides).copy()
    cfg.ckpt = str(checkpoint)
    cfg, _ = with_origin(cfg, overrides)
    return cfg, [instantiate(cfg.get(part)) for part in ("backbone", "solver", "fusion", "graph", "loss")]


@pytest.mark.parametrize("harm", HARMS)
def test_what_a_checkpoint_names_is_refused_by_name_and_nothing_happens(harm, tmp_path):
    folder = tmp_path / "watched"
    folder.mkdir()
    node = calls(folder / "canary")[harm]
    path = write_checkpoint(tmp_path / "stranger.ckpt", "solver", node)
    with pytest.raises(UserError, match=r"stranger\.ckpt: its configuration") as refused:
        opened(path)
    assert isinstance(refused.value, ForeignConfigError)
    target = node.get("_target_")
    if isinstance(target, str) and target not in OFFERED["solver"]:
        assert target in str(refused.value)
    assert folder.is_dir() and not list(folder.iterdir())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("harm", ["sympify", "write_text", "partial", "made", "our import of torch"])
def test_a_call_is_refused_wherever_it_stands(place, harm, tmp_path):
    folder = tmp_path / "watched"
    folder.mkdir()
    node = calls(folder / "canary")[harm]
    for where, value in ((place, node), (f"{place}.deep", [{"x": [node]}])):
        with pytest.raises(UserError, match=r"stranger\.ckpt: its"):
            opened(write_checkpoint(tmp_path / "stranger.ckpt", where, value))
    assert not list(folder.iterdir())


@pytest.mark.parametrize("key", ["data.k", "data.laplacian", "method_name", "landmarks"])
def test_a_call_in_the_place_of_a_value_is_refused(key, tmp_path):
    with pytest.raises(ForeignConfigError, match=rf"its {key} is .* but should be a"):
        opened(write_checkpoint(tmp_path / "stranger.ckpt", key, calls(tmp_path / "canary")["touch"]))
    assert not (tmp_path / "canary").exists()


def test_calls_in_losses_are_refused_where_losses_are_taken(tmp_path):
    path = write_checkpoint(tmp_path / "stranger.ckpt", "loss.mine", calls(tmp_path / "canary")["touch"])
    with pytest.raises(ForeignConfigError, match=r"names pathlib\.Path\.touch at loss\.mine"):
        opened(path, "adaptation=fine_tuning")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "part", ["callbacks", "logger", "trainer", "optimizer", "paths", "dataset.faust", "view", "module", "evaluation"]
)
def test_other_parts_of_a_checkpoint_are_never_built(part, tmp_path):
    cfg, _ = opened(write_checkpoint(tmp_path / "stranger.ckpt", part, calls(tmp_path / "canary")["touch"]))
    assert "Path.touch" not in str(OmegaConf.to_container(cfg, resolve=False))
    assert not (tmp_path / "canary").exists()


def test_an_honest_checkpoint_is_taken_and_built(tmp_path):
    cfg, (backbone, solver, *_) = opened(write_checkpoint(tmp_path / "own.ckpt"))
    assert (cfg.backbone.network.width, type(backbone).__name__, type(solver).__name__) == (
        8,
        "Backbone",
        "DiffZoomOut",
    )


def test_a_class_of_the_users_own_is_built_from_the_command_line(tmp_path):
    path = write_checkpoint(tmp_path / "own.ckpt", "solver", {"_target_": "fractions.Fraction", "numerator": 1})
    with pytest.raises(ForeignConfigError, match=r"names fractions\.Fraction at solver"):
        opened(path)
    assert opened(path, "solver._target_=fractions.Fraction")[1][1] == 1
    assert type(opened(path, "solver=zoomout")[1][1]).__name__ == "ZoomOut"


def test_only_what_was_typed_of_a_part_is_excused(tmp_path):
    node = {"_target_": "fractions.Fraction", "numerator": calls(tmp_path / "canary")["touch"]}
    with pytest.raises(ForeignConfigError, match=r"names pathlib\.Path\.touch at solver\.numerator"):
        opened(write_checkpoint(tmp_path / "own.ckpt", "solver", node), "solver._target_=fractions.Fraction")
    assert not (tmp_path / "canary").exists()


def written(group: str, option: str):
    """A yaml file without its references to other parts."""

    def kept(value):
        if isinstance(value, dict):
            return {
                key: kept(below) for key, below in value.items() if key != "defaults" and "${" not in str(below)[:2]
            }
        return value

    return kept(yaml_of(group, option))


@pytest.mark.parametrize("part", ["backbone", "solver", "fusion", "graph", "loss", "branch"])
def test_everything_that_the_projects_own_configurations_name_is_offered(part):
    for option in options(part):
        content = written(part, option)
        if part == "branch" and "_target_" not in content:  # another branch with a layer of its own
            assert set(content) <= {"defaults", "layer", "weights"}
        elif part == "branch":
            check_offered("fusion", content, source=option)
        elif part == "loss":
            check_offered("loss", content.get("loss", content), source=option)
        else:
            check_offered(part, content, source=option, typed=[f"{part}._target_"])


def test_every_class_on_the_list_is_defined_where_the_list_says():
    for names in OFFERED.values():
        for name in names:
            cls = instantiate({"_target_": name, "_partial_": True}).func
            assert isinstance(cls, type) and f"{cls.__module__}.{cls.__qualname__}" == name


def test_published_weights_are_those_of_the_projects_branches():
    named = {
        yaml_of("branch", option).get("weights") for option in options("branch") if not option.startswith("vit_folder")
    }
    assert sorted(named - {None}) == sorted(PUBLISHED_WEIGHTS)


SECRETS = [
    "${oc.env:SECRET}",
    "x${oc.env:SECRET}y",
    "${oc.env:${name}}",
    "\\${oc.env:SECRET}",
    "\\\\${oc.env:SECRET}",
    "${",
    "${a",
]
SECRETS += [
    "${now:%Y}",
    "${oc.decode:${oc.env:SECRET}}",
    "${project_root:}",
    "${.backbone}",
    "${hydra:runtime.cwd}",
    "$SECRET",
    "~",
]


@pytest.mark.parametrize("text", SECRETS)
def test_an_interpolation_in_a_checkpoint_is_text(text, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    cfg, _ = opened(write_checkpoint(tmp_path / "stranger.ckpt", "method_name", text))
    config = to_plain(cfg)
    assert config["method_name"] == cfg.method_name == text
    assert "hunter2" not in as_yaml(config)
    again, _ = opened(write_checkpoint(tmp_path / "second.ckpt", "method_name", config["method_name"]))
    assert again.method_name == text
    assert instantiate({"_target_": "builtins.dict", "name": text}) == {"name": text}


def test_an_interpolation_in_an_option_reaches_the_constructor_as_text(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "blocked")
    path = write_checkpoint(tmp_path / "stranger.ckpt", "solver.backend", "${oc.env:SECRET}")
    with pytest.raises(
        UserError, match=r"stranger\.ckpt: its configuration gives solver\.backend='\$\{oc\.env:SECRET\}'"
    ):
        opened(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("backbone.network.width", 10**9, "width=1000000000, where 100000 is the most"),
        ("backbone.network.n_blocks", 10**6, "n_blocks=1000000, where 200 is the most"),
        ("backbone.network.width", 60_000, "GiB"),
        ("backbone.network.width", 16, "do not fit the backbone"),
        ("backbone.network.width", "wide", "width='wide', which DiffusionNet cannot take"),
        ("solver.k_init", [1], "cannot take"),
        ("solver.k_init", 0, "k_init=0"),
        ("solver.blur", "???", "solver.blur='[?]+', which"),
        ("solver", 5, "its solver is 5"),
        ("solver", {}, "does not say of which class"),
        ("backbone", "x", "its backbone is 'x'"),
        ("data.k", "many", "its data.k is 'many'"),
        ("data.k", True, "its data.k is True"),
    ],
)
def test_options_that_no_constructor_takes_are_refused_by_name(key, value, message, tmp_path):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        opened(write_checkpoint(tmp_path / "stranger.ckpt", key, value))


@pytest.mark.parametrize("weights", ["/etc/passwd", "~/.ssh/id_rsa", "stranger/model", "../x", "http://x/y"])
def test_files_and_networks_that_a_checkpoint_names_are_the_users_to_type(weights, tmp_path):
    fusion = to_plain(composed("eval", "dataset=photos", "fusion=gradients_cnn"))["fusion"]
    path = write_checkpoint(tmp_path / "stranger.ckpt", "fusion", changed(fusion, "loss.backbone.weights", weights))
    with pytest.raises(
        ForeignConfigError, match=r"at fusion\.descriptors\.backbone\.weights, which is yours to choose"
    ):
        opened(path, "dataset=photos")


def test_predictions_are_described_by_the_same_rules(tmp_path):
    solver = calls(tmp_path / "canary")["touch"]
    with pytest.raises(
        ForeignConfigError, match=r"fingerprint\.json: its configuration names pathlib\.Path\.touch at solver"
    ):
        check_described(
            {"solver": solver}, {"solver": honest_checkpoint()["config"]["solver"]}, source="fingerprint.json"
        )
    check_described({"solver": solver}, {"solver": solver}, source="what the user composed")
    folder = write_predictions(tmp_path / "predictions" / "humans", {"solver": solver})
    typed = ["run=[score]", f"predictions={folder.parent}"]
    with pytest.raises(
        ForeignConfigError, match=r"humans/fingerprint\.json: its configuration names pathlib\.Path\.touch"
    ):
        with_origin(composed("eval", *typed), typed)
    assert not (tmp_path / "canary").exists()


def of_itself() -> dict:
    config: dict = {"a": {}}
    config["a"]["b"] = config
    return config


def unfolding() -> list:
    """Thirty lists, each ten times in the next: 10³⁰ values."""
    value: list = ["x"]
    for _ in range(30):
        value = [value] * 10
    return value


def nested(depth: int) -> dict:
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (of_itself(), "nested more than 32 deep, or in itself"),
        (nested(100), "nested more than 32 deep"),
        (unfolding(), "more than 20,000 values"),
        ({"a": torch.zeros(2)}, "holds a Tensor at a"),
        ({1: "a"}, "more than 64 bits|holds a"),
        ({"a": 10**40}, "64 bits"),
        ({"a": "\x1b]0;owned\x07"}, "control characters"),
        ({"a": "\u202eb"}, "control characters"),
        ({"a": "x" * 20_000}, "20,000 characters"),
        ({"a": b"bytes"}, "holds a bytes"),
    ],
)
def test_plain_data_are_bounded_and_plain(value, message):
    with pytest.raises(PlainDataError, match=f"^it .*({message})"):
        plain_data(value, what="it")


def test_plain_data_are_copied_as_they_are():
    value = {"a": [1, 2.5, None, True, "${x}\n"], "b": {"c": ()}}
    assert plain_data(value, what="it") == {"a": [1, 2.5, None, True, "${x}\n"], "b": {"c": []}}


def test_tiny_overrides_compose():
    assert composed("train", *TINY).backbone.network.width == 8


@pytest.mark.parametrize("text", ["人体\u3000モデル", "a\u00a0b", "می\u200cخواهم", "👩\u200d🔬"])
def test_blanks_and_joiners_of_any_script_are_text(text):
    assert plain_data({"a": text}, what="it") == {"a": text}


@pytest.mark.parametrize(
    ("kind", "told"), [(KeyError, ForeignConfigError), (TypeError, ForeignConfigError), (RuntimeError, RuntimeError)]
)
def test_only_what_comes_of_reading_is_a_fault_of_the_file(kind, told):
    with pytest.raises(told), description_of("x.ckpt"):
        raise kind("x")


def test_names_out_of_strangers_files_do_not_command_the_terminal(capsys):
    tell(UserError("x\x1b]0;owned\x07 \x9b31m \u202e 人"))
    assert capsys.readouterr().err == "error: x\\x1b]0;owned\\x07 \\x9b31m \\u202e 人\n"
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s\n%s", ("a\x1b[2J", "b"), None)
    assert LogFormatter("%(message)s").format(record) == "a\\x1b[2J\nb"
    assert (
        yaml_of("hydra", "default")["job_logging"]["formatters"]["simple"]["class"]
        == "pullback.runtime.doorway.LogFormatter"
    )
