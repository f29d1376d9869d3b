"""Tables of the image paper with our figures beside the published ones."""

import json
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf
from tests.composing import composed
from tests.run_folders import mesh_run
from tests.test_tables import printed, remarks_of, rows_of

from pullback.comparison.photographs import PublishedPhotographs

MODES = {"raw_basis": "raw", "raw_descriptors": "raw", "concat": "raw"}
SUBSETS = {"tss": {"FG3DCar": 195, "JODS": 81, "PASCAL": 124}, "spair71k": {"cat": 20, "dog": 20}}


def photo_run(
    folder: Path, *typed: str, pck: float = 0.5, mode: str | None = None, dataset: str = "tss", **told
) -> Path:
    """A finished evaluation on photographs, with the configuration that these overrides compose to.

    PCK is ``pck`` on all subsets but the last, which has nothing.
    """
    cfg = composed("eval", f"dataset={dataset}", *typed)
    chosen = next((text.split("=")[1] for text in typed if text.startswith("solver=")), "closed_form")
    parts = SUBSETS.get(dataset, {"all": 180})
    shares = [pck] * (len(parts) - 1) + [0.0 if len(parts) > 1 else pck]
    figures = [{"pck@0.05": share, "pck@0.10": share, "epe": 30.0, "smoothness": 5.0} for share in shares]
    weighted = sum(count * share for count, share in zip(parts.values(), shares, strict=True)) / sum(parts.values())
    protocol = {
        "pairs": "all",
        "pck_reference": "image1",
        "crop": "none",
        "mode": mode or MODES.get(chosen, chosen),
        "solver": chosen,
        "fusion": "…",
        "seed": 0,
    }
    result = {
        "dataset": dataset,
        "split": "test",
        "pairs": sum(parts.values()),
        "failed": 0,
        "protocol": protocol | told,
        "metrics": figures[0] | {"pck@0.05": weighted, "pck@0.10": weighted},
        "metrics_unweighted": figures[0] | {"pck@0.10": sum(shares) / len(shares)},
        "subsets": {name: {"pairs": n, "metrics": f} for (name, n), f in zip(parts.items(), figures, strict=True)},
    }
    facts = {"started": "2026-01-01", "commit": "abcdef0", "method": None, "checkpoint": None, "results": [result]}
    (folder / ".hydra").mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(facts))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"dataset={dataset}", *typed]))
    settings = {part: OmegaConf.to_container(cfg[part], resolve=True) for part in ("fusion", "graph", "solver")}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder


def test_the_averages_that_are_published_weigh_subsets_by_their_pairs_where_all_subsets_are_known():
    for sheet in PublishedPhotographs().sheets:
        for row in sheet["rows"]:
            figures = row["figures"]
            if {"FG3DCar", "JODS", "PASCAL", "Avg."} <= set(figures):
                weighted = (195 * figures["FG3DCar"] + 81 * figures["JODS"] + 124 * figures["PASCAL"]) / 400
                assert weighted == pytest.approx(figures["Avg."], abs=0.06)


def test_every_published_row_is_of_networks_and_columns_that_there_are():
    published = PublishedPhotographs()
    for sheet in published.sheets:
        each = [f"{name} {head}" for name in SUBSETS["tss"] for head in sheet.get("of_each", {})]
        columns = each if sheet["columns"] == "subsets" else list(sheet["columns"])
        for row in sheet["rows"]:
            assert set(row["networks"]) <= set(published.content["networks"])
            assert set(row["figures"]) <= set(columns), sheet["title"]


def test_a_fusion_stands_in_the_row_of_its_networks_and_roles(tmp_path, capsys):
    runs = [
        photo_run(tmp_path / "a", "fusion=sd_dinov2", "solver=paper", pck=0.9),
        photo_run(tmp_path / "b", "fusion=sd_dinov2", "solver=concat", pck=0.8),
        photo_run(tmp_path / "c", "fusion=sd_dinov2", "solver=raw_basis", pck=0.7),
    ]
    cells = rows_of(printed(capsys, *runs))
    ours = {key[1].split(" [")[0]: cell for key, cell in cells.items() if key[0] == "Table 1" and key[2] == "Avg."}
    assert ours["SD 1.5 → DINOv2-B/14, paper"] == "78.9 / **62.1**"
    assert ours["SD 1.5, raw"] == "72.5 / **48.3**"  # 0.7 on 276 of 400 pairs
    assert cells["Table 1", "DINOv2-B/14 → SD 1.5, functional map", "Avg."] == "72.2"
    side_by_side = next(key[1] for key in cells if key[0] == "Table 2" and key[1].startswith("SD 1.5 + DINOv2-B/14"))
    assert cells["Table 2", side_by_side, "EPE"] == "26.4 / **30.00**"


def test_published_cells_that_contradict_others_are_footnoted(tmp_path, capsys):
    text = printed(capsys, photo_run(tmp_path / "a", "fusion=dinov2s_sd", "solver=raw_basis"))
    row = next(key for key in rows_of(text) if key[0] == "Table 2" and key[1].startswith("DINOv2-S/14, raw"))
    assert rows_of(text)[row[0], row[1], "PCK@0.10"] == "85.0 [2] / **34.5**"
    assert "- [2] published: the subsets give 88.3" in text


def test_averages_over_categories_are_plain_and_those_over_pairs_are_not(tmp_path, capsys):
    runs = [
        photo_run(tmp_path / "a", "fusion=sd_dinov2", "solver=concat", pck=0.8),
        photo_run(tmp_path / "b", "fusion=sd_dinov2", "solver=concat", pck=0.8, dataset="spair71k"),
    ]
    cells = rows_of(printed(capsys, *runs))
    tss = next(c for k, c in cells.items() if k[0] == "Table 2" and k[1].startswith("SD 1.5 + ") and k[2] == "PCK@0.10")
    spair = next(
        c for k, c in cells.items() if k[0] == "Table 5" and k[1].startswith("SD 1.5 + ") and k[2] == "PCK@0.10"
    )
    assert tss == "90.7 / **55.2**" and spair == "57.2 / **40.0**"  # 0.8 · 276 / 400, and 0.8 / 2


def test_layers_facets_and_losses_have_tables_of_their_own(tmp_path, capsys):
    value = ["fusion.basis.backbone.facet=value", "fusion.basis.backbone.layer=11"]
    runs = [
        photo_run(tmp_path / "a", "fusion=dinov2_layers9_11", "solver=paper"),
        photo_run(tmp_path / "b", "fusion=dinov2_layers9_11", *value, "solver=concat"),
        photo_run(
            tmp_path / "c",
            *("fusion=sd_dinov2", "solver=paper", "solver.optimiser.loss.cons=0"),
            dataset="spair71k",
        ),
    ]
    cells = rows_of(printed(capsys, *runs))
    labels = {title: {key[1] for key, cell in cells.items() if key[0] == title and "**" in cell} for title, *_ in cells}
    assert [label.split(" [")[0] for label in labels["Table 3"]] == ["DINOv2-B/14 block 9 → DINOv2-B/14, paper"]
    assert [label.split(" [")[0] for label in labels["Table 4"]] == [
        "DINOv2-B/14 value block 11 + DINOv2-B/14, side by side"
    ]
    (ablation,) = labels["Table 6"]
    assert cells["Table 6", ablation, "PCK@0.10"].startswith("52.9 / ") and "cons=0" in ablation


def test_what_differs_from_the_published_protocol_is_remarked_on_the_row(tmp_path, capsys):
    typed = ["fusion=sd_dinov2", "solver=closed_form", "graph.k=100", "fusion.basis.backbone.size=512"]
    text = printed(capsys, photo_run(tmp_path / "a", *typed, pairs="7 of 400 image pairs"))
    for words in (
        "7 of 400 image pairs",
        "PCK in units of image1 (published: both)",
        "SD 1.5 at 512 px (published: 960)",
    ):
        assert words in text
    assert "k = 100 (published: 200), edges release, none" in text and "read-out spectral + adjoint" in text


def test_other_sets_get_the_forms_of_the_paper_and_other_programs_their_names(tmp_path, capsys):
    ours = photo_run(tmp_path / "a", "fusion=vit_folder_cnn", "solver=concat", dataset="pf_willow")
    theirs = photo_run(
        tmp_path / "b", "fusion=vit_folder_cnn", dataset="pf_willow", mode="foreign", solver="GLU-Net", pck=0.4
    )
    cells = rows_of(printed(capsys, ours, theirs))
    title = "pf_willow, in the form of table 2, pairs of networks"
    row = next(key for key in cells if key[0] == title and key[1].startswith("GLU-Net"))
    assert cells[title, row[1], "PCK@0.10"] == "– / **40.0**"
    assert any(key[1].startswith("dinov2-small-finetuned block 9 + EfficientNet-lite0") for key in cells)


def test_features_alone_are_listed_once_and_one_network_beside_itself_not_at_all(tmp_path, capsys):
    runs = [
        photo_run(tmp_path / "a", "fusion=dinov2_dinov2", "solver=raw_basis"),
        photo_run(tmp_path / "b", "fusion=dinov2_sd", "solver=raw_basis"),
        photo_run(tmp_path / "c", "fusion=dinov2_dinov2", "solver=concat"),
    ]
    labels = [key[1] for key in rows_of(printed(capsys, *runs)) if key[0] == "Table 1" and key[2] == "Avg."]
    assert len([label for label in labels if label.startswith("DINOv2-B/14, raw")]) == 1
    assert not [label for label in labels if label.startswith("DINOv2-B/14 + DINOv2-B/14")]


def test_meshes_and_photographs_stand_in_one_document(tmp_path, capsys):
    text = printed(capsys, mesh_run(tmp_path / "a"), photo_run(tmp_path / "b", "fusion=sd_dinov2", "solver=concat"))
    assert "## Table 1: trained on F" in text and "## Table 2: TSS, pairs of networks" in text
    latex = printed(capsys, tmp_path / "b", "--latex")
    assert r"SD 1.5 + DINOv2-B/14, side by side" in latex and r"$^{1}$" in latex
    assert remarks_of(text, "") != ""


def test_a_run_whose_configuration_is_gone_is_told_by_its_protocol(tmp_path, capsys):
    folder = photo_run(tmp_path / "a", "fusion=cnn_gradients", fusion="basis One, descriptors Two")
    (folder / "config.yaml").unlink()
    text = printed(capsys, folder)
    assert "| basis One, descriptors Two, closed_form" in text and "a has no config.yaml" in text
    assert "None" not in text


def test_a_run_of_an_earlier_version_stands_where_it_would_now(tmp_path, capsys):
    now = printed(capsys, photo_run(tmp_path / "now" / "run", "fusion=cnn_gradients"))
    folder = photo_run(tmp_path / "then" / "run", "fusion=cnn_gradients")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["fusion"]["loss"] = config["fusion"].pop("descriptors")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    facts = json.loads((folder / "metrics.json").read_text())
    del facts["results"][0]["protocol"]["mode"]
    (folder / "metrics.json").write_text(json.dumps(facts))
    then = printed(capsys, folder)
    assert "EfficientNet-lite0 → gradients, ClosedForm" in then
    assert set(then.replace("ClosedForm", "closed_form").split()) - set(now.split()) <= {
        "-" * width for width in range(99)
    }


def test_a_sweep_that_was_interrupted_says_what_is_missing_in_its_tables(tmp_path, capsys):
    photo_run(tmp_path / "0", "fusion=cnn_gradients")
    (tmp_path / "1" / ".hydra").mkdir(parents=True)
    (tmp_path / "1" / ".hydra" / "overrides.yaml").write_text("[]")
    sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper", "params": {"seed": "1,2,3"}}
    settings = {"hydra": {"sweeper": sweeper, "overrides": {"task": []}}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(settings))
    assert printed(capsys, tmp_path).endswith("1 of 3 jobs have finished; 1: begun; 1 not begun\n")
    (tmp_path / "0" / "metrics.json").unlink()
    with pytest.raises(SystemExit):
        printed(capsys, tmp_path)
    assert "has finished its evaluation; 0 of 3 jobs have finished" in capsys.readouterr().err
