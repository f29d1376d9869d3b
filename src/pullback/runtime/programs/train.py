"""``pullback train experiment=quickstart``: train, evaluate the best checkpoint, write the report."""

from omegaconf import DictConfig

from pullback.runtime.command import Command

command = Command("train")


@command.job
def task(cfg: DictConfig) -> float | None:
    """Returns what selected the best checkpoint (the validation error), for sweeps to minimise."""
    from pullback.runtime.input_checks import check_early

    check_early(cfg)  # before the slow imports

    from pullback.runtime.build import build
    from pullback.runtime.evaluation import evaluate
    from pullback.runtime.processes import working_together
    from pullback.runtime.training import fit

    run = build(cfg)
    with working_together(run.trainer):
        selected = fit(run)
        evaluate(run)
    return selected


def main() -> None:
    command.run(task)


if __name__ == "__main__":
    main()
