import json
import pickle
import shutil
import sys

import gymnasium
import h5py
import numpy as np
import pytest

from egorobot.envs.exchange.minari_reader import MinariReader
from egorobot.envs.exchange.sources import reader_for
from egorobot.errors import UserError

pytest.importorskip("minari")


@pytest.fixture
def copy(franka_minari, minari_folder):
    folder = minari_folder / "copy-v0"
    shutil.copytree(minari_folder / franka_minari, folder)
    yield folder / "data"
    shutil.rmtree(folder)


def test_our_own_environment(kitchen_minari, seeds, demonstrations):
    reader = reader_for(f"minari:{kitchen_minari}")
    assert reader.num_episodes == 3
    assert (reader.env.protocol, reader.env.task) == ("kitchen", "microwave")
    assert reader.env.env_id == "egorobot/Microwave-v0"
    with h5py.File(demonstrations) as file:
        for index, seed in enumerate(seeds):
            episode = reader.read(index)
            demo = file[f"data/demo_{index}"]
            assert episode.seed == seed
            assert np.array_equal(episode.actions, demo["actions"][()])
            assert np.array_equal(episode.positions[:-1, :9], demo["obs/proprio"][()])
            assert np.array_equal(episode.positions[:-1, 9:], demo["obs/state"][()][:, :21])
            assert np.array_equal(episode.desk, demo["obs/state"][0, 21:])
            assert episode.velocities is None  # it was recorded by Minari alone


def test_franka_kitchen_tells_velocities(franka_minari):
    reader = MinariReader(franka_minari)
    episode = reader.read(1)
    assert (reader.env.protocol, reader.env.task) == ("d4rl", None)  # no task of D4RL's is made of these two
    assert episode.velocities is not None
    assert episode.velocities.shape == (episode.length + 1, 29)
    # Positions are the sums of velocities, roughly: a step is 0.08 s.
    moved = np.diff(episode.positions[:, :7], axis=0)
    predicted = 0.04 * (episode.velocities[1:, :7] + episode.velocities[:-1, :7])
    assert np.corrcoef(moved.ravel(), predicted.ravel())[0, 1] > 0.9


def test_images_in_the_dataset(datasets, minari_folder, seeds):
    pytest.importorskip("jax")
    name = datasets.write_kitchen_minari("images-v0", seeds[:1], camera="left_cap2", image_size=32)
    reader = MinariReader(name)
    episode = reader.read(0)
    assert episode.images["left_cap2"].shape == (episode.length, 32, 32, 3)
    assert reader.read(0, images=False).images == {}
    shutil.rmtree(minari_folder / name)


def test_goes_to_another_process(franka_minari):
    reader = pickle.loads(pickle.dumps(MinariReader(franka_minari)))
    assert reader.read(0).length > 20


def test_missing_and_not_to_be_had(minari_folder, monkeypatch):
    from minari.storage import hosting

    def unreachable(dataset_id):
        raise ConnectionError("Name or service\nnot known")

    monkeypatch.setattr(hosting, "download_dataset", unreachable)
    with pytest.raises(
        UserError, match=r"no Minari dataset at .*, and no download of it .Name or service not known"
    ) as error:
        MinariReader("D4RL/kitchen/none-v7")
    assert "\n" not in str(error.value)


def test_without_minari_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari.storage", None)  # how Python marks what cannot be imported
    with pytest.raises(UserError, match=r"needs the package minari .*: pip install 'egorobot\[minari\]'"):
        MinariReader("D4RL/kitchen/complete-v2")


@pytest.mark.parametrize("dataset_id", ["", "../secrets", "/etc"])
def test_ids_lead_nowhere_else(minari_folder, dataset_id):
    with pytest.raises(UserError, match="is no id of a Minari dataset"):
        MinariReader(dataset_id)


def fails(message):
    with pytest.raises(UserError, match=message) as error:
        MinariReader("copy-v0").read(0)
    assert "\n" not in str(error.value)
    assert "copy-v0" in str(error.value)


def test_cut_short(copy):
    path = copy / "main_data.hdf5"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    fails("copy-v0 is damaged")


def test_without_metadata(copy):
    (copy / "metadata.json").unlink()
    fails("copy-v0 is damaged")


@pytest.mark.parametrize("key", ["observation_space", "dataset_id"])
def test_lacks_metadata(copy, key):
    metadata = json.loads((copy / "metadata.json").read_text())
    del metadata[key]
    (copy / "metadata.json").write_text(json.dumps(metadata))
    fails("copy-v0 is damaged")


@pytest.mark.parametrize("key", ["actions", "observations/observation"])
def test_lacks_an_array(copy, key):
    with h5py.File(copy / "main_data.hdf5", "a") as file:
        del file[f"episode_0/{key}"]
    fails("copy-v0")


def test_nan(copy):
    with h5py.File(copy / "main_data.hdf5", "a") as file:
        file["episode_0/observations/observation"][4, 20] = np.nan
    fails("episode 0: positions hold NaN or infinity at step 4")


@pytest.mark.filterwarnings("ignore")  # Minari's advice to makers of datasets
def test_of_another_environment(minari_folder):
    pytest.importorskip("jax")
    import minari

    env = minari.DataCollector(gymnasium.make("CartPole-v1"))
    env.reset(seed=0)
    env.step(0)
    env.create_dataset("cart-v0", ref_min_score=0.0, ref_max_score=1.0, description="a cart")
    env.close()
    with pytest.raises(UserError, match="CartPole-v1: only those of the Franka Kitchen"):
        _ = MinariReader("cart-v0").env
    with pytest.raises(UserError, match="observations of 4 numbers are not of the Franka Kitchen"):
        MinariReader("cart-v0").read(0)
