"""Pre-train an EgoVideo, video against language, on clips of simulated hands or of videos.

    python -m egorobot.pretrain out=runs/egovideo
    python -m egorobot.pretrain out=runs/egovideo corpus.num_clips=5000 steps=1500 seed=1
    python -m egorobot.pretrain out=runs/egovideo +corpus@mix.ego4d=video mix.ego4d.narrations_csv=...
    torchrun --nproc-per-node=8 -m egorobot.pretrain out=runs/egovideo batch_size=2048 precision=bfloat16

Makes the clips ready, trains, prints how well held-out clips and captions find each other, and saves an encoder
folder that `encoder=` takes. A run that was killed goes on from where it was, in as many processes as are there then.
"""

from omegaconf import DictConfig

from egorobot.cli import command


@command("pretrain")
def main(config: DictConfig) -> None:
    """Run `python -m egorobot.pretrain`."""
    from egorobot.pretrain.run import run  # not above: processes that load clips import this module

    run(config)


if __name__ == "__main__":
    main()
