"""From a policy preset to robomimic's own config, and to its algorithm."""

import contextlib
import io
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from robomimic.algo import PolicyAlgo, algo_factory
from robomimic.config import config_factory
from robomimic.config.base_config import BaseConfig
from robomimic.config.config import Config
from robomimic.utils import obs_utils

from egorobot.errors import UserError
from egorobot.policies.core import FrozenEncoderCore, SignedFeatures, VectorCore, make_norm
from egorobot.policies.observations import PROPRIO, ObservationSpec
from egorobot.policies.readout import HORIZONS

ALGO = "bc"
CROP = 0.9  # share of the image kept by robomimic's CropRandomizer: 76 of 84 px


def robomimic_config(policy: Mapping[str, Any], spec: ObservationSpec, seed: int, horizon: int) -> BaseConfig:
    """Return robomimic's config of a policy.

    Args:
        policy: a preset of `configs/policy`, as plain containers.
        spec: what the policy observes.
        seed: of weights and batches; written down for the reader.
        horizon: control steps of an episode.

    Raises:
        UserError: the preset sets an option that robomimic does not have.
    """
    config = config_factory(ALGO)
    with config.unlocked():
        config.experiment.name = policy["name"]
        config.experiment.rollout.horizon = horizon
        config.train.batch_size = policy["batch_size"]
        config.train.num_epochs = 1
        config.experiment.epoch_every_n_steps = policy["steps"]
        config.train.seed = seed
        _set_observation(config, policy, spec)
    with config.values_unlocked():
        optim = config.algo.optim_params.policy
        optim.optimizer_type = "adam" if policy["weight_decay"] == 0 else "adamw"
        optim.learning_rate.initial = policy["learning_rate"]
        optim.regularization.L2 = policy["weight_decay"]
        _set_algo(config, policy)
        if config.algo.rnn.enabled:
            config.train.seq_length = config.algo.rnn.horizon
        if config.algo.transformer.enabled:
            config.train.frame_stack = config.algo.transformer.context_length
    config.lock()
    return config


def check_algo(policy: Mapping[str, Any]) -> None:
    """Check `policy.algo` and `policy.norm` before anything is made for them.

    Raises:
        UserError: robomimic's BC has no such option, or there is no such norm.
    """
    config = config_factory(ALGO)
    with config.values_unlocked():
        _set_algo(config, policy)
    make_norm(policy["norm"], dim=1)


def _set_algo(config: BaseConfig, policy: Mapping[str, Any]) -> None:
    try:
        config.algo.update(policy["algo"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UserError(f"policy.algo is not what robomimic's BC takes: {error}") from error


def _set_observation(config: BaseConfig, policy: Mapping[str, Any], spec: ObservationSpec) -> None:
    signed = {"obs_randomizer_class": SignedFeatures.__name__, "obs_randomizer_kwargs": {}}
    modalities, encoders = config.observation.modalities.obs, config.observation.encoder
    modalities.low_dim = sorted(spec.vectors)
    modalities[spec.image_modality] = sorted(spec.images)
    encoders.low_dim.update({"core_class": VectorCore.__name__, "core_kwargs": {"norm": policy["norm"]}, **signed})
    if spec.core is not None:
        outputs = None if policy["readout"] is None else len(HORIZONS) * spec.vectors[PROPRIO]
        kwargs = {**spec.core, "norm": policy["norm"], "augment": policy["augment"], "readout": outputs}
        encoders.frozen = Config({"core_class": FrozenEncoderCore.__name__, "core_kwargs": kwargs, **signed})
    elif policy["augment"] == "crop" and spec.images:
        height, width = next(iter(spec.images.values()))[:2]
        encoders.rgb.obs_randomizer_class = "CropRandomizer"
        encoders.rgb.obs_randomizer_kwargs = {"crop_height": int(CROP * height), "crop_width": int(CROP * width)}


def make_algo(config: BaseConfig, shapes: Mapping[str, Any], action_dim: int, device: torch.device) -> PolicyAlgo:
    """Return robomimic's algorithm for `config`, its weights drawn from torch's generator.

    Args:
        config: from `robomimic_config`, or read from a checkpoint.
        shapes: `ObservationSpec.shapes()`.
        action_dim: length of an action.
        device: where it computes.
    """
    with quiet():
        obs_utils.initialize_obs_utils_with_config(config)
        return algo_factory(ALGO, config, OrderedDict(shapes), action_dim, device)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what robomimic prints about itself, and warnings about its code, from the user."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        yield
