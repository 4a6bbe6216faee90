"""From a node of the config group `corpus` to a corpus."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.frames import ClipFrames, ModelSizes
from egorobot.pretrain.corpora.recaptioned import Recaptioned
from egorobot.pretrain.corpora.shards import ShardCorpus, find_shards
from egorobot.pretrain.corpora.track_table import open_track_table
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.corpora.video_files import VideoFolder
from egorobot.pretrain.samples import Corpus

SOURCES = ("simulated_hands", "video", "shards")
AS_MODEL = "model"  # a frame rate: that of the model


@runtime_checkable
class Rendered(Protocol):
    """A corpus whose clips are made on this machine."""

    def render(self, num_workers: int | None = None) -> None:
        """Make the clips that are not there."""


def make_corpus(
    node: Mapping[str, Any],
    sizes: ModelSizes,
    seed: int,
    data_dir: str | Path,
    name: str | None = None,
) -> Corpus:
    """Return the corpus that `node` describes; its clips can be counted and named, and read after `render_clips`.

    Args:
        node: fields of one of the files in `configs/corpus`; its `source` is one of `SOURCES`.
        sizes: of the model that the clips are for.
        seed: of clips that are drawn.
        data_dir: folder for what is rendered or cached.
        name: what the corpus is called in messages; None is its source.

    Raises:
        UserError: the source is unknown, or what the node names is not there or makes no sense.
    """
    corpus = _open(node, sizes, seed, Path(data_dir), name)
    captions = node.get("captions")
    return corpus if captions is None else Recaptioned(corpus, Path(captions), Path(data_dir) / "indexes")


def render_clips(corpus: Corpus, num_workers: int | None = None) -> None:
    """Render what is not there yet of a `corpus` that is rendered; nothing is to do for others.

    Args:
        corpus: as `make_corpus` returns it.
        num_workers: processes; None is one a core.

    Raises:
        UserError: a process died.
    """
    source = corpus.corpus if isinstance(corpus, Recaptioned) else corpus
    if isinstance(source, Rendered):
        source.render(num_workers)


def _open(node: Mapping[str, Any], sizes: ModelSizes, seed: int, data_dir: Path, name: str | None) -> Corpus:
    """Return the corpus with the captions that it has itself."""
    source = node["source"]
    if source == "simulated_hands":
        return _simulated_hands(node, sizes, seed, data_dir)
    if source == "video":
        return _video(node, sizes, data_dir, name or source)
    if source == "shards":
        frames = ClipFrames(sizes.num_frames, sizes.fast_ratio, frame_rate_of(node, sizes), sizes.image_size)
        return ShardCorpus(find_shards(node["shards"]), frames, data_dir / "indexes", name or source)
    raise UserError(f"unknown source '{source}' of a corpus: choose one of {', '.join(SOURCES)}")


def frame_rate_of(node: Mapping[str, Any], sizes: ModelSizes) -> float | None:
    """Return the rate of the frames of the corpus in `node`, in Hz; None where they are spread over clips.

    Raises:
        UserError: it is not a number above 0.
    """
    rate = node.get("frame_rate", AS_MODEL)
    if rate is None:
        return None
    if rate == AS_MODEL:
        return sizes.frame_rate
    if not is_positive(rate):
        raise UserError(f"frame_rate={rate} of a corpus: it must be a number above 0, '{AS_MODEL}', or null")
    return float(rate)


def is_positive(value: Any) -> bool:
    """Return whether `value` is a number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _video(node: Mapping[str, Any], sizes: ModelSizes, data_dir: Path, name: str) -> VideoCorpus:
    for option in ("chunk_seconds", "image_size", "decoder_threads"):
        given = node[option] is not None or option == "chunk_seconds"
        if given and not is_positive(node[option]):
            raise UserError(f"{option}={node[option]} of corpus {name}: it must be a number above 0")
    tracks = node.get("tracks")
    narrations_csv, hod_csv = (Path(str(node[key])) if node[key] else None for key in ("narrations_csv", "hod_csv"))
    return VideoCorpus(
        table=open_clip_table(narrations_csv, hod_csv, data_dir / "indexes"),
        folder=VideoFolder(Path(node["video_root"]), node["chunk_seconds"]),
        frames=ClipFrames(
            num_frames=sizes.num_frames,
            fast_ratio=sizes.fast_ratio,
            frame_rate=frame_rate_of(node, sizes),
            short_side=node["image_size"] or sizes.image_size,
        ),
        decoder=node["decoder"],
        threads=node["decoder_threads"],
        tracks=None if tracks is None else open_track_table(Path(tracks), data_dir / "indexes"),
        name=name,
    )


def _simulated_hands(node: Mapping[str, Any], sizes: ModelSizes, seed: int, data_dir: Path) -> Corpus:
    # Their simulator takes a second to import, and the processes that read videos do without it.
    from egorobot.pretrain.corpora.simulated_hands import SimulatedHands
    from egorobot.pretrain.hands.staging import ClipOptions

    num_frames = sizes.num_frames if node["num_frames"] is None else node["num_frames"]
    if num_frames < sizes.num_frames:
        raise UserError(f"num_frames={num_frames} of simulated hands: the model sees {sizes.num_frames}")
    if num_frames < 2:
        raise UserError("nothing moves in clips of one frame: for a model that sees one, corpus.num_frames=8, say")
    options = ClipOptions(
        num_frames=num_frames,
        frame_rate=sizes.frame_rate,
        image_size=node["image_size"],
        robot_views=node["robot_views"],
        desk=node["desk"],
        open_share=node["open_share"],
    )
    cache_dir = data_dir / "clips"
    return SimulatedHands(options, seed, node["num_clips"], cache_dir, sizes.fast_ratio, sizes.num_frames)
