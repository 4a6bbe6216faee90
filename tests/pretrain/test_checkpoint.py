"""Checkpoints: exact, never half-written, and only of their own training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from egorobot.errors import UserError
from egorobot.files import temporary_name
from egorobot.pretrain.batches import TrainingBatches
from egorobot.pretrain.checkpoint import CHECKPOINT_FILE, PREVIOUS_FILE, Checkpoints
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.objective import Objective
from egorobot.pretrain.optimization import make_optimizer
from egorobot.pretrain.options import PretrainOptions


class Run:
    """A model and its optimiser, one step a call."""

    def __init__(self, model: EgoVideo, batches: TrainingBatches, options: PretrainOptions) -> None:
        self.model, self.batches = model, batches
        self.optimizer = make_optimizer(model, options)

    def step(self, number: int) -> None:
        self.optimizer.zero_grad()
        Objective(Ranks()).backward(self.model, self.batches[number])
        self.optimizer.step()


@pytest.fixture
def run(tiny_model: EgoVideo, batches: TrainingBatches, tiny_options: PretrainOptions) -> Run:
    return Run(tiny_model, batches, tiny_options)


@pytest.fixture
def fresh(run: Run, batches: TrainingBatches, tiny_options: PretrainOptions) -> Run:
    return Run(EgoVideo(run.model.config, seed=9), batches, tiny_options)


def test_training_goes_on_as_if_it_had_not_stopped(run: Run, fresh: Run, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "options", Ranks())
    assert checkpoints.load(run.model, run.optimizer) == 0
    run.step(0)
    run.step(1)
    checkpoints.save(run.model, run.optimizer, 2)
    run.step(2)
    assert checkpoints.load(fresh.model, fresh.optimizer) == 2
    assert fresh.model.fingerprint != run.model.fingerprint
    fresh.step(2)
    assert fresh.model.fingerprint == run.model.fingerprint


def test_the_last_two_are_kept_and_a_damaged_one_is_passed_over(run: Run, fresh: Run, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "options", Ranks())
    for step in range(3):
        run.step(step)
        checkpoints.save(run.model, run.optimizer, step + 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT_FILE, PREVIOUS_FILE]
    last = tmp_path / CHECKPOINT_FILE
    last.write_bytes(last.read_bytes()[:1000])
    assert checkpoints.load(fresh.model, fresh.optimizer) == 2
    fresh.step(2)
    assert fresh.model.fingerprint == run.model.fingerprint
    last.unlink()  # killed between two renames
    assert checkpoints.load(fresh.model, fresh.optimizer) == 2
    checkpoints.remove()
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_of_something_else_are_one_line(run: Run, fresh: Run, tmp_path: Path) -> None:
    run.step(0)
    Checkpoints(tmp_path, "options", Ranks()).save(run.model, run.optimizer, 1)
    untouched = fresh.model.fingerprint
    with pytest.raises(UserError, match="other options"):
        Checkpoints(tmp_path, "other options", Ranks()).load(fresh.model, fresh.optimizer)
    deeper = EgoVideo(replace(run.model.config, depth=3))
    with pytest.raises(UserError, match="another model"):
        Checkpoints(tmp_path, "options", Ranks()).load(deeper, fresh.optimizer)
    for content in (b"", b"not a checkpoint"):
        (tmp_path / CHECKPOINT_FILE).write_bytes(content)
        with pytest.raises(UserError, match="is damaged") as caught:
            Checkpoints(tmp_path, "options", Ranks()).load(fresh.model, fresh.optimizer)
        assert "\n" not in str(caught.value)
    assert fresh.model.fingerprint == untouched


def test_a_checkpoint_holds_nothing_but_tensors_and_plain_values(run: Run, tmp_path: Path) -> None:
    run.step(0)
    Checkpoints(tmp_path, "options", Ranks()).save(run.model, run.optimizer, 1)
    state = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    assert state["step"] == 1 and state["model"].keys() == run.model.state_dict().keys()
    moments = state["optimizer"]["state"]
    assert moments.keys() == dict(run.model.named_parameters()).keys()  # by name, whoever holds them


def test_what_a_killed_process_left_is_removed(run: Run, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "options", Ranks())
    half = temporary_name(tmp_path / CHECKPOINT_FILE)
    half.write_bytes(b"half of")
    (tmp_path / ".other.pt").touch()
    checkpoints.load(run.model, run.optimizer)
    assert not half.exists() and (tmp_path / ".other.pt").exists()
