"""Every file of configs/ composes, names code that exists with all its options, and says nothing twice."""

import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf
from tests.composing import CONFIGS, composed, options, yaml_of
from tests.fakes import write_faust
from tests.later import later
from tests.pair_fakes import write_dt4d, write_lists, write_shrec19
from tests.published_fakes import SCAPE_NAMES, write_set

from pullback.data.mesh.sets.smal import species_by_name
from pullback.runtime.checks import ConfigError, check
from pullback.runtime.hydra_errors import in_words
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.settings import to_plain

datamodule = later("pullback.data.image.datamodule")
mesh_datamodule = later("pullback.data.mesh.datamodule")
runtime_build = later("pullback.runtime.build")

FILES = sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "local")
NAMES = [path.relative_to(CONFIGS).as_posix() for path in FILES]
# groups whose files change a whole run
LAID_OVER = ("task", "files", "recipe", "method", "experiment", "sweep", "debug", "cluster")
TRAINING_GROUPS = (
    "backbone",
    "solver",
    "optimizer",
    "scheduler",
    "trainer",
    "logger",
    "recipe",
    "method",
    "sweep",
    "debug",
    "adaptation",
)
# The choice, the plugin of Hydra that it needs, and the extra that brings it.
NEEDS_PACKAGE = {
    "slurm": ("submitit", "cluster"),
    "local": ("joblib", "cluster"),
    "ray": ("ray", "ray"),
}
DIFFS = [(group, option) for group in ("experiment", "recipe", "method", "debug") for option in options(group)]
AXIOMATIC = ("discrete", "landmarks_zoomout", "nearest", "zoomout")  # methods without anything to train
LEARNED = [name for name in options("method") if name not in AXIOMATIC]


def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings; lists are values."""
    if isinstance(tree, dict):
        for key, below in tree.items():
            yield from leaves(below, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


def targets(tree: Any) -> Iterator[dict[str, Any]]:
    """The mappings below that describe an object."""
    if isinstance(tree, dict):
        if "_target_" in tree:
            yield tree
        for below in tree.values():
            yield from targets(below)


def located(target: str) -> Any:
    module, name = target.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def test_the_package_header_is_the_first_line():
    """Hydra silently ignores a header below the first line."""
    wrong = []
    for name, path in zip(NAMES, FILES, strict=True):
        headers = [i for i, line in enumerate(path.read_text().splitlines()) if "@package" in line]
        wrong += [name] * (headers != ([0] if path.parent.name in LAID_OVER else []))
    assert FILES and wrong == []


def test_every_target_exists_and_takes_what_is_written():
    wrong = []
    for name, path in zip(NAMES, FILES, strict=True):
        for written in targets(yaml.safe_load(path.read_text())):
            parameters = inspect.signature(located(written["_target_"])).parameters.values()
            known = {"defaults", *(parameter.name for parameter in parameters)}
            if not any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in parameters):
                wrong += [f"{name}: {key}" for key in written if not key.startswith("_") and key not in known]
    assert wrong == []


WHOLE_GROUPS = ("backbone", "solver", "loss", "branch", "graph", "dataset")


def test_an_object_of_this_project_is_written_with_all_its_options():
    """Complete defaults show what there is to choose."""
    lacking = []
    for group, option in ((name, option) for name in WHOLE_GROUPS for option in options(name)):
        for written in targets(yaml_of(group, option)):
            parameters = inspect.signature(located(written["_target_"])).parameters
            chosen = {name for entry in written.get("defaults", []) if isinstance(entry, dict) for name in entry}
            lacking += [f"{group}/{option}.yaml: {key}" for key in parameters if key not in {*written, *chosen}]
    assert lacking == []


@pytest.mark.parametrize(
    ("task", "settings"), [("mesh", "mesh.datamodule.DataSettings"), ("image", "image.datamodule.ImageDataSettings")]
)
def test_the_data_section_is_written_with_all_its_options(task, settings):
    assert set(located(f"pullback.data.{settings}").__dataclass_fields__) <= set(yaml_of("task", task)["data"])


@pytest.mark.parametrize("fusion", options("fusion"))
def test_every_fusion_resolves_to_two_complete_branches(fusion):
    resolved = to_plain(composed("eval", "dataset=tss", f"fusion={fusion}"))
    assert resolved["module"]["fusion"] == resolved["fusion"]
    for written in targets(resolved["fusion"]):
        assert set(inspect.signature(located(written["_target_"])).parameters) == {
            key for key in written if key != "_target_"
        }


IMAGE_DATASETS = [name for name in options("dataset") if "defaults" in yaml_of("dataset", name)]
IMAGE_SOLVERS = [name for name in options("solver") if "defaults" in yaml_of("solver", name)]


@pytest.mark.parametrize(
    ("dataset", "solver"),
    [
        *((dataset, "closed_form") for dataset in IMAGE_DATASETS),
        *(("tss", solver) for solver in IMAGE_SOLVERS if solver != "closed_form"),
    ],
)
def test_a_data_set_of_photographs_chooses_its_task(dataset, solver):
    root = ["dataset.image_folder.root=DIR"] if dataset == "image_folder" else []
    cfg = composed("eval", f"dataset={dataset}", f"solver={solver}", *root)
    check(cfg)
    assert (cfg.kind, cfg.get("backbone"), cfg.module._target_) == (
        "image",
        None,
        "pullback.tasks.image.module.ImageMatching",
    )
    assert cfg.graph.k == (100 if solver.startswith("paper") else 200)
    assert cfg.solver._target_ == "pullback.solvers.patch_matching.PatchMatching"


def test_several_data_sets_of_photographs_are_evaluated_together():
    assert list(composed("eval", "dataset=[tss,pf_willow]").dataset) == ["tss", "pf_willow"]


def test_each_mode_has_the_graph_that_belongs_to_it_unless_another_is_chosen():
    graphs = {mode: composed("eval", "dataset=tss", f"solver={mode}").graph.weights for mode in ("paper", "release")}
    assert graphs == {"paper": "exponential", "release": "release"}
    assert composed("eval", "dataset=tss", "solver=paper", "graph=uniform").graph.weights == "uniform"


@pytest.mark.parametrize("graph", [[], *([f"graph={name}"] for name in options("graph"))])
def test_the_released_optimiser_has_the_signs_of_the_release_on_every_graph(graph):
    assert composed("eval", "dataset=tss", "solver=release", *graph).graph.signs == "qr"
    assert composed("eval", "dataset=tss", "solver=release", *graph, "graph.signs=largest").graph.signs == "largest"
    assert composed("eval", "dataset=tss", "solver=closed_form", *graph).graph.signs == "largest"


CHOICES = [f"{group}={option}" for group in TRAINING_GROUPS for option in options(group)]


@pytest.mark.parametrize(
    "choice", [text for text in CHOICES if text not in {f"solver={name}" for name in IMAGE_SOLVERS}]
)
def test_every_choice_composes_and_resolves(choice):
    resolved = to_plain(composed("train", choice))
    assert resolved["module"]["backbone"] == resolved["backbone"]


@pytest.mark.parametrize("option", options("cluster"))
def test_every_cluster_composes(option):
    plugin, extra = NEEDS_PACKAGE.get(option, ("", ""))
    if not plugin or importlib.util.find_spec(f"hydra_plugins.hydra_{plugin}_launcher") is not None:
        composed("train", f"cluster={option}")
        return
    with pytest.raises(MissingConfigException) as caught:
        composed("train", f"cluster={option}")
    assert f"cluster={option} needs a package that is not installed: pip install 'pullback[{extra}]'" in str(
        in_words(caught.value, Vocabulary("train", CONFIGS))
    )


def test_all_loss_terms_compose_beside_each_other():
    terms = options("loss")
    cfg = composed("train", f"loss=[{','.join(terms)}]", "solver.two_way=true", "solver.refinement=soft")
    assert sorted(cfg.loss) == terms
    check(cfg)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_faust(folder / "FAUST_r", [*range(4), *range(80, 82)])
    for name in ("SCAPE_r", "SCAPE_acvd"):
        write_set(folder / name, SCAPE_NAMES)
    write_set(folder / "SMAL_r", sorted(species_by_name()))
    write_shrec19(folder / "SHREC19_r", [1, 2], [(1, 2)])
    classes = {"crypto": range(5), "drake": range(5, 10)}
    write_dt4d(folder / "DT4D_r", classes, ["crypto_drake"])
    write_lists(folder / "DT4D_r", classes)
    return folder


BUILT = [f"{group}={option}" for group in ("experiment", "recipe") for option in options(group)]


@pytest.mark.parametrize("choice", [*BUILT, *(f"method={name}" for name in LEARNED)])
def test_every_experiment_recipe_and_learned_method_builds(choice, data_dir, tmp_path):
    overrides = [choice, "trainer=cpu", f"paths.data_dir={data_dir}"]
    chosen = composed("train", *overrides)
    tested = chosen.test or {}
    overrides += [] if chosen.data.select_on_test else ["data.val_shapes=2"]
    parts = {"dataset": chosen.dataset, "test": tested}
    for part in (part for part, sets in parts.items() if "folder" in sets):
        overrides += [f"{part}.folder.root={data_dir / 'FAUST_r'}", f"{part}.folder.test_share=0.5"]
    missing = [f"dataset.{name}.allow_missing=true" for name in chosen.dataset if name == "faust"]
    missing += [f"test.{name}.allow_missing=true" for name in tested if name in ("faust", "shrec19")]
    cfg = composed("train", *overrides, *missing, output_dir=tmp_path)
    check(cfg)
    run = runtime_build.build(cfg)
    assert set(run.module.losses) == set(cfg.loss)
    assert OmegaConf.load(tmp_path / "config.yaml") == run.config
    run.module.configure_optimizers()


@pytest.mark.parametrize("method", LEARNED)
def test_a_learned_method_is_the_whole_recipe_and_as_long_as_the_others(method):
    cfg = composed("train", f"method={method}")
    assert cfg.method_name == method
    # nothing of recipe=fast is left
    assert set(cfg.solver) == {"_target_", *inspect.signature(located(cfg.solver._target_)).parameters}
    assert all("_target_" in term for term in cfg.loss.values())
    assert (cfg.trainer.max_steps, cfg.trainer.val_check_interval, cfg.monitor) == (1000, 100, "val/loss")


@pytest.mark.parametrize("method", AXIOMATIC)
def test_a_method_without_training_is_for_evaluations(method):
    cfg = composed("eval", f"method={method}")
    check(cfg)
    assert cfg.method_name == method
    with pytest.raises(
        ConfigError, match=r"training needs gradients but the solver .* passes none; .* keep it for eval\.py"
    ):
        check(composed("train", f"method={method}"))


def test_an_experiment_changes_a_method_and_not_the_reverse():
    assert composed("train", "method=ulrssm", "experiment=quickstart").trainer.max_steps == 400


def test_values_of_a_term_that_was_not_chosen_are_dropped(data_dir, tmp_path):
    run = runtime_build.build(
        composed(
            "train", "recipe=fast", "loss=[orthogonality]", "trainer=cpu", "data.val_shapes=2", output_dir=tmp_path
        )
    )
    assert list(run.module.losses) == list(run.config["loss"]) == ["orthogonality"]


@pytest.mark.parametrize(("group", "option"), DIFFS)
def test_a_diff_repeats_no_default(group, option):
    written = yaml_of(group, option)
    choices = [choice_of(entry) for entry in written.pop("defaults", [])]
    bare = [f"~{group}"] if group in ("recipe", "method") else []
    default = composed("train", *bare, *choices)
    absent = object()
    repeated = [key for key, value in leaves(written) if same(OmegaConf.select(default, key, default=absent), value)]
    usual = [
        choice_of(entry)
        for entry in yaml.safe_load((CONFIGS / "train.yaml").read_text())["defaults"]
        if isinstance(entry, dict)
    ]
    assert repeated + [choice for choice in choices if choice in usual] == []


def same(one: Any, other: Any) -> bool:
    """Equal and of one kind: to Lightning, a limit of 1 is one batch and one of 1.0 is all of them."""
    return one == other and type(one) is type(other)


def choice_of(entry: dict[str, Any]) -> str:
    """``override /loss: [a, b]`` of a defaults list as ``loss=[a,b]`` of the command line."""
    ((key, value),) = entry.items()
    group = key.removeprefix("override ").removeprefix("/")
    if value is None:
        return f"~{group}"
    return f"{group}=[{','.join(value)}]" if isinstance(value, list) else f"{group}={value}"


@pytest.mark.parametrize("program", ["train", "eval", "match"])
def test_a_program_composes_without_arguments(program):
    assert "backbone" in composed(program)


def test_the_official_template_ends_at_120_eigenfunctions():
    solver = composed("train", "recipe=official_template").solver
    assert solver.k_init + solver.step * solver.n_steps == 120


def test_data_are_looked_for_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("PULLBACK_DATA_DIR", str(tmp_path))
    assert composed("train").paths.data_dir == str(tmp_path)
    monkeypatch.delenv("PULLBACK_DATA_DIR")
    assert composed("train").paths.data_dir == str(CONFIGS.parent / "data")
