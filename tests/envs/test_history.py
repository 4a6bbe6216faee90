import numpy as np
import pytest

from egorobot.envs.history import FrameHistory, history_indices


def test_current_frame_comes_last_and_the_first_is_repeated():
    assert history_indices(0, 4, None).tolist() == [0, 0, 0, 0]
    assert history_indices(2, 4, None).tolist() == [0, 0, 1, 2]
    assert history_indices(9, 4, None).tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize(("frame_rate", "stride"), [(12.5, 1), (100.0, 1), (6.0, 2), (4.0, 3), (1.0, 12)])
def test_stride_is_the_nearest_to_the_frame_rate(frame_rate, stride):
    assert np.diff(history_indices(100, 3, frame_rate)).tolist() == [stride, stride]


@pytest.mark.parametrize(("num_frames", "frame_rate"), [(1, None), (4, None), (4, 4.0), (3, 6.25)])
def test_run_time_history_is_the_indexed_episode(num_frames, frame_rate):
    frames = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 3), dtype=np.uint8)
    history = FrameHistory(num_frames, frame_rate)
    for _ in range(2):  # the second episode must not see the first
        history.clear()
        for step, frame in enumerate(frames):
            history.append(frame)
            assert np.array_equal(history.stack(), frames[history_indices(step, num_frames, frame_rate)])
