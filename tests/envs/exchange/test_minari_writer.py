import shutil

import gymnasium
import numpy as np
import pytest

pytest.importorskip("minari")

import minari
from minari.namespace import list_local_namespaces

from egorobot.envs.demonstrations import read_info
from egorobot.envs.exchange.minari_writer import write_minari
from egorobot.envs.exchange.recorded import recorded_demos
from egorobot.envs.exchange.sources import reader_for
from egorobot.errors import UserError

ID = "egorobot/microwave/expert-v0"


@pytest.fixture(scope="module")
def written(info, demos, minari_folder):
    """Three demonstrations as a Minari dataset. Read only."""
    return write_minari(ID, info, iter(demos))


def test_minari_loads_what_we_write(written, demos, minari_folder, info):
    assert written == minari_folder / ID
    dataset = minari.load_dataset(ID)
    assert (dataset.total_episodes, dataset.total_steps) == (3, sum(demo.length for demo in demos))
    assert ID in minari.list_local_datasets()
    assert "egorobot/microwave" in list_local_namespaces()
    for episode, demo in zip(dataset.iterate_episodes(), demos, strict=True):
        assert np.array_equal(episode.observations["left_cap2_image"][:-1], demo.images["left_cap2"])
        assert np.array_equal(episode.observations["proprio"][:-1], demo.vectors["proprio"])
        assert np.array_equal(episode.actions, demo.actions)
        assert np.array_equal(episode.rewards, demo.rewards)
        assert np.array_equal(episode.infos["egorobot"][:-1], demo.states)
        assert episode.terminations.tolist() == [False] * (demo.length - 1) + [True]
        assert not episode.truncations.any()
    assert dataset.observation_space.contains({key: value[3] for key, value in episode.observations.items()})


def test_the_last_observation_is_where_the_last_action_leads(written, demos):
    dataset = minari.load_dataset(ID)
    env = dataset.recover_environment()
    env.reset(seed=0)
    for index, demo in enumerate(demos):
        env.unwrapped.set_state(demo.states[-1])
        last, _, terminated, _, info = env.unwrapped.step(demo.actions[-1])
        assert terminated and info["success"]
        for key, value in last.items():
            assert np.array_equal(dataset[index].observations[key][-1], value)
        assert np.array_equal(dataset[index].infos["egorobot"][-1], env.unwrapped.get_state())
    env.close()


def test_there_and_back(written, demos, info):
    reader = reader_for(f"minari:{ID}")
    env = reader.env
    assert (env.protocol, env.task, env.env_id) == ("kitchen", "microwave", info.env_name)
    assert env.render_fingerprint == info.render_fingerprint
    for index, demo in enumerate(demos):
        episode = reader.read(index)
        assert np.array_equal(episode.states, demo.states)
        # A part of an episode, or another environment, is put there by these.
        assert np.array_equal(episode.positions[:-1], demo.states[:, 1:31])
        assert np.array_equal(episode.velocities[:-1], demo.states[:, 31:60])
        assert np.array_equal(episode.actions, demo.actions)
        assert np.array_equal(episode.images["left_cap2"], demo.images["left_cap2"])
        assert episode.seed == demo.seed


def test_nothing_is_left_of_what_cannot_be_written(written, info, demos, minari_folder):
    def failing():
        yield demos[0]
        raise UserError("demo_1 is damaged")

    before = sorted(minari_folder.rglob("*"))
    for dataset_id, source, message in [
        ("no_version", demos, "is no id of a Minari dataset: write egorobot/microwave/expert-v0"),
        ("../outside-v0", demos, "is no id of a Minari dataset"),
        (ID, demos, "is there already"),
        ("egorobot/microwave/other-v0", failing(), "demo_1 is damaged"),
    ]:
        with pytest.raises(UserError, match=message):
            write_minari(dataset_id, info, source)
    assert sorted(minari_folder.rglob("*")) == before


def test_without_a_camera(minari_folder, tmp_path):
    """The environment of a dataset is made again with what it was recorded with."""
    from egorobot.collect import collect

    path = tmp_path / "slide.hdf5"
    collect("slide", num_demos=1, camera=None, out=path, num_workers=1)
    info = read_info(path)
    folder = write_minari("blind-v0", info, recorded_demos(info, [0]))
    dataset = minari.load_dataset("blind-v0")
    assert set(dataset[0].observations) == {"proprio", "state"}
    assert isinstance(dataset.recover_environment(), gymnasium.Env)
    shutil.rmtree(folder)
