"""Pre-train an EgoVideo, video against language, on clips of simulated hands.

    python -m egorobot.pretrain out=runs/egovideo
    python -m egorobot.pretrain out=runs/egovideo num_clips=5000 steps=1500 seed=1

Renders the clips once, trains, prints how well held-out clips and captions find each other, and saves an encoder
folder that `encoder=` takes. A run that was killed goes on from where it was.
"""

from omegaconf import DictConfig

from egorobot.cli import command
from egorobot.pretrain.run import run


@command("pretrain")
def main(config: DictConfig) -> None:
    """Run `python -m egorobot.pretrain`."""
    run(config)


if __name__ == "__main__":
    main()
