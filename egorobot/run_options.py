"""What the options of a run amount to: whether they fit, how they differ from defaults, and how its encoder is made."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.cli import check_overrides, choices, load_config
from egorobot.envs.camera_env import MIN_IMAGE_SIZE
from egorobot.envs.rendering import camera_names
from egorobot.envs.scene import get_render_preset
from egorobot.errors import UserError
from egorobot.runs import path_safe, plain

# Options that a run's outcome depends on and that `result.json` has no other field for.
_UNNAMED = ("policy", "image_size", "render", "demo_seed")
_OF_DEMONSTRATIONS = ("image_size", "render", "demo_seed")  # of no account where a file of them is named


def check_options(config: DictConfig) -> None:
    """Check what can be known of the options of `egorobot.train_bc` before a run folder is made for them.

    Raises:
        UserError: a number is too small, or a name is unknown.
    """
    from egorobot.policies.registry import END_TO_END, NO_ENCODER

    smallest = {"num_demos": 1, "videos": 0, "seed": 0, "demo_seed": 0, "image_size": MIN_IMAGE_SIZE}
    if config.policy.readout is not None and config.encoder not in (NO_ENCODER, END_TO_END):
        smallest["num_demos"] = 2
    for name, least in smallest.items():
        if config[name] < least:
            raise UserError(f"{name}={config[name]}: at least {least} is needed")
    camera_names(plain(config.camera))
    get_render_preset(config.render)


def find_overrides(config: DictConfig) -> dict[str, Any]:
    """Return the options of `config` that differ from the defaults of its task, protocol and policy.

    A policy with a name of its own is told by how it differs from the default one.

    Args:
        config: the options of `egorobot.train_bc`, those of its dataset among them.

    Returns:
        Values by dotted name, such as `{"image_size": 84, "policy.steps": 500}`. Names are as Hydra
        wants them typed: with + before those that defaults lack, with ~ before those that were
        removed, whose value is null.
    """
    from_file = config.dataset is not None
    default = _defaults(config, ("policy",) if from_file else ("task", "protocol", "policy"))
    names = [name for name in _UNNAMED if not (from_file and name in _OF_DEMONSTRATIONS)]
    ours, theirs = ({name: plain(options[name]) for name in names} for options in (config, default))
    return dict(sorted(_differences(ours, theirs), key=lambda override: override[0].lstrip("+~")))


def _defaults(config: DictConfig, groups: Iterable[str]) -> DictConfig:
    """Return the options as they are when nothing but the choices of some groups is given."""
    chosen = [(group, config[group].name) for group in groups]
    return load_config("train_bc", [f"{group}={name}" for group, name in chosen if name in choices(group)])


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key in ours.keys() | theirs.keys():
        name = f"{prefix}{key}"
        if key not in ours:
            yield f"~{name}", None
        elif key not in theirs:
            yield from ((f"+{leaf}", value) for leaf, value in _leaves({name: ours[key]}))
        elif isinstance(ours[key], dict) and isinstance(theirs[key], dict):
            yield from _differences(ours[key], theirs[key], f"{name}.")
        elif ours[key] != theirs[key]:
            yield name, ours[key]


def describe_changes(overrides: Mapping[str, Any], dataset: str | None) -> list[str]:
    """Return what tells a run from those with the defaults of its task, protocol and policy: `["steps=500"]`.

    Args:
        overrides: as from `find_overrides`; the name that a policy was given is left out.
        dataset: file of demonstrations that it learns from, named by its stem; None for none.
    """
    named = [type_override(name, value) for name, value in overrides.items() if name != "policy.name"]
    changes = [re.sub(r"^([+~]?)policy\.", r"\1", change).lstrip("+") for change in named]
    return changes if dataset is None else [*changes, f"dataset={Path(dataset).stem}"]


def run_folder(config: DictConfig) -> Path:
    """Return `config.run_dir`, or the folder that the layout gives this configuration."""
    if config.run_dir is not None:
        return Path(config.run_dir)
    changes = describe_changes(find_overrides(config), config.dataset)
    if config.dataset is None:
        camera, default = (plain(options.camera) for options in (config, _defaults(config, ("protocol",))))
        changes += [f"camera={camera}"] if camera != default else []
    policy = [path_safe(config.policy.name), *([path_safe(" ".join(changes))] if changes else [])]
    parts = (config.protocol.name, config.task.name, path_safe(config.encoder), "_".join(policy))
    return Path(config.runs_dir, *parts, f"demos{config.num_demos}", f"seed{config.seed}")


def type_override(name: str, value: Any) -> str:
    """Return one of `find_overrides` as it is typed, before it is quoted for a shell."""
    return name if name.startswith("~") else f"{name}={json.dumps(value, ensure_ascii=False)}"


def pretrain_options(config: DictConfig) -> DictConfig:
    """Return all options of `egorobot.pretrain`: its defaults, what `pretrain` changes, and where the encoder goes.

    Raises:
        UserError: `encoder` names no folder, or an option is unknown or does not fit.
    """
    from egorobot.policies.registry import NAMES

    if not isinstance(config.pretrain, DictConfig):
        raise UserError(f"pretrain={config.pretrain}: options are wanted, as in 'pretrain={{steps: 2000}}'")
    if config.encoder in NAMES or ":" in config.encoder:
        raise UserError(f"pretrain writes to the folder that encoder= names, and {config.encoder} is none")
    overrides = [type_override(name, value) for name, value in _leaves(plain(config.pretrain))]
    check_overrides("pretrain", overrides)
    where = {"out": config.encoder, "num_workers": config.num_workers, "data_dir": config.data_dir}
    options = OmegaConf.merge(load_config("pretrain", overrides), where)
    assert isinstance(options, DictConfig)
    return options


def _leaves(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield options by dotted name."""
    for key, value in options.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
