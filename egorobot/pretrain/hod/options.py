"""From the options of the command to what sees, what tells, and what they work on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.frames import SteadyFrames
from egorobot.pretrain.corpora.sources import is_positive, make_corpus, render_clips
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.corpora.video_files import VideoFolder
from egorobot.pretrain.hod.captioning import Detector
from egorobot.pretrain.hod.llm import ChatModel, Endpoint
from egorobot.pretrain.hod.local_llm import LocalServer
from egorobot.pretrain.hod.mediapipe_hands import MediapipeHands
from egorobot.pretrain.hod.moving_region import MovingRegion
from egorobot.pretrain.hod.precomputed import Precomputed
from egorobot.pretrain.hod.prompts import FULL, SHORT
from egorobot.pretrain.hod.rephrasing import ModelRephraser, Rephraser, TemplateRephraser
from egorobot.pretrain.hod.sentences import TEMPLATE
from egorobot.pretrain.hod.simulator_truth import SimulatorTruth
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.samples import Corpus

DETECTORS = ("mediapipe", "simulator", "precomputed")
OBJECTS = ("motion", "hf")
REPHRASERS = ("template", "llm", "local")
BACKENDS = ("local", "ray")
POSITIVE = (
    "chunk_seconds", "frame_rate", "image_size", "max_gap", "clips_per_part", "num_rephrasers", "hf.every",
    "llm.in_flight", "llm.timeout", "llm.max_attempts", "llm.max_tokens",
)  # fmt: skip
NOT_NEGATIVE = ("previews", "llm.max_retries", "llm.temperature", "hf.min_score")

Options = Mapping[str, Any]


def check_options(options: Options) -> None:
    """Check numbers and names before any work is done.

    Raises:
        UserError: one makes no sense.
    """
    for name in POSITIVE:
        if not is_positive(_get(options, name)):
            raise UserError(f"{name}={_get(options, name)}: it must be a number above 0")
    for name in NOT_NEGATIVE:
        if _get(options, name) != 0 and not is_positive(_get(options, name)):
            raise UserError(f"{name}={_get(options, name)}: it must be 0, or a number above it")
    if options["num_workers"] is not None and not is_positive(options["num_workers"]):
        raise UserError(f"num_workers={options['num_workers']}: it must be a number above 0, or null")
    for name, choices in (
        ("detector", DETECTORS),
        ("objects", (None, *OBJECTS)),
        ("rephraser", REPHRASERS),
        ("llm.prompt", (None, FULL, SHORT)),
        ("backend", BACKENDS),
    ):
        if _get(options, name) not in choices:
            listed = ", ".join("null" if choice is None else choice for choice in choices)
            raise UserError(f"unknown {name} '{_get(options, name)}': choose one of {listed}")


def _get(options: Options, name: str) -> Any:
    value: Any = options
    for key in name.split("."):
        value = value[key]
    return value


def open_corpus(options: Options) -> Corpus:
    """Return the clips that are captioned.

    Raises:
        UserError: none are named, or they are not there.
    """
    data_dir, node = Path(options["data_dir"]), options.get("corpus")
    if (options["clips"] is None) == (node is None):
        raise UserError(
            "which clips: clips=<annotation file> video_root=<folder>, or corpus=simulated_hands, shards or video "
            "(one of the two)"
        )
    if node is not None:
        node = {**node, "captions": None}  # what it has of captioning already does not count
        if node["source"] == "video":
            node = {**node, "tracks": None}
        if node["source"] == "shards":  # their frames are taken as they are
            node = {**node, "frame_rate": None}
        corpus = make_corpus(node, get_size("nano"), options["seed"], data_dir)
        render_clips(corpus, options["num_workers"])
        if isinstance(corpus, VideoCorpus):  # all of a clip, not the few frames that a model sees
            corpus = replace(corpus, frames=SteadyFrames(options["frame_rate"], options["image_size"]))
        return corpus
    if options["video_root"] is None:
        raise UserError("clips= needs video_root=: the folder of the videos")
    return VideoCorpus(
        table=open_clip_table(Path(options["clips"]), None, data_dir / "indexes"),
        folder=VideoFolder(Path(options["video_root"]), options["chunk_seconds"]),
        frames=SteadyFrames(options["frame_rate"], options["image_size"]),
        name="clips",
    )


def make_detector(options: Options) -> Detector:
    """Return what sees.

    Raises:
        UserError: it cannot be used here.
    """
    detector = _make_hands(options)
    if options["objects"] == MovingRegion.name:
        return MovingRegion(detector)
    if options["objects"] == "hf":
        from egorobot.pretrain.hod.zero_shot import ZeroShotObjects  # torch, which other detectors do without

        return ZeroShotObjects(hands=detector, **options["hf"])
    return detector


def _make_hands(options: Options) -> Detector:
    if options["detector"] == SimulatorTruth.name:
        return SimulatorTruth()
    if options["detector"] == Precomputed.name:
        if options["precomputed"]["folder"] is None:
            raise UserError("detector=precomputed needs precomputed.folder=: the folder of <video_id>.jsonl")
        return Precomputed(Path(options["precomputed"]["folder"]))
    model = options["mediapipe"]["model"]
    return MediapipeHands(None if model is None else Path(model), options["mediapipe"]["mirrored"])


def make_rephraser(options: Options) -> Rephraser:
    """Return what tells; picklable options make it in the process that needs it.

    Raises:
        UserError: it cannot be used here.
    """
    name, llm = options["rephraser"], dict(options["llm"])
    if name == TEMPLATE:
        return TemplateRephraser()
    gguf, max_attempts, temperature = (llm.pop(key) for key in ("gguf", "max_attempts", "temperature"))
    prompt = llm.pop("prompt") or (SHORT if name == "local" else FULL)
    server = None
    if name == "local":
        server = LocalServer(None if gguf is None else Path(gguf), llm["in_flight"])
        llm |= {"base_url": server.base_url, "model": server.model}
    return ModelRephraser(name, ChatModel(Endpoint(**llm)), prompt, max_attempts, temperature, options["seed"], server)
