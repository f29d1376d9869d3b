"""Many pairs by one command: a table, a page, what is done is not done again, and one failure is not the end."""

import csv
import json

import numpy as np
import pytest
from tests.fakes import write_mesh
from tests.meshes import sphere
from tests.test_entry_points import run

import pullback as pb
from pullback.runtime.match_pairs import PairsFailed

SMALL = ["data.k=40", "ckpt=null", "backbone.descriptor.k=40", "starts=features"]
SMALL += ["solver.k_init=10", "solver.n_steps=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    verts, faces = sphere(2)
    for name, factor in (("a", 1.3), ("b", 1.4), ("c", 1.5)):
        write_mesh(folder / f"{name}.off", verts * [1, factor, 1.9], faces)
    (folder / "bad.off").write_text("OFF\n5 5 0\n1 2 3\n")
    (folder / "lm.txt").write_text("".join(f"{i} {i}\n" for i in (1, 40, 80, 120, 160)))
    (folder / "list.csv").write_text("source,target,landmarks\na.off,b.off\na.off,bad.off\nb.off,c.off,lm.txt\n")
    return folder


def typed(folder):
    return [f"pairs={folder / 'list.csv'}", *SMALL, "export=[]", f"paths.cache_dir={folder / 'cache'}"]


def test_pairs_are_matched_once_and_a_failed_one_is_told_at_the_end(folder, capsys):
    with pytest.raises(PairsFailed, match=r"1 of 3 pairs failed: a-bad \(line 3\): .*bad\.off: 5 vertices"):
        run("match", *typed(folder), folder=folder / "run", capsys=capsys)
    first = {row["name"]: row for row in csv.DictReader((folder / "run" / "pairs.csv").open())}
    assert [row["status"] for row in first.values()] == ["done", "failed", "done"]
    assert (np.loadtxt(folder / "run" / "b-c" / "p2p21.txt", dtype=int) == np.arange(1, 163)).mean() > 0.9
    written = (folder / "run" / "a-b" / "match.npz").stat().st_mtime_ns
    (folder / "bad.off").write_bytes((folder / "c.off").read_bytes())
    printed = run("match", *typed(folder), folder=folder / "run", capsys=capsys)
    told = json.loads((folder / "run" / "summary.json").read_text())
    assert told["counts"] == {"done": 1, "done before": 2, "failed": 0} and "2 done before" in printed
    assert (folder / "run" / "a-b" / "match.npz").stat().st_mtime_ns == written
    page = (folder / "run" / "index.html").read_text()
    assert all(f'src="{name}/match.png"' in page for name in ("a-b", "a-bad", "b-c"))


def test_pairs_from_python_share_their_shapes_and_tell_what_fails(folder, monkeypatch):
    from pullback.runtime.match_meshes import MeshMatcher

    prepared, plain = [], MeshMatcher.prepare

    def counted(self, mesh, *, side):
        prepared.append(mesh)
        return plain(self, mesh, side=side)

    monkeypatch.setattr(MeshMatcher, "prepare", counted)
    options = dict(word.split("=") for word in SMALL) | {"paths.cache_dir": folder / "cache"}
    a, b, nothing = (str(folder / name) for name in ("a.off", "b.off", "nosuch.off"))
    found = list(pb.match_pairs([(a, b), (b, a), (a, nothing)], options=options))
    assert [each.error is None for each in found] == [True, True, False] and prepared.count(a) == 1
    assert np.array_equal(found[0].match.p2p21, pb.match(a, b, options=options).p2p21)
    again = pb.match(a, b, initial=np.arange(162), options=options)
    assert (again.p2p21 == np.arange(162)).mean() > 0.9 and "initial map" in again.method
    with pytest.raises(pb.UserError, match="initial: give a whole number for each of the 162 vertices"):
        pb.match(a, b, initial=[1, 2], options=options)
    landing = again.land([4])
    assert landing.lands_vertex.shape == (1,) and again.barycentric.face.shape == (162,)
    with pytest.raises(pb.UserError, match="points: give vertices of the source, whole numbers from 0 to 161"):
        again.land([162])
