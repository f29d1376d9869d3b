"""What of photographs is matched."""

from dataclasses import dataclass

from pullback.data.image.cropping import CROPS
from pullback.data.shards import Shard
from pullback.ranges import at_least


@dataclass(frozen=True)
class ImageDataSettings:
    """The keys of ``data.``: which pairs are matched, and what of them is shown."""

    # of both photographs: none | box | mask (the bounding box of the object's mask); None: as each data set is cropped
    crop: str | None = None
    margin: float = 0.0  # around a crop, as a share of its longer side
    test_pairs: int | None = None  # of each data set, drawn with the seed; None: all
    seed: int = 0
    batch_pairs: int = 1  # pairs that are matched together
    num_workers: int = 0  # processes that read photographs
    shard: str | None = None  # 2/3: the second of three shares of the test pairs is matched; None: all

    def __post_init__(self) -> None:
        if self.crop not in (None, *CROPS):
            raise ValueError(f"data.crop={self.crop} is unknown; use one of {', '.join(CROPS)}")
        at_least(0, margin=self.margin, seed=self.seed, num_workers=self.num_workers)
        at_least(1, batch_pairs=self.batch_pairs, test_pairs=self.test_pairs)
        if self.shard is not None:
            Shard.named(self.shard)

    def cropped(self, crop: str) -> str:
        """What a crop makes of the data set's own protocol, in words; empty where it is none."""
        if crop == "none":
            return ""
        return f"cropped to the {crop}" + (f" with a margin of {self.margin:g}" if self.margin else "")
