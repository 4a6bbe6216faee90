import h5py
import numpy as np
import torch

from egorobot.envs.demonstrations import read_info
from egorobot.policies.controls import random_vit
from egorobot.policies.encoder import NamedEncoder
from egorobot.policies.observations import ObservationSpec
from egorobot.policies.training_data import load_training_data

KEY = "left_cap2_image"


class Clip:
    dim, num_frames, frame_rate, fingerprint = 3, 3, 6.25, "clip"

    def embed(self, frames):
        return frames.mean((2, 3, 4), dtype=np.float32)


def test_frames_come_row_by_row_as_they_are(demonstrations, tmp_path):
    info = read_info(demonstrations)
    spec = ObservationSpec({"proprio": 9}, {KEY: (64, 64, 3)})
    data = load_training_data(info, 2, spec, None, tmp_path, cached=False)
    with h5py.File(demonstrations) as file:
        frames = np.concatenate([file[f"data/demo_{i}/obs/{KEY}"][()] for i in range(2)])
        actions = np.concatenate([file[f"data/demo_{i}/actions"][()] for i in range(2)])
    np.testing.assert_array_equal(data.actions, actions.astype(np.float32))
    rows = np.array([[0, len(frames) - 1], [7, 7]])
    observed = data.observations(rows)
    assert observed[KEY].shape == (2, 2, 64, 64, 3)
    np.testing.assert_array_equal(observed[KEY], frames[rows])
    assert observed["proprio"].shape == (2, 2, 9)
    assert data.tensors.keys() == {"proprio"}


def test_clips_of_the_file_and_of_the_cache_are_the_same(demonstrations, tmp_path):
    info = read_info(demonstrations)
    encoder = NamedEncoder("clip", Clip())
    spec = ObservationSpec({"proprio": 9}, {KEY: (3, 64, 64, 3)}, core={"encoder": "clip"})
    pixels = load_training_data(info, 3, spec, encoder, tmp_path, cached=False)
    cached = load_training_data(info, 3, spec, encoder, tmp_path, cached=True, progress=False)
    rows = np.arange(0, sum(info.lengths), 3)
    clips = pixels.observations(rows)[KEY].numpy()
    embeddings = cached.observations(rows)[KEY]
    assert clips.shape == (len(rows), 3, 64, 64, 3) and embeddings.shape == (len(rows), 1, 1, 1, 3)
    np.testing.assert_array_equal(encoder.embed(clips), embeddings.reshape(len(rows), 3))


def test_embeddings_do_not_depend_on_how_many_demonstrations_are_asked_for(demonstrations, tmp_path):
    info = read_info(demonstrations)
    encoder = random_vit()
    spec = ObservationSpec({"proprio": 9}, {KEY: (64, 64, 3)}, core={"encoder": "random_vit"})
    few = load_training_data(info, 1, spec, encoder, tmp_path / "a", cached=True, progress=False)
    all_of_them = load_training_data(info, 3, spec, encoder, tmp_path / "b", cached=True, progress=False)
    assert torch.equal(all_of_them.tensors[KEY][: info.lengths[0]], few.tensors[KEY])
