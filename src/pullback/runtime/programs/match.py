"""``pullback match a.off b.off``, ``pullback match a.jpg b.jpg``: match two meshes or two photographs."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.runtime.command import Command

command = Command("match")


@command.job
def task(cfg: DictConfig) -> None:
    from pullback.runtime.input_checks import check_early, take_pairs

    take_pairs(cfg)
    check_early(cfg)  # before the slow imports

    if cfg.pairs is not None:
        from pullback.runtime.match_pairs import match_pairs

        return match_pairs(cfg)
    if cfg.kind == "image":
        from pullback.runtime.match_images import match_images

        return match_images(cfg)
    from pullback.runtime.checks import check
    from pullback.runtime.match_meshes import match_files
    from pullback.runtime.origin import with_origin

    cfg, checkpoint = with_origin(cfg, HydraConfig.get().overrides.task)
    check(cfg)
    match_files(cfg, checkpoint)


def main() -> None:
    command.run(task)


if __name__ == "__main__":
    main()
