from contextlib import closing

import numpy as np
import pytest

from egorobot.envs.d4rl import D4RLEnv
from egorobot.envs.exchange.d4rl_file import D4RLFile
from egorobot.envs.exchange.episodes import Episode, SourceEnv
from egorobot.envs.exchange.minari_reader import MinariReader
from egorobot.envs.exchange.restoring import Restorer, image_keys, make_target
from egorobot.errors import UserError


def target(protocol="d4rl", task="microwave", camera=None, env=None):
    return make_target("a dataset", env or SourceEnv(), protocol, task, camera, 32, "fast")


def test_states_with_velocities_go_on_as_they_did():
    env = D4RLEnv("microwave", camera=None)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 9)).astype(np.float32)
    states = [env.get_state()]
    for action in actions:
        env.step(action)
        states.append(env.get_state())
    truth = np.array(states)
    recorded = Episode("made", actions, np.zeros(20, np.float32), truth[:, 1:31], velocities=truth[:, 31:60])
    restored = Restorer(target()).states(recorded, range(20))
    assert np.abs(restored[:, :60] - truth[:-1, :60]).max() < 1e-9  # time, positions, velocities
    for step in (0, 7, 19):
        env.set_state(restored[step])
        env.step(actions[step])
        # What is not restored are the forces that the solver starts from.
        assert np.abs(env.get_state()[1:31] - truth[step + 1, 1:31]).max() < 1e-4


def test_restored_demonstrations_are_those_of_the_direct_way(kitchen_minari, demonstrations):
    from egorobot.envs.demonstrations import open_demonstrations, read_demo

    reader = MinariReader(kitchen_minari)
    wanted = make_target("a dataset", reader.env, None, None, "left_cap2", 64, "fast")
    demo = read_demo(open_demonstrations(demonstrations), 2)
    with closing(Restorer(wanted)) as restorer:
        states = restorer.states(reader.read(2), range(len(demo.actions)))
        observations = restorer.observations(states[::8])
    assert np.array_equal(states[:, -2:], demo.states[:, -2:])  # counters of steps and of successes
    for key, values in observations.items():
        difference = np.abs(values.astype(float) - demo.observations[key][::8])
        # The dataset's positions are single precision: a pixel in 10,000 may be another.
        assert (difference > 0).mean() < (1e-3 if key.endswith("_image") else 1e-9)


def test_completed_tasks_and_steps_are_counted(d4rl_file):
    recorded = D4RLFile(str(d4rl_file)).read(0)
    first, _ = np.flatnonzero(recorded.rewards)
    states = Restorer(target(task="slide-cabinet")).states(recorded, range(recorded.length))
    assert states[:, -2].tolist() == [0] * (first + 1) + [1] * (recorded.length - first - 1)
    assert states[:, -1].tolist() == list(range(recorded.length))
    part = Restorer(target()).states(recorded, range(first + 1, recorded.length))
    assert part[:, -2:].tolist() == [[0, step] for step in range(recorded.length - first - 1)]


def test_what_the_dataset_says_and_what_a_person_says():
    assert target(None, None, env=SourceEnv("kitchen", "knob")).env_id == "egorobot/Knob-v0"
    assert target("r3m", "slide").env_kwargs["protocol"] == "r3m"
    assert "protocol" not in target().env_kwargs
    with pytest.raises(UserError, match="does not say under which protocol"):
        target(None, "microwave")
    with pytest.raises(UserError, match="does not say which task"):
        target("d4rl", None)
    with pytest.raises(UserError, match="made under protocol 'd4rl', not 'kitchen'"):
        target("kitchen", env=SourceEnv("d4rl"))
    with pytest.raises(UserError, match="unknown protocol 'easy'"):
        target("easy", "microwave")
    with pytest.raises(UserError, match="image_size=4: at least 16"):
        make_target("x", SourceEnv(), "d4rl", "microwave", "left_cap2", 4, "fast")
    with pytest.raises(UserError, match="unknown camera 'top'"):
        target(camera="top")


def test_moved_desk_is_not_d4rls(kitchen_file):
    with pytest.raises(UserError, match="the desk is moved"):
        Restorer(target()).states(D4RLFile(str(kitchen_file)).read(0), range(3))


def test_kept_images_must_fit():
    images = {"left_cap2": np.zeros((1, 32, 32, 3), np.uint8)}
    recorded = Episode("made", np.zeros((1, 9), np.float32), np.zeros(1, np.float32), np.zeros((2, 30)), images=images)
    assert list(image_keys(target(camera="left_cap2"), recorded, "x")) == ["left_cap2_image"]
    assert image_keys(target(), recorded, "x") == {}
    with pytest.raises(UserError, match="x has none of right_cap2 in 32 px: images=draw"):
        image_keys(target(camera=["left_cap2", "right_cap2"]), recorded, "x")
    with pytest.raises(UserError, match="x has those of 32 x 32 of left_cap2 in 64 px"):
        image_keys(make_target("x", SourceEnv(), "d4rl", "microwave", "left_cap2", 64, "fast"), recorded, "x")
