"""The stages of a run: what is finished, from which inputs, and who is at work.

A run folder belongs to one configuration. `.progress.json` says which stages are finished
and from which inputs, so that a killed run goes on from there; `.lock` keeps a second
process out.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.errors import UserError
from egorobot.files import sole_user, write_json, write_text
from egorobot.runs import DECISIVE, plain, read_config, shorten


class Run:
    """One run folder.

    Attributes:
        folder: the folder itself.
        inputs: fingerprints of what finished stages were made from.
        seconds: wall time of each finished stage.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.inputs: dict[str, str] = {}
        self.seconds: dict[str, float] = {}

    @property
    def config_path(self) -> Path:
        """The resolved options of the run."""
        return self.folder / "config.yaml"

    @property
    def policy_path(self) -> Path:
        """The checkpoint of the trained policy."""
        return self.folder / "policy.pth"

    @property
    def result_path(self) -> Path:
        """The result, present once the evaluation has finished."""
        return self.folder / "result.json"

    @property
    def videos(self) -> Path:
        """The folder of rollout videos."""
        return self.folder / "videos"

    @property
    def _progress_path(self) -> Path:
        return self.folder / ".progress.json"

    @contextmanager
    def open(self, config: DictConfig) -> Iterator[None]:
        """Claim the folder for `config` and this process, making it if need be.

        Raises:
            BusyError: another process is at work here.
            UserError: the folder belongs to another configuration, or holds something that
                is not a run.
        """
        self._check_foreign()
        self.folder.mkdir(parents=True, exist_ok=True)
        only_read = self.result_path.exists() and not os.access(self.folder, os.W_OK)
        with nullcontext() if only_read else sole_user(self.folder, "a run"):
            self._claim(config)
            self._read_progress()
            yield

    def _check_foreign(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is not a folder: choose another run_dir=…")
        if self.folder.is_dir() and not self.config_path.exists():
            others = [p.name for p in self.folder.iterdir() if not p.name.startswith(".")]
            if others:
                raise UserError(f"{self.folder} holds {others[0]} but is not a run folder: choose another run_dir=…")

    def _claim(self, config: DictConfig) -> None:
        if not self.config_path.exists():
            write_text(self.config_path, OmegaConf.to_yaml(config, resolve=True))
            return
        there = read_config(self.folder)
        # Episodes come one after another, so that more can be added, and fewer are there already;
        # the best of several checkpoints is another one with another number.
        free = () if there.eval_max else ("episodes",)
        for key in DECISIVE:
            old, new = (plain(OmegaConf.select(c, key)) for c in (there, config))
            if old != new and key not in free:
                raise self._mismatch(_difference(key, old, new).replace(".name=", "=", 1))
        if there.get("dataset") != config.dataset:
            raise self._mismatch(f"dataset={there.get('dataset')} there, {config.dataset} here")
        if config.episodes > there.episodes or (config.episodes < there.episodes and not self.result_path.exists()):
            there.episodes = config.episodes
            write_text(self.config_path, OmegaConf.to_yaml(there))

    def _mismatch(self, difference: str) -> UserError:
        return UserError(
            f"{self.folder} belongs to another configuration ({difference}): choose run_dir=… for this one"
        )

    def _read_progress(self) -> None:
        if not self._progress_path.exists():
            return
        try:
            progress = json.loads(self._progress_path.read_text(encoding="utf-8"))
            self.inputs, self.seconds = dict(progress["inputs"]), dict(progress["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._progress_path} is damaged: delete {self.folder} and run again") from error

    def require(self, name: str, fingerprint: str) -> None:
        """Record that the run is made from `fingerprint`, or check that it was.

        Raises:
            UserError: stages of this run were made from another one.
        """
        there = self.inputs.setdefault(name, fingerprint)
        if there != fingerprint:
            raise self._mismatch(f"{name} fingerprint {there} there, {fingerprint} here")

    def finished(self, stage: str) -> bool:
        """Return whether `stage` has been finished, by this process or an earlier one."""
        return stage in self.seconds

    def finish(self, stage: str, seconds: float) -> None:
        """Record that the outputs of `stage` are complete."""
        self.seconds[stage] = round(seconds, 2)
        write_json(self._progress_path, {"inputs": self.inputs, "seconds": self.seconds})


def _difference(key: str, old: Any, new: Any) -> str:
    """Return in words how two values of an option differ; of nested ones, the first that does."""
    absent = object()
    while isinstance(old, dict) and isinstance(new, dict):
        name = min(name for name in old.keys() | new.keys() if old.get(name, absent) != new.get(name, absent))
        key, old, new = f"{key}.{name}", old.get(name, absent), new.get(name, absent)
    there, here = ("nothing" if value is absent else shorten(value) for value in (old, new))
    return f"{key}={there} there, {here} here"
