import numpy as np
import pytest

from egorobot.envs.exchange.d4rl_file import D4RLFile
from egorobot.envs.exchange.episodes import Episode
from egorobot.envs.exchange.minari_reader import MinariReader
from egorobot.envs.exchange.subtasks import completions, goal_distances, part_of, subtask_names, task_parts
from egorobot.errors import UserError


def episode(**joints):
    """An episode in which joints, by their index in qpos as `q<index>`, move as given and all others rest."""
    count = len(next(iter(joints.values())))
    positions = np.zeros((count, 30))
    for name, values in joints.items():
        positions[:, int(name[1:])] = values
    steps = count - 1
    return Episode("made up", np.zeros((steps, 9), np.float32), np.zeros(steps, np.float32), positions)


MICROWAVE, SLIDE = "q22", "q19"


def test_completions_agree_with_the_environments_rewards(d4rl_file):
    """FrankaKitchen-v1 rewards the step that completes a task; the last completion is not in the positions."""
    reader = D4RLFile(str(d4rl_file))
    for index in range(2):
        recorded = reader.read(index)
        done = completions(recorded, "d4rl")
        assert list(done) == ["slide-cabinet", "microwave"]
        assert list(done.values()) == np.flatnonzero(recorded.rewards).tolist()
        assert done["microwave"] == recorded.length - 1
        assert (goal_distances(recorded.positions)["microwave"] > 1).all()


def test_part_of_a_real_episode(d4rl_file):
    recorded = D4RLFile(str(d4rl_file)).read(0)
    first, second = np.flatnonzero(recorded.rewards)
    assert part_of(recorded, "d4rl", "slide-cabinet") == range(first + 1)
    assert part_of(recorded, "d4rl", "microwave") == range(first + 1, second + 1)
    assert part_of(recorded, "d4rl", "kettle") is None


def test_observation_after_the_last_action_is_looked_at(franka_minari):
    recorded = MinariReader(franka_minari).read(0)
    assert completions(recorded, "d4rl") == dict(
        zip(["microwave", "slide-cabinet"], np.flatnonzero(recorded.rewards).tolist(), strict=True)
    )


def test_what_is_done_from_the_beginning_is_no_part():
    recorded = episode(q22=[-0.75] * 6, q19=[0, 0, 0.37, 0.37, 0.37, 0.37])
    assert completions(recorded, "d4rl") == {"slide-cabinet": 1, "microwave": -1}
    assert part_of(recorded, "d4rl", "microwave") is None
    assert part_of(recorded, "d4rl", "slide-cabinet") == range(2)


def test_two_at_once_begin_after_what_was_before_both():
    recorded = episode(q17=[0, -0.69, 0, 0, 0], q22=[0, 0, 0, -0.75, 0], q19=[0, 0, 0, 0.37, 0])
    assert part_of(recorded, "d4rl", "microwave") == part_of(recorded, "d4rl", "slide-cabinet") == range(1, 3)


def test_in_our_protocols_more_than_five_steps_are_needed():
    held = [0.0, *[-1.25] * 5, 0, 0, -1.25, 0]
    assert completions(episode(q22=held), "kitchen") == {"microwave": 7}
    assert completions(episode(q22=held[:8]), "kitchen") == {}


def test_our_demonstrations_succeed_where_they_did(kitchen_file):
    reader = D4RLFile(str(kitchen_file))
    for index in range(3):
        recorded = reader.read(index)
        sixth = np.flatnonzero(recorded.rewards)[5]
        assert completions(recorded, "kitchen") == {"microwave": sixth}
        assert recorded.length == sixth + 5  # four steps are recorded after success


def test_names():
    assert "microwave" in subtask_names("d4rl") and "kitchen-complete" not in subtask_names("d4rl")
    assert task_parts("d4rl", "kitchen-complete") == ("microwave", "kettle", "light-switch", "slide-cabinet")
    assert task_parts("kitchen", "slide") == ("slide",)
    with pytest.raises(UserError, match="unknown task 'slide' of protocol 'd4rl': choose one of bottom-burner"):
        task_parts("d4rl", "slide")
