"""Reading demonstrations: robomimic's HDF5, checked before anything trusts it.

Layout: `data/demo_i/{actions,rewards,dones,states}`, `data/demo_i/obs/{<camera>_image,
proprio,state}`, `mask/{train,valid}`, and `data.attrs["env_args"]`, JSON from which the
very same environment can be rebuilt. It also says where the demonstrations are from: in
`collect` which seeds of the expert, or in `import` which dataset of somebody else.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.d4rl_tasks import D4RL_TASKS, HORIZON
from egorobot.envs.protocols import get_protocol
from egorobot.envs.rendering import camera_names, env_render_fingerprint
from egorobot.envs.tasks import TASKS, get_task
from egorobot.errors import UserError
from egorobot.files import digest

# Demonstrations are reset with seeds DEMO_SEED_STRIDE * (1 + seed) + i, evaluation
# episodes with EVAL_SEED_START + k: the two never meet.
DEMO_SEED_STRIDE = 1_000_000
EVAL_SEED_START = 100_000

GYM_TYPE = 2  # robomimic.envs.env_base.EnvType.GYM_TYPE
# Every tenth demonstration validates, so that extending a file moves none.
VALID_EVERY = 10


def first_demo_seed(seed: int) -> int:
    """Return the first reset seed tried for the demonstrations of `seed`."""
    return DEMO_SEED_STRIDE * (1 + seed)


def demonstrations_path(
    data_dir: str | Path,
    protocol: str,
    task: str,
    camera: str | Sequence[str] | None,
    image_size: int,
    seed: int,
    render: str = "fast",
) -> Path:
    """Return where demonstrations are kept unless asked otherwise."""
    return Path(data_dir) / protocol / task / f"{looks(camera, image_size, render)}_seed{seed}.hdf5"


def looks(camera: str | Sequence[str] | None, image_size: int, render: str) -> str:
    """Return what file names say of how images are drawn, such as `left_cap2_112px`."""
    cameras = "+".join(camera_names(camera)) or "blind"
    return f"{cameras}_{image_size}px" + ("" if render == "fast" else f"_{render}")


def env_kwargs(protocol: str, camera: str | Sequence[str] | None, image_size: int, render: str) -> dict[str, Any]:
    """Return the arguments of `gymnasium.make` that demonstrations and evaluation share."""
    names = camera_names(camera)
    return {
        "protocol": protocol,
        "camera": names[0] if len(names) == 1 else list(names) or None,
        "image_size": image_size,
        "render": render,
    }


@dataclass(frozen=True)
class DemoInfo:
    """What a file of demonstrations holds.

    Attributes:
        path: the file.
        task: name of the task.
        env_args: what `data.attrs["env_args"]` says.
        obs_keys: keys of the observations.
        lengths: control steps of each demonstration.
        seeds: reset seed of each demonstration; None where an imported dataset does not tell.
        digests: hash of the content of each demonstration.
    """

    path: Path
    task: str
    env_args: dict[str, Any]
    obs_keys: tuple[str, ...]
    lengths: tuple[int, ...]
    seeds: tuple[int | None, ...]
    digests: tuple[str, ...]

    @property
    def num_demos(self) -> int:
        """Number of demonstrations in the file."""
        return len(self.lengths)

    @property
    def env_name(self) -> str:
        """Gymnasium id of the environment."""
        return str(self.env_args["env_name"])

    @property
    def env_kwargs(self) -> dict[str, Any]:
        """Arguments with which `gymnasium.make` rebuilds the environment."""
        return dict(self.env_args["env_kwargs"])

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return str(self.env_kwargs.get("protocol", "d4rl"))

    @property
    def horizon(self) -> int:
        """Control steps of an episode of the environment."""
        return HORIZON if self.protocol == "d4rl" else get_protocol(self.protocol).horizon

    @property
    def imported(self) -> dict[str, Any] | None:
        """What an imported file says of its source; None for one that was collected."""
        return self.env_args.get("import")

    @property
    def render_fingerprint(self) -> str:
        """Hash of an image of a fixed state, drawn where the file was collected."""
        return str(self.env_args["render_fingerprint"])

    @property
    def image_keys(self) -> tuple[str, ...]:
        """Keys of the observations that are images."""
        return tuple(key for key in self.obs_keys if key.endswith("_image"))

    def fingerprint(self, num_demos: int | None = None) -> str:
        """Return a hash of the content of the first `num_demos` demonstrations (None: all)."""
        return digest(self.env_name, *self.digests[:num_demos])

    def tries(self, num_demos: int | None = None) -> int:
        """Return how many seeds the expert tried for the first `num_demos` demonstrations.

        Raises:
            ValueError: the demonstrations are not the expert's.
        """
        num_demos = self.num_demos if num_demos is None else num_demos
        if num_demos == 0:
            return 0
        last = self.seeds[num_demos - 1]
        if self.imported is not None or last is None:
            raise ValueError(f"{self.path} was imported: no expert tried seeds for it")
        return last - first_demo_seed(self.env_args["collect"]["seed"]) + 1


def open_demonstrations(
    path: str | Path, num_demos: int = 1, task: str | None = None, kwargs: dict[str, Any] | None = None
) -> DemoInfo:
    """Check a file of demonstrations and return what it holds.

    Args:
        path: HDF5 file written by `egorobot.collect` or `egorobot.import_dataset`.
        num_demos: demonstrations that it must at least hold.
        task: name of the task that it must be of; None is any.
        kwargs: `env_kwargs` that it must have been collected with; None is any.

    Raises:
        UserError: the file is missing, cut short, not HDF5, not ours, of another task or
            other settings, drawn unlike images are drawn here, or holds too few.
    """
    info = read_info(path)
    if info.num_demos < num_demos:
        mend = f"egorobot.collect with its settings, num_demos={num_demos} and out={info.path} extends it"
        if info.imported is not None:
            mend = f"it was imported, so ask for num_demos={info.num_demos} at most"
        raise UserError(f"{info.path} holds {info.num_demos} demonstrations, fewer than {num_demos}: {mend}")
    if task is not None and info.task != (task if task in D4RL_TASKS else get_task(task).name):
        raise UserError(f"{info.path} holds demonstrations of '{info.task}', not '{task}': choose another file")
    for key, wanted in (kwargs or {}).items():
        if info.env_kwargs.get(key) != wanted:
            raise UserError(
                f"{info.path} was collected with {key}={info.env_kwargs.get(key)}, not {wanted}: choose another file"
            )
    here = env_render_fingerprint(info.env_kwargs)
    if info.render_fingerprint != here:
        raise UserError(
            f"{info.path} was drawn unlike images are drawn here (render fingerprint {info.render_fingerprint}, "
            f"here {here}): another OpenGL driver, MuJoCo or egorobot; move it away and collect anew on this machine"
        )
    return info


def read_info(path: str | Path) -> DemoInfo:
    """Return what a file of demonstrations says that it holds.

    Raises:
        UserError: the file is missing, cut short, not HDF5, or not ours.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no demonstrations at {path}: python -m egorobot.collect makes them")
    try:
        with h5py.File(path, "r") as file:
            return _read_info(path, file)
    except OSError as error:
        raise UserError(f"{path} is damaged, cut short, or no HDF5 file: delete it and collect again") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} holds no demonstrations of egorobot ({error}): choose another file") from error


def _read_info(path: Path, file: h5py.File) -> DemoInfo:
    data = file["data"]
    if "env_args" not in data.attrs:
        raise KeyError("no data.attrs['env_args']")
    args = json.loads(data.attrs["env_args"])
    tasks = {task.env_id: task.name for task in TASKS.values()}
    tasks |= {task.env_id: task.name for task in D4RL_TASKS.values()}
    if args.get("env_name") not in tasks:
        raise ValueError(f"env_name is {args.get('env_name')}")
    for key in ("env_kwargs", "render_fingerprint"):
        if key not in args:
            raise KeyError(f"no {key} in env_args")
    if "collect" not in args and "import" not in args:
        raise KeyError("neither collect nor import in env_args")
    demos = [data[f"demo_{i}"] for i in range(len(data))]
    return DemoInfo(
        path=path,
        task=tasks[args["env_name"]],
        env_args=args,
        obs_keys=tuple(sorted(demos[0]["obs"])) if demos else (),
        lengths=tuple(int(demo.attrs["num_samples"]) for demo in demos),
        seeds=tuple(_seed(demo, needed="collect" in args) for demo in demos),
        digests=tuple(str(demo.attrs["digest"]) for demo in demos),
    )


def _seed(demo: h5py.Group, needed: bool) -> int | None:
    return int(demo.attrs["seed"]) if needed or "seed" in demo.attrs else None


@dataclass(frozen=True)
class Demo:
    """One demonstration of N steps.

    Attributes:
        index: its number in the file.
        actions: the expert's actions, (N, 9) float32 in [-1, 1].
        states: exact physics states before each action, (N, S) float64.
        observations: arrays (N, ...) by key: images uint8 (N, H, W, 3), `proprio`
            float32 (N, 9), `state` float32 (N, 24).
    """

    index: int
    actions: NDArray[np.float32]
    states: NDArray[np.float64]
    observations: dict[str, NDArray[Any]]


def iterate_demos(info: DemoInfo, num_demos: int | None = None, keys: Sequence[str] | None = None) -> Iterator[Demo]:
    """Yield the first `num_demos` demonstrations, one in memory at a time.

    Args:
        info: of the file.
        num_demos: None is all of them.
        keys: observations to read; None is all of them.

    Raises:
        UserError: the content of the file is damaged.
    """
    with h5py.File(info.path, "r") as file:
        for index in range(info.num_demos if num_demos is None else num_demos):
            yield _read_demo(file, info, index, keys)


def read_demo(info: DemoInfo, index: int, keys: Sequence[str] | None = None) -> Demo:
    """Return one demonstration; see `iterate_demos`."""
    with h5py.File(info.path, "r") as file:
        return _read_demo(file, info, index, keys)


def _read_demo(file: h5py.File, info: DemoInfo, index: int, keys: Sequence[str] | None) -> Demo:
    group = file[f"data/demo_{index}"]
    try:
        observations = {key: group["obs"][key][()] for key in (info.obs_keys if keys is None else keys)}
        return Demo(index, group["actions"][()], group["states"][()], observations)
    except OSError as error:
        raise UserError(f"{info.path}, demo_{index} is damaged: delete the file and collect again") from error
