"""A sheet of the functional maps that several runs found for one pair of photographs.

    pullback fmaps RUN_DIR … [--pair NAME] [--names A,B] [--columns N] [--block 50] [--out FILE]

A folder without a metrics.json stands for all runs below it, such as the jobs of a sweep (sweep=fmaps: several fusions,
with and without regularisers). The pair is the first that all runs matched, unless one is named. Also prints, as the
mean over all pairs that the runs share: how diagonal the maps are (the share of the diagonal entry in its row), how far
from orthogonal (‖CᵀC - I‖ / √k) and from commuting with the Laplacians (‖Λ2 C - C Λ1‖ / (‖Λ2 C‖ + ‖C Λ1‖)). FILE ends
in .png, .svg or .pdf.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pullback.comparison.markup import markdown
from pullback.comparison.method_names import method_of
from pullback.comparison.records import Record, all_records
from pullback.comparison.run_files import RunError
from pullback.mapping.fmap_measures import FmapMeasures, measure_fmap
from pullback.runtime.doorway import telling
from pullback.tasks.store import PredictionStore

_HEADS = ("map", "diagonal", "orthogonality error", "commutativity error")
_WIDEST = 4  # panels, where the runs do not say how they belong together


class FoundFmap(NamedTuple):
    """The functional map of a pair, and the eigenvalues where the run kept them."""

    fmap12: Tensor
    evals1: Tensor | None
    evals2: Tensor | None

    def measures(self, block: int) -> FmapMeasures:
        """Of the top-left block."""
        evals1, evals2 = (None if some is None else some[:block] for some in (self.evals1, self.evals2))
        return measure_fmap(self.fmap12[:block, :block], evals1, evals2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the sheet and prints the table."""
    parser = argparse.ArgumentParser(
        "pullback fmaps", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--pair", help="name of a pair as in pairs.csv (default: the first that all runs matched)")
    parser.add_argument("--names", type=lambda text: text.split(","), help="titles in order, separated by commas")
    parser.add_argument("--columns", type=_positive, help="panels in a row (default: one for each fusion)")
    parser.add_argument("--block", type=_positive, default=50, help="eigenfunctions shown and measured (default: 50)")
    parser.add_argument("--out", type=Path, default=Path("fmaps.png"), metavar="FILE", help="default: fmaps.png")
    options = parser.parse_args(arguments)
    with telling():
        records = all_records(options.folders)
        titles = titles_of(records, options.names)
        found = [fmaps_of(record) for record in records]
        pairs = shared_pairs(records, found, options.pair)
        _draw(records, titles, [maps[pairs[0]] for maps in found], pairs[0], options)
        body = [
            [title, *_means([maps[pair].measures(options.block) for pair in pairs])]
            for title, maps in zip(titles, found, strict=True)
        ]
        print(f"Mean over {len(pairs)} pair{'s' * (len(pairs) > 1)}, {options.block} eigenfunctions at most.\n")
        print(markdown(_HEADS, body))


def fmaps_of(record: Record) -> dict[str, FoundFmap]:
    """The functional maps 1 → 2 of a run on photographs, by pair. Raises RunError where it found none."""
    store, found = PredictionStore.open(record.run / "predictions" / record.dataset), {}
    for name in store.pairs():
        prediction = store.load(name)
        if prediction is not None and "fmap12" in prediction.arrays and "xy21" in prediction.arrays:
            arrays = {
                key: torch.as_tensor(np.asarray(prediction.arrays[key])).double()
                for key in ("fmap12", "evals1", "evals2")
                if key in prediction.arrays
            }
            found[name] = FoundFmap(arrays["fmap12"], arrays.get("evals1"), arrays.get("evals2"))
    if not found:
        raise RunError(
            f"{record.label} found no functional map of photographs on {record.dataset}: "
            "baselines such as solver=concat have none; leave the run out"
        )
    return found


def shared_pairs(records: Sequence[Record], found: Sequence[Mapping[str, FoundFmap]], asked: str | None) -> list[str]:
    """The pairs that all runs matched, the one that is asked for first. Raises RunError where there is none."""
    shared = [name for name in found[0] if all(name in maps for maps in found)]
    if not shared:
        raise RunError(f"no pair was matched by all of {', '.join(record.label for record in records)}")
    if asked is None:
        return shared
    if asked not in shared:
        raise RunError(f"no pair {asked} that all runs matched; there are {', '.join(shared[:10])}")
    return [asked, *(name for name in shared if name != asked)]


def titles_of(records: Sequence[Record], names: Sequence[str] | None = None) -> list[str]:
    """A title for each run: what sets its method apart from those of the others; its folder where nothing does.

    Raises RunError for too few or too many names.
    """
    if names is not None:
        if len(names) != len(records):
            raise RunError(f"{len(names)} names for {len(records)} maps: {'; '.join(r.label for r in records)}")
        return list(names)
    words = [[record.dataset, *method_of(record)] for record in records]
    apart = [[word for word in some if not all(word in other for other in words)] for some in words]
    return [
        ", ".join(word.removeprefix("solver.optimiser.") for word in some) or record.label
        for some, record in zip(apart, records, strict=True)
    ]


def columns_of(records: Sequence[Record]) -> int:
    """A column for each fusion where the runs fill them evenly."""
    fusions = len({record.protocol.get("fusion") for record in records})
    return fusions if fusions > 1 and len(records) % fusions == 0 else min(len(records), _WIDEST)


def _draw(
    records: Sequence[Record], titles: Sequence[str], fmaps: Sequence[FoundFmap], pair: str, options: argparse.Namespace
) -> None:
    from pullback.figures.fmap_sheet import NamedFmap, fmap_sheet  # slow, and of no use to a wrong folder
    from pullback.figures.plot import save_figure

    named = [
        NamedFmap(title, one.fmap12.numpy(), one.measures(options.block).words())
        for title, one in zip(titles, fmaps, strict=True)
    ]
    columns = options.columns or columns_of(records)
    print("written:", save_figure(fmap_sheet(named, columns=columns, heading=pair, block=options.block), options.out))


def _means(measures: Sequence[FmapMeasures]) -> list[str]:
    """The mean of each measure as text; a dash where a run kept no eigenvalues."""
    columns = zip(*measures, strict=True)
    return ["–" if None in values else f"{np.mean(values):.3f}" for values in columns]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    main()
