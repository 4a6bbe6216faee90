import numpy as np
import pytest
from robomimic.utils import obs_utils
from robomimic.utils.dataset import SequenceDataset

from egorobot.envs.demonstrations import read_info
from egorobot.policies.observations import observation_spec
from egorobot.policies.robomimic_config import quiet
from egorobot.policies.sampling import BatchOrder, windows
from egorobot.policies.training_data import load_training_data


def test_a_batch_is_a_function_of_seed_and_step():
    def batches(seed, steps):
        order = BatchOrder(num_samples=10, batch_size=4, seed=seed)
        return [order.batch(step) for step in steps]

    forwards = batches(0, range(12))
    backwards = batches(0, range(11, -1, -1))[::-1]
    np.testing.assert_array_equal(forwards, backwards)
    assert not np.array_equal(forwards, batches(1, range(12)))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20])
def test_every_sample_comes_once_in_each_round(batch_size):
    order = BatchOrder(num_samples=7, batch_size=batch_size, seed=5)
    drawn = np.concatenate([order.batch(step) for step in range(7 * 3)])
    assert (np.bincount(drawn) == 3 * batch_size).all()
    assert len({tuple(drawn[i : i + 7]) for i in range(0, len(drawn), 7)}) > 1


def test_batches_leave_the_global_generator_alone():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    BatchOrder(10, 4, 0).batch(3)
    assert np.random.rand() == expected  # noqa: NPY002


@pytest.mark.parametrize(("frame_stack", "seq_length"), [(1, 1), (4, 1), (1, 5), (3, 2)])
def test_windows_are_robomimics(frame_stack, seq_length, demonstrations, tmp_path):
    info = read_info(demonstrations)
    data = load_training_data(info, 3, observation_spec(info, "state", None), None, tmp_path, cached=True)
    rows = windows(data.lengths, frame_stack, seq_length)
    with quiet():
        obs_utils.initialize_obs_modality_mapping_from_dict({"low_dim": ["proprio", "state"]})
        theirs = SequenceDataset(
            str(demonstrations), ["proprio", "state"], ["actions"], frame_stack, seq_length, load_next_obs=False,
        )  # fmt: skip
        assert len(theirs) == len(rows)
        for i in [*range(12), len(rows) // 2, *range(len(rows) - 12, len(rows))]:
            np.testing.assert_array_equal(data.actions[rows[i]], theirs[i]["actions"])
            for key in ("proprio", "state"):
                np.testing.assert_array_equal(data.tensors[key][rows[i]], theirs[i]["obs"][key])
