"""A clip as members of a tar file, the WebDataset way: `<key>.json` and its frames.

The frames are one member `<key>.npy`, uint8 (F, H, W, 3), or JPEG images `<key>.000.jpg`, `<key>.001.jpg`, ...
https://github.com/webdataset/webdataset reads either.
"""

import io
import json
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from egorobot.pretrain.samples import BadClip, ClipSample, HandObjectTracks

JSON, NPY, JPG = "json", "npy", "jpg"
BLOCK = tarfile.BLOCKSIZE


def to_members(sample: ClipSample, record: Mapping[str, Any], jpeg_quality: int | None) -> dict[str, bytes]:
    """Return the members of a sample by what follows its key, the JSON first.

    Args:
        sample: the clip.
        record: more fields for the JSON.
        jpeg_quality: of the images, 1 to 95; None keeps frames as they are, in one array.
    """
    if jpeg_quality is None:
        frames = {NPY: _npy(sample.frames_fast)}
    else:
        frames = {f"{i:03}.{JPG}": _jpeg(frame, jpeg_quality) for i, frame in enumerate(sample.frames_fast)}
    fields = {
        "clip_id": sample.clip_id,
        "video_id": sample.video_id,
        "narrations": sample.narrations,
        "hod": sample.hod,
        "fast_ratio": sample.fast_ratio,
        **record,
        # Without it, a damaged array is still an array.
        "crc32": zlib.crc32(b"".join(frames.values())),
    }
    if sample.tracks is not None:
        fields["tracks"] = _tracks_to_json(sample.tracks)
    return {JSON: json.dumps(fields, allow_nan=False).encode(), **frames}


def to_tar(key: str, members: Mapping[str, bytes]) -> bytes:
    """Return the members of one sample as they stand in a tar file; the same members give the same bytes."""
    parts = []
    for suffix, content in members.items():
        header = tarfile.TarInfo(f"{key}.{suffix}")
        header.size = len(content)
        parts += [header.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % BLOCK)]
    return b"".join(parts)


def from_tar(span: bytes) -> dict[str, bytes]:
    """Return the members in a stretch of a tar file, by what follows their key.

    Raises:
        BadClip: they are cut off or damaged.
    """
    members = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(span), mode="r:") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    members[split_key(member.name)[1]] = file.read()
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BadClip(f"cut off or damaged ({error})") from error
    return members


def split_key(name: str) -> tuple[str, str]:
    """Return the key of a member, and what follows it: what stands before and after the first dot of its name."""
    folder, slash, file = name.rpartition("/")
    key, _, suffix = file.partition(".")
    return f"{folder}{slash}{key}", suffix.lower()


def parse_record(content: bytes | None) -> dict[str, Any]:
    """Return the fields of a sample's JSON.

    Raises:
        BadClip: there is none, or it lacks a field or holds something else in it.
    """
    if content is None:
        raise BadClip("it has no JSON: cut off, perhaps")
    try:
        record = json.loads(content)
        names, lists = (record["clip_id"], record["video_id"]), (record.get("narrations", []), record.get("hod", []))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadClip(f"its JSON cannot be read ({error!r})") from error
    are_lists = all(isinstance(texts, list) for texts in lists)
    texts = [text for texts in lists for text in texts] if are_lists else []
    if not texts or not all(isinstance(text, str) for text in (*names, *texts)):
        raise BadClip("its JSON has no captions, or names and captions that are no text")
    return record


def to_sample(members: Mapping[str, bytes], fast_ratio: int) -> ClipSample:
    """Return the sample that `members` hold.

    Raises:
        BadClip: something is missing or damaged.
    """
    record = parse_record(members.get(JSON))
    parts = {suffix: part for suffix, part in sorted(members.items()) if suffix == NPY or suffix.endswith(f".{JPG}")}
    if "crc32" in record and record["crc32"] != zlib.crc32(b"".join(parts.values())):
        raise BadClip("its frames are cut off or damaged: their checksum is another")
    try:
        frames = np.load(io.BytesIO(parts[NPY]), allow_pickle=False) if NPY in parts else _images(list(parts.values()))
        tracks = _tracks_from_json(record["tracks"]) if record.get("tracks") else None
    except (ValueError, OSError, EOFError, KeyError, TypeError, MemoryError) as error:
        raise BadClip(f"its frames or tracks cannot be read ({error})") from error
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise BadClip(f"its frames are {frames.dtype} {frames.shape}, not uint8 (F, H, W, 3)")
    return ClipSample(
        clip_id=record["clip_id"],
        video_id=record["video_id"],
        frames_fast=frames,
        fast_ratio=fast_ratio,
        narrations=record.get("narrations", []),
        hod=record.get("hod", []),
        tracks=tracks,
    )


def _npy(frames: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(frames), allow_pickle=False)
    return buffer.getvalue()


def _jpeg(frame: NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _images(files: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])


def _tracks_to_json(tracks: HandObjectTracks) -> dict[str, Any]:
    return {
        "hands": _boxes_to_json(tracks.hands),
        "object": _boxes_to_json(tracks.object),
        "contact": tracks.contact.tolist(),
    }


def _tracks_from_json(fields: Mapping[str, Any]) -> HandObjectTracks:
    # None becomes NaN: not in view.
    hands, object_ = (np.array(fields[name], dtype=np.float32) for name in ("hands", "object"))
    return HandObjectTracks(hands, object_, np.array(fields["contact"], dtype=bool))


def _boxes_to_json(boxes: NDArray[np.float32]) -> Any:
    """Return nested lists with None for NaN, and each number with as many digits as a float32 needs."""
    if boxes.ndim:
        return [_boxes_to_json(part) for part in boxes]
    return None if np.isnan(boxes) else float(str(boxes))
