"""Soft point maps through KeOps: fused kernels that store no block at all, compiled for each pair of column counts."""

import importlib.util
import logging
from dataclasses import dataclass
from functools import cache

from jaxtyping import Float
from torch import Tensor

from pullback.mapping.distances import full_precision
from pullback.mapping.embedding_map import EmbeddingMap

_LOG = logging.getLogger(__name__)

_ADVICE = (
    "the keops backend needs the extra keops (pip install 'pullback[keops]') and a C++ compiler at run time (g++; on Debian: "
    "apt-get install g++). Without them use backend=blocked, which gives the same map"
)


@dataclass(frozen=True, eq=False)
class KeopsSoftMap(EmbeddingMap):
    """Soft point map by KeOps' ``sumsoftmaxweight``, an online max-shifted softmax; memory O((n1 + n2)(p + q)).

    The first use of each pair of column counts compiles four kernels, up to a minute, kept in ``KEOPS_CACHE_FOLDER``.
    Raises ImportError, with what to install, when KeOps or its compiler is missing.
    """

    def __post_init__(self) -> None:
        if importlib.util.find_spec("pykeops") is None:
            raise ImportError(f"pykeops is not installed: {_ADVICE}")

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2. Raises ValueError for values that do not fit the map."""
        self.check_function(feat1)
        _announce(self.query.shape[1], feat1.shape[1])
        centre = self.reference.detach().mean(dim=0)
        query, reference = (self.query - centre) / self.sigma, (self.reference - centre) / self.sigma
        try:
            from pykeops.torch import LazyTensor

            with full_precision(self.query.device):
                difference = LazyTensor(query[:, None, :]) - LazyTensor(reference[None, :, :])
                logits = -0.5 * (difference**2).sum(dim=2)
                return logits.sumsoftmaxweight(LazyTensor(feat1[None, :, :]), dim=1)
        except ModuleNotFoundError as error:
            raise ImportError(f"KeOps could not build its kernels ({error}): {_ADVICE}") from error


@cache
def _announce(n_columns: int, n_functions: int) -> None:
    _LOG.warning("KeOps: the first map of %d columns and %d functions compiles kernels, up to a minute", n_columns, n_functions)
