"""What is computed of meshes, and which pairs are made: the keys of ``data.``."""

from dataclasses import dataclass

from pullback.data.mesh.pairs import PROTOCOLS
from pullback.data.mesh.shapes import PreparationSettings
from pullback.data.shards import Shard
from pullback.geometry.geodesic import METHODS
from pullback.ranges import at_least


@dataclass(frozen=True)
class DataSettings:
    """The keys of ``data.``: what is computed of each shape, and which pairs are made."""

    k: int = 200  # eigenfunctions of each shape
    laplacian: str = "cotangent"  # cotangent | robust
    components: str = "dust"  # which pieces of a mesh are kept: dust (all but dust) | largest | all
    samples: int = 3000  # well-spread vertices kept with each shape for solvers that work on a part of the points
    # exact | sampled: approximate, from functions around the samples; less memory at a million vertices, not faster
    basis: str = "exact"
    coarsen: int | None = None  # vertices of simplified training shapes; validation and test shapes stay as they are
    # own | a folder: shapes are turned to the frame of the set's own, or of meshes there; None: they stay as they lie
    align: str | None = None
    protocol: str = "unordered"  # of validation and test pairs that are not listed: unordered | ordered | ordered_self
    geodesics: str | None = "dijkstra"  # on which errors are measured: dijkstra | fast_marching | heat; None: no errors
    random_direction: bool = True  # training pairs (i, j) or (j, i), drawn anew in each epoch; False: always i < j
    train_shapes: int | None = None  # train on that many, evenly spread over the split
    # held out of the training split, its last ones; None: the data set's own number; 0: no validation
    val_shapes: int | None = None
    val_pairs: int | None = 20  # of each data set, drawn with the seed; None: all
    test_pairs: int | None = None  # of each data set, drawn with the seed; None: all
    # validate on pairs of the test sets and hold nothing out: common in the literature, and not clean
    select_on_test: bool = False
    # train on the test shapes too, and on no shape's ground truth: what is matched is known when training begins
    transductive: bool = False
    seed: int = 0
    memory_shapes: int = 128  # prepared shapes held in memory (5 MB each at 5,000 vertices and k = 200)
    num_workers: int = 0  # processes that load pairs; with the shapes in memory there is little for them to do
    prepare_workers: int | None = None  # processes that prepare shapes; None: of large meshes one a CPU
    shard: str | None = None  # 2/3: the second of three shares of the test pairs is matched; None: all

    def __post_init__(self) -> None:
        at_least(1, test_pairs=self.test_pairs, memory_shapes=self.memory_shapes, prepare_workers=self.prepare_workers)
        at_least(2, k=self.k, coarsen=self.coarsen, samples=self.samples)
        at_least(0, train_shapes=self.train_shapes, val_shapes=self.val_shapes, val_pairs=self.val_pairs)
        at_least(0, seed=self.seed, num_workers=self.num_workers)
        if self.shard is not None:
            Shard.named(self.shard)
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"data.protocol={self.protocol} is unknown; use one of {', '.join(PROTOCOLS)}")
        if self.geodesics is not None and self.geodesics not in METHODS:
            raise ValueError(f"data.geodesics={self.geodesics} is unknown; use null or one of {', '.join(METHODS)}")
        if self.val_shapes == 1 or self.train_shapes == 1:
            raise ValueError(
                "one shape makes no pair: give data.val_shapes and data.train_shapes at least 2 (or data.val_shapes=0)"
            )
        if self.select_on_test and self.val_shapes:
            raise ValueError(
                "data.select_on_test=true holds no shapes out, but "
                f"data.val_shapes={self.val_shapes}: drop one of the two"
            )

    def preparation(self, *, training: bool) -> PreparationSettings:
        """How training shapes, or those on which errors are measured, are prepared."""
        coarsen = self.coarsen if training else None
        return PreparationSettings(self.k, self.laplacian, self.components, coarsen, self.samples, self.basis)
