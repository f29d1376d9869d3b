"""What the inspection of a data folder finds, and what it says."""

import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image
from tests.composing import ROOT, options, yaml_of
from tests.fakes import write_numbers
from tests.published_fakes import TOSCA_NAMES, write_set

from pullback.data.check import main
from pullback.data.inventory import KNOWN, examine
from pullback.data.mesh.formats import count_vertices
from pullback.data.mesh.io import read_mesh
from pullback.data.mesh.sets.smal import Smal, species_by_name


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with a SMAL_r whose ground truth has the rows of the fakes."""
    monkeypatch.setattr(Smal, "vts_rows", 162)
    write_set(tmp_path / "SMAL_r", sorted(species_by_name()))
    return tmp_path


def test_every_published_set_of_the_configuration_is_known_by_its_usual_folder():
    written = {}
    for name in options("dataset"):
        section = yaml_of("dataset", name)[name]
        if str(section["root"]).startswith("${paths.data_dir}/"):
            written[name] = (section["_target_"].rsplit(".", 1)[-1], section["root"].removeprefix("${paths.data_dir}/"))
    assert {key: (known.kind.__name__, known.folder) for key, known in KNOWN.items()} == written


def test_a_complete_set_is_counted(data):
    finding = examine("smal", data)
    assert (finding.state, finding.shapes, finding.pairs, finding.problems) == ("complete", "29 + 20", "406 + 190", ())
    assert examine("smal", data, deep=True).state == "complete"


@pytest.mark.parametrize("key", list(KNOWN))
def test_an_absent_set_comes_with_where_to_get_it(tmp_path, key):
    finding = examine(key, tmp_path)
    assert (finding.state, finding.shapes, finding.problems) == ("absent", "", ())
    assert "paths.data_dir=" in finding.source


def test_missing_shapes_and_ground_truth_make_a_set_incomplete(data):
    (data / "SMAL_r" / "off" / "hippo5.off").unlink()
    finding = examine("smal", data)
    assert (finding.state, finding.shapes, finding.pairs) == ("incomplete", "29 + 19", "406 + 171")
    assert "1 in all: hippo5.off" in finding.problems[0]
    assert "register" in finding.source


def damaged_off(root):
    path = root / "off" / "fox.off"
    path.write_bytes(path.read_bytes()[:-900])
    return r"fox\.off: 162 vertices and 320 faces announced"


def empty_mesh(root):
    (root / "off" / "fox.off").write_bytes(b"")
    return r"fox\.off: the file is empty"


def zeroed_mesh(root):
    path = root / "off" / "fox.off"
    path.write_bytes(path.read_bytes()[:2000] + b"\0" * 5000)
    return r"fox\.off, line 40: a zero byte"


def ids_out_of_range(root):
    write_numbers(root / "corres" / "fox.vts", [0, 161, 162])
    return r"fox\.vts: vertex numbers run from 1 to 163, but the mesh has the vertices 1\.\.162"


def ids_from_zero(root):
    write_numbers(root / "corres" / "fox.vts", range(-1, 161))
    return "seem to count from 0"


def other_rows(root):
    write_numbers(root / "corres" / "fox.vts", range(100))
    return "the .vts files have 100, 162 rows, but the published ones 162"


@pytest.mark.parametrize("damage", [damaged_off, empty_mesh, zeroed_mesh, ids_out_of_range, ids_from_zero, other_rows])
@pytest.mark.parametrize("deep", [False, True])
def test_damaged_files_are_named_with_what_is_wrong(data, damage, deep, capsys):
    message = damage(data / "SMAL_r")
    finding = examine("smal", data, deep=deep)
    assert finding.state == "damaged"
    assert re.search(message, " ".join(finding.problems))
    assert main([str(data)]) == 1
    assert "damaged" in capsys.readouterr().out


def test_only_a_deep_look_notices_a_wrong_face_or_says_what_is_cleaned(data):
    path = data / "SMAL_r" / "off" / "fox.off"
    *lines, last = path.read_text().splitlines()
    path.write_text("\n".join([*lines, "3 5 5 7"]) + "\n")
    assert examine("smal", data).state == "complete"
    (remark,) = examine("smal", data, deep=True).remarks
    assert "1 of 49 meshes are cleaned when they are loaded (fox); fox: " in remark
    path.write_text("\n".join([*lines[:-1], "3 5 x 7", last]) + "\n")
    assert examine("smal", data).state == "complete"
    assert "fox.off" in examine("smal", data, deep=True).problems[0]


def test_ground_truth_of_pairs_is_held_against_both_shapes(tmp_path):
    root = tmp_path / "SHREC19_subset"
    write_set(root, ["1", "2", "3"])
    shutil.rmtree(root / "corres")
    write_numbers(root / "corres" / "1_2.map", range(162))
    finding = examine("shrec19_subset", tmp_path)
    assert (finding.state, finding.shapes, finding.pairs) == ("complete", "0 + 3", "0 + 1")
    assert examine("shrec19_subset", tmp_path / "SHREC19_subset").state == "absent"
    write_numbers(root / "corres" / "2_3.map", range(150))
    assert "2_3.map: 150 rows for a mesh of 162 vertices" in examine("shrec19_subset", tmp_path).problems[0]
    write_numbers(root / "corres" / "2_3.map", range(10, 172))
    assert "but the mesh has the vertices 1..162" in examine("shrec19_subset", tmp_path).problems[0]


def test_a_folder_without_any_of_its_shapes_is_not_complete(tmp_path):
    (tmp_path / "SHREC19_subset" / "off").mkdir(parents=True)
    finding = examine("shrec19_subset", tmp_path)
    assert (finding.state, finding.problems) == ("incomplete", ("none of its shapes was found",))


def test_listed_pairs_are_counted_as_listed(tmp_path):
    write_set(tmp_path / "TOSCA_Isometric", TOSCA_NAMES, layout=("vtx_5k", "vtx_5k/corres"))
    finding = examine("tosca", tmp_path)
    assert (finding.state, finding.shapes, finding.pairs) == ("complete", "0 + 76", "0 + 414")


def test_photographs_are_counted_and_read_by_a_deep_look(tmp_path):
    root = tmp_path / "PF-dataset-PASCAL"
    (root / "JPEGImages").mkdir(parents=True)
    for name in "ab":
        Image.new("RGB", (30, 20), "teal").save(root / "JPEGImages" / f"{name}.jpg")
    row = 'JPEGImages/a.jpg,JPEGImages/b.jpg,1,"3;4;5","6;7;8","3;4;5","6;7;8"'
    (root / "test_pairs.csv").write_text(f"source_image,target_image,class,XA,YA,XB,YB\n{row}\n")
    assert (examine("pf_pascal", tmp_path, deep=True).state, examine("pf_pascal", tmp_path).pairs) == ("complete", "1")
    (root / "JPEGImages" / "b.jpg").write_bytes(b"no photograph")
    assert examine("pf_pascal", tmp_path).state == "complete"
    assert examine("pf_pascal", tmp_path, deep=True).state == "damaged"


def test_the_exit_code_says_whether_all_is_in_order(data, capsys):
    assert main([str(data)]) == 0
    assert main([str(data), "--sets", "smal"]) == 0
    assert main([str(data), "--sets", "smal", "faust"]) == 1
    printed = capsys.readouterr().out
    assert "29 + 20" in printed and "406 + 190" in printed and "register at https://faust" in printed
    (data / "SMAL_r" / "corres" / "fox.vts").unlink()
    assert main([str(data)]) == 1


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (
            "nowhere",
            "there is no folder nowhere; give the one that holds FAUST_r and the others, or set PULLBACK_DATA_DIR",
        ),
        ("", "there is no folder with an empty name; give"),
        ("notes.txt", "notes.txt is a file; give"),
        ("faust", "faust is no folder; a data set by its name is: --sets faust"),
        ("dataset=smal", "dataset=smal is no folder; a data set by its name is: --sets smal"),
        ("paths.data_dir=my data", "paths.data_dir=my data is no folder; give its name alone: 'my data'"),
        ("SMAL_r", "SMAL_r is a data set itself; give the folder that holds it: /"),
    ],
)
def test_what_is_no_data_folder_is_told_with_what_to_type(data, monkeypatch, capsys, typed, says):
    monkeypatch.chdir(data)
    (data / "notes.txt").touch()
    assert main([typed]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {says}") and message.count("\n") == 1


def test_torch_is_not_imported_for_a_mistake():
    script = (
        "import sys; from pullback.data.check import main; main(['nowhere']); sys.exit('torch' in sys.modules "
        "or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT / "src")}).returncode == 0


def test_without_a_folder_the_environment_names_it(data, monkeypatch, capsys):
    monkeypatch.setenv("PULLBACK_DATA_DIR", str(data))
    assert main(["--sets", "smal"]) == 0
    assert str(data.name) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"),
        ("inline.off", "OFF 3 1 0\n0 1 0\n1 0 0\n0 1 0\n3 0 1 2\n"),
        ("comments.off", "OFF\n# 9 9 9\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2"),
        ("dos.off", "OFF\r\n3 1 0\r\n0 0 0\r\n1 0 0\r\n0 1 0\r\n3 0 1 2\r\n"),
        ("plain.obj", "v 0 0 0\nvn 0 0 1\nv 1 0 0\nvt 0 0\nv 0 1 0\nf 1/1 2/1 3/1\n"),
        (
            "ascii.stl",
            "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 "
            "0\nendloop\nendfacet\nendsolid\n",
        ),
    ],
)
def test_vertices_are_counted_as_they_are_read(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert count_vertices(path) == len(read_mesh(path)[0]) == 3


@pytest.mark.real_data
def test_the_real_sets_are_in_order(real_data_dir):
    counts = {
        "faust": ("80 + 20", "3,160 + 190"),
        "faust_a": ("0 + 20", "0 + 190"),
        "scape_acvd": ("51 + 20", "1,275 + 190"),
        "smal": ("29 + 20", "406 + 190"),
        "shrec19_subset": ("0 + 13", "0 + 39"),
    }
    for key, (shapes, pairs) in counts.items():
        finding = examine(key, real_data_dir)
        assert (finding.state, finding.shapes, finding.pairs, finding.problems) == ("complete", shapes, pairs, ()), key
