"""Write demonstrations in the format of another library: LeRobot's, or Minari's.

    python -m egorobot.export_dataset source=data/kitchen/microwave/left_cap2_112px_seed0.hdf5 out=exports/microwave
    python -m egorobot.export_dataset run=runs/kitchen/knob/state/bc_mlp/demos100/seed0 out=exports/knob
    python -m egorobot.export_dataset source=demos.hdf5 format=minari out=egorobot/microwave/expert-v0

format=lerobot writes the folder of a LeRobotDataset v3.0: Parquet, and MP4 or PNG. format=minari writes a
dataset into Minari's own folder, under the id that out= gives. Both keep the exact physics states.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from egorobot.cli import command
from egorobot.envs.demonstrations import DemoInfo, demonstrations_path, open_demonstrations, read_info
from egorobot.envs.exchange.recorded import Recorded, recorded_demos
from egorobot.errors import UserError
from egorobot.files import digest
from egorobot.runs import read_config

FORMATS = ("lerobot", "minari")
IMAGES = ("video", "png")


@dataclass(frozen=True)
class Selection:
    """Demonstrations to be exported.

    Attributes:
        info: of their file.
        indices: which of them.
    """

    info: DemoInfo
    indices: tuple[int, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of their content; of the first ones of a file the same as `DemoInfo.fingerprint`."""
        return digest(self.info.env_name, *(self.info.digests[index] for index in self.indices))


def select_from_file(source: str | Path, num_demos: int | None = None) -> Selection:
    """Return the first `num_demos` demonstrations of a file; None is all of them.

    Raises:
        UserError: the file is missing, damaged or not ours, or holds too few.
    """
    info = read_info(source)
    count = info.num_demos if num_demos is None else num_demos
    if not 1 <= count <= info.num_demos:
        raise UserError(f"{info.path} holds {info.num_demos} demonstrations: num_demos={count} is none of 1 to that")
    return Selection(info, tuple(range(count)))


def select_from_run(run: str | Path) -> Selection:
    """Return the demonstrations that the policy of a run was trained on.

    Raises:
        UserError: the folder is no run with a policy, or its demonstrations are not there or
            are others now.
    """
    from egorobot.policies.checkpoint import read_checkpoint
    from egorobot.policies.robomimic_checkpoint import TRAINER, training_demonstrations

    config = read_config(run)
    told = read_checkpoint(Path(run) / "policy.pth")["egorobot"]
    if told.get("trainer") == TRAINER:
        selection = Selection(*training_demonstrations(told))
    else:
        selection = select_from_file(_path_of_run(config), config.num_demos)
    if selection.fingerprint != told["dataset_fingerprint"]:
        raise UserError(
            f"{selection.info.path} holds other demonstrations than {run} was trained on: source= takes a file"
        )
    return selection


def _path_of_run(config: DictConfig) -> Path:
    camera: Any = OmegaConf.to_container(config.camera) if OmegaConf.is_config(config.camera) else config.camera
    if config.get("dataset") is not None:
        return Path(config.dataset)
    where = (config.protocol.name, config.task.name, camera, config.image_size, config.demo_seed, config.render)
    return demonstrations_path(config.get("data_dir", "data"), *where)


def export_dataset(
    selection: Selection,
    out: str,
    format: str = "lerobot",
    images: str = "video",
    pix_fmt: str = "yuv444p",
    crf: int = 0,
) -> Path:
    """Write demonstrations in the format of another library.

    Args:
        selection: which.
        out: new folder for `lerobot`; id of the dataset for `minari`.
        format: `lerobot` or `minari`.
        images: of `lerobot`: `video`, or `png`, exact and larger.
        pix_fmt: of videos; see `VideoSettings`.
        crf: of videos; see `VideoSettings`.

    Returns:
        The folder written.

    Raises:
        UserError: an option out of range, a package that is missing, something at `out`
            already, or demonstrations that are damaged; then nothing is written.
    """
    if format not in FORMATS or images not in IMAGES:
        raise UserError(f"format={format}, images={images}: choose {' or '.join(FORMATS)}, and {' or '.join(IMAGES)}")
    info, count = selection.info, len(selection.indices)
    if format == "minari":
        from egorobot.envs.exchange.minari_writer import write_minari

        open_demonstrations(info.path)  # the last image of an episode is drawn here
        with tqdm(total=count, desc="export to Minari", unit="demo") as bar:
            return write_minari(out, info, _counted(recorded_demos(info, selection.indices), bar))
    from egorobot.envs.exchange.lerobot_video import VideoSettings
    from egorobot.envs.exchange.lerobot_writer import write_lerobot

    video = VideoSettings(pix_fmt, crf) if images == "video" else None
    with tqdm(total=count, desc="export to LeRobot", unit="demo") as bar:
        return write_lerobot(out, info, _counted(recorded_demos(info, selection.indices), bar), video)


def _counted(demos: Iterable[Recorded], bar: "tqdm[Any]") -> Iterator[Recorded]:
    for demo in demos:
        yield demo
        bar.update()


def _select(config: DictConfig) -> Selection:
    if (config.source is None) == (config.run is None):
        raise UserError("source= names a file of demonstrations, run= a run folder: give one of them")
    if config.run is None:
        return select_from_file(config.source, config.num_demos)
    if config.num_demos is not None:
        raise UserError("num_demos= goes with source=: run= takes those that the run was trained on")
    return select_from_run(config.run)


@command("export_dataset")
def main(config: DictConfig) -> None:
    """Export what the options ask for, and print where it is."""
    selection = _select(config)
    path = export_dataset(selection, config.out, config.format, config.images, config.pix_fmt, config.crf)
    info = selection.info
    steps = sum(info.lengths[index] for index in selection.indices)
    print(f"{len(selection.indices)} demonstrations of {info.task}, {steps} steps")
    print(path)


if __name__ == "__main__":
    main()
