"""Checkpoints: writing them as robomimic does, and acting from them for many episodes at once."""

import contextlib
import copy
import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from robomimic.algo import PolicyAlgo
from robomimic.config.base_config import BaseConfig
from robomimic.utils import tensor_utils
from robomimic.utils.file_utils import config_from_checkpoint

from egorobot.envs.demonstrations import DemoInfo
from egorobot.errors import UserError
from egorobot.files import atomic_path
from egorobot.policies.core import FrozenEncoderCore, cores, to_embedding_axes
from egorobot.policies.image_encoder import default_device, weights_digest
from egorobot.policies.observations import EncoderInfo, ObservationSpec, policy_env_kwargs
from egorobot.policies.robomimic_checkpoint import ENV_PREFIX, adopt, is_robomimics
from egorobot.policies.robomimic_config import ALGO, make_algo
from egorobot.runs import shorten
from egorobot.torch_state import torch_seed

SCHEMA = 1
ENTRIES = ("model", "config", "algo_name", "env_metadata", "shape_metadata", "egorobot")


def save_checkpoint(
    path: str | Path,
    algo: PolicyAlgo,
    config: BaseConfig,
    info: DemoInfo,
    spec: ObservationSpec,
    encoder: EncoderInfo,
    extra: Mapping[str, Any],
) -> None:
    """Write a policy as a checkpoint that robomimic reads, of tensors and plain containers.

    The same policy gives the same bytes.

    Args:
        path: `.pth` file.
        algo: the policy.
        config: its robomimic config.
        info: of the demonstrations it was trained on.
        spec: what it observes.
        encoder: what it sees through.
        extra: what else the entry `egorobot` says.
    """
    shapes = spec.shapes()
    weights = {name: tensor.detach().cpu() for name, tensor in algo.serialize().items()}
    params = {
        "model": weights,
        "config": config.dump(),
        "algo_name": ALGO,
        "env_metadata": copy.deepcopy(info.env_args) | {"env_kwargs": policy_env_kwargs(info, spec, encoder)},
        "shape_metadata": {
            "ac_dim": algo.ac_dim,
            "all_shapes": shapes,
            "all_obs_keys": list(shapes),
            "use_images": bool(spec.images),
        },
        "egorobot": {"schema": SCHEMA, "weights": weights_digest(weights), "encoder": asdict(encoder), **extra},
    }
    buffer = io.BytesIO()  # torch.save writes a file's name into it
    torch.save(params, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return the content of a checkpoint, without running any code that it might hold.

    One of robomimic's own training on our demonstrations becomes one of ours.

    Raises:
        UserError: it is missing, damaged, or neither ours nor robomimic's.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no policy at {path}: python -m egorobot.train_bc trains one")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged or no policy of egorobot: train again, or choose another file") from error
    missing = [key for key in ENTRIES if not isinstance(content, dict) or key not in content]
    if missing == ["egorobot"] and is_robomimics(content):
        return adopt(content, SCHEMA, path)
    if missing:
        raise UserError(f"{path} is no policy of egorobot (it lacks '{missing[0]}'): choose a file train_bc wrote")
    if not isinstance(content["egorobot"], dict) or content["egorobot"].get("schema") != SCHEMA:
        raise UserError(f"{path} is of another version of egorobot: train the policy again")
    name = str(content["env_metadata"].get("env_name"))
    if not name.startswith(ENV_PREFIX):  # with a module before a colon, Gymnasium would import it
        raise UserError(
            f"{path} is a policy for {shorten(name)}, not for an environment of egorobot: choose another file"
        )
    return content


@dataclass
class _Row:
    """What the policy remembers of one episode."""

    step: int = 0
    rnn_state: Any = None
    context: list[dict[str, torch.Tensor]] = field(default_factory=list)


class Policy:
    """A trained policy that acts in many episodes at once.

    What it does in one episode is the same, to the last bit, whatever others run beside
    it, and the same as robomimic's own `RolloutPolicy` does: frames are embedded in
    batches of one size, and robomimic's network is asked row by row, with gradients enabled
    as robomimic does (PyTorch's kernels for inference round differently).

    Attributes:
        encoder: what it sees through.
        obs_keys: keys of the observations that it reads.
        env_name: Gymnasium id of its environment.
        env_kwargs: arguments of `gymnasium.make` for an environment that shows `obs_keys`.
        render_fingerprint: of the images that it was trained on.
        horizon: control steps of an episode.
        description: what else the checkpoint says of its training.
    """

    def __init__(self, checkpoint: Mapping[str, Any], device: torch.device | None = None) -> None:
        self.device = device or default_device()
        config, _ = config_from_checkpoint(ckpt_dict=checkpoint)
        shapes = checkpoint["shape_metadata"]
        self._algo = make_algo(config, shapes["all_shapes"], shapes["ac_dim"], self.device)
        self._algo.deserialize(checkpoint["model"])
        self._algo.set_eval()
        self._cores = {k: c for k, c in cores(self._algo.nets) if isinstance(c, FrozenEncoderCore)}
        self._pixels = tuple(config.observation.modalities.obs.rgb)
        self._context = int(config.train.frame_stack) if config.algo.transformer.enabled else 0
        self._draws = bool(config.algo.gmm.enabled or config.algo.gaussian.enabled or config.algo.vae.enabled)
        self._recurrent = bool(config.algo.rnn.enabled)
        self._rows: dict[int, _Row] = {}
        self.encoder = EncoderInfo(**checkpoint["egorobot"]["encoder"])
        self.obs_keys: tuple[str, ...] = tuple(shapes["all_obs_keys"])
        self.env_name: str = checkpoint["env_metadata"]["env_name"]
        self.env_kwargs: dict[str, Any] = dict(checkpoint["env_metadata"]["env_kwargs"])
        self.render_fingerprint: str = checkpoint["env_metadata"]["render_fingerprint"]
        self.horizon = int(config.experiment.rollout.horizon)
        self.description: dict[str, Any] = dict(checkpoint["egorobot"])

    def start_episode(self, rows: Sequence[int] | None = None) -> None:
        """Forget the episodes of `rows`; None is all."""
        for row in list(self._rows) if rows is None else rows:
            self._rows.pop(row, None)

    def act(self, observations: Mapping[str, NDArray[Any]], rows: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Return the actions of several episodes.

        Args:
            observations: arrays (N, ...) as the environment of `env_name` and `env_kwargs`
                gives them, by key; keys that are not in `obs_keys` are ignored.
            rows: which episodes they are of; None is 0 to N - 1. An episode keeps its
                number from `start_episode` on.

        Returns:
            (N, 9) float32 in [-1, 1].

        Raises:
            UserError: the encoder cannot be loaded or has changed.
        """
        features = {key: self._features(key, observations[key]) for key in self.obs_keys}
        count = len(next(iter(features.values())))
        numbers = range(count) if rows is None else rows
        actions = [
            self._act_in_row(self._rows.setdefault(number, _Row()), {k: f[i][None] for k, f in features.items()})
            for i, number in zip(range(count), numbers, strict=True)
        ]
        return np.clip(np.concatenate(actions), -1.0, 1.0)

    def _features(self, key: str, values: NDArray[Any]) -> torch.Tensor:
        """Return what robomimic's network takes for (N, ...) observations under `key`."""
        if key in self._cores:
            core = self._cores[key]
            embeddings = core.embed(torch.from_numpy(values)).numpy()
            return torch.from_numpy(to_embedding_axes(embeddings, len(core.input_shape))).to(self.device)
        if key in self._pixels:
            images = torch.from_numpy(values).to(self.device).float() / 255.0
            return images.permute(0, 3, 1, 2)
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.device)

    def _act_in_row(self, row: _Row, observation: dict[str, torch.Tensor]) -> NDArray[np.float32]:
        """Return the action (1, 9) of one episode, remembering what the policy needs of it."""
        if self._context:
            earlier = row.context or [observation] * self._context
            row.context = [*earlier[1:], observation]
            observation = {k: torch.stack([o[k] for o in row.context], dim=1) for k in observation}
        if self._recurrent:
            self._algo._rnn_hidden_state, self._algo._rnn_counter = row.rnn_state, row.step
        # A mixture is drawn from: by the step of the episode, so that a draw is the same each time.
        with torch_seed(row.step) if self._draws else contextlib.nullcontext():
            action = self._algo.get_action(observation)
        row.step += 1
        if self._recurrent:
            row.rnn_state = tensor_utils.detach(self._algo._rnn_hidden_state)
        return action.detach().float().cpu().numpy()


def load_policy(path: str | Path, device: torch.device | None = None) -> Policy:
    """Return the policy in a checkpoint.

    Args:
        path: `policy.pth`.
        device: where it computes; None is the GPU where there is one.

    Raises:
        UserError: the file is missing, damaged, or not one of ours.
    """
    checkpoint = read_checkpoint(path)
    try:
        if weights_digest(checkpoint["model"]) != checkpoint["egorobot"]["weights"]:
            raise ValueError("weights do not have their checksum")
        return Policy(checkpoint, device)
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{path} is damaged ({reason}): train the policy again") from error
