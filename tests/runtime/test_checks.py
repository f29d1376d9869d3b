"""A contradictory configuration is refused with both values and what to type."""

import pytest
from tests.composing import composed

from pullback.runtime.checks import ConfigError, check
from pullback.runtime.truth_checks import check_ground_truth, check_known_points


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.k=100"],
            r"solver\.n_steps=10 needs 130 .* data\.k=100\. Use data\.k=130 or solver\.n_steps=7 backbone\..*=100\.",
        ),
        (
            ["solver.k_init=210"],
            r"n_steps=10 needs 310 .* data\.k=200\. Use data\.k=310 or solver\.k_init=200 solver\.n_steps=0\.",
        ),
        (
            ["backbone.network.k=250"],
            r"backbone\.network\.k=250 needs 250 eigenfunctions but data\.k=200\. Use data\.k=250 or "
            r"backbone\.network\.k=200\.",
        ),
        (["backbone.descriptor.k=201"], r"backbone\.descriptor\.k=201 .* data\.k=200"),
        (
            ["recipe=paper", "loss=[orthogonality]"],
            r"consistency_ramp .* term consistency, .*loss=\[orthogonality,consistency\].*~callbacks\.consistency_ramp",
        ),
        (["loss=[bijectivity,consistency]"], r"solver\.two_way=false; use solver\.two_way=true"),
        (
            ["recipe=paper", "solver=zoomout", "callbacks=[default,blur_anneal]"],
            r"solver\.init_blur.*solver=diff_zoomout",
        ),
        (
            ["method=geomfmaps", "callbacks=[default,sharpness_ramp]"],
            r"solver\.init_blur, which this solver does not have",
        ),
        (
            ["method=ulrssm", "solver.k=300"],
            r"solver\.k=300 needs 300 eigenfunctions but data\.k=200\. Use data\.k=300 or solver\.k=200\.",
        ),
        (["method=ulrssm", "solver.two_way=false"], r"loss\.bijectivity .*solver\.two_way=false"),
        (["recipe=paper", "solver=discrete"], r"solver DiscreteOptimisation passes none"),
        (["run=[match,draw]"], r"names draw; the stages are prepare, match, score, report, export"),
        (["run=[match,score,export]"], "export writes the scored matches of photographs"),
        (["run=[report]"], r"report.*run=\[score,report\]"),
        (
            ["backbone=raw_wks"],
            r"the backbone WKS has nothing to train; use backbone=diffusion_net, or evaluate it .* eval\.py",
        ),
        (["loss=[]"], r"no loss term.*loss=\[orthogonality"),
        (
            ["recipe=paper", "solver=sampled_zoomout"],
            r"solver\.blur=null means nearest neighbours, .*; use solver\.blur=0\.01",
        ),
        (["recipe=paper", "solver=zoomout"], r"solver ZoomOut passes none; use solver=diff_zoomout"),
        (
            ["loss=[orthogonality_final]"],
            r"loss\.orthogonality_final\.of=final.*solver\.refinement=hard.*use solver\.refinement=soft",
        ),
        (["loss.consistency.stop_gradient=false"], r"stop_gradient=false needs gradients.*solver\.refinement=hard"),
    ],
)
def test_a_contradiction_is_refused_with_what_to_type(overrides, message):
    with pytest.raises(ConfigError, match=message):
        check(composed("train", *overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.k=130", "resume=auto"],
        ["recipe=paper"],
        ["recipe=official_template", "loss=[orthogonality]"],
        ["loss=[bijectivity,consistency]", "solver.two_way=true"],
        ["loss=[orthogonality_final]", "solver.refinement=soft"],
    ],
)
def test_a_sound_configuration_passes(overrides):
    check(composed("train", *overrides))


@pytest.mark.parametrize(
    ("program", "overrides", "message"),
    [
        ("train", ["dataset=tss"], r"dataset=tss holds photographs.*python eval\.py dataset=tss"),
        ("eval", ["dataset=[tss,humans]"], r"dataset=\[tss,humans\] mixes meshes and photographs"),
        ("eval", ["fusion=dinov2_sd"], r"fusion= .*dataset=humans holds meshes"),
        ("eval", ["dataset=tss", "backbone=raw_wks"], r"backbone= .*dataset=tss holds photographs"),
        ("eval", ["dataset=tss", "solver=zoomout"], r"ZoomOut is not for photographs; use solver=closed_form"),
        ("eval", ["solver=closed_form", "untrained=true"], r"PatchMatching is not for meshes; use solver=diff_zoomout"),
        ("match", ["solver=closed_form"], r"PatchMatching is not for meshes"),
    ],
)
def test_meshes_and_photographs_are_not_mixed(program, overrides, message):
    with pytest.raises(ConfigError, match=message):
        check(composed(program, *overrides))


TUNED = ["adaptation=fine_tuning", "loss=[orthogonality,consistency]"]


@pytest.mark.parametrize(
    ("program", "overrides", "message"),
    [
        ("eval", ["adaptation=fine_tuning"], r"no loss to tune by; give ckpt=.* or loss=\[orthogonality,consistency\]"),
        (
            "eval",
            ["adaptation=fine_tuning", "loss=[supervised]"],
            r"loss\.supervised would tune a test pair to the truth it is",
        ),
        (
            "train",
            ["adaptation=fine_tuning", "loss=[supervised]"],
            r"loss\.supervised would tune a test pair to the truth",
        ),
        (
            "eval",
            [*TUNED, "solver=zoomout"],
            r"fine-tuning needs gradients but the solver ZoomOut passes none; use solver=diff_zoomout",
        ),
        ("eval", [*TUNED, "solver=sampled_zoomout"], r"fine-tuning needs gradients but solver\.blur=null"),
        ("eval", ["shard=1/3", "run=[score]"], r"shard=1/3 is a share of the pairs to match; leave it out"),
        ("eval", ["dataset=tss", *TUNED], r"networks of photographs are frozen: use adaptation=null"),
        (
            "eval",
            ["backbone=landmarks"],
            r"give landmarks=6 \(ground-truth points of each pair\) to eval\.py, or use backbone=raw_wks",
        ),
        ("train", ["backbone=landmarks"], r"give landmarks=6 .* to eval\.py"),
        ("eval", ["landmarks=6"], r"landmarks=6 is of no use to the backbone DiffusionNet; use backbone=landmarks"),
        (
            "eval",
            ["backbone=landmarks", "landmarks=6", "ckpt=x.ckpt"],
            r"landmarks=6 and ckpt=x\.ckpt are two kinds of features",
        ),
        (
            "eval",
            ["backbone=landmarks", "landmarks=pairs.txt"],
            r"landmarks=pairs\.txt is a file for match\.py; .*landmarks=6",
        ),
        (
            "eval",
            ["dataset=tss", "landmarks=6"],
            r"landmarks=6 are vertices of meshes, but tss holds photographs; use landmarks=null",
        ),
    ],
)
def test_what_is_done_at_test_time_fits_the_rest(program, overrides, message):
    with pytest.raises(ConfigError, match=message):
        check(composed(program, *overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        [*TUNED, "untrained=true"],
        ["adaptation=fine_tuning", "run=[score]"],
        ["backbone=landmarks", "landmarks=6", "solver=zoomout"],
    ],
)
def test_what_is_done_at_test_time_passes_where_it_fits(overrides):
    check(composed("eval", *overrides))


def test_landmarks_are_only_taken_from_data_sets_with_ground_truth():
    cfg = composed("eval", "backbone=landmarks", "landmarks=6")
    check_known_points(cfg, [])
    with pytest.raises(
        ConfigError, match=r"landmarks=6 are taken from the ground truth, which pairs of folder do not have"
    ):
        check_known_points(cfg, ["folder"])


@pytest.mark.parametrize(
    "overrides", [["untrained=true"], ["weights=x.pth"], ["method=zoomout"], ["backbone=raw_wks"], ["run=[prepare]"]]
)
def test_programs_without_losses_pass(overrides):
    check(composed("eval", *overrides))
    check(composed("match"))


def test_a_network_with_random_weights_is_only_evaluated_on_purpose():
    with pytest.raises(
        ConfigError, match=r"give ckpt=.* or weights=FILE, .*method=zoomout, or backbone=raw_wks.*: untrained=true"
    ):
        check(composed("eval", "dataset=faust"))


@pytest.mark.parametrize(
    ("part", "advice"), [("backbone", "backbone=raw_wks"), ("solver", "solver=zoomout"), ("trainer", "trainer=auto")]
)
def test_a_part_that_was_dropped_is_asked_for(part, advice):
    with pytest.raises(ConfigError, match=f"there is no {part}; choose one, such as {advice}"):
        check(composed("eval", f"~{part}"))


def test_the_suggested_number_of_steps_passes():
    check(composed("train", "data.k=128", "solver.n_steps=9"))
    with pytest.raises(ConfigError, match=r"or solver\.n_steps=9\."):
        check(composed("train", "data.k=128"))


@pytest.mark.parametrize(("program", "overrides"), [("eval", ["method=nearest", "data.k=3"]), ("train", ["data.k=25"])])
def test_either_advice_to_have_enough_eigenfunctions_works_at_once(program, overrides):
    with pytest.raises(ConfigError) as caught:
        check(composed(program, *overrides))
    more, fewer = str(caught.value).rstrip(".").split(" Use ")[1].split(" or ")
    check(composed(program, *overrides[:-1], more))
    check(composed(program, *overrides, *fewer.split()))


def test_a_supervised_loss_needs_ground_truth():
    cfg = composed("train", "loss=[supervised,consistency]")
    check_ground_truth(cfg, training=True, validation=True)
    with pytest.raises(ConfigError, match=r"loss\.supervised needs ground truth.*humans.*~loss\.supervised"):
        check_ground_truth(cfg, training=False, validation=True)


@pytest.mark.parametrize("term", ["supervised", "likelihood"])
def test_no_loss_of_a_transductive_training_asks_for_the_truth(term):
    cfg = composed("train", f"loss=[{term},consistency]", "data.transductive=true")
    with pytest.raises(ConfigError, match=rf"loss\.{term} needs .*data\.transductive=true takes away.*~loss\.{term}"):
        check_ground_truth(cfg, training=False, validation=True)


def test_an_error_can_only_be_monitored_with_ground_truth():
    cfg = composed("train", "monitor=val/geodesic_error")
    with pytest.raises(ConfigError, match=r"monitor=val/geodesic_error needs ground truth.*monitor=val/loss"):
        check_ground_truth(cfg, training=False, validation=False)
    check_ground_truth(composed("train"), training=False, validation=False)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["adapt=true", "ckpt=null", "backbone=raw_wks"], "ckpt=humans"),
        (["adapt=nowhere", "ckpt=humans"], "no folder of meshes"),
        (["adapt=true", "ckpt=humans", "~starts"], "starts=several"),
        (["adapt=true", "ckpt=humans", "starts=features"], "starts=several"),
        (["adapt=true", "ckpt=humans", "partial=source"], "says that one is a part"),
    ],
)
def test_what_adapts_to_two_meshes_needs_weights_and_shapes(typed, told, tmp_path):
    for name in ("a.off", "b.off"):
        (tmp_path / name).write_text("OFF\n")
    files = [f"source={tmp_path / 'a.off'}", f"target={tmp_path / 'b.off'}"]
    with pytest.raises(ConfigError, match=told):
        check(composed("match", *files, *typed))
