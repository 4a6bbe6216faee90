"""What a policy observes: through which encoder, under which keys, in which shapes."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorobot.envs.camera_env import OBJECT_STATE_DIM
from egorobot.envs.demonstrations import DemoInfo
from egorobot.envs.simulation import NUM_ROBOT_JOINTS
from egorobot.errors import UserError
from egorobot.policies.encoder import Encoder
from egorobot.policies.registry import END_TO_END, NO_ENCODER, load_encoder

PROPRIO, STATE = "proprio", "state"
END_TO_END_DIM = 64  # feature_dimension of robomimic's VisualCore


@dataclass(frozen=True)
class EncoderInfo:
    """What a policy sees through, for results and checkpoints.

    Attributes:
        name: as on the command line.
        fingerprint: hash of weights, transform and dtype; its name where there is no encoder.
        dim: numbers that it hands to the policy at each step.
        num_frames: frames that it sees at once.
        frame_rate: their rate (Hz); None for one frame.
    """

    name: str
    fingerprint: str
    dim: int
    num_frames: int = 1
    frame_rate: float | None = None


@dataclass(frozen=True)
class ObservationSpec:
    """The observations that go into a policy's network.

    Attributes:
        vectors: low-dimensional keys and their lengths.
        images: image keys and the shape of one observation, (H, W, 3) or (T, H, W, 3).
        core: arguments of `FrozenEncoderCore`; None where the policy learns its own image
            network, or sees no images.
    """

    vectors: Mapping[str, int]
    images: Mapping[str, tuple[int, ...]]
    core: Mapping[str, Any] | None = None

    @property
    def image_modality(self) -> str:
        """The modality of the images in robomimic: ours where an encoder sees them, else its own."""
        return "rgb" if self.core is None else "frozen"

    def shapes(self) -> "OrderedDict[str, list[int]]":
        """Return what robomimic calls `all_shapes`: after its processing, sorted by key."""
        result: dict[str, list[int]] = {key: [dim] for key, dim in self.vectors.items()}
        for key, shape in self.images.items():
            result[key] = [shape[-1], *shape[-3:-1]] if self.core is None else list(shape)
        return OrderedDict(sorted(result.items()))


def choose_encoder(name: str, policy: Mapping[str, Any]) -> Encoder | None:
    """Return the encoder called `name`; None for `state` and `end_to_end`.

    Raises:
        UserError: no such encoder, or it does not go with `policy`.
    """
    if policy["end_to_end"] != (name == END_TO_END):
        wanted = END_TO_END if policy["end_to_end"] else "another encoder"
        raise UserError(f"policy={policy['name']} does not go with encoder={name}: choose {wanted}, or another policy")
    return None if name in (NO_ENCODER, END_TO_END) else load_encoder(name)


def describe_encoder(name: str, encoder: Encoder | None) -> EncoderInfo:
    """Return what results say of what `choose_encoder` returned for `name`."""
    if encoder is not None:
        return EncoderInfo(name, encoder.fingerprint, encoder.dim, encoder.num_frames, encoder.frame_rate)
    return EncoderInfo(name, name, OBJECT_STATE_DIM if name == NO_ENCODER else END_TO_END_DIM)


def observation_spec(info: DemoInfo, name: str, encoder: Encoder | None) -> ObservationSpec:
    """Return what a policy observes that is trained on a file of demonstrations.

    Args:
        info: of the file.
        name: of the encoder.
        encoder: what `choose_encoder` returned for it.

    Raises:
        UserError: the file lacks what the policy reads.
    """
    vectors = {PROPRIO: NUM_ROBOT_JOINTS} | ({STATE: OBJECT_STATE_DIM} if name == NO_ENCODER else {})
    if missing := set(vectors) - set(info.obs_keys):
        raise UserError(f"{info.path} lacks obs/{missing.pop()}, which encoder={name} reads: collect again")
    if name == NO_ENCODER:
        return ObservationSpec(vectors, {})
    if not info.image_keys:
        raise UserError(f"{info.path} holds no images, which encoder={name} reads: collect with a camera")
    size = info.env_kwargs["image_size"]
    clip = () if encoder is None or encoder.num_frames == 1 else (encoder.num_frames,)
    images: dict[str, tuple[int, ...]] = dict.fromkeys(info.image_keys, (*clip, size, size, 3))
    if encoder is None:
        return ObservationSpec(vectors, images)
    # Where a relative folder name was meant, should the policy be run from elsewhere.
    folder = str(Path(name).resolve()) if Path(name).is_dir() else None
    core = {"encoder": name, "folder": folder, "fingerprint": encoder.fingerprint, "dim": encoder.dim}
    return ObservationSpec(vectors, images, core)


def policy_env_kwargs(info: DemoInfo, spec: ObservationSpec, encoder: EncoderInfo) -> dict[str, Any]:
    """Return the arguments of `gymnasium.make` for an environment that shows what a policy reads."""
    kwargs = info.env_kwargs
    if not spec.images:
        kwargs["camera"] = None
    if STATE in spec.vectors:
        kwargs["include_state"] = True
    if encoder.num_frames > 1:
        kwargs |= {"num_frames": encoder.num_frames, "frame_rate": encoder.frame_rate}
    return kwargs
