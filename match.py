"""Match two meshes or two photographs: ``python match.py source=a.off target=b.off``, ``python match.py source=a.jpg target=b.jpg``."""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.runtime.settings import for_files, register_resolvers

register_resolvers(Path(__file__).parent)


@hydra.main(version_base="1.3", config_path="configs", config_name="match")
def main(cfg: DictConfig) -> None:
    from pullback.runtime.checks import check
    from pullback.runtime.file_match import match_files
    from pullback.runtime.origin import with_origin

    if cfg.kind == "photographs":
        from pullback.runtime.photo_match import match_photos

        check(cfg)
        return match_photos(cfg)
    cfg, checkpoint = with_origin(cfg, HydraConfig.get().overrides.task)
    check(cfg)
    match_files(cfg, checkpoint)


if __name__ == "__main__":
    sys.argv[1:] = for_files(sys.argv[1:])
    main()
