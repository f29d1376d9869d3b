"""What the processor can do, as far as it changes which options are wise."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

log = logging.getLogger(__name__)

_UNITS = {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"}  # x86; the last one as ARM calls it


def has_bfloat16_units(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool | None:
    """Whether the processor multiplies bfloat16 numbers itself; None where the system does not tell."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return None
    told = [line.partition(":")[2].split() for line in lines if line.split(":")[0].strip() in ("flags", "Features")]
    return bool(_UNITS.intersection(told[0])) if told else None


def warn_of_slow_precision(trainer: "Trainer", *, units: bool | None) -> None:
    """A warning where bfloat16 would be emulated: a step takes ten times as long as in float32."""
    from lightning.pytorch.accelerators import CPUAccelerator

    precision = str(trainer.precision)
    if precision.startswith("bf16") and isinstance(trainer.accelerator, CPUAccelerator) and units is False:
        log.warning(
            "trainer.precision=%s: this processor has no bfloat16 units and emulates them, about ten times slower; "
            "use trainer.precision=32-true",
            precision,
        )


def share_cores(trainer: "Trainer", *, cores: int) -> None:
    """Processes that compute on the CPU of one machine get equal shares of its cores, whatever OMP_NUM_THREADS says.

    Threads of one process that share cores with those of another wait for each other, tens of times as long.
    """
    import torch
    from lightning.pytorch.accelerators import CPUAccelerator

    if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > 1:
        share = max(1, min(torch.get_num_threads(), cores // trainer.num_devices))
        torch.set_num_threads(share)
        os.environ["OMP_NUM_THREADS"] = str(share)  # of the processes that Lightning will start
