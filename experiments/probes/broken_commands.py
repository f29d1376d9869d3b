"""Commands that cannot work, and what each must say.

One paragraph that names the mistake, without a traceback and before torch is there.

    python -m experiments.probes.broken_commands [--only REGEX]

runs each in a process of its own, in a folder with a few small files, and prints a table: what was typed, the outcome,
seconds.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pullback.comparison.markup import markdown

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("train", "eval", "match")
_OFF = "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
_PNG = "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"


@dataclass(frozen=True)
class Case:
    """A command with a mistake, run where `write_files` wrote its files.

    ``says`` is a regular expression that its paragraph matches.
    """

    command: str  # train, eval or match, or a program of experiments/
    arguments: tuple[str, ...]
    says: str


def write_files(folder: Path) -> None:
    """A mesh, the beginning of a photograph, what is called a checkpoint, an empty file, a pipe, damaged runs."""
    for name in ("body.off", "Other (1).off"):
        (folder / name).write_text(_OFF)
    (folder / "photo.png").write_bytes(bytes.fromhex(_PNG))
    (folder / "text.ckpt").write_text("these are no weights")
    (folder / "half.ckpt").write_bytes(b"PK\x03\x04 and so on")
    (folder / "empty.off").touch()
    (folder / "broken.off").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    run = folder / "run" / "checkpoints"
    run.mkdir(parents=True)
    (run / "best.ckpt").write_bytes(b"PK\x05\x06" + bytes(18))
    contents = {
        "cut": '{"results": [{"dataset": "faust", "spl',
        "list": "[1, 2, 3]",
        "other": '{"accuracy": 0.9}',
        "nested": "[" * 3000 + "]" * 3000,
        "words": (
            '{"results": [{"dataset": "faust", "split": "test", "pairs": 3, "protocol": {}, "metrics": '
            '{"epe": "good"}}]}'
        ),
        "keys": '{"results": [{"dataset": "faust"}]}',
        "whole": '{"results": [{"dataset": "faust", "split": "test", "pairs": '
        '3, "protocol": {"geodesics": "dijkstra"}, '
        '"metrics": {"geodesic_error_x100": 2.0}}]}',
    }
    for name, content in contents.items():
        (folder / name).mkdir()
        (folder / name / "metrics.json").write_text(content)
    (folder / "whole" / "pairs.csv").write_text(
        "dataset,split,shape1,shape2,geodesic_error_x100\nfaust,test,a,b,2.0\nfaust,test,a,c,good\n"
    )
    (folder / "bad_yaml").mkdir()
    (folder / "bad_yaml" / "metrics.json").write_text(contents["whole"])
    (folder / "bad_yaml" / "config.yaml").write_text("seed: 0\nsolver: [1,\n")


def case(command: str, arguments: str, says: str) -> Case:
    """Arguments are separated by `` | ``: they may hold blanks."""
    return Case(command, tuple(arguments.split(" | ")) if arguments else (), says)


CASES = (
    # files of match.py
    case("match", "", r"takes two files: python match\.py a\.off b\.off"),
    case("match", "body.off", r"takes two files, and one was given"),
    case("match", "body.off | Other (1).off | body.off", r"are 3.*blanks belongs in quotes"),
    case("match", "bodi.off | body.off", r"source=bodi\.off does not exist; did you mean source=body\.off\?"),
    case(
        "match",
        "body.off | other (1).OFF",
        r"target=other \(1\)\.OFF does not exist; did you mean target=Other \(1\)\.off\?",
    ),
    case("match", "body | Other (1)", r"source=body does not exist; did you mean source=body\.off\?"),
    case("match", "body.off | run", r"target=run is a folder; give a file"),
    case(
        "match",
        "body.off | photo.png",
        r"photo\.png is a photograph and body\.off is a mesh; give two meshes or two photographs",
    ),
    case("match", "photo.png | body.off", r"photo\.png is a photograph and body\.off is a mesh"),
    case("match", "pipe | body.off", r"source=pipe is a pipe or a device.*save it as a file"),
    case("match", "body.off | broken.off", r"target=broken\.off is a link to nowhere, which does not exist"),
    case(
        "match",
        "body.off | Other (1).off | ckpt=half.ckpt",
        r"ckpt=half\.ckpt is no file that torch wrote, or its end is missing",
    ),
    case("match", "body.off | empty.off", r"target=empty\.off is an empty file"),
    case("match", "body.off | ", r"an empty name was typed"),
    case("match", "source= | target=body.off", r"source= has no value"),
    case("match", "source | = | body.off", r"no blanks around ="),
    case("match", "source=no such/ä(ö).off | target=body.off", r"source=no such/ä\(ö\)\.off does not exist"),
    case("match", "body.off | Other (1).off | landmarks=run", r"landmarks=run is a folder; give a text file"),
    case("match", "body.off | Other (1).off | landmarks=none.txt", r"landmarks=none\.txt does not exist"),
    case("match", "body.off | Other (1).off | ckpt=text.ckpt", r"ckpt=text\.ckpt is no file that torch wrote"),
    case(
        "match",
        "body.off | Other (1).off | ckpt=run",
        r"ckpt=run is a folder; give a checkpoint, ckpt=run/checkpoints/best\.ckpt",
    ),
    case(
        "match",
        "body.off | Other (1).off | ckpt=run/checkpoints/bset.ckpt",
        r"did you mean ckpt=run/checkpoints/best\.ckpt\?",
    ),
    case(
        "match", "body.off | Other (1).off | device=cuda", r"device=cuda, but this machine has no GPU.*use device=cpu"
    ),
    case("match", "body.off | Other (1).off | device=banana", r"device=banana is unknown; use device=auto"),
    case("match", "body.off | Other (1).off | fusion=dinov2_sd", r"fusion= joins two networks of photographs"),
    case(
        "match",
        "body.off | Other (1).off | landmarks=body.off | backbone=raw_wks",
        r"no use to the backbone WKS; use backbone=landmarks",
    ),
    case(
        "match", "body.off | Other (1).off | backbone=raw_wks | data.k=40", r"needs \d+ eigenfunctions but data\.k=40"
    ),
    # names of options
    case("match", "body.off | Other (1).off | output=out", r"did you mean hydra\.run\.dir=out\?"),
    case(
        "match",
        "body.off | Other (1).off | -o | out",
        r"-o is no option of match\.py: did you mean hydra\.run\.dir=out\?",
    ),
    case("match", "body.off | Other (1).off | --checkpoint=x.ckpt", r"did you mean ckpt=x\.ckpt\?"),
    case("match", "body.off | Other (1).off | gpu=1", r"did you mean device=cuda\?"),
    case("match", "soruce=body.off | target=Other (1).off", r"did you mean source=body\.off\?"),
    case("match", "body.off | Other (1).off | dataset=faust", r"data sets are for eval\.py"),
    case("match", "body.off | Other (1).off | solver.blurr=1", r"solver\.blurr does not exist.*"),
    case("match", "body.off | Other (1).off | --landmarks", r"--landmarks needs a value"),
    case("train", "lr=0.1", r"did you mean optimizer\.lr=0\.1\?"),
    case("train", "epochs=3", r"did you mean trainer\.max_steps=3\?"),
    case("train", "batch_size=4", r"did you mean trainer\.accumulate_grad_batches=4\?"),
    case("train", "data_dir=/data", r"did you mean paths\.data_dir=/data\?"),
    case("train", "ckpt=x.ckpt", r"resume=FILE goes on with a training"),
    case("train", "trainer.max_step=10", r"did you mean trainer\.max_steps"),
    case("train", "quickstart", r"did you mean experiment=quickstart\?"),
    case("train", "xyzzy=1", r"xyzzy=1 is no option of train\.py"),
    case("train", "~callbacks.nothing", r"there is no callbacks\.nothing"),
    case("train", "+seed=3", r"seed exists already; change it with seed=VALUE"),
    case("eval", "model=x.ckpt", r"did you mean ckpt=x\.ckpt\?"),
    case("eval", "source=a.off", r"two files are matched by match\.py"),
    case("eval", "best.ckpt", r"best\.ckpt needs a name: ckpt=best\.ckpt"),
    case("eval", "dataset=[faust, | smal]", r"no blanks inside dataset=; write dataset=\[faust,smal\]"),
    case("train", "+x=1", r"\+x=1 is no option of train\.py"),
    case("train", "++lr=1", r"did you mean optimizer\.lr=1\?"),
    case("match", "-m | source=body.off,Other (1).off | --cfg | job", r"-m.*and --info exclude each other"),
    # choices
    case("eval", "dataset=fuast", r"dataset=fuast does not exist; did you mean dataset=faust"),
    case("eval", "dataset=", r"dataset= has no value; there are .*faust"),
    case("eval", "dataset=5", r"dataset=5 is no choice; there are .*faust"),
    case("train", "experiment=faust_gpu", r"experiment=faust_gpu does not exist; did you mean experiment=faust"),
    case("train", "solver={k:1}", r"a choice is a name, solver=NAME"),
    case("train", "~solver", r"there is no solver; choose one"),
    case("eval", "method=ulrssm | scheduler=cosine", r"scheduler=cosine is for training, and eval\.py trains nothing"),
    case("eval", "run=null | untrained=true", r"a list is wanted here; write run=\[\]"),
    case("match", "https://example.invalid/a.off | body.off", r"is an address; download the file"),
    case(
        "match", "photo.png | photo.png | ckpt=run/checkpoints/best.ckpt", r"networks of meshes; those of photographs"
    ),
    case("train", "seed=0,1", r"add --multirun"),
    case("train", "backbone=raw_wks", r"the backbone WKS has nothing to train"),
    case("train", "solver=null", r"cannot do without it; there are"),
    case("train", "backbone=[raw_wks", r"backbone=\[raw_wks cannot be read; quote"),
    case(
        "eval",
        "dataset=tss | fusion=dinov2_dinov2 | branch@fusion.descriptors.backbone=sd21",
        r"chosen with branch@fusion\.basis\.backbone=NAME",
    ),
    case("eval", "dataset=[humans,tss]", r"mixes meshes and photographs"),
    case("train", "dataset=tss", r"photographs, for which nothing is trained"),
    # values
    case("train", "data.k=abc", r"data\.k=abc: a whole number is wanted here, such as data\.k=200"),
    case("train", "data.k=-5", r"data\.k=-5 is too small; give 3 or more"),
    case(
        "train",
        "data.coarsen=50",
        r"data\.coarsen=50 points are fewer than the data\.k=200 eigenfunctions; use data\.coarsen=3000",
    ),
    case(
        "match",
        "body.off | Other (1).off | backbone=raw_wks | data.samples=9",
        r"data\.samples=9 points are fewer than the data\.k=\d+ eigenfunctions",
    ),
    case("match", "body.off | Other (1).off | hydra.job.chdir=true", r"hydra\.job\.chdir would look .*; leave it out"),
    case("train", "trainer.max_steps=nan", r"trainer\.max_steps=nan is no number"),
    case("train", "trainer.max_steps=-7", r"too small; give -1 or more"),
    case("train", "seed=x", r"seed=x: a whole number is wanted here, such as seed=0"),
    case("train", "solver.blur=-1", r"solver\.blur=-1 is too small; give a number above 0"),
    case("train", "solver.two_way=maybe", r"give solver\.two_way=true or solver\.two_way=false"),
    case("train", "data=3", r"data=3: data is a group of options, data\.datasets"),
    case("train", "optimizer.lr=[1,2]", r"optimizer\.lr=\[1, 2\]: one value is wanted here"),
    case("eval", "untrained=true | run=score", r"a list is wanted here; write run=\[score\]"),
    case("eval", "untrained=true | run=[match,draw]", r"names draw; the stages are"),
    case("train", "data.laplacian=foo", r"data\.laplacian=foo is unknown; use one of cotangent, robust"),
    case(
        "train", "trainer.precision=banana", r"trainer\.precision=banana is unknown; use one of 32-true, .*bf16-mixed"
    ),
    case("match", "body.off | Other (1).off | view.up=q", r"view\.up=q is unknown; use one of x, y, z"),
    case(
        "match",
        "body.off | Other (1).off | backbone=diffusion_net",
        r"there are no weights.*best\.ckpt or weights=FILE, use.*untrained=true",
    ),
    case("train", "trainer=gpu", r"this machine has no GPU.*trainer=cpu"),
    # files and folders of the others
    case("train", "resume=text.ckpt", r"resume=text\.ckpt is no file that torch wrote"),
    case("train", "resume=nowhere.ckpt", r"resume=nowhere\.ckpt does not exist.*resume=auto"),
    case("train", "weights=nowhere.pth", r"weights=nowhere\.pth does not exist"),
    case("train", "dataset=folder", r"dataset=folder needs a folder: give dataset\.folder\.root=DIR"),
    case("train", "dataset=folder | dataset.folder.root=nowhere", r"dataset\.folder\.root=nowhere does not exist"),
    case("train", "dataset.folder.root=run", r"would belong to dataset=folder"),
    case("train", "hydra.run.dir=body.off/below", r"the folder of the results, .*body\.off/below, cannot be made"),
    case("eval", "dataset=faust | paths.data_dir=run", r"there are no weights.*untrained=true"),
    case(
        "eval",
        "dataset=faust | method=zoomout | paths.data_dir=run",
        r"looked for in run/FAUST_r.*paths\.data_dir=DIR.*pullback\.data\.check",
    ),
    case("eval", "dataset=spair71k | paths.data_dir=run", r"looked for in run/SPair-71k, which does not exist"),
    case("eval", "run=[score] | predictions=nowhere", r"predictions=nowhere is no folder"),
    case("eval", "ckpt=", r"ckpt= has no value"),
    case("eval", "ckpt=text.ckpt | weights=body.off", r"is no file that torch wrote"),
    # programs of experiments/
    *(
        case(name, arguments, says)
        for name in ("compare", "tables", "curves")
        for arguments, says in (
            ("nowhere", r"there is no folder nowhere"),
            ("run", r"no metrics\.json in run or below"),
            ("cut", r"cut/metrics\.json: not a JSON file"),
            ("list", r"list/metrics\.json has no list of results"),
            ("other", r"other/metrics\.json has no list of results"),
            ("nested", r"nested/metrics\.json: nested more than"),
            ("words", r"results\[0\]\.metrics: epe is 'good', not a number"),
            ("keys", r"results\[0\] has no split"),
            ("bad_yaml", r"config\.yaml, line \d+: not YAML"),
        )
    ),
    case("smoothness", "nowhere.ckpt | dataset=faust", r"there is no checkpoint nowhere\.ckpt"),
    case("smoothness", "dataset=faust", r"give at least one checkpoint, RUN/checkpoints/best\.ckpt"),
    case("smoothness", "run/checkpoints/best.ckpt | --names | a | b", r"--names has 2 names for 1 checkpoints"),
    case("smoothness", "run/checkpoints/best.ckpt | dataste=faust", r"did you mean dataset=faust"),
    case("smoothness", "run/checkpoints/best.ckpt | --shapes | 0", r"--shapes 0 leaves nothing to measure"),
    case("smoothness", "run/checkpoints/best.ckpt | data.kk=9", r"data\.kk does not exist"),
    case(
        "smoothness",
        "run/checkpoints/best.ckpt | dataset=faust | paths.data_dir=run",
        r"looked for in run/FAUST_r, which does not",
    ),
    case("paired", "whole | nowhere", r"there is no folder nowhere"),
    case("paired", "whole | whole", r"whole/pairs\.csv, line 3: geodesic_error_x100 is 'good', not a number"),
    case("paired", "whole | cut", r"not a JSON file"),
    case("paired", "bad_yaml | bad_yaml", r"config\.yaml, line \d+: not YAML"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the commands and prints the table."""
    parser = argparse.ArgumentParser("python -m experiments.probes.broken_commands", description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="only commands that match this regular expression")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        for one in CASES:
            typed = " ".join([one.command, *(f"'{text}'" if " " in text else text for text in one.arguments)])
            if re.search(options.only, typed):
                rows.append([typed, *outcome(one, Path(folder))])
                print(" | ".join(rows[-1]), flush=True)
    good = sum(row[1] == "one paragraph" for row in rows)
    print("\n" + markdown(["command", "outcome", "seconds"], rows, words=2))
    print(f"\n{good} of {len(rows)} commands end in one paragraph that says what is wrong")


def outcome(one: Case, folder: Path) -> tuple[str, str]:
    """What became of a command in a process of its own, and the seconds that it took."""
    program = [str(ROOT / f"{one.command}.py")] if one.command in PROGRAMS else ["-m", f"experiments.{one.command}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, *program, *one.arguments], cwd=folder, capture_output=True, text=True, env=environment
    )
    return verdict(one, done.stderr, done.returncode), f"{time.monotonic() - begun:.1f}"


def verdict(one: Case, stderr: str, code: int | str | None) -> str:
    """``one paragraph`` where all is as it should be, else what is not."""
    if "Traceback" in stderr or "HYDRA_FULL_ERROR" in stderr:
        return "traceback"
    if code in (0, None):
        return "no error"
    if not re.search(one.says, stderr, re.DOTALL):
        return f"says something else: {stderr.strip()}"
    return "one paragraph" if len(stderr.strip().splitlines()) == 1 else "several lines"


if __name__ == "__main__":
    main()
