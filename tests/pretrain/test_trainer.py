"""The loop: it stops before it spoils the weights, notes bad clips, and writes its numbers."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from egorobot.errors import UserError
from egorobot.pretrain.batches import TrainingBatches
from egorobot.pretrain.checkpoint import CHECKPOINT_FILE
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.folder import read_folder
from egorobot.pretrain.objective import Objective
from egorobot.pretrain.options import CorpusOptions, PretrainOptions, RunOptions
from egorobot.pretrain.train import pretrain

HOW = RunOptions(loader_workers=0, checkpoint_every=1)

pytestmark = pytest.mark.usefixtures("tiny_sources")


def scalars(folder: Path) -> dict[str, list[float]]:
    events = EventAccumulator(str(folder / "metrics"))
    events.Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_finite_stops_before_the_step_and_names_the_clips(
    tiny_options: PretrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    steps: list[int] = []
    backward = Objective.backward

    def poisoned(self: Objective, model: torch.nn.Module, batch: Any) -> torch.Tensor:
        loss = backward(self, model, batch)
        steps.append(len(steps))
        if len(steps) == 3:
            if what == "loss":
                return loss * float("nan")
            next(model.parameters()).grad.fill_(float("inf"))  # type: ignore[union-attr]
        return loss

    monkeypatch.setattr(Objective, "backward", poisoned)
    with pytest.raises(UserError, match="not finite at step 2") as caught:
        pretrain(tmp_path / "out", tiny_options, HOW)
    assert "\n" not in str(caught.value)
    told = json.loads((tmp_path / "out" / "bad_batch.json").read_text())
    assert told["step"] == 2 and len(told["clips"]) == 8
    assert all(clip in str(caught.value) for clip in told["clips"][:3])
    state = torch.load(tmp_path / "out" / CHECKPOINT_FILE, weights_only=True)
    assert state["step"] == 2 and all(tensor.isfinite().all() for tensor in state["model"].values())
    monkeypatch.setattr(Objective, "backward", backward)
    pretrain(tmp_path / "out", tiny_options, HOW)  # goes on from there
    assert not (tmp_path / "out" / "bad_batch.json").exists()


def test_a_learning_rate_beyond_reason_is_told(tiny_options: PretrainOptions, tmp_path: Path) -> None:
    options = replace(tiny_options, learning_rate=1e30, steps=20, precision="float32", warmup=0.0)
    with pytest.raises(UserError, match="try a lower learning_rate"):
        pretrain(tmp_path, options, HOW)


def test_bad_clips_are_noted_once_and_too_many_stop_training(
    tiny_options: PretrainOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = CorpusOptions({"name": "singles", "num_clips": 24, "bad": [3, 4]})
    options = replace(tiny_options, corpora={**tiny_options.corpora, "main": bad}, steps=6)
    pretrain(tmp_path / "a", options, replace(HOW, max_bad_share=0.5))
    lines = (tmp_path / "a" / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in sorted(lines)] == ["clip 3 is bad", "clip 4 is bad"]
    assert scalars(tmp_path / "a")["bad_clips"][-1] == 2 and "2 bad clips" in capsys.readouterr().err
    with pytest.raises(UserError, match="max_bad_share"):
        pretrain(tmp_path / "b", options, replace(HOW, max_bad_share=0.0))


def test_bad_clips_that_are_held_out_are_noted_as_well(tiny_options: PretrainOptions, tmp_path: Path) -> None:
    corpus = CorpusOptions({"name": "singles", "num_clips": 24, "bad": [23]})
    result = pretrain(tmp_path, replace(tiny_options, corpora={"main": corpus}), replace(HOW, max_bad_share=0.5))
    (line,) = (tmp_path / "quarantine.jsonl").read_text().splitlines()
    assert json.loads(line) == {"clip_id": "singles/23", "reason": "clip 23 is bad"}
    assert result.clips < 24 - 1


def test_numbers_of_each_step_and_of_validations_go_to_tensorboard(
    tiny_options: PretrainOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain(tmp_path, tiny_options, replace(HOW, validate_every=2))
    found = scalars(tmp_path)
    steps = {"loss", "gradient_norm", "learning_rate", "clips_per_s", "data_wait", "bad_clips"}
    assert steps < found.keys() and all(len(found[name]) == 4 for name in steps)
    valid = {name for name in found if name.startswith("valid/")}
    assert valid and all(len(found[name]) == 1 for name in valid)
    bar = capsys.readouterr().err
    assert "loss" in bar and "clips/s" in bar and "waiting for data" in bar


def test_weights_and_biases_gets_them_too_where_it_is_asked_for(
    tiny_options: PretrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="pip install wandb"):
        pretrain(tmp_path, tiny_options, replace(HOW, wandb_project="hands"))
    assert not list(tmp_path.iterdir())
    logged: list[tuple[int, dict[str, float]]] = []
    run = SimpleNamespace(
        log=lambda values, step: logged.append((step, values)), finish=lambda: logged.append((-1, {}))
    )
    fake = SimpleNamespace(init=lambda **options: run, __spec__=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    pretrain(tmp_path, tiny_options, replace(HOW, wandb_project="hands"))
    assert [step for step, _ in logged] == [0, 1, 2, 3, -1] and logged[0][1]["loss"] > 0


def test_ways_to_save_memory_change_nothing(tiny_options: PretrainOptions, tmp_path: Path) -> None:
    pretrain(tmp_path / "plain", tiny_options, HOW)
    pretrain(tmp_path / "saving", tiny_options, replace(HOW, micro_batch=3, grad_checkpointing=True))
    (_, plain), (_, saving) = read_folder(tmp_path / "plain"), read_folder(tmp_path / "saving")
    assert all((plain[name] - saving[name]).abs().max() < 1e-6 for name in plain)
    assert all(tensor.dtype == torch.float32 for tensor in plain.values())


@pytest.mark.parametrize(
    "change",
    [
        {"pooling": "cls"},
        {"pooling": "mean"},
        {"adapter_blocks": 0},
        {"adapter_blocks": 1, "embed_layers": (0, -1)},
        {"streams": "slow"},
        {"box_head": False},
        {"fast_differences": True},
    ],
)
def test_every_parameter_has_a_gradient(tiny_model: EgoVideo, batches: TrainingBatches, change: dict[str, Any]) -> None:
    """DDP waits for all of them."""
    model = EgoVideo(replace(tiny_model.config, **{"box_head": True, **change}))
    Objective(Ranks(), box_weight=1.0 if model.config.box_head else 0.0).backward(model, batches[0])
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 6}, "multiple of 4"),
        ({"batch_size": 64}, "of corpus singles, which has 19"),
        ({"corpora": {"main": CorpusOptions({"name": "x", "num_clips": 24}, weight=0.0)}}, "weight=0.0"),
    ],
)
def test_batches_that_do_not_fit_are_refused_before_training(
    tiny_options: PretrainOptions, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        pretrain(tmp_path, replace(tiny_options, **change), HOW)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("checkpoint*"))
