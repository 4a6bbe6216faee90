"""What the options of a run amount to: how they differ from defaults, and how its encoder is pre-trained."""

import json
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.cli import check_overrides, choices, load_config
from egorobot.errors import UserError
from egorobot.runs import plain

# Options that a run's outcome depends on and that `result.json` has no field of its own for.
_UNNAMED = ("policy", "image_size", "render", "demo_seed")
_OF_THE_FILE = ("image_size", "render")  # which a file of demonstrations says, where one is named


def changed_options(config: DictConfig) -> dict[str, Any]:
    """Return the options of `config` that differ from the defaults of its task, protocol and policy.

    A policy with a name of its own is told by how it differs from the default one.

    Args:
        config: the options of `egorobot.train_bc`.

    Returns:
        By dotted name, sorted, such as `{"image_size": 84, "policy.steps": 500}`; with a + before
        the names of options that there are no defaults of, as Hydra wants them typed.
    """
    groups = ["task", "protocol", *(["policy"] if config.policy.name in choices("policy") else [])]
    default = load_config("train_bc", [f"{group}={config[group].name}" for group in groups])
    unnamed = [key for key in _UNNAMED if config.dataset is None or key not in _OF_THE_FILE]
    ours, theirs = (dict(_leaves({key: plain(options[key]) for key in unnamed})) for options in (config, default))
    changed = {name: ours[name] for name in sorted(ours) if name not in theirs or ours[name] != theirs[name]}
    return {name if name in theirs else f"+{name}": value for name, value in changed.items()}


def pretrain_options(config: DictConfig) -> DictConfig:
    """Return all options of `egorobot.pretrain`: its defaults, what `pretrain` changes, and where the encoder goes.

    Raises:
        UserError: `encoder` names no folder, or an option is unknown or does not fit.
    """
    from egorobot.policies.registry import NAMES

    if config.encoder in NAMES or ":" in config.encoder:
        raise UserError(f"pretrain writes to the folder that encoder= names, and {config.encoder} is none")
    overrides = [f"{name}={json.dumps(value)}" for name, value in _leaves(plain(config.pretrain))]
    check_overrides("pretrain", overrides)
    where = {"out": config.encoder, "num_workers": config.num_workers, "data_dir": config.data_dir}
    options = OmegaConf.merge(load_config("pretrain", overrides), where)
    assert isinstance(options, DictConfig)
    return options


def _leaves(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield options by dotted name, as they would be typed."""
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
