"""What a configuration takes from a checkpoint, and what the command line keeps."""

import pytest
from omegaconf import OmegaConf
from tests.composing import ROOT

from pullback.runtime.settings import inherit, instantiate, register_resolvers, to_plain

TRAINED = {
    "backbone": {"_target_": "pullback.nn.backbone.Backbone", "normalise": "unit_rows"},
    "solver": {"_target_": "pullback.solvers.zoomout.DiffZoomOut", "blur": 0.03, "k_init": 20},
    "data": {"k": 150, "laplacian": "robust", "coarsen": 500},
}


def composed(**further):
    return OmegaConf.create(
        {
            "backbone": {"_target_": "pullback.nn.backbone.Backbone", "normalise": None},
            "solver": {"_target_": "pullback.solvers.zoomout.ZoomOut", "k_init": 30, "n_steps": 4},
            "data": {"k": 200, "laplacian": "cotangent", "coarsen": None},
            "seed": 7,
            **further,
        },
        flags={"struct": True},
    )


def test_backbone_and_solver_come_from_the_checkpoint():
    cfg = inherit(composed(), TRAINED, ["seed=7"])
    assert to_plain(cfg) == {**TRAINED, "data": {"k": 150, "laplacian": "robust", "coarsen": None}, "seed": 7}


def test_a_choice_on_the_command_line_keeps_the_whole_part():
    cfg = inherit(composed(), TRAINED, ["solver=zoomout", "solver.n_steps=4"])
    assert to_plain(cfg)["solver"] == {"_target_": "pullback.solvers.zoomout.ZoomOut", "k_init": 30, "n_steps": 4}
    assert cfg.backbone.normalise == "unit_rows"


def test_a_value_on_the_command_line_changes_the_checkpoints_part():
    cfg = inherit(composed(), TRAINED, ["solver.k_init=30"])
    assert to_plain(cfg)["solver"] == {"_target_": "pullback.solvers.zoomout.DiffZoomOut", "blur": 0.03, "k_init": 30}


def test_the_number_of_eigenfunctions_is_kept_where_it_is_typed():
    cfg = inherit(composed(), TRAINED, ["data.k=200"])
    assert (cfg.data.k, cfg.data.laplacian) == (200, "robust")


@pytest.mark.parametrize(
    ("trained", "typed", "kept"), [("own", [], "own"), (None, [], None), ("own", ["data.align=null"], None)]
)
def test_shapes_lie_as_they_did_in_the_training_unless_it_is_typed(trained, typed, kept):
    cfg = composed()
    OmegaConf.update(cfg, "data.align", None, force_add=True)
    config = {**TRAINED, "data": {**TRAINED["data"], **({"align": trained} if trained else {})}}
    assert inherit(cfg, config, typed).data.align == kept


def test_a_folder_of_references_is_the_users_to_type():
    config = {**TRAINED, "data": {**TRAINED["data"], "align": "/some/where"}}
    with pytest.raises(ValueError, match=r"turned to those of the folder '/some/where'; type data\.align=FOLDER"):
        inherit(composed(), config, [])


def test_a_value_that_the_checkpoints_part_lacks_is_refused():
    with pytest.raises(
        ValueError, match=r"solver\.n_steps does not exist in the checkpoint's solver, a DiffZoomOut.*solver=NAME"
    ):
        inherit(composed(), TRAINED, ["solver.n_steps=4"])


def test_method_and_landmarks_are_inherited_by_configurations_that_lack_the_keys():
    cfg = inherit(composed(), {**TRAINED, "method_name": "ulrssm", "landmarks": 6}, [])
    assert (cfg.method_name, cfg.landmarks) == ("ulrssm", 6)
    old = inherit(composed(method_name=None), TRAINED, [])  # a checkpoint from before there were methods
    assert old.method_name is None


def test_losses_are_inherited_where_test_pairs_are_tuned_and_nowhere_else():
    trained = {**TRAINED, "loss": {"consistency": {"_target_": "pullback.losses.Consistency", "weight": 1.0}}}
    assert inherit(composed(loss={}, adaptation=None), trained, []).loss == {}
    cfg = composed(loss={}, adaptation={"steps": 15})
    assert inherit(cfg, trained, ["adaptation=fine_tuning"]).loss == trained["loss"]
    typed = composed(loss={"consistency": {"weight": 0.5}}, adaptation={"steps": 15})
    assert inherit(typed, trained, ["+loss.consistency.weight=0.5"]).loss.consistency == {
        **trained["loss"]["consistency"],
        "weight": 0.5,
    }
    assert inherit(typed, trained, ["loss=[consistency]"]).loss == typed.loss
    with pytest.raises(
        ValueError, match=r"loss\.orthogonality\.weight does not exist in the checkpoint's loss; choose another"
    ):
        inherit(cfg, trained, ["+loss.orthogonality.weight=0.5"])


def test_inheriting_leaves_the_composed_configuration_alone():
    cfg = composed()
    inherit(cfg, TRAINED, [])
    assert cfg == composed()


def test_resolvers_name_places_and_the_first_value_that_is_there():
    register_resolvers()
    cfg = OmegaConf.create(
        {"none": None, "empty": "", "root": "${place:root}", "name": "${first_of:${none},${empty},train}"}
    )
    assert to_plain(cfg) == {"none": None, "empty": "", "root": str(ROOT), "name": "train"}


def test_what_a_constructor_refuses_is_told_in_its_own_words():
    cfg = OmegaConf.create({"_target_": "pullback.solvers.zoomout.ZoomOut", "k_init": 0})
    with pytest.raises(ValueError, match=r"^k_init=0 is too small; give 1 or more"):
        instantiate(cfg)


def test_objects_are_built_from_plain_lists():
    made_list = instantiate(OmegaConf.create({"_target_": "builtins.dict", "betas": [0.9, 0.99]}))["betas"]
    assert type(made_list) is list
