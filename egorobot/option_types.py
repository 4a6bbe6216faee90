"""Whether options are of the kinds that they have to be: Hydra takes them as they are typed."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.errors import UserError

# Options of these names are text, or whole numbers above 0, whatever their default is ...
TEXTS = frozenset(
    (
        "captions", "clips", "data_dir", "dataset", "encoder", "folder", "gguf", "hod_csv", "init", "leaderboard",
        "narrations_csv", "out", "policy_name", "run", "run_dir", "runs_dir", "source", "tracks", "video_root",
    )
)  # fmt: skip
COUNTS = frozenset(("num_workers", "num_demos", "max_clips"))
# ... and others are what their default is, where that is one of these.
KINDS: dict[type, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (float, int), list: (list,)}
NEEDED = (bool, int, float, dict)  # null is none of them; a list, and some text, may be left out


def check_types(config: DictConfig, default: DictConfig) -> None:
    """Check the options of a command.

    Args:
        config: as they were given.
        default: as they are when none is given but the choices, such as policy=bc_rnn.

    Raises:
        UserError: one is of another kind.
    """
    _check(OmegaConf.to_container(config, resolve=True), OmegaConf.to_container(default, resolve=True))


def _check(config: Any, default: Any, prefix: str = "") -> None:
    for key, expected in default.items():
        if key not in config:  # taken out
            continue
        value, name = config[key], f"{prefix}{key}"
        if fault := _fault(key, value, expected):
            raise UserError(f"option '{name}={value}' {fault}")
        if isinstance(expected, dict):
            _check(value, expected, prefix=f"{name}.")


def _fault(key: str, value: Any, expected: Any) -> str | None:
    """Return what is wrong with the value of an option, None where nothing is."""
    if value is None:
        needed = isinstance(expected, NEEDED) or (key in TEXTS and expected is not None)
        return f"does not fit: its default is {expected!r}" if needed else None
    if key in TEXTS:
        return None if isinstance(value, str) else f"""is no text: quote a name twice, "'{value}'\""""
    if key in COUNTS:
        return None if type(value) is int and value > 0 else "does not fit: a whole number is needed, 1 or more"
    if isinstance(expected, dict):
        return None if isinstance(value, dict) else f"does not fit: its default is {expected!r}"
    kinds = KINDS.get(type(expected), (object,))
    wrong_bool = isinstance(value, bool) and type(expected) in (int, float)
    return None if isinstance(value, kinds) and not wrong_bool else f"does not fit: its default is {expected!r}"
