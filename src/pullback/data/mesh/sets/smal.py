"""SMAL: toy animals of eight species (Zuffi et al. 2017), remeshed to about 5,200 vertices."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from pullback.data.mesh.dataset import ShapeFiles, Split
from pullback.data.mesh.lists import has_lists, listed_splits
from pullback.data.mesh.published import PublishedSet
from pullback.data.mesh.tree import place_where
from pullback.ranges import at_least

# Few of the file names say the species. This table was made by looking at the shapes; its families agree with the
# folders of the original release (big_cats, cows, dogs, hippos, horses), its counts with the 29 and 20 shapes of the
# literature. "Cougar" is, as there, every big cat that is not a lion: two of the four look like tigers. "Dog" is what
# is neither called fox nor wolf.
SPECIES = MappingProxyType(
    {
        "cow": (
            "Davis_cow_00000",
            "cow2",
            "cow_alph",
            "cow_alph4",
            "cow_alph5",
            "muybridge_076_04",
            "muybridge_087_04",
            "timthumb",
        ),
        "dog": (
            *(
                "Brown-And-White-Akita-Dog_alph",
                "NORTHERN-INUIT-DOG-3",
                "dog2",
                "dog_alph",
                "muybridge_097_01",
                "muybridge_097_02",
            ),
            *("muybridge_101_03", "muybridge_102_03", "muybridge_104_04"),
        ),
        "fox": ("fox", "fox-05", "fox-06", "fox_alph"),
        "lion": ("450-122410176-lions-natural-habitat", "MaleLion800", "lion3", "lion6", "lion_yawn"),
        "wolf": ("stalking_wolf_cub_by_nieme", "wolf_alph2", "wolf_alph3"),
        "cougar": ("00211799_ferrari", "cougar", "muybridge_107_110_03", "muybridge_132_133_07"),
        "hippo": ("Hippo_for_Nat", "hippo5", "hippo_alpha", "hippo_alpha_mouthopen2", "hippo_walking", "hippos"),
        "horse": (
            *(
                "00028740_ferrari",
                "00047093_ferrari",
                "00049424_ferrari",
                "00057894_ferrari",
                "grazing",
                "muybridge_014_01",
            ),
            *("muybridge_030_02", "muybridge_071_04", "muybridge_074_01", "muybridge_075_04"),
        ),
    }
)
SPLIT_SPECIES = MappingProxyType({"train": ("cow", "dog", "fox", "lion", "wolf"), "test": ("cougar", "hippo", "horse")})
SPLITS = ("species", "random")
_LISTS = {"train": "train_cat.txt", "test": "test_cat.txt"}


class Smal(PublishedSet):
    """49 animals: cows, dogs, foxes, lions and wolves for training (29), cougars, hippos and horses for tests (20).

    ``split="random"`` draws 20 test shapes of all species. The lists ``train_cat.txt`` and ``test_cat.txt`` of the
    common release, where they lie in ``root``, win over the table of this file.
    """

    published: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smal": {"folder": "SMAL_r"}}
    name = "smal"
    up = "-y"
    front = "z"
    val_shapes = 5  # one of each species: 10 pairs, all between species as in the test
    vts_rows = 3889
    wanted = "49 animals such as cougar.off and cougar.vts"
    source = (
        "SMAL is licensed for research only: register at https://smal.is.tue.mpg.de. The remeshed version SMAL_r "
        "is that of the papers on "
        "spectral matching (Donati et al. 2022, Li et al. 2022, Cao et al. 2023), which link to it. Then give "
        "paths.data_dir= (or "
        "PULLBACK_DATA_DIR) the folder that holds SMAL_r, or dataset.smal.root= SMAL_r itself."
    )

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "species",
        seed: int = 0,
        lists: str | Path | None = None,
        allow_missing: bool = False,
    ):
        """``seed`` draws the random split. The others: see PublishedSet."""
        if split not in SPLITS:
            raise ValueError(f"dataset.smal.split={split} is unknown; use one of {', '.join(SPLITS)}")
        super().__init__(root, lists=lists, allow_missing=allow_missing)
        self.split = split
        at_least(0, seed=seed)
        self.seed = seed

    @property
    def pairs_rule(self) -> str:
        """What sets the test shapes apart from the published ones: the random draw too."""
        drawn = self.split == "random" and self.lists is None
        rule = f"{len(self.split_names('test'))} of all animals, drawn with seed {self.seed}" if drawn else ""
        return ", ".join(filter(None, [rule, super().pairs_rule]))

    def published_split(self, split: Split) -> list[str]:
        if self.split == "random":
            return _random_split(self.seed)[split]
        place = place_where(self.root, lambda place: has_lists(place, files=_LISTS))
        if has_lists(place, files=_LISTS):
            return listed_splits(place, sorted(species_by_name()), files=_LISTS)[split]
        return sorted(name for species in SPLIT_SPECIES[split] for name in SPECIES[species])

    def names(self) -> list[str]:
        return sorted(species_by_name())

    def parts_of(self, shape1: str, shape2: str) -> Sequence[str]:
        """Two of a species, by its name, or of different ones."""
        species = species_by_name()
        one, other = species[shape1], species[shape2]
        return [one if one == other else "between species"]

    def held_out(self, shapes: Sequence[ShapeFiles], count: int) -> list[ShapeFiles]:
        """The last shapes of each species, in turn."""
        species, seen = species_by_name(), Counter[str]()
        turn = {}
        for files in reversed(shapes):
            kind = species[files.name]
            turn[files] = (seen[kind], kind)
            seen[kind] += 1
        chosen = set(sorted(shapes, key=turn.__getitem__)[:count])
        return [files for files in shapes if files in chosen]


def species_by_name() -> dict[str, str]:
    """The species of each of the 49 shapes."""
    return {name: species for species, names in SPECIES.items() for name in names}


def _random_split(seed: int) -> dict[str, list[str]]:
    """As many test shapes as there are in the species split, chosen by a hash of seed and name."""
    ranked = sorted(species_by_name(), key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    test = sum(len(SPECIES[species]) for species in SPLIT_SPECIES["test"])
    return {"train": sorted(ranked[test:]), "test": sorted(ranked[:test])}
