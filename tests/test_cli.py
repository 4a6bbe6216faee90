"""Options, their errors and `--help`, as a command sees them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from egorobot.cli import CONFIG_MODULE, check_overrides, check_sweep, choices, help_text, load_config
from egorobot.errors import UserError


def test_defaults_resolve_to_those_of_the_protocol() -> None:
    config = load_config("train_bc", ["protocol=r3m"])
    assert (config.num_demos, config.image_size) == (25, 224)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task=microwav", "unknown task 'microwav': choose one of door, knob,"),
        ("sed=3", "unknown option 'sed': did you mean 'seed'"),
        ("seed=many", "option 'seed=many' does not fit: its default is 0"),
        ("seed=true", "option 'seed=True' does not fit: its default is 0"),
        ("protocol.image_size=big", "option 'protocol.image_size=big' does not fit"),
        ("seed=[", "cannot read option 'seed=['"),
        ("encoder=7", "option 'encoder=7' is no text: quote a name twice, \"'7'\""),
        ("encoder=null", "option 'encoder=None' does not fit: its default is 'egovideo_nano'"),
        ("run_dir=2026", "option 'run_dir=2026' is no text"),
        ("num_workers=two", "option 'num_workers=two' does not fit: a whole number is needed, 1"),
        ("num_workers=0", "option 'num_workers=0' does not fit: a whole number is needed, 1"),
        ("num_demos=null", "option 'num_demos=None' does not fit: its default is 100"),
        ("num_demos=1.5", "option 'num_demos=1.5' does not fit: a whole number is needed, 1 or more"),
        ("policy.algo.actor_layer_dims=256", "option 'policy.algo.actor_layer_dims=256' does not fit"),
        ("policy.algo=null", "option 'policy.algo=None' does not fit"),
        ("policy.steps=null", "option 'policy.steps=None' does not fit: its default is 10000"),
        ("policy=null", "cannot read the options (Config group override must be a string or a list"),
    ],
)
def test_bad_options_are_one_line(override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_overrides("train_bc", [override])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_options_are_held_against_those_of_the_choice() -> None:
    with pytest.raises(UserError, match=r"option 'policy\.algo\.rnn\.horizon=ten' does not fit: its default is 10"):
        check_overrides("train_bc", ["policy=bc_rnn", "policy.algo.rnn.horizon=ten"])
    check_overrides("train_bc", ["policy=bc_rnn", "policy.algo.rnn.horizon=5"])


def test_a_running_command_can_read_the_options_of_another() -> None:
    with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        running = GlobalHydra.instance().hydra
        assert load_config("collect", ["seed=3"]).seed == 3
        assert GlobalHydra.instance().hydra is running


def test_good_options_pass() -> None:
    check_overrides("train_bc", ["task=knob", "seed=3", "num_workers=2", "+experiment=demo"])
    check_overrides("train_bc", ["encoder='7'", "run_dir='2026'", "camera=null", "num_workers=null"])
    check_overrides("train_bc", ["camera=[left_cap2,right_cap2]", "policy.weight_decay=0"])


def test_choices_are_the_files_of_a_group() -> None:
    assert choices("task") == ["door", "knob", "light", "microwave", "right_door", "slide"]
    assert choices("nothing") == []


def test_help_shows_docstring_choices_options_and_comments() -> None:
    text = help_text("What it does.", "collect")
    assert text.startswith("What it does.")
    assert "task: microwave, door," in text
    assert "num_demos: ${protocol.num_demos}   # successful demonstrations" in text
    assert "Options protocol.<name>=<value>, with protocol=kitchen:" in text
    assert "  image_size: 112       # pixels" in text
    assert "with task=" not in text, "a task has no options"


def test_a_command_ends_with_one_line_and_a_status() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "egorobot.leaderboard", "runs_dirr=x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "error: unknown option 'runs_dirr': did you mean 'runs_dir'?"


def test_what_a_sweep_tries_is_checked_too() -> None:
    command = [sys.executable, "-m", "egorobot.train_bc", "--multirun", "tsk=microwave,knob"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: unknown option 'tsk': did you mean 'task'?\n")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=one,two"], "option 'seed=one' does not fit"),
        (["seed=0,1", "task=knob,microwve"], "unknown task 'microwve'"),
        (["policy=bc_rnn,bc_gmm", "seed=range(0,9)", "policy.steps=5,null"], "option 'policy.steps=None' does not fit"),
        (["seed=0,1", "task"], "cannot read option 'task'"),
    ],
)  # fmt: skip
def test_each_value_of_a_sweep_is_checked(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        check_sweep("train_bc", overrides)


def test_sweeps_that_fit_pass() -> None:
    check_sweep("train_bc", ["task=knob,door", "seed=range(0,1000000)", "camera=[left_cap2,right_cap2],left_cap2"])
    check_sweep("train_bc", ["+experiment=leaderboard", "policy=bc_rnn", "policy.algo.rnn.horizon=5,10"])
    check_sweep("train_bc", ["task=glob(*)", "seed=range(3,3)", "policy.learning_rate=interval(0,1)", "episodes=2"])


def test_groups_may_be_taken_out_and_choices_be_of_somebody_else(tmp_path: Path) -> None:
    check_overrides("pretrain.hod", ["~corpus", "clips=clips.csv"])
    check_overrides("train_bc", ["~policy"])
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "mine.yaml").write_text("name: mine\nsteps: 5\n")
    check_overrides("train_bc", [f"hydra.searchpath=[file://{tmp_path}]", "policy=mine"])


def test_an_option_without_a_default_must_be_given() -> None:
    done = subprocess.run([sys.executable, "-m", "egorobot.evaluate"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: option 'run' is needed: --help tells what it is"
