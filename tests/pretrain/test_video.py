"""Clips of videos: the right frames, however they are reached, and nothing in place of those that are not there."""

import importlib.util
import json
import struct
import wave
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.decoding import open_video
from egorobot.pretrain.corpora.frames import ClipFrames
from egorobot.pretrain.corpora.pyav_reader import PyAVReader
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.corpora.video_files import VideoFolder
from egorobot.pretrain.options import CorpusOptions, PretrainOptions, RunOptions
from egorobot.pretrain.samples import BadClip
from egorobot.pretrain.train import pretrain

RATE = 10  # frames a second of the videos that are made here
SIZE = (64, 48)
SPREAD = ClipFrames(num_frames=4, fast_ratio=2, frame_rate=None, short_side=48)
SHADES = 64  # after as many frames they come again


def shade(index: int) -> int:
    return 20 + 3 * (index % SHADES)


def write_video(
    path: Path, seconds: float = 2.0, codec: str = "libx264", start: float = 0.0, first: int = 0, **options: str
) -> None:
    """Write a video whose frame i is of shade i, above a band of noise."""
    noise = np.random.default_rng(0).integers(0, 255, (8, SIZE[0], 3), np.uint8)
    muxer = {"movflags": options.pop("movflags")} if "movflags" in options else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", container_options=muxer) as container:
        stream = container.add_stream(codec, rate=RATE, options={"threads": "1", **options})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.gop_size = 5
        for i in range(round(seconds * RATE)):
            image = np.full((SIZE[1], SIZE[0], 3), shade(first + i), np.uint8)
            image[-8:] = np.roll(noise, i, axis=1)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = i + round(start * RATE), Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def indices(frames: NDArray[np.uint8]) -> list[int]:
    """Return which frames of a video these are."""
    return [round((float(frame[: frame.shape[0] // 2].mean()) - 20) / 3) for frame in frames]


def make_corpus(
    folder: Path, rows: list[str], frames: ClipFrames = SPREAD, chunk_seconds: float = 15.0, decoder: str = "pyav"
) -> VideoCorpus:
    """Return a corpus of clips `video_id,start,end` of the videos in `folder`."""
    file = folder / "clips.csv"
    lines = [f"{row},caption {i}" for i, row in enumerate(rows)]
    file.write_text("\n".join(["video_id,start_second,end_second,narration", *lines]) + "\n")
    table = open_clip_table(file, None, folder / "cache")
    return VideoCorpus(table, VideoFolder(folder, chunk_seconds), frames, decoder)


def reason(corpus: VideoCorpus, number: int = 0) -> str:
    with pytest.raises(BadClip) as caught:
        corpus[number]
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Frames.


def test_a_clips_frames_are_spread_over_it(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 4)
    sample = make_corpus(tmp_path, ["a,1.0,3.0"])[0]
    assert indices(sample.frames_fast) == [12, 17, 22, 27]  # the middles of four parts
    assert indices(sample.frames_slow) == [17, 27]
    assert sample.frames_fast.shape == (4, 48, 64, 3) and sample.frames_fast.dtype == np.uint8
    assert (sample.clip_id, sample.video_id, sample.captions) == ("a/1.000-3.000", "a", ["caption 0"])


def test_frames_of_a_rate_lie_around_the_middle(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 4)
    frames = ClipFrames(num_frames=4, fast_ratio=2, frame_rate=5.0, short_side=48)
    assert indices(make_corpus(tmp_path, ["a,1.0,3.02"], frames)[0].frames_fast) == [17, 19, 21, 23]


def test_frames_of_a_rate_stay_in_the_video(tmp_path: Path) -> None:
    """A clip shorter than its frames is not bad for being the first or the last of its video."""
    write_video(tmp_path / "a.mp4", 4)
    frames = ClipFrames(num_frames=4, fast_ratio=2, frame_rate=5.0, short_side=48)
    corpus = make_corpus(tmp_path, ["a,0.0,0.1", "a,3.9,4.0"], frames)
    assert indices(corpus[0].frames_fast) == [0, 2, 4, 6]
    assert indices(corpus[1].frames_fast) == [34, 36, 38, 39]
    long = ClipFrames(num_frames=4, fast_ratio=2, frame_rate=0.5, short_side=48)
    assert "is shorter (4.00 s) than the frames of a clip" in reason(make_corpus(tmp_path, ["a,0.0,4.0"], long))


CODECS = [
    ("libx264", "mp4", {}),
    ("libx264", "mkv", {"x264-params": "keyint=8:min-keyint=8:bframes=3:b-adapt=0:open-gop=1:b-pyramid=strict"}),
    ("libx264", "mov", {"x264-params": "keyint=50:bframes=3:ref=4"}),
    ("libx265", "mp4", {"x265-params": "keyint=8:bframes=4:open-gop=1:b-pyramid=1:log-level=none"}),
    ("mpeg4", "mp4", {"bf": "2"}),
    ("libvpx-vp9", "webm", {}),
    ("libvpx", "webm", {"auto-alt-ref": "1", "lag-in-frames": "16"}),
]


@pytest.mark.parametrize("start", [0.0, 3.2])
@pytest.mark.parametrize(("codec", "suffix", "options"), CODECS)
def test_any_frames_are_those_of_decoding_all(
    tmp_path: Path, codec: str, suffix: str, options: dict[str, str], start: float
) -> None:
    """Whatever is skipped on the way to a frame, and wherever the file's own count of time begins."""
    path = tmp_path / f"a.{suffix}"
    write_video(path, 5, codec, start, **options)
    with av.open(str(path)) as container:
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(every) == 50
    rng = np.random.default_rng(0)
    for _ in range(12):
        first, last = np.sort(rng.uniform(0, 4.99, 2))
        times = np.sort(rng.uniform(first, last, 4))
        with open_video(path) as video:
            frames = video.frames_at(list(times), 48)
        np.testing.assert_array_equal(frames, [every[int(time * RATE + 0.005)] for time in times])


def test_little_is_read_to_reach_a_late_frame(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    with PyAVReader(tmp_path / "a.mp4") as video:
        assert indices(video.frames_at([27.2, 27.6], 48)) == [(272) % SHADES, (276) % SHADES]
        assert len(video._packets(27.2, 27.6)) <= 5 + 5 + 3  # of 300; a keyframe comes every 5


def test_frames_are_scaled_and_not_stretched(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    with open_video(tmp_path / "a.mp4") as video:
        assert video.frames_at([0.5], 24).shape == (1, 24, 32, 3)
        assert video.frames_at([0.5], 480).shape == (1, 48, 64, 3)


def test_a_picture_is_turned_as_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path)
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 44  # of a version 0 header; a quarter turn clockwise:
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, SIZE[1] << 16, 0, 1 << 30)
    path.write_bytes(content)
    with open_video(path) as video:
        (frame,) = video.frames_at([1.0], 48)
    assert frame.shape == (64, 48, 3)
    assert abs(int(frame[:, -20:].mean()) - shade(10)) <= 2  # the noise was below, and is at the left
    assert frame[:, 8:].std() < 3 < frame[:, :8].std()


def test_a_title_in_another_script_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path)
    with av.open(str(path)) as video, av.open(str(tmp_path / "b.mp4"), "w", metadata_encoding="latin-1") as copy:
        copy.metadata["title"] = "Küche"
        stream = copy.add_stream_from_template(video.streams.video[0])
        for packet in video.demux(video=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    assert "Küche".encode("latin-1") in (tmp_path / "b.mp4").read_bytes()
    with open_video(tmp_path / "b.mp4") as reader:
        assert indices(reader.frames_at([0.5, 1.5], 48)) == [5, 15]


def test_real_videos(clips: Path, tmp_path: Path) -> None:
    table = open_clip_table(clips / "clips.csv", None, tmp_path)
    corpus = VideoCorpus(table, VideoFolder(clips, 15.0), ClipFrames(8, 4, 6.25, 112))
    assert len(corpus) == 3
    for number in range(3):
        sample = corpus[number]
        assert sample.frames_fast.shape == (8, 112, 187, 3)
        assert len({frame.tobytes() for frame in sample.frames_fast}) == 8
        assert sample.narrations[0].split()[0] in ("Chef", "Close-up", "Pastry")


@pytest.mark.skipif(importlib.util.find_spec("torchcodec") is None, reason="torchcodec is not installed")
def test_torchcodec_shows_the_same_frames(clips: Path) -> None:
    times = [0.0, 0.21, 1.7, 3.95]
    for path in clips.glob("*.mp4"):
        found = []
        for decoder in ("pyav", "torchcodec"):
            with open_video(path, decoder) as video:
                found.append([video.frames_at(times, side).astype(int) for side in (1000, 96)])
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert np.abs(found[0][1] - found[1][1]).mean() < 2  # of 255: they scale a little differently


# Files.


def test_chunks(tmp_path: Path) -> None:
    """Chunk k holds the seconds from 3 k on; a clip may lie in several."""
    for k in range(4):
        write_video(tmp_path / "a" / f"{k:04}.mp4", 3 if k < 3 else 1.5, first=30 * k)
    corpus = make_corpus(tmp_path, ["a,3.2,5.2", "a,2.0,4.0", "a,0.0,10.0", "a,9.5,10.5"], chunk_seconds=3.0)
    assert indices(corpus[0].frames_fast) == [34, 39, 44, 49]
    assert indices(corpus[1].frames_fast) == [22, 27, 32, 37]
    assert indices(corpus[2].frames_fast) == [12, 37, 62, 87 - SHADES]
    assert indices(corpus[3].frames_fast) == [i - SHADES for i in (96, 98, 101, 103)]
    rate = ClipFrames(num_frames=4, fast_ratio=2, frame_rate=2.0, short_side=48)
    late = make_corpus(tmp_path, ["a,10.3,10.5", "a,10.3,10.8"], rate, chunk_seconds=3.0)
    assert indices(late[0].frames_fast) == [i - SHADES for i in (90, 95, 100, 104)]
    assert "the clip ends at 10.80 s" in reason(late, 1)


def test_a_missing_chunk(tmp_path: Path) -> None:
    for k in (0, 2):
        write_video(tmp_path / "a" / f"{k}.mkv", 3)
    corpus = make_corpus(tmp_path, ["a,0.0,2.9", "a,2.5,3.5", "a,4.0,5.0", "a,2.0,6.5"], chunk_seconds=3.0)
    assert len(corpus[0].frames_fast) == 4
    for number in (1, 3):
        assert "and its video" in reason(corpus, number)
    assert "no chunk 0001 in" in reason(corpus, 2)


@pytest.mark.parametrize("place", ["a.mkv", "a.webm", "a.mov", "ego4d/a.mp4", "ego4d/a/0000.mp4"])
def test_where_a_video_may_lie(tmp_path: Path, place: str) -> None:
    write_video(tmp_path / place, codec="libvpx-vp9" if place.endswith("webm") else "libx264")
    (tmp_path / "clips.csv").write_text("dataset,video_id,start_second,end_second,text\nego4d,a,0,2,x\n")
    table = open_clip_table(tmp_path / "clips.csv", None, tmp_path / "cache")
    assert len(VideoCorpus(table, VideoFolder(tmp_path, 15.0), SPREAD)[0].frames_fast) == 4


def test_a_folder_without_the_videos(tmp_path: Path) -> None:
    write_video(tmp_path / "b.mp4")
    with pytest.raises(UserError, match=r"video_root=.* has none of the annotated videos: there is no a\.mp4"):
        make_corpus(tmp_path, ["a,0,1"])
    table = open_clip_table(tmp_path / "clips.csv", None, tmp_path / "cache")
    with pytest.raises(UserError, match="is no folder"):
        VideoCorpus(table, VideoFolder(tmp_path / "nowhere", 15.0), SPREAD)
    with pytest.raises(UserError, match="unknown decoder 'ffmpeg': choose one of pyav, torchcodec"):
        make_corpus(tmp_path, ["b,0,1"], decoder="ffmpeg")


def test_whole_videos_are_held_out(tmp_path: Path) -> None:
    write_video(tmp_path / "v0.mp4")
    corpus = make_corpus(tmp_path, [f"v{i % 40},{i},{i + 1}" for i in range(200)])
    training, held_out = corpus.split(0.2)
    assert sorted([*training, *held_out]) == list(range(200)) and len(held_out)
    assert not {i % 40 for i in training} & {i % 40 for i in held_out}


# Damage.


def test_a_clip_beyond_the_end_of_its_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    corpus = make_corpus(tmp_path, ["a,0,2.1", "a,0,2.2", "a,5,6"])
    assert indices(corpus[0].frames_fast) == [2, 7, 13, 18]  # less than a frame too long
    assert "the clip ends at 2.20 s" in reason(corpus, 1)
    assert "the clip ends at 6.00 s" in reason(corpus, 2)


def test_no_frame_stands_in_for_another(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    with open_video(tmp_path / "a.mp4") as video:
        assert indices(video.frames_at([1.9, 2.05], 48)) == [19, 19]  # an interval more at the end, for rounding
        with pytest.raises(BadClip, match=r"no frame at 2\.20 s"):
            video.frames_at([1.9, 2.2], 48)
        with pytest.raises(BadClip, match=r"no frame at -0\.20 s"):
            video.frames_at([-0.2, 1.0], 48)


Damage = Callable[[Path, bytes], object]  # of a file that holds these bytes


def cut_off(share: float) -> Damage:
    return lambda path, content: path.write_bytes(content[: int(share * len(content))])


def overwritten(share: float, with_bytes: bytes) -> Damage:
    def damage(path: Path, content: bytes) -> None:
        start = int(share * len(content))
        path.write_bytes(content[:start] + with_bytes + content[start + len(with_bytes) :])

    return damage


def replaced(old: bytes, new: bytes) -> Damage:
    return lambda path, content: path.write_bytes(content.replace(old, new))


def holding(content: bytes) -> Damage:
    return lambda path, _: path.write_bytes(content)


def a_picture(path: Path, _: bytes) -> None:
    Image.new("RGB", SIZE).save(path, "PNG")


def only_sound(path: Path, _: bytes) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 32000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def a_wave_file(path: Path, _: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))


def too_short(path: Path, _: bytes) -> None:
    write_video(path, 1.0)


def a_folder(path: Path, _: bytes) -> None:
    path.unlink()
    path.mkdir()


def missing(path: Path, _: bytes) -> None:
    path.unlink()


NOISE = np.random.default_rng(0).integers(0, 256, 2000, np.uint8).tobytes()
DAMAGES: list[Damage] = [
    cut_off(0.02), cut_off(0.3), cut_off(0.5), cut_off(0.6), cut_off(0.75), cut_off(0.9), holding(b""),
    holding(bytes(5000)), holding(b"<html><body>404 Not Found</body></html>\n" * 50), holding(NOISE),
    overwritten(0, bytes(64)), overwritten(0.4, NOISE), overwritten(0.6, bytes(1000)), replaced(b"moov", b"xxxx"),
    replaced(b"stsz", b"xxxx"), replaced(b"avc1", b"xxxx"), a_picture, only_sound, too_short, missing,
]  # fmt: skip


@pytest.fixture(scope="module")
def damaged_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[int]]:
    """A hundred videos, and the numbers of twenty of them that are damaged."""
    folder = tmp_path_factory.mktemp("damaged")
    for i in range(100):
        write_video(folder / f"v{i}.mp4", first=i, preset="ultrafast", **({"movflags": "faststart"} if i % 2 else {}))
    damaged = {5 * i + i % 2: damage for i, damage in enumerate(DAMAGES)}
    for i, damage in damaged.items():
        path = folder / f"v{i}.mp4"
        damage(path, path.read_bytes())
    return folder, {*damaged}


def test_twenty_damaged_videos_of_a_hundred(damaged_folder: tuple[Path, set[int]]) -> None:
    """Exactly those are bad, for a reason that names the file or the clip; all others can be read."""
    folder, damaged = damaged_folder
    corpus = make_corpus(folder, [f"v{i},0,2" for i in range(100)])
    bad = {}
    for i in range(100):
        try:
            sample = corpus[i]
        except BadClip as error:
            bad[i] = str(error)
        else:
            assert indices(sample.frames_fast) == [(i + k) % SHADES for k in (2, 7, 12, 17)]
    assert {*bad} == damaged
    for i, text in bad.items():
        assert f"v{i}" in text and "\n" not in text


def test_training_quarantines_exactly_those(
    damaged_folder: tuple[Path, set[int]], tiny_options: PretrainOptions, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder, damaged = damaged_folder
    make_corpus(folder, [f"v{i},0,2" for i in range(100)])  # writes the annotations
    changes = [f"corpus.narrations_csv={folder / 'clips.csv'}", f"corpus.video_root={folder}", "corpus.frame_rate=null"]
    node = load_config("pretrain", ["corpus=video", *changes]).corpus
    corpora = {"main": CorpusOptions.from_node(OmegaConf.to_container(node))}
    options = replace(tiny_options, corpora=corpora, batch_size=20, steps=5, precision="float32")
    how = RunOptions(tmp_path / "data", loader_workers=0, max_bad_share=0.2)
    pretrain(tmp_path / "out", options, how)
    lines = (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["clip_id"] for line in lines) == sorted(f"v{i}/0.000-2.000" for i in damaged)
    assert "quarantined 20 of 100 clips" in capsys.readouterr().out


@pytest.mark.parametrize("other", [a_wave_file, a_folder])
def test_what_else_may_have_a_videos_name(tmp_path: Path, other: Damage) -> None:
    write_video(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4")
    other(tmp_path / "b.mp4", b"")
    assert "b" in reason(make_corpus(tmp_path, ["a,0,2", "b,0,2"]), 1)


def test_a_file_cut_off_anywhere_is_read_or_refused(tmp_path: Path) -> None:
    """A decoder that is used without its header ends the process."""
    for movflags in ({}, {"movflags": "faststart"}):
        path = tmp_path / "a.mp4"
        write_video(path, preset="ultrafast", **movflags)
        content, refused = path.read_bytes(), 0
        steps = range(0, len(content), 97)
        for size in steps:
            path.write_bytes(content[:size])
            try:
                with open_video(path) as video:
                    video.frames_at([0.2, 1.0, 1.8], 48)
            except BadClip:
                refused += 1
        assert refused > 0.8 * len(steps)
