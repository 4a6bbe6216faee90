"""Ask an EgoVideo about clips that it has not seen: multiple choice, retrieval, hard pairs.

    python -m egorobot.pretrain.probe encoder=runs/egovideo
    python -m egorobot.pretrain.probe encoder=someone/egovideo corpus.num_clips=2000 out=scores.json
    python -m egorobot.pretrain.probe encoder=runs/b corpus=shards corpus.shards=data/shards held_out=0.1

One of five captions is chosen for each clip, with wrong ones from other videos and from the same one; captions and
clips find each other among all; and each clip of a hard pair, which differ in one thing, has the nearer of both
captions or not. Each score comes with its 95 % interval and what chance would give.
"""

from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from egorobot.cli import command
from egorobot.errors import UserError
from egorobot.files import check_out, write_json
from egorobot.pretrain.corpora.sources import make_corpus, render_clips
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.probing import Probes, probe, sample_clips
from egorobot.pretrain.samples import BadClip, ClipSample, Corpus


def probe_encoder(config: DictConfig) -> Probes:
    """Return the scores that `config` (of configs/pretrain.probe.yaml) asks for.

    Raises:
        UserError: the encoder is no EgoVideo or cannot be had, the corpus cannot be made, or none
            of its clips can be read.
    """
    node: dict[str, Any] = OmegaConf.to_container(config.corpus, resolve=True)  # type: ignore[assignment]
    model = EgoVideo.from_pretrained(str(config.encoder))  # told before clips are rendered
    corpus = make_corpus(node, model.config, config.seed, config.data_dir)
    clips = sample_clips(corpus, asked_clips(corpus, config.held_out), config.max_clips)  # so is this
    render_clips(corpus, config.num_workers)
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    bad: list[BadClip] = []

    def read(corpus: Corpus, number: int) -> ClipSample | None:
        bar.update()
        try:
            return corpus[number]
        except BadClip as error:
            bad.append(error)
            return None

    with tqdm(total=len(clips), desc="probing", unit="clip", dynamic_ncols=True) as bar:
        scores = probe(model, corpus, clips, config.seed, read)
    if len(bad) == len(clips):
        raise UserError(f"none of the {len(clips)} clips can be read, the first since: {bad[0]}")
    if bad:
        print(f"{len(bad)} of {len(clips)} clips cannot be read and are left out, the first since: {bad[0]}")
    return scores


def asked_clips(corpus: Corpus, share: float) -> Sequence[int]:
    """Return the clips that a training with `share` held out would leave out; all of them with 1.

    Raises:
        UserError: `share` is out of range, or leaves no clips.
    """
    if not 0 < share <= 1:
        raise UserError(f"held_out={share}: it must be above 0, and at most 1")
    return range(len(corpus)) if share == 1 else corpus.split(share)[1]


@command("pretrain.probe")
def main(config: DictConfig) -> None:
    """Print the scores of an encoder; write them where out= says."""
    if config.out is not None:
        check_out(config.out)
    result = probe_encoder(config)
    print(result.table())
    if config.out is not None:
        write_json(config.out, {"options": OmegaConf.to_container(config, resolve=True), "result": result.to_dict()})
        print(config.out)


if __name__ == "__main__":
    main()
