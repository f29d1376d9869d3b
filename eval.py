"""Evaluate a checkpoint, a baseline, or stored predictions:
``python eval.py dataset=faust ckpt=RUN/checkpoints/best.ckpt``.
"""

from pathlib import Path

from pullback.runtime.signals import leave_on_interrupt

if __name__ == "__main__":
    leave_on_interrupt()  # from here on, of which Hydra's own import is the slowest part

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.runtime.command import Command

command = Command("eval", Path(__file__).parent)


@hydra.main(version_base="1.3", config_path="configs", config_name="eval")
@command.job
def main(cfg: DictConfig) -> None:
    from pullback.runtime.input_checks import check_early

    check_early(cfg)  # before the slow imports

    from pullback.runtime.build import build
    from pullback.runtime.checks import check
    from pullback.runtime.evaluation import evaluate
    from pullback.runtime.origin import with_origin

    cfg, checkpoint = with_origin(cfg, HydraConfig.get().overrides.task)
    check(cfg)
    evaluate(build(cfg, checkpoint))


if __name__ == "__main__":
    command.run(main)
