import numpy as np
import pytest
import torch
from robomimic.utils import file_utils

from egorobot.envs.demonstrations import read_demo, read_info
from egorobot.errors import UserError
from egorobot.policies.checkpoint import load_policy, read_checkpoint
from egorobot.policies.robomimic_config import quiet
from egorobot.policies.training import train_policy
from egorobot.torch_state import torch_seed

PRESETS = ["bc_mlp", "bc_r3m", "bc_gmm", "bc_rnn", "bc_transformer", "bc_resnet18"]
STEPS = 12  # more than the networks remember


@pytest.fixture(scope="module")
def observations(demonstrations):
    """Three episodes of the same length, arrays (STEPS, 3, ...) by key."""
    info = read_info(demonstrations)
    demos = [read_demo(info, i).observations for i in range(3)]
    return {key: np.stack([d[key][:STEPS] for d in demos], axis=1) for key in demos[0]}


@pytest.fixture(scope="module", params=PRESETS)
def trained(request, demonstrations, embeddings, preset, tmp_path_factory):
    """A policy of each preset, in a checkpoint."""
    encoder = "end_to_end" if request.param == "bc_resnet18" else "random_vit"
    options = preset(request.param) | {"steps": 4, "batch_size": 8}
    folder = tmp_path_factory.mktemp(request.param)
    return train_policy(demonstrations, encoder, options, 3, 0, folder, embeddings, progress=False).checkpoint


def act_in(policy, observations, episodes):
    """Return the actions (STEPS, episodes, 9) of a policy that acts in `episodes` at once."""
    policy.start_episode()
    return np.stack([policy.act({k: v[t][episodes] for k, v in observations.items()}) for t in range(STEPS)])


def test_actions_do_not_depend_on_what_runs_beside(trained, observations):
    policy = load_policy(trained)
    together = act_in(policy, observations, [0, 1, 2])
    assert together.shape == (STEPS, 3, 9) and together.dtype == np.float32
    assert np.abs(together).max() <= 1
    np.testing.assert_array_equal(act_in(policy, observations, [1])[:, 0], together[:, 1])
    np.testing.assert_array_equal(act_in(policy, observations, [2, 1, 0]), together[:, ::-1])


def test_robomimics_own_runner_acts_the_same(trained, observations):
    policy = load_policy(trained)
    with quiet():
        theirs, content = file_utils.policy_from_checkpoint(ckpt_path=str(trained), device=torch.device("cpu"))
    stack = 10 if content["config"].find('"frame_stack": 10') > 0 else 1
    ours = act_in(policy, observations, [1])[:, 0]
    theirs.start_episode()
    for t in range(STEPS):
        observed = {}
        for key in policy.obs_keys:
            values = observations[key][:, 1]
            if key.endswith("_image") and "resnet18" in str(trained):
                values = np.moveaxis(values, -1, -3).astype(np.float32) / 255  # as robomimic's environments do
            frames = [values[max(0, t - age)] for age in range(stack - 1, -1, -1)]
            observed[key] = np.stack(frames) if stack > 1 else values[t]
        # A mixture is drawn from: robomimic takes torch's generator as it finds it, we the step.
        with torch_seed(t):
            np.testing.assert_array_equal(np.clip(theirs(observed), -1, 1), ours[t])


def test_episodes_begin_and_end_apart(trained, observations):
    """One environment is reset while the others go on."""
    policy = load_policy(trained)
    alone = act_in(policy, observations, [0])[:, 0]
    policy.start_episode()
    for t in range(5):
        policy.act({k: v[t][[1, 2]] for k, v in observations.items()}, rows=[0, 7])
    policy.start_episode([7])
    for t in range(5):
        mixed = {k: np.stack([v[t + 5][1], v[t][0]]) for k, v in observations.items()}
        np.testing.assert_array_equal(policy.act(mixed, rows=[0, 7])[1], alone[t])


def test_a_checkpoint_says_what_it_needs(trained):
    policy = load_policy(trained)
    assert policy.env_name == "egorobot/Microwave-v0"
    assert policy.env_kwargs["camera"] == "left_cap2" and policy.env_kwargs["image_size"] == 64
    assert set(policy.obs_keys) == {"proprio", "left_cap2_image"}
    assert policy.description["num_demos"] == 3 and policy.description["task"] == "microwave"
    assert not any("encoder.model" in name for name in read_checkpoint(trained)["model"])
    assert policy.horizon == 100


@pytest.mark.parametrize(
    "harm", ["truncate", "zeros", "bit", "text", "pickle", "foreign", "weights", "schema", "environment", "missing"]
)
def test_damaged_and_foreign_files_are_one_line(harm, train, tmp_path):
    path = train().checkpoint
    content = torch.load(path, weights_only=True)
    if harm == "truncate":
        path.write_bytes(path.read_bytes()[:-2000])
    elif harm == "zeros":
        raw = bytearray(path.read_bytes())
        raw[100:200] = bytes(100)
        path.write_bytes(raw)
    elif harm == "bit":
        weight = next(name for name in content["model"] if name.endswith("mlp._model.0.weight"))
        raw, values = path.read_bytes(), content["model"][weight].numpy().tobytes()
        place = raw.index(values)
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    elif harm == "text":
        path.write_text("no checkpoint")
    elif harm == "pickle":
        torch.save({**content, "egorobot": _Harmful()}, path)
    elif harm == "foreign":
        torch.save({"state_dict": {}}, path)
    elif harm == "weights":
        content["model"].popitem()
        torch.save(content, path)
    elif harm == "schema":
        torch.save({**content, "egorobot": {"schema": 99}}, path)
    elif harm == "environment":
        content["env_metadata"]["env_name"] = "some_module:egorobot/Slide-v0"
        torch.save(content, path)
    else:
        path.unlink()
    with pytest.raises(UserError) as caught:
        load_policy(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert not _Harmful.ran


class _Harmful:
    ran = False

    def __reduce__(self):
        return (_run, ())


def _run():
    _Harmful.ran = True


def test_an_encoder_that_changed_is_one_line(trained, observations, monkeypatch):
    content = read_checkpoint(trained)
    content["config"] = content["config"].replace(content["egorobot"]["encoder"]["fingerprint"], "0" * 16)
    torch.save(content, trained.with_name("changed.pth"))
    if "resnet18" in str(trained):
        pytest.skip("no frozen encoder")
    with pytest.raises(UserError, match="not the one this policy was trained with"):
        act_in(load_policy(trained.with_name("changed.pth")), observations, [0])
