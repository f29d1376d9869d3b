"""The recipes of CONTRIBUTING.md, followed word by word in a folder that is not the repository: files as they stand
there, commands as they stand there.
"""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.composing import ROOT
from tests.fakes import body, write_mesh, write_numbers
from tests.image_fakes import scene, write_image
from tests.test_entry_points import run

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = [part.partition("\n") for part in TEXT.split("\n# Work on the project\n")[0].split("\n## ")]
RECIPES = {title: text for title, _, text in SECTIONS if re.match(r"An? ", title)}

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


def files_of(recipe: str) -> dict[str, str]:
    """The files that a recipe writes: their names stand in their first lines."""
    blocks = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", RECIPES[recipe], re.DOTALL | re.MULTILINE)
    return dict(blocks)


def commands_of(recipe: str) -> list[list[str]]:
    lines = re.findall(r"^```bash\n(.*?)^```$", RECIPES[recipe], re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in lines for line in block.splitlines()]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Of all recipes: their meshes are the same."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def elsewhere(tmp_path, cache, monkeypatch) -> Path:
    """A folder with ten meshes and two photographs, from which Python imports."""
    for number in range(10):
        verts, faces, place = body(number)
        write_mesh(tmp_path / "scans" / f"body_{number}.off", verts, faces)
        for folder in ("scans", "scans/corres"):  # beside the mesh, and where dataset=folder looks
            write_numbers(tmp_path / folder / f"body_{number}.vts", place)
    for seed, name in enumerate(("left", "right")):
        write_image(tmp_path / f"{name}.png", np.kron(scene(seed), np.ones((4, 4, 1), dtype=np.uint8)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULLBACK_CACHE_DIR", str(cache))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


def follow(recipe: str, folder: Path) -> None:
    for name, text in files_of(recipe).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for _, program, *arguments in commands_of(recipe):
        run(program, *arguments)


def figures(folder: Path) -> dict[str, float]:
    (result,) = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["results"]
    return result["metrics"]


def test_a_data_set_of_ones_own_is_evaluated(elsewhere):
    follow("A data set", elsewhere)
    (result,) = json.loads((elsewhere / "by_zoomout" / "metrics.json").read_text(encoding="utf-8"))["results"]
    assert (result["dataset"], result["pairs"]) == ("scans", 1)


def test_a_solver_of_ones_own_is_named_in_the_protocol_of_its_results(elsewhere):
    follow("A solver", elsewhere)
    (result,) = json.loads((elsewhere / "by_icp" / "metrics.json").read_text(encoding="utf-8"))["results"]
    assert result["protocol"]["refinement"].startswith("SpectralICP")


def test_a_metric_of_ones_own_stands_beside_the_standard_ones(elsewhere):
    follow("A metric", elsewhere)
    found = figures(elsewhere / "measured")
    assert 100 * found["worst_landmark"] >= found["tail_x100"] >= found["geodesic_error_median_x100"] >= 0


def test_a_loss_of_ones_own_is_trained_with(elsewhere):
    follow("A loss", elsewhere)
    assert "train/loss/diagonal" in (elsewhere / "with_loss" / "logs" / "csv" / "metrics.csv").read_text()


def test_a_network_of_ones_own_is_trained_and_saved(elsewhere):
    import torch

    follow("A network", elsewhere)
    weights = torch.load(elsewhere / "by_mlp" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert weights["backbone.network.layers.0.weight"].shape == (64, 128)


def test_a_fusion_of_ones_own_matches_photographs(elsewhere):
    follow("A fusion", elsewhere)
    assert (elsewhere / "fused" / "flow21.flo").is_file()


def test_the_table_counts_the_lines_of_each_recipe():
    told = {
        name: lines for name, lines in re.findall(r"^\| \[(an? [\w ]+)\]\S+ \| \d \| ([\d +]+) \|", TEXT, re.MULTILINE)
    }
    counted = {
        recipe[0].lower() + recipe[1:]: " + ".join(
            str(sum(map(bool, map(str.strip, text.splitlines())))) for text in files.values()
        )
        for recipe in RECIPES
        if (files := files_of(recipe))
    }
    assert told == counted
