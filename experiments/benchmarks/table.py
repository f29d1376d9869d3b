"""One Markdown table for each benchmark's JSON file, for the ledger.

python -m experiments.benchmarks.table [FILE.json …]
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks.cells import HEADS, cells

from pullback.files import read_json

FOLDER = Path(__file__).parent


def markdown(content: Mapping[str, Any]) -> str:
    """A benchmark's title, machine and rows; columns that say the same in every row stand above the table instead."""
    machine, commit = content["machine"], (content.get("commit") or "none")[:10] + ("+" if content.get("dirty") else "")
    versions = content["versions"]
    with_gpu = (
        f", {machine['gpu'][0]}" if machine["gpu"] and any(row["device"] != "cpu" for row in content["rows"]) else ""
    )
    named = all(row.get("threads") for row in content["rows"])
    threads = "" if named else f"{machine['threads']} threads, "
    lines = [
        f"### {content['benchmark']}",
        "",
        f"`{content['command']}`; {machine['cpu']}, {machine['cores']} cores, {threads}"
        f"{machine['memory_gib']} GiB"
        f"{with_gpu}; torch {versions['torch']}, commit {commit}, {content['date'][:10]}.",
        "",
    ]
    if not named:
        lines += ["Measured before rows named their threads: a peer may have had fewer than ours.", ""]
    body = [cells(row) for row in content["rows"]]
    always = [HEADS.index(name) for name in ("work", "backend", "seconds")]
    kept = [i for i in range(len(HEADS)) if i in always or len({row[i] for row in body}) > 1]
    common = [
        f"{HEADS[i]}: {body[0][i]}" for i in range(len(HEADS)) if i not in kept and body and body[0][i] not in ("", "–")
    ]
    lines += [f"In every row: {', '.join(common)}.", ""] if common else []
    lines += [_line([HEADS[i] for i in kept]), "|" + "---|" * len(kept)]
    for row, texts in zip(content["rows"], body, strict=True):
        lines.append(_line([f"**{texts[i]}**" if HEADS[i] == "backend" and row["ours"] else texts[i] for i in kept]))
    return "\n".join(lines)


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def main(command: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="results of benchmarks (default: all beside this script)")
    for path in parser.parse_args(command).files or sorted(FOLDER.glob("*.json")):
        content = read_json(path)
        if not isinstance(content, dict) or "benchmark" not in content:
            raise SystemExit(
                f"{path} is no result of the harness; make it anew with python -m experiments.benchmarks.{path.stem}"
            )
        print(markdown(content), end="\n\n")


if __name__ == "__main__":
    main()
