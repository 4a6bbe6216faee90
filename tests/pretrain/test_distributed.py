"""Several processes: the weights that one would have trained, and one voice for all."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from egorobot.errors import UserError
from egorobot.pretrain.distributed import Ranks, connect
from egorobot.pretrain.model.folder import read_folder
from egorobot.pretrain.options import PretrainOptions, RunOptions
from egorobot.pretrain.train import pretrain

WAYS = {
    "ddp": {"distributed": "ddp"},
    "ddp in parts": {"distributed": "ddp", "micro_batch": 3},
    "fsdp": {"distributed": "fsdp"},
    "fsdp in parts": {"distributed": "fsdp", "micro_batch": 2, "grad_checkpointing": True},
}
SCRIPT = """
import json
import sys
from dataclasses import replace
from pathlib import Path

from egorobot_tiny_corpus import TinyCorpus
from torch.distributed import is_initialized

from egorobot.errors import UserError
from egorobot.pretrain import data
from egorobot.pretrain.batches import TrainingBatches
from egorobot.pretrain.distributed import connect
from egorobot.pretrain.options import CorpusOptions, PretrainOptions, RunOptions
from egorobot.pretrain.train import pretrain
from egorobot.pretrain.trainer import Trainer

data.make_corpus = lambda source, *_: TinyCorpus(**source)
folder, values, ways = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
values["corpora"] = {name: CorpusOptions(c["source"], c["weight"]) for name, c in values["corpora"].items()}
options = PretrainOptions(**values)


def train(name, **how):
    return pretrain(folder / name, options, RunOptions(loader_workers=0, checkpoint_every=2, **how), ranks)


try:
    with connect() as ranks:
        results = {name: train(name, **how) for name, how in ways.items()}
        (folder / f"result_{ranks.rank}.json").write_text(json.dumps(results["ddp"].to_dict()))
        turns = folder / "turns"

        def take_turn():
            with turns.open("a") as file:
                file.write(str(ranks.rank))

        ranks.in_turns(take_turn)

        try:
            pretrain(folder / "differing", replace(options, precision=["float64", "float32"][ranks.rank]), None, ranks)
        except UserError as error:
            print(f"rank {ranks.rank}: {error}")
        except SystemExit:
            assert not ranks.first

        read = TrainingBatches.make

        def fail(batches, number, out=None):
            if number == 2 and not ranks.first:
                raise UserError("its clips are gone")
            return read(batches, number)

        TrainingBatches.make = fail
        try:
            train("unreadable")
        except UserError as error:
            print(f"rank {ranks.rank}: {error}")
        except SystemExit:
            assert ranks.first
        TrainingBatches.make = read

        step = Trainer._step

        def stop(trainer, number, batch):
            if number == 3:
                with trainer.ranks.together():
                    raise UserError("stopped on purpose")
            return step(trainer, number, batch)

        Trainer._step = stop
        try:
            train("stopped", distributed="fsdp")
        except UserError as error:
            print(f"rank {ranks.rank}: {error}")
finally:
    (folder / f"connected_{ranks.rank}").write_text(str(is_initialized()))
"""


@pytest.fixture(scope="module")
def launched(tiny_folder: Path, tiny_options: PretrainOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what two processes trained, in all ways; what they printed is in `printed`."""
    folder = tmp_path_factory.mktemp("launched")
    (folder / "script.py").write_text(SCRIPT)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "script.py", ".", json.dumps(tiny_options.to_dict()), json.dumps(WAYS),
    ]  # fmt: skip
    environment = {"PYTHONPATH": str(tiny_folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "printed").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def alone(tiny_corpus: type, tiny_options: PretrainOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process trained."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("egorobot.pretrain.data.make_corpus", lambda source, *_: tiny_corpus(**source))
        pretrain(folder, tiny_options, RunOptions(loader_workers=0))
    return folder


def losses(folder: Path) -> list[float]:
    events = EventAccumulator(str(folder / "metrics"))
    events.Reload()
    return [event.value for event in events.Scalars("loss")]


def distance(a: Path, b: Path) -> float:
    """Return the largest difference between the weights in two folders."""
    (_, first), (_, second) = read_folder(a), read_folder(b)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_several_processes_train_what_one_trains(launched: Path, alone: Path, way: str) -> None:
    assert losses(launched / way) == pytest.approx(losses(alone), abs=1e-5)
    assert distance(launched / way, alone) < 1e-5


@pytest.mark.slow
def test_training_changes_the_weights_by_more_than_that(
    launched: Path, tiny_options: PretrainOptions, tiny_sources: None, tmp_path: Path
) -> None:
    pretrain(tmp_path / "other", replace(tiny_options, steps=3), RunOptions(loader_workers=0))
    assert distance(launched / "ddp", tmp_path / "other") > 1e-4


@pytest.mark.slow
def test_one_process_goes_on_where_shards_of_two_stopped(
    launched: Path, alone: Path, tiny_options: PretrainOptions, tiny_sources: None
) -> None:
    folder = launched / "stopped"
    assert (folder / "checkpoint.pt").exists() and not (folder / "model.safetensors").exists()
    pretrain(folder, tiny_options, RunOptions(loader_workers=0))
    assert losses(folder) == pytest.approx(losses(alone), abs=1e-5)
    assert distance(folder, alone) < 1e-5


@pytest.mark.slow
def test_one_process_speaks_for_all(launched: Path) -> None:
    said = (launched / "printed").read_text().splitlines()
    assert len(said) == 3 and said[2] == "rank 0: stopped on purpose"
    assert (launched / "turns").read_text() == "01"
    results = [json.loads((launched / f"result_{rank}.json").read_text()) for rank in range(2)]
    assert results[0] == results[1]


def test_a_process_that_an_error_elsewhere_ends_has_left_the_others(launched: Path) -> None:
    assert [(launched / f"connected_{rank}").read_text() for rank in range(2)] == ["False", "False"]


def test_a_process_alone_needs_no_group() -> None:
    ranks = Ranks()
    assert ranks.first and ranks.gather(torch.ones(2)).equal(torch.ones(2))
    assert ranks.gather_objects("a") == ["a"] and ranks.from_first(lambda: 3) == 3
    done = []
    ranks.in_turns(lambda: done.append(1))
    assert done == [1]
    with pytest.raises(UserError, match="bad"), ranks.together():
        raise UserError("bad")


@pytest.mark.parametrize(
    ("environment", "message"),
    [({"WORLD_SIZE": "two"}, "not a number"), ({"WORLD_SIZE": "2", "RANK": "0"}, "start with torchrun")],
)
def test_half_an_environment_is_one_line(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message) as caught, connect():
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_processes_whose_options_differ_do_not_train(launched: Path) -> None:
    said = (launched / "printed").read_text().splitlines()
    assert said[0].startswith("rank 0: processes that train together differ in precision (float64 and float32): give")
    assert not (launched / "differing").exists()


@pytest.mark.slow
def test_a_process_that_has_no_batch_ends_all_of_them(launched: Path) -> None:
    said = (launched / "printed").read_text().splitlines()
    assert said[1] == "rank 1: its clips are gone"
    assert (launched / "unreadable" / "checkpoint.pt").exists()
