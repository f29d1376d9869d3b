"""Match two mesh files: ``python match.py source=a.off target=b.off [ckpt=RUN/checkpoints/best.ckpt]``."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.runtime.settings import register_resolvers

register_resolvers(Path(__file__).parent)


@hydra.main(version_base="1.3", config_path="configs", config_name="match")
def main(cfg: DictConfig) -> None:
    from pullback.runtime.checks import check
    from pullback.runtime.file_match import match_files
    from pullback.runtime.origin import with_origin

    cfg, checkpoint = with_origin(cfg, HydraConfig.get().overrides.task)
    check(cfg)
    match_files(cfg, checkpoint)


if __name__ == "__main__":
    main()
