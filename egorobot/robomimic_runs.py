"""Run folders for policies that robomimic's own training made, so that the leaderboard counts them."""

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorobot.envs.demonstrations import DemoInfo
from egorobot.errors import UserError
from egorobot.evaluate import evaluation_seeds, load_checked_policy, summarize
from egorobot.files import atomic_path, digest, write_text
from egorobot.policies.rollout import rollout
from egorobot.runs import SCHEMA, git_commit, versions, write_result


@dataclass(frozen=True)
class Origin:
    """Where a policy comes from.

    Attributes:
        checkpoint: robomimic's file.
        content: the checkpoint, as one of ours.
        info: of the demonstrations that it was trained on.
        indices: which of them.
        policy: its name in results.
    """

    checkpoint: Path
    content: dict[str, Any]
    info: DemoInfo
    indices: tuple[int, ...]
    policy: str


def evaluate_checkpoint(
    checkpoint: str | Path,
    out: str | Path | None = None,
    dataset: str | Path | None = None,
    policy: str | None = None,
    episodes: int = 50,
    first_seed: int = 100_000,
    num_workers: int | None = None,
) -> dict[str, Any]:
    """Evaluate a checkpoint of robomimic's own training, and make a run folder of it.

    Args:
        checkpoint: `models/model_epoch_*.pth` of robomimic's output folder; left as it is.
        out: the run folder, new or empty; None writes nothing.
        dataset: the HDF5 file that it was trained on; None is where it then was.
        policy: name in the result; None is `robomimic_` and the name of its experiment.
        episodes: number of episodes.
        first_seed: reset seed of the first; the others follow it.
        num_workers: processes; None is one a core.

    Returns:
        What `result.json` holds. Times of stages other than the evaluation are 0: robomimic
        does not record them.

    Raises:
        UserError: the checkpoint or its dataset is missing, damaged or of another kind, or
            `out` is not empty.
    """
    seeds = evaluation_seeds(episodes, first_seed)
    folder = None if out is None else Path(out)
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: choose another out=")
    origin = _origin(Path(checkpoint), dataset, policy)
    loaded = load_checked_policy(checkpoint)
    began = time.perf_counter()
    evaluation = summarize(
        rollout(loaded, seeds, num_workers, description="evaluate"), checkpoint=Path(checkpoint).stem
    )
    result = _result(origin, evaluation, time.perf_counter() - began)
    if folder is not None:
        _write_checkpoint(folder / "policy.pth", origin)
        write_text(folder / "config.yaml", _config(origin, result))
        write_result(folder, result)
    return result


def _origin(checkpoint: Path, dataset: str | Path | None, policy: str | None) -> Origin:
    from egorobot.policies.checkpoint import read_checkpoint
    from egorobot.policies.robomimic_checkpoint import TRAINER, training_demonstrations

    content = read_checkpoint(checkpoint)
    description = content["egorobot"]
    if description.get("trainer") != TRAINER:
        raise UserError(f"{checkpoint} was trained by egorobot: name its run folder, run={checkpoint.parent}")
    info, indices = training_demonstrations(description, dataset)
    env = content["env_metadata"]
    if (env["env_name"], env["render_fingerprint"]) != (info.env_name, info.render_fingerprint):
        raise UserError(
            f"{checkpoint} was trained on {env['env_name']}, but {info.path} holds {info.env_name} or other images"
        )
    return Origin(checkpoint, content, info, indices, policy or description["policy"])


def _result(origin: Origin, evaluation: dict[str, Any], seconds: float) -> dict[str, Any]:
    description, info = origin.content["egorobot"], origin.info
    return {
        "schema": SCHEMA,
        "task": info.task,
        "protocol": info.protocol,
        "camera": info.env_kwargs["camera"] or [],
        "encoder": {key: description["encoder"][key] for key in ("name", "fingerprint", "dim")},
        "policy": origin.policy,
        "num_demos": len(origin.indices),
        "seed": description["seed"],
        "eval": evaluation,
        "eval_max": None,
        "wall_time_s": {"demos": 0, "embed": 0, "train": 0, "eval": round(seconds, 2)},
        "versions": versions(),
        "render_fingerprint": info.render_fingerprint,
        "git_commit": git_commit(),
        "trainer": description["trainer"],
    }


def _config(origin: Origin, result: dict[str, Any]) -> str:
    """Return the run's config.yaml: what train_bc's says, as far as robomimic's training has it."""
    from omegaconf import OmegaConf

    kwargs = origin.info.env_kwargs
    config = {
        "task": {"name": result["task"]},
        "protocol": {"name": result["protocol"]},
        "policy": {"name": result["policy"]},
        "encoder": result["encoder"]["name"],
        "seed": result["seed"],
        "num_demos": result["num_demos"],
        "demo_seed": origin.info.env_args.get("collect", {}).get("seed", 0),
        **{key: kwargs[key] for key in ("image_size", "render")},
        "camera": result["camera"],
        "episodes": result["eval"]["episodes"],
        "eval_max": False,
        "robomimic": {
            "checkpoint": str(origin.checkpoint),
            "dataset": str(origin.info.path),
            "filter_key": origin.content["egorobot"]["filter_key"],
        },
    }
    return OmegaConf.to_yaml(OmegaConf.create(config))


def _write_checkpoint(path: Path, origin: Origin) -> None:
    """Write the policy with what it was trained on beside it, so that every command takes it for a run's."""
    import torch

    told = {
        "policy": origin.policy,
        "task": origin.info.task,
        "num_demos": len(origin.indices),
        "dataset": str(origin.info.path),
        "dataset_fingerprint": digest(origin.info.env_name, *(origin.info.digests[i] for i in origin.indices)),
    }
    buffer = io.BytesIO()  # torch.save writes a file's name into it
    torch.save({**origin.content, "egorobot": origin.content["egorobot"] | told}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
