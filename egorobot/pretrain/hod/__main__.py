"""Write captions of hand-object dynamics: which hand did what, which way and in which order.

    python -m egorobot.pretrain.hod clips=clips.csv video_root=videos out=data/hod

Finds hands in the clips that the annotation file names, follows them, tells what they do in a sentence, and checks each
sentence against what was seen. In out= are captions.csv, which corpus.hod_csv= takes as it is; records/*.parquet with
boxes, events, captions and verdicts of all clips; and report.json. A run that was killed goes on from where it was.
"""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.cli import command
from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.frames import SteadyFrames
from egorobot.pretrain.corpora.sources import is_positive
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.corpora.video_files import VideoFolder
from egorobot.pretrain.hod.captioning import Captioner, Detector
from egorobot.pretrain.hod.job import CAPTIONS_FILE, HodJob
from egorobot.pretrain.hod.mediapipe_hands import MediapipeHands
from egorobot.pretrain.hod.packages import need
from egorobot.pretrain.hod.sentences import TEMPLATE

NUMBERS = ("chunk_seconds", "frame_rate", "image_size", "max_gap", "clips_per_part")
HOW = ("data_dir", "out", "max_bad_share")  # what does not decide what is written


@command("pretrain.hod")
def main(config: DictConfig) -> None:
    """Write what the options ask for, and print what became of the clips."""
    for name in NUMBERS:
        if not is_positive(config[name]):
            raise UserError(f"{name}={config[name]}: it must be a number above 0")
    if config.rephraser != TEMPLATE:
        raise UserError(f"unknown rephraser '{config.rephraser}': choose {TEMPLATE}")
    need("pyarrow")  # told before clips are looked at
    corpus = VideoCorpus(
        table=open_clip_table(Path(config.clips), None, Path(config.data_dir) / "indexes"),
        folder=VideoFolder(Path(config.video_root), config.chunk_seconds),
        frames=SteadyFrames(config.frame_rate, config.image_size),
        name="clips",
    )
    captioner = Captioner(make_detector(config), config.frame_rate, config.max_gap)
    job = HodJob(corpus, captioner, Path(config.out), config.clips_per_part, config.max_bad_share)
    values: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    options = {key: value for key, value in values.items() if key not in HOW}
    report = job.run(options)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in report["verdicts"].items())
    print(f"{report['clips']} clips: {verdicts}; {report['unreadable']} unreadable")
    print(job.out / CAPTIONS_FILE)


def make_detector(config: DictConfig) -> Detector:
    """Return the detector that `config` names.

    Raises:
        UserError: there is none such, or it cannot be used here.
    """
    if config.detector != MediapipeHands.name:
        raise UserError(f"unknown detector '{config.detector}': choose {MediapipeHands.name}")
    model = None if config.detector_model is None else Path(config.detector_model)
    return MediapipeHands(model, config.mirrored)


if __name__ == "__main__":
    main()
