"""Soft point maps through KeOps: fused kernels that store no block at all, compiled for each pair of column counts."""

import importlib.util
import logging
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.errors import UserError
from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.embeddings import full_precision
from pullback.mapping.keops_builds import one_builder

_LOG = logging.getLogger(__name__)

_ADVICE = (
    "the keops backend needs the extra keops (pip install 'pullback[keops]') "
    "and a C++ compiler at run time (g++; on Debian: "
    "apt-get install g++). Without them use backend=blocked, which gives the same map"
)


class KeopsError(UserError, ImportError):
    """KeOps, or the compiler that it needs, is missing or does not work."""


@dataclass(frozen=True, eq=False)
class KeopsSoftMap(EmbeddingMap):
    """Soft point map by KeOps' ``sumsoftmaxweight``, an online max-shifted softmax; memory O((n1 + n2)(p + q)).

    The first use of each pair of column counts compiles up to four kernels, up to a minute, kept in
    ``KEOPS_CACHE_FOLDER``. Only one process does so at a time, and what a killed one left half-built is built again.
    Raises KeopsError, with what to install, when KeOps or its compiler is missing.
    """

    def __post_init__(self) -> None:
        if importlib.util.find_spec("pykeops") is None:
            raise KeopsError(f"pykeops is not installed: {_ADVICE}")

    def pull_back(self, feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "n2 c"]:
        """Functions on shape 1, carried to shape 2. Raises ValueError for values that do not fit the map."""
        self.check_function(feat1)
        gradients = any(values.requires_grad for values in (self.query, self.reference, self.sigma, feat1))
        _build(
            self.query.shape[1],
            feat1.shape[1],
            self.query.dtype,
            self.query.device.type,
            gradients and torch.is_grad_enabled(),
        )
        centre = self.reference.detach().mean(dim=0)
        query, reference = (self.query - centre) / self.sigma, (self.reference - centre) / self.sigma
        return _weighted_mean(query, reference, feat1)


def _weighted_mean(
    query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"], feat1: Float[Tensor, "n1 c"]
) -> Float[Tensor, "n2 c"]:
    try:
        from pykeops.torch import LazyTensor

        with full_precision(query.device):
            difference = LazyTensor(query[:, None, :]) - LazyTensor(reference[None, :, :])
            logits = -0.5 * (difference**2).sum(dim=2)
            return logits.sumsoftmaxweight(LazyTensor(feat1[None, :, :]), dim=1)
    except (ImportError, OSError) as error:  # the library that was not built, or a folder that cannot be written
        raise KeopsError(f"KeOps could not build its kernels ({error}): {_ADVICE}") from error


@cache
def _build(n_columns: int, n_functions: int, dtype: torch.dtype, device: str, gradients: bool) -> None:
    """Builds the kernels of these column counts, if nobody has yet, on a map of two points.

    Those of gradients only if they are wanted.
    """
    _announce(n_columns, n_functions)
    with one_builder(), torch.inference_mode(False), torch.set_grad_enabled(gradients):
        sizes = (n_columns, n_columns, n_functions)
        value = _weighted_mean(*(torch.eye(2, n, dtype=dtype, device=device, requires_grad=gradients) for n in sizes))
        if gradients:
            value.sum().backward()


@cache
def _announce(n_columns: int, n_functions: int) -> None:
    _LOG.warning(
        "KeOps: the first map of %d columns and %d functions compiles kernels, up to a minute", n_columns, n_functions
    )
