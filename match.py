"""Match two meshes or two photographs: ``python match.py a.off b.off``,
``python match.py source=a.jpg target=b.jpg``.
"""

from pathlib import Path

from pullback.runtime.signals import leave_on_interrupt

if __name__ == "__main__":
    leave_on_interrupt()  # from here on, of which Hydra's own import is the slowest part

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pullback.runtime.command import Command

command = Command("match", Path(__file__).parent)


@hydra.main(version_base="1.3", config_path="configs", config_name="match")
@command.job
def main(cfg: DictConfig) -> None:
    from pullback.runtime.input_checks import check_early

    check_early(cfg)  # before the slow imports

    if cfg.kind == "image":
        from pullback.runtime.match_images import match_images

        return match_images(cfg)
    from pullback.runtime.checks import check
    from pullback.runtime.match_meshes import match_files
    from pullback.runtime.origin import with_origin

    cfg, checkpoint = with_origin(cfg, HydraConfig.get().overrides.task)
    check(cfg)
    match_files(cfg, checkpoint)


if __name__ == "__main__":
    command.run(main)
