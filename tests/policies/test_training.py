import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.policies.checkpoint import read_checkpoint
from egorobot.policies.training import check_options

PRESETS = ["bc_mlp", "bc_r3m", "bc_gmm", "bc_rnn", "bc_transformer"]


def weights(result):
    return read_checkpoint(result.checkpoint)["model"]


@pytest.mark.parametrize("policy", PRESETS)
def test_the_same_seed_gives_the_same_checkpoint_to_the_last_bit(policy, train):
    torch.manual_seed(5)
    first = train(policy, name="first")
    torch.manual_seed(6)
    torch.set_num_threads(torch.get_num_threads())
    assert train(policy, name="second").checkpoint.read_bytes() == first.checkpoint.read_bytes()
    other = weights(train(policy, name="third", seed=1))
    assert any(not torch.equal(tensor, other[name]) for name, tensor in weights(first).items())


@pytest.mark.parametrize("policy", ["bc_mlp", "bc_transformer"])
def test_generators_of_the_caller_are_left_alone(policy, train):
    torch.manual_seed(0)
    expected = torch.rand(1)
    np.random.seed(0)  # noqa: NPY002
    numbers = np.random.rand()  # noqa: NPY002
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    threads = torch.get_num_threads()
    train(policy)
    assert torch.rand(1) == expected
    assert np.random.rand() == numbers  # noqa: NPY002
    assert torch.get_num_threads() == threads


def test_it_learns(train):
    early = train(options={"steps": 2}, name="early").loss
    assert train(options={"steps": 300, "batch_size": 64}, name="late").loss < early / 10


def test_the_rate_falls_to_zero(train):
    for schedule, last in (("cosine", 0.0), ("constant", 1e-3)):
        folder = train(options={"schedule": schedule, "steps": 20}, name=schedule).checkpoint.parent
        events = EventAccumulator(str(folder / "metrics")).Reload()
        assert {"Loss", "Optimizer/policy0_lr"} <= set(events.Tags()["scalars"])
        assert events.Scalars("Optimizer/policy0_lr")[-1].value == pytest.approx(last, abs=1e-9)


def test_metrics_of_a_run_that_was_killed_are_dropped(train):
    folder = train().checkpoint.parent / "metrics"
    (folder / "events.out.tfevents.0.old").write_bytes(b"half")
    train()
    assert [f.name for f in folder.iterdir() if "old" in f.name] == []


def test_checkpoints_on_the_way(train):
    result = train(options={"steps": 10}, num_checkpoints=4)
    assert list(result.checkpoints) == [2, 4, 6, 8]
    assert all(path.exists() for path in result.checkpoints.values())
    plain = train(options={"steps": 10}, name="plain")
    assert plain.checkpoint.read_bytes() == result.checkpoint.read_bytes()
    assert plain.checkpoints == {}


def test_embeddings_and_pixels_train_the_same_policy(train, monkeypatch):
    """What the cache saves is time only."""
    options = {"steps": 3, "readout": None}
    cached = weights(train(encoder="random_vit", options=options, name="cached"))
    monkeypatch.setattr("egorobot.policies.training.uses_cache", lambda options: False)
    pixels = weights(train(encoder="random_vit", options=options, name="pixels"))
    for name, tensor in cached.items():
        if not name.endswith((".mean", ".std")):  # those are of a sample without the cache
            torch.testing.assert_close(tensor, pixels[name], rtol=0.05, atol=0.01)


def test_augmentation_bypasses_the_cache_and_says_so(train, capsys, embeddings):
    result = train(encoder="random_vit", options={"augment": "crop", "readout": None, "steps": 2, "batch_size": 4})
    assert "without the cache" in capsys.readouterr().out
    assert result.encoder.name == "random_vit"


def test_a_readout_needs_the_cache(train):
    with pytest.raises(UserError, match=r"readout=future reads embeddings, and policy.augment=crop.*readout=null"):
        train(encoder="random_vit", options={"augment": "crop"})


def test_a_readout_takes_the_embeddings_place(train):
    with_readout = weights(train(encoder="random_vit", name="with"))
    direct = weights(train(encoder="random_vit", options={"readout": None}, name="direct"))
    (weight,) = (tensor for name, tensor in with_readout.items() if name.endswith("readout.weight"))
    assert weight.shape == (4 * 9, 192) and weight.abs().max() > 0
    assert not [name for name in direct if "readout" in name]
    first = "mlp._model.0.weight"
    inputs = [next(t.shape[1] for name, t in w.items() if name.endswith(first)) for w in (with_readout, direct)]
    assert inputs == [9 + 36, 9 + 192]


def test_bc_direct_is_bc_mlp_without_readout():
    direct, mlp = (load_config("train_bc", [f"policy={name}"]).policy for name in ("bc_direct", "bc_mlp"))
    assert {key for key in mlp if mlp[key] != direct[key]} == {"name", "readout"}
    assert (direct.name, direct.readout) == ("bc_direct", None)


def test_end_to_end(train):
    result = train("bc_resnet18", "end_to_end", options={"steps": 2, "batch_size": 4})
    assert any("backbone" in name for name in weights(result))
    assert (result.encoder.name, result.encoder.fingerprint) == ("end_to_end", "end_to_end")


def test_too_few_demonstrations(demonstrations, preset, tmp_path):
    from egorobot.policies.training import train_policy

    with pytest.raises(UserError, match="holds 3 demonstrations, fewer than 4"):
        train_policy(demonstrations, "state", preset("bc_mlp"), 4, 0, tmp_path)
    with pytest.raises(UserError, match="no demonstrations at"):
        train_policy(tmp_path / "absent.hdf5", "state", preset("bc_mlp"), 1, 0, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"steps": 0}, {"batch_size": 0}, {"augment": "flip"}, {"schedule": "linear"}, {"learning_rate": -1.0},
     {"weight_decay": -0.1}],
)  # fmt: skip
def test_options_out_of_range(change, preset):
    with pytest.raises(UserError, match=f"policy.{next(iter(change))}"):
        check_options(preset("bc_mlp") | change)
