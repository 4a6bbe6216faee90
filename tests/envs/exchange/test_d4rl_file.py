import pickle
import shutil

import h5py
import numpy as np
import pytest

from egorobot.envs.exchange.d4rl_file import D4RLFile
from egorobot.envs.exchange.sources import reader_for
from egorobot.errors import UserError


@pytest.fixture
def copy(d4rl_file, tmp_path):
    return shutil.copy(d4rl_file, tmp_path / "copy.hdf5")


def set_array(path, name, change):
    with h5py.File(path, "a") as file:
        array = change(file[name][()])
        del file[name]
        if array is not None:
            file[name] = array


def test_episodes_are_those_of_the_file(d4rl_file):
    reader = reader_for(str(d4rl_file))
    with h5py.File(d4rl_file) as file:
        arrays = {key: file[key][()] for key in file}
    stops = np.flatnonzero(arrays["terminals"]) + 1
    assert (reader.num_episodes, reader.env.protocol) == (2, "d4rl")
    episodes = [reader.read(index) for index in range(2)]
    assert [e.length for e in episodes] == np.diff([0, *stops]).tolist()
    assert np.array_equal(np.concatenate([e.actions for e in episodes]), arrays["actions"])
    assert np.array_equal(np.concatenate([e.rewards for e in episodes]), arrays["rewards"])
    assert np.array_equal(np.concatenate([e.positions for e in episodes]), arrays["observations"][:, :30])
    assert episodes[0].velocities is episodes[0].desk is None


def test_ends_are_terminals_and_timeouts(copy):
    with h5py.File(copy) as file:
        count = len(file["actions"])
    terminals, timeouts = np.zeros(count, bool), np.zeros(count, bool)
    terminals[[3, 4, 40]] = timeouts[[10, 40]] = True
    set_array(copy, "terminals", lambda _: terminals)
    with h5py.File(copy, "a") as file:
        file["timeouts"] = timeouts
    reader = D4RLFile(str(copy))
    assert [reader.read(i).length for i in range(reader.num_episodes)] == [4, 1, 6, 30]  # no end after 40: no episode


def test_what_was_there_after_the_last_action(copy):
    with h5py.File(copy, "a") as file:
        following = np.roll(file["observations"][()], -1, axis=0)
        following[-1] = 0.5
        file["next_observations"] = following
    episode = D4RLFile(str(copy)).read(1)
    assert len(episode.positions) == episode.length + 1
    assert (episode.positions[-1] == 0.5).all()


def test_our_own_observations_tell_the_desk(kitchen_file):
    reader = D4RLFile(str(kitchen_file))
    episode = reader.read(0)
    assert reader.env.protocol is None
    assert episode.desk is not None and episode.desk.shape == (3,)
    assert not np.array_equal(episode.desk, reader.read(1).desk)


def test_goes_to_another_process_without_its_arrays(d4rl_file):
    reader = D4RLFile(str(d4rl_file))
    pickled = pickle.dumps(reader)
    assert len(pickled) < 2000
    assert np.array_equal(pickle.loads(pickled).read(1).actions, reader.read(1).actions)


def test_fingerprint_is_of_the_content(d4rl_file, copy):
    assert D4RLFile(str(copy)).fingerprint == D4RLFile(str(d4rl_file)).fingerprint
    set_array(copy, "rewards", lambda rewards: rewards + 1)
    assert D4RLFile(str(copy)).fingerprint != D4RLFile(str(d4rl_file)).fingerprint


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_cut_short(copy, share):
    content = copy.read_bytes()
    copy.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="damaged, cut short, or no HDF5"):
        D4RLFile(str(copy))


def with_value(row, column, value):
    def change(array):
        array[row, column] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("rewards", lambda _: None, "lacks 'rewards'"),
        ("observations", lambda a: a[:, :11], "observations of 11 numbers are not of the Franka Kitchen"),
        ("actions", lambda a: a[:, :3], "actions of 3 numbers"),
        ("actions", lambda a: a[:-5], "beside"),
        ("terminals", np.zeros_like, "mark the end"),
        ("observations", with_value(50, 12, np.nan), "episode 0: positions hold NaN or infinity at step 50"),
        ("actions", with_value(7, 0, np.inf), "actions hold NaN or infinity at step 7"),
        ("actions", lambda a: 20 * a, "actions reach .*, beyond"),
        ("actions", lambda a: np.full(len(a), b"x"), "actions are"),
    ],
)
def test_bad_content_is_one_line(copy, name, change, message):
    set_array(copy, name, change)
    with pytest.raises(UserError, match=message) as error:
        D4RLFile(str(copy)).read(0)
    assert "\n" not in str(error.value)
    assert str(copy) in str(error.value)


def test_a_few_actions_beyond_are_for_the_environment_to_clip(copy):
    set_array(copy, "actions", with_value(7, 0, 1.5))
    assert D4RLFile(str(copy)).read(0).actions[7, 0] == 1.5


def test_missing():
    with pytest.raises(UserError, match=r"no file at none\.hdf5"):
        reader_for("none.hdf5")


def test_our_own_layout_is_not_d4rls(demonstrations):
    with pytest.raises(UserError, match="lacks 'observations'"):
        reader_for(str(demonstrations))
