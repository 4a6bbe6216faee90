from collections import OrderedDict

import pytest

from egorobot.envs.demonstrations import read_info
from egorobot.errors import UserError
from egorobot.policies.controls import random_vit
from egorobot.policies.observations import (
    ObservationSpec,
    choose_encoder,
    describe_encoder,
    observation_spec,
    policy_env_kwargs,
)


def test_the_upper_bound_reads_the_state_and_no_images(demonstrations, preset):
    info = read_info(demonstrations)
    assert choose_encoder("state", preset("bc_mlp")) is None
    spec = observation_spec(info, "state", None)
    assert spec == ObservationSpec({"proprio": 9, "state": 24}, {})
    described = describe_encoder("state", None)
    assert (described.fingerprint, described.dim) == ("state", 24)
    kwargs = policy_env_kwargs(info, spec, described)
    assert kwargs["include_state"] is True and kwargs["camera"] is None


def test_an_encoder_reads_proprioception_and_images(demonstrations):
    info, encoder = read_info(demonstrations), random_vit()
    spec = observation_spec(info, "random_vit", encoder)
    assert spec.shapes() == OrderedDict(left_cap2_image=[64, 64, 3], proprio=[9])
    assert spec.core["fingerprint"] == encoder.fingerprint
    assert policy_env_kwargs(info, spec, describe_encoder("random_vit", encoder)) == info.env_kwargs


def test_an_encoder_of_clips_asks_the_environment_for_history(demonstrations):
    info, encoder = read_info(demonstrations), random_vit()
    encoder.num_frames, encoder.frame_rate = 4, 6.25
    spec = observation_spec(info, "clips", encoder)
    assert spec.shapes()["left_cap2_image"] == [4, 64, 64, 3]
    kwargs = policy_env_kwargs(info, spec, describe_encoder("clips", encoder))
    assert (kwargs["num_frames"], kwargs["frame_rate"]) == (4, 6.25)


def test_end_to_end_policies_and_encoders_do_not_mix(preset, demonstrations):
    spec = observation_spec(read_info(demonstrations), "end_to_end", None)
    assert spec.shapes()["left_cap2_image"] == [3, 64, 64]  # as robomimic's ResNet takes them
    assert choose_encoder("end_to_end", preset("bc_resnet18")) is None
    with pytest.raises(UserError, match="choose end_to_end"):
        choose_encoder("random_vit", preset("bc_resnet18"))
    with pytest.raises(UserError, match="choose another encoder"):
        choose_encoder("end_to_end", preset("bc_mlp"))


def test_the_folder_of_an_encoder_is_remembered(demonstrations, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    spec = observation_spec(read_info(demonstrations), "mine", random_vit())
    assert (spec.core["encoder"], spec.core["folder"]) == ("mine", str(tmp_path / "mine"))
