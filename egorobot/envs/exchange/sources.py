"""From what a person types after `source=` to the reader of that dataset."""

import importlib
from pathlib import Path

from egorobot.envs.exchange.episodes import Reader
from egorobot.errors import UserError

# By what stands before the colon; a source without one is an HDF5 file in D4RL's format.
READERS = {
    "minari": "egorobot.envs.exchange.minari_reader:MinariReader",
    "lerobot": "egorobot.envs.exchange.lerobot_reader:LeRobotReader",
}
D4RL_READER = "egorobot.envs.exchange.d4rl_file:D4RLFile"


def reader_for(source: str) -> Reader:
    """Return the reader of a dataset.

    Args:
        source: `minari:D4RL/kitchen/complete-v2`, or another prefix of `READERS`; or the path
            of an HDF5 file as D4RL writes it.

    Raises:
        UserError: there is no such dataset, a package that reads it is missing, or it is
            not one of the Franka Kitchen.
    """
    prefix, colon, rest = source.partition(":")
    known = bool(colon) and prefix in READERS
    if not known and not Path(source).is_file():
        prefixes = ", ".join(f"{name}:…" for name in READERS)
        raise UserError(f"no file at {source}: source= takes an HDF5 file of D4RL, or {prefixes}")
    module, name = (READERS[prefix] if known else D4RL_READER).split(":")
    reader: Reader = getattr(importlib.import_module(module), name)(rest if known else source)
    return reader
