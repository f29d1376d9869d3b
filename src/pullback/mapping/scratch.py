"""Room for the products of strips, taken once and written over: fresh pages of memory cost as much as the product."""

import threading

import torch
from jaxtyping import Float
from torch import Tensor


class Scratch:
    """One panel for each thread, as large as the largest so far; gone with this object."""

    def __init__(self) -> None:
        self._mine = threading.local()

    def product(self, x: Float[Tensor, "b d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "b m"]:
        """``x @ y.T``, on a CPU where this thread's last one was. Without gradients."""
        if x.device.type != "cpu":
            return x @ y.T
        n = len(x) * len(y)
        panel: Tensor | None = getattr(self._mine, "panel", None)
        if panel is None or len(panel) < n or panel.dtype != x.dtype:
            panel = self._mine.panel = x.new_empty(n)
        return torch.mm(x, y.T, out=panel[:n].view(len(x), len(y)))
