"""Train, evaluate the best checkpoint, write the report: ``python train.py experiment=quickstart``."""

from pathlib import Path

from pullback.runtime.signals import leave_on_interrupt

if __name__ == "__main__":
    leave_on_interrupt()  # from here on, of which Hydra's own import is the slowest part

import hydra
from omegaconf import DictConfig

from pullback.runtime.command import Command

command = Command("train", Path(__file__).parent)


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
@command.job
def main(cfg: DictConfig) -> float | None:
    """Returns what selected the best checkpoint (the validation error), for sweeps to minimise."""
    from pullback.runtime.input_checks import check_early

    check_early(cfg)  # before the slow imports

    from pullback.runtime.build import build
    from pullback.runtime.evaluation import evaluate
    from pullback.runtime.training import fit

    run = build(cfg)
    selected = fit(run)
    evaluate(run)
    return selected


if __name__ == "__main__":
    command.run(main)
