import json

import pytest
import torch
from robomimic.algo.bc import BC, BC_GMM, BC_RNN, BC_Transformer
from robomimic.config import config_factory

from egorobot.errors import UserError
from egorobot.policies.observations import ObservationSpec
from egorobot.policies.robomimic_config import make_algo, robomimic_config
from egorobot.torch_state import torch_seed

SPEC = ObservationSpec({"proprio": 9, "state": 24}, {})
CORE = {"encoder": "blank", "folder": None, "fingerprint": "blank", "dim": 1}
SEEN = ObservationSpec({"proprio": 9}, {"left_cap2_image": (64, 64, 3)}, CORE)
LEARNT = ObservationSpec({"proprio": 9}, {"left_cap2_image": (64, 64, 3)})


@pytest.mark.parametrize(
    ("name", "spec", "kind"),
    [
        ("bc_mlp", SPEC, BC),
        ("bc_r3m", SEEN, BC),
        ("bc_gmm", SEEN, BC_GMM),
        ("bc_rnn", SEEN, BC_RNN),
        ("bc_transformer", SEEN, BC_Transformer),
        ("bc_resnet18", LEARNT, BC),
    ],
)
def test_presets_are_robomimics_algorithms(name, spec, kind, preset):
    config = robomimic_config(preset(name), spec, seed=3, horizon=100)
    with torch_seed(0):
        algo = make_algo(config, spec.shapes(), 9, torch.device("cpu"))
    assert type(algo) is kind
    assert config.train.seed == 3 and config.experiment.rollout.horizon == 100
    again = config_factory("bc", dic=json.loads(config.dump()))  # as in a checkpoint
    assert again.to_dict() == json.loads(config.dump())


def test_sequences_are_as_long_as_the_networks_memory(preset):
    rnn = robomimic_config(preset("bc_rnn"), SPEC, 0, 100)
    assert (rnn.train.seq_length, rnn.train.frame_stack) == (10, 1)
    transformer = robomimic_config(preset("bc_transformer"), SPEC, 0, 100)
    assert (transformer.train.seq_length, transformer.train.frame_stack) == (1, 10)


def test_options_go_to_robomimic(preset):
    config = robomimic_config(preset("bc_mlp", weight_decay=0.1, learning_rate=0.5), SPEC, 0, 100)
    optim = config.algo.optim_params.policy
    assert (optim.optimizer_type, optim.learning_rate.initial, optim.regularization.L2) == ("adamw", 0.5, 0.1)
    crop = robomimic_config(preset("bc_resnet18"), LEARNT, 0, 100).observation.encoder.rgb
    assert crop.obs_randomizer_class == "CropRandomizer"
    assert crop.obs_randomizer_kwargs == {"crop_height": 57, "crop_width": 57}


@pytest.mark.parametrize("algo", [{"actor_layers": [2]}, {"gmm": {"modes": 3}}])
def test_options_that_robomimic_does_not_have(algo, preset):
    with pytest.raises(UserError, match=r"policy\.algo is not what robomimic"):
        robomimic_config(preset("bc_mlp", algo=algo), SPEC, 0, 100)


def test_an_unknown_norm(preset):
    config = robomimic_config(preset("bc_mlp", norm="whiten"), SPEC, 0, 100)
    with pytest.raises(UserError, match=r"policy\.norm 'whiten'"):
        make_algo(config, SPEC.shapes(), 9, torch.device("cpu"))
