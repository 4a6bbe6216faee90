"""Make videos of a run's policy: one an episode, or a grid of many.

Each frame shows task, step and seed, and the last one whether the episode succeeded.

Examples:
    python -m egorobot.render run=runs/kitchen/microwave/egovideo_nano/bc_mlp/demos100/seed0
    python -m egorobot.render run=runs/kitchen/door/state/bc_mlp/demos100/seed0 episodes=[100000,100003] grid=true
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import gymnasium as gym
import numpy as np
from omegaconf import DictConfig
from tqdm import tqdm

from egorobot.cli import command
from egorobot.envs.camera_env import CameraEnv
from egorobot.envs.registration import register_envs
from egorobot.envs.rendering import camera_names
from egorobot.envs.scene import CAMERAS
from egorobot.errors import UserError
from egorobot.evaluate import load_checked_policy
from egorobot.files import check_out
from egorobot.policies.rollout import ActingPolicy, EpisodeResult, rollout
from egorobot.runs import read_config
from egorobot.videos import Frame, draw_caption, grid, write_video

MIN_SIZE = 64  # pixels: smaller, captions cannot be read


def render_run(
    run: str | Path,
    seeds: Sequence[int],
    out: str | Path | None = None,
    as_grid: bool = False,
    image_size: int = 224,
    num_workers: int | None = None,
) -> list[Path]:
    """Roll a run's policy out and write videos of what it did.

    Args:
        run: run folder.
        seeds: reset seeds of the episodes.
        out: folder for the videos; None is `videos` in the run folder.
        as_grid: one video with all episodes, instead of one for each.
        image_size: pixels of the video, or of a cell of the grid.
        num_workers: processes; None is one a core.

    Returns:
        The files written.

    Raises:
        UserError: no episode, a size out of range, or see `load_checked_policy`.
    """
    if not seeds or min(seeds) < 0 or image_size < MIN_SIZE:
        raise UserError(f"episodes={list(seeds)}, image_size={image_size}: a seed and {MIN_SIZE} pixels are needed")
    task = read_config(run).task.name
    policy = load_checked_policy(Path(run) / "policy.pth")
    folder = Path(run) / "videos" if out is None else Path(out)
    check_out(folder, folder=True)
    episodes = rollout(policy, seeds, num_workers, record=True, description="roll out")
    return draw_episodes(policy, episodes, task, folder, as_grid, image_size)


def draw_episodes(
    policy: ActingPolicy,
    episodes: Sequence[EpisodeResult],
    task: str,
    out: str | Path,
    as_grid: bool = False,
    image_size: int = 224,
) -> list[Path]:
    """Write videos of recorded episodes, as the cameras of their policy see them.

    Args:
        policy: whose environment they happened in.
        episodes: with their states.
        task: name of the task, drawn into the frames.
        out: folder for the videos.
        as_grid: one video with all episodes, instead of one for each.
        image_size: pixels of the video, or of a cell of the grid.

    Returns:
        The files written: `seed<seed>_<outcome>.mp4`, or `grid_<first seed>_<count>.mp4`.
    """
    register_envs()
    cameras = camera_names(policy.env_kwargs["camera"]) or (next(iter(CAMERAS)),)
    kwargs = policy.env_kwargs | {"camera": None, "num_frames": 1, "image_size": image_size}
    env = gym.make(policy.env_name, **kwargs).unwrapped
    assert isinstance(env, CameraEnv)
    videos = {video_path(out, episode): _frames(env, cameras, episode, task, image_size) for episode in episodes}
    if as_grid:
        path = Path(out) / f"grid_{episodes[0].seed}_{len(episodes)}.mp4"
        videos = {path: grid(list(videos.values()))}
    with closing(env):
        for path, frames in tqdm(videos.items(), "draw videos", unit="video"):
            write_video(path, frames)
    return list(videos)


def video_path(out: str | Path, episode: EpisodeResult) -> Path:
    """Return where the video of an episode goes in the folder `out`."""
    return Path(out) / f"seed{episode.seed}_{'success' if episode.success else 'failure'}.mp4"


def _frames(
    env: CameraEnv, cameras: Sequence[str], episode: EpisodeResult, task: str, image_size: int
) -> Iterator[Frame]:
    """Yield the captioned frames of an episode, its cameras side by side."""
    assert episode.states is not None
    for step, state in enumerate(episode.states):
        env.set_state(state)
        frame = np.concatenate([env.render_image(camera, image_size) for camera in cameras], axis=1)
        outcome = episode.success if step == episode.length else None
        yield draw_caption(frame, f"{task}  step {step}  seed {episode.seed}", outcome)


@command("render")
def main(config: DictConfig) -> None:
    """Roll out the run's policy on the chosen episodes, write their videos, print the files."""
    seeds = list(config.episodes)
    if not all(type(seed) is int for seed in seeds):
        raise UserError(f"episodes={seeds}: reset seeds are whole numbers")
    for path in render_run(config.run, seeds, config.out, config.grid, config.image_size, config.num_workers):
        print(path)


if __name__ == "__main__":
    main()
