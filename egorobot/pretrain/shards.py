"""Write a corpus of clips as WebDataset shards, decoded and scaled once.

    python -m egorobot.pretrain.shards corpus.narrations_csv=ego4d.csv corpus.video_root=data/ego4d out=data/shards
    python -m egorobot.pretrain.shards corpus=simulated_hands corpus.num_clips=5000 out=data/hands
    python -m egorobot.pretrain.shards corpus.hod_csv=hod.csv corpus.video_root=data/ego4d out=data/jpeg jpeg_quality=90

Shards are written by several processes, each whole or not at all; a run that was killed goes on from where it was.
Clips that cannot be read are left out, and listed in quarantine.jsonl beside the shards. Train on the shards with
corpus=shards corpus.shards=data/shards.
"""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.cli import command
from egorobot.errors import UserError
from egorobot.pretrain.corpora.shard_writer import ShardJob, claim, write_shards
from egorobot.pretrain.corpora.sources import frame_rate_of, make_corpus, render_clips
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.quarantine import check_ceiling

# What decides what shards hold.
DECISIVE = ("corpus", "size", "model", "clips_per_shard", "jpeg_quality", "seed")


@command("pretrain.shards")
def main(config: DictConfig) -> None:
    """Write the shards that the options ask for, and print how many clips they hold."""
    options: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _check_ranges(options["clips_per_shard"], options["jpeg_quality"], options["max_bad_share"])
    try:
        sizes = get_size(
            options["size"], **{key: value for key, value in options["model"].items() if value is not None}
        )
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"options of the model do not fit: {error}") from error
    corpus = make_corpus(options["corpus"], sizes, options["seed"], options["data_dir"])
    record: dict[str, Any] = {"group_size": corpus.group_size, "variants": corpus.variants}
    if options["corpus"]["source"] != "shards":  # theirs is not known
        record["frame_rate"] = frame_rate_of(options["corpus"], sizes)
    groups = -(-options["clips_per_shard"] // corpus.group_size)
    job = ShardJob(corpus, Path(options["out"]), groups * corpus.group_size, options["jpeg_quality"], record)
    decisive = {key: options[key] for key in DECISIVE}
    claim(job, decisive)  # or say what is in its way, before anything is rendered
    render_clips(corpus, options["num_workers"])
    quarantine = write_shards(job, decisive, options["max_bad_share"], options["num_workers"])
    print(quarantine.summary())
    print(f"{len(corpus) - quarantine.num_bad} clips in {job.num_shards} shards: {job.out}")


def _check_ranges(clips_per_shard: int, jpeg_quality: Any, max_bad_share: float) -> None:
    check_ceiling(max_bad_share)
    if clips_per_shard < 1:
        raise UserError(f"clips_per_shard={clips_per_shard}: it must be 1 or more")
    if jpeg_quality is not None and (type(jpeg_quality) is not int or not 1 <= jpeg_quality <= 95):
        raise UserError(f"jpeg_quality={jpeg_quality}: it must be 1 to 95, or null")


if __name__ == "__main__":
    main()
