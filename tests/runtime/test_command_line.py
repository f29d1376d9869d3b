"""What is typed becomes overrides of Hydra: any file name, three ways to give the files,
and paths in every option that takes one.
"""

from pathlib import Path

import pytest
from omegaconf import DictConfig
from tests.composing import CONFIGS, composed

from pullback.errors import UsageError
from pullback.runtime.command_line import for_files, overrides
from pullback.runtime.path_options import path_value

# Each has characters that mean something to Hydra, OmegaConf, argparse or a path.
NAMES = (
    *(
        "scan (1).off",
        "Körper.off",
        "人体.off",
        "mesh,1.off",
        "a=b.off",
        "it's.off",
        'q"uote.off',
        "{x} [y].off",
        "#h%c.off",
        "b\\s.off",
    ),
    *(
        "c:d.off",
        "cost $5.off",
        "lit ${x}.off",
        "two ${x}${y}.off",
        "\\${x}.off",
        "new\nline.off",
        " lead.off",
        "tail \\",
        "a&b<c>;d.off",
    ),
    *(
        "100%.off",
        "null.off",
        "true",
        "3",
        "1e5",
        "a'b\"c.off",
        "~tilde~.off",
        "@at.off",
        "+plus.off",
        "*?.off",
        "…/x.off",
        "[a,b].off",
    ),
)


def configured(program: str, *typed: str) -> DictConfig:
    """The configuration of what was typed."""
    return composed(program, *overrides(list(typed), program, CONFIGS))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_have_any_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bare = f"./{name}" if name[0] in "~+@" else name
    cfg = configured("match", bare, f"target={name}")
    assert (cfg.source, cfg.target) == (bare, name)


@pytest.mark.parametrize(
    "typed",
    [
        ["a b.off", "c=d.off"],
        ["source=a b.off", "target=c=d.off"],
        ["--source", "a b.off", "--target", "c=d.off"],
        ["--source=a b.off", "--target=c=d.off"],
        ["target=c=d.off", "a b.off"],
        ["a b.off", "--target", "c=d.off"],
        ["--", "a b.off", "c=d.off"],
    ],
)
def test_the_files_are_named_in_any_of_three_ways(typed):
    assert sorted(overrides(typed, "match", CONFIGS)) == ["ckpt='humans'", "source='a b.off'", "target='c=d.off'"]


@pytest.mark.parametrize(
    ("program", "key"),
    [
        *(
            ("eval", key)
            for key in ("ckpt", "weights", "predictions", "paths.data_dir", "paths.cache_dir", "dataset.faust.root")
        ),
        *(("train", key) for key in ("resume", "weights", "test.tosca.lists", "hydra.run.dir", "hydra.sweep.dir")),
        *(("match", key) for key in ("ckpt", "landmarks", "fusion.basis.backbone.weights", "paths.cache_dir")),
    ],
)
def test_every_option_that_takes_a_path_takes_any(program, key):
    assert (
        overrides([f"{key}=RUN (2)/epoch=3-step=100,a.ckpt"], program, CONFIGS)[0]
        == f"{key}='RUN (2)/epoch=3-step=100,a.ckpt'"
    )


def test_the_home_folder_is_known_and_variables_are_left_to_the_shell(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert sorted(overrides(["~/x y.off", "target=~/b.off"], "match", CONFIGS)) == [
        "ckpt='humans'",
        "source='/home/me/x y.off'",
        "target='/home/me/b.off'",
    ]
    assert configured("match", "$HOME/a.off", "b.off").source == "$HOME/a.off"


def test_names_quoted_or_escaped_for_hydra_keep_working(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        path_value("source", "'a b.off'", program="match")
        == path_value("source", '"a b.off"', program="match")
        == "'a b.off'"
    )
    Path("epoch=3.ckpt").touch()
    assert path_value("ckpt", r"epoch\=3.ckpt", program="eval") == "'epoch=3.ckpt'"
    Path("'q'").touch()  # a name that is there is taken as it is
    assert configured("match", "'q'", "b.off").source == "'q'"


@pytest.mark.parametrize(
    "typed", ["solver.blur=0.1,0.2", "dataset=[a,b]", "+solver.read_out=features", "~callbacks.best", "seed=range(3)"]
)
def test_what_is_no_path_goes_to_hydra_as_it_was_typed(typed):
    assert overrides(["-m", typed], "train", CONFIGS) == ["-m", typed]


def test_a_sweep_over_files_is_one():
    assert overrides(["-m", "ckpt=a.ckpt,b.ckpt"], "eval", CONFIGS) == ["-m", "ckpt=a.ckpt,b.ckpt"]
    assert overrides(["ckpt=a.ckpt,b.ckpt"], "eval", CONFIGS) == ["ckpt='a.ckpt,b.ckpt'"]


@pytest.mark.parametrize(
    ("program", "typed"),
    [("eval", "ckpt=null"), ("train", "resume=auto"), ("eval", "landmarks=6"), ("match", "landmarks=null")],
)
def test_words_that_are_no_paths_stay_words(program, typed):
    assert overrides([typed], program, CONFIGS) == [typed]


def test_interpolations_that_people_use_in_folders_stay_interpolations(tmp_path, monkeypatch):
    assert configured("eval", "predictions=${paths.cache_dir}/x").predictions.endswith("data/cache/x")
    assert overrides(["hydra.run.dir=out/${now:%Y}"], "eval", CONFIGS) == ["hydra.run.dir='out/${now:%Y}'"]
    with pytest.raises(UsageError, match=r"a folder with \$\{ in its name cannot be used here; rename it"):
        overrides(["hydra.run.dir=out ${x}"], "eval", CONFIGS)


@pytest.mark.parametrize(
    ("typed", "told"),
    [("sweep=sigma,zoomout_steps", r"a command for each or, .*sweep=\[A,B\]"), ("cluster=local,slurm", "one cluster")],
)
def test_what_holds_for_all_jobs_of_a_sweep_is_not_swept(typed, told):
    """Hydra would run one job for each name, and none of their values."""
    with pytest.raises(UsageError, match=told):
        overrides(["-m", typed], "train", CONFIGS)
    assert overrides(["-m", "sweep=[sigma,zoomout_steps]"], "train", CONFIGS)[1] == "sweep=[sigma,zoomout_steps]"


def test_a_comma_belongs_to_the_name_of_a_sweeps_folder():
    assert overrides(["-m", "hydra.sweep.dir=a, b"], "eval", CONFIGS) == ["-m", "hydra.sweep.dir='a, b'"]


def test_options_may_have_dashes():
    typed = ["--untrained", "--dataset", "faust", "--data.k=40", "--seed", "-1"]
    assert overrides(typed, "eval", CONFIGS) == ["untrained=true", "dataset=faust", "data.k=40", "seed=-1"]


def test_the_debugging_flag_is_ours_and_hydras_flags_are_passed_on():
    typed = ["--debug", "--cfg", "job", "-m", "--config-dir", "more configs", "seed=1"]
    assert overrides(typed, "train", CONFIGS) == ["--cfg", "job", "-m", "--config-dir", "more configs", "seed=1"]


def test_names_from_a_configuration_of_the_users_own_are_not_judged():
    assert overrides(["--config-dir=mine", "mine=5"], "train", CONFIGS) == ["--config-dir=mine", "mine=5"]


@pytest.mark.parametrize(
    ("typed", "added"),
    [
        (["source=a.off", "target=b.off"], ["ckpt=humans"]),
        (["source=a.off", "target=b.off", "solver=zoomout"], ["ckpt=humans"]),
        (["source=a.off", "ckpt=null"], []),
        (["source=a.off", "backbone=raw_wks"], []),
        (["source=a.off", "backbone.descriptor.k=60"], []),
        (["-m"], []),
        (["source=a.JPG", "target=b.off"], ["files=image"]),
        (["source=a b.png"], ["files=image"]),
        (["source='a b.png'"], ["files=image"]),
        (["source=a.jpg", "files=mesh"], []),
        (["source=.", "target=b.png"], ["files=image"]),  # that a folder is none is told where files are checked
        (["source=a.off", "landmarks=pairs.txt"], ["backbone=landmarks"]),
        (["source=a.off", "landmarks=pairs.txt", "backbone=raw_wks"], []),
        (["source=a.off", "landmarks=null"], ["ckpt=humans"]),
        (["source=a.jpg", "landmarks=pairs.txt"], ["files=image"]),
    ],
)
def test_the_kind_of_files_chooses_what_goes_with_it_unless_it_was_typed(typed, added):
    assert for_files(typed) == added


@pytest.mark.parametrize(
    ("program", "typed", "right"),
    [
        *(("train", f"{name}=1", "optimizer.lr=1") for name in ("lr", "learning_rate")),
        *(
            ("train", f"{name}=1", "trainer.max_steps=1")
            for name in ("steps", "epochs", "max_step", "max_steps", "MAX_STEPS")
        ),
        *(("match", f"{name}=o", "hydra.run.dir=o") for name in ("output", "out", "output_dir", "o")),
        *(("eval", f"{name}=o", "ckpt=o") for name in ("checkpoint", "model", "model_path", "ckp")),
        *(("eval", f"{name}=o", "paths.data_dir=o") for name in ("data_dir", "data_root", "dataroot")),
        *(("match", f"{name}=a.off", "source=a.off") for name in ("soruce", "src", "mesh1", "sourc")),
        *(("match", f"--{name}=1", "solver.k_init=1") for name in ("k-init", "k_init", "solver-k-init")),
        *(("match", f"{name}=cpu", "device=cpu") for name in ("accelerator", "trainer.accelerator")),
        ("match", "trainer.accelerator=gpu", "device=cuda"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(program, typed, right):
    with pytest.raises(UsageError, match=r"is no option of") as refused:
        overrides([typed], program, CONFIGS)
    assert right in str(refused.value)
    composed(program, right)


def test_an_option_of_another_program_is_no_third_file():
    with pytest.raises(UsageError, match=r"^trainer\.foo=0\.5 is no option of match\.py: it is one of train\.py"):
        overrides(["a.off", "b.off", "trainer.foo=0.5"], "match", CONFIGS)


def test_a_suggested_option_exists_in_the_program_it_is_suggested_for():
    from pullback.runtime.option_names import _OTHER_NAMES, PROGRAMS, Vocabulary

    for program in PROGRAMS:
        words = Vocabulary(program, CONFIGS)
        for names in _OTHER_NAMES.values():
            for right in {right for name in names.split() if not words.knows(name) for right in words.near(name)}:
                key, _, value = right.partition("=")
                assert key in words.keys or key in words.groups, f"{program}: {right}"
                assert not value or value in words.options(key) or key == "device"


def test_a_read_out_by_name_where_the_solver_has_none_to_choose_is_told_with_the_keys_to_change():
    from hydra.errors import ConfigCompositionException

    from pullback.runtime.hydra_errors import in_words
    from pullback.runtime.option_names import Vocabulary

    with pytest.raises(ConfigCompositionException) as refused:
        composed("eval", "dataset=tss", "solver=concat", "solver/readout=carried")
    told = in_words(refused.value, Vocabulary("eval", CONFIGS))
    assert "the solver= that is chosen has no solver/readout= to choose; change the keys under solver.readout" in told


def test_who_changes_the_second_role_of_a_fusion_of_one_network_is_told_where_it_stands():
    from hydra.errors import ConfigCompositionException

    from pullback.runtime.hydra_errors import in_words
    from pullback.runtime.option_names import Vocabulary

    with pytest.raises(ConfigCompositionException) as refused:
        composed("eval", "dataset=tss", "fusion=cnn_cnn", "fusion.descriptors.backbone.size=224")
    told = in_words(refused.value, Vocabulary("eval", CONFIGS))
    assert "takes that of both from fusion.basis.backbone.size; leave this one out" in told
    assert composed("eval", "dataset=tss", "fusion=cnn_cnn", "fusion.basis.backbone.size=224") is not None
    with pytest.raises(ConfigCompositionException) as refused:
        composed("eval", "dataset=tss", "fusion=cnn_gradients", "fusion.descriptors.backbone.sizes=224")
    assert "one network" not in in_words(refused.value, Vocabulary("eval", CONFIGS))
