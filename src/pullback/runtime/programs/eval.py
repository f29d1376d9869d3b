"""``pullback eval dataset=faust ckpt=FILE``: evaluate a checkpoint, a baseline, or stored predictions."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.runtime.command import Command

command = Command("eval")


@command.job
def task(cfg: DictConfig) -> None:
    from pullback.runtime.input_checks import check_early

    check_early(cfg)  # before the slow imports

    from pullback.runtime.build import build
    from pullback.runtime.checks import check
    from pullback.runtime.evaluation import evaluate
    from pullback.runtime.origin import with_origin
    from pullback.runtime.processes import working_together

    cfg, checkpoint = with_origin(cfg, HydraConfig.get().overrides.task)
    check(cfg)
    run = build(cfg, checkpoint)
    with working_together(run.trainer):
        evaluate(run)


def main() -> None:
    command.run(task)


if __name__ == "__main__":
    main()
