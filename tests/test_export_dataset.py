"""Demonstrations go out into other formats, and come back as they were."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("pyarrow")

from egorobot import export_dataset as module
from egorobot.envs.demonstrations import open_demonstrations, read_demo, read_info
from egorobot.errors import UserError
from egorobot.export_dataset import export_dataset, select_from_file, select_from_run
from egorobot.import_dataset import import_dataset

IMAGE = "left_cap2_image"


@pytest.fixture
def minari_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Minari keeps its datasets in this test."""
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def test_the_command_exports_the_first_demonstrations(
    demonstrations: Path, tmp_path: Path, run_main: Callable[..., str]
) -> None:
    out = tmp_path / "deep" / "microwave"
    printed = run_main(module.main, f"source={demonstrations}", f"out={out}", "num_demos=2").splitlines()
    steps = sum(read_info(demonstrations).lengths[:2])
    assert printed == [f"2 demonstrations of microwave, {steps} steps", str(out)]
    assert len(list(out.rglob("*.mp4"))) == 1
    assert [path.name for path in out.parent.iterdir()] == ["microwave"]


@pytest.mark.parametrize("images", ["video", "png"])
def test_to_lerobot_and_back(demonstrations: Path, tmp_path: Path, images: str) -> None:
    export_dataset(select_from_file(demonstrations), str(tmp_path / "out"), images=images)
    back = tmp_path / "back.hdf5"
    source = f"lerobot:{tmp_path / 'out'}"
    import_dataset(source, images="keep", image_size=64, out=back, num_workers=1)
    _compare(demonstrations, back, lowest_psnr=50 if images == "video" else None)


def test_to_minari_and_back(demonstrations: Path, minari_datasets: Path, tmp_path: Path) -> None:
    dataset_id = "egorobot/microwave/expert-v0"
    folder = export_dataset(select_from_file(demonstrations), dataset_id, format="minari")
    assert folder == minari_datasets / dataset_id
    back = tmp_path / "back.hdf5"
    import_dataset(f"minari:{dataset_id}", images="keep", image_size=64, out=back, num_workers=1)
    _compare(demonstrations, back)


def _compare(before: Path, after: Path, lowest_psnr: float | None = None) -> None:
    """Compare two files of demonstrations; images to the last bit, unless a PSNR is named."""
    old, new = read_info(before), open_demonstrations(after, 3, "microwave")
    assert (new.seeds, new.lengths, new.obs_keys) == (old.seeds, old.lengths, old.obs_keys)
    assert new.env_kwargs == old.env_kwargs
    for index in range(3):
        ours, theirs = read_demo(old, index), read_demo(new, index)
        assert np.array_equal(ours.actions, theirs.actions)
        assert np.array_equal(ours.states, theirs.states)
        for key in ("proprio", "state"):
            assert np.array_equal(ours.observations[key], theirs.observations[key])
        error = (ours.observations[IMAGE].astype(np.float64) - theirs.observations[IMAGE]) ** 2
        if lowest_psnr is None:
            assert error.max() == 0
        else:
            assert 10 * np.log10(255**2 / error.mean(axis=(1, 2, 3)).max()) > lowest_psnr


def test_the_demonstrations_of_a_run(finished_run: Path, tmp_path: Path) -> None:
    selection = select_from_run(finished_run)
    assert (len(selection.indices), selection.info.task) == (8, "slide")
    assert selection.fingerprint == selection.info.fingerprint(8)
    folder = export_dataset(selection, str(tmp_path / "slide"))
    assert (folder / "meta" / "info.json").exists()


def test_a_run_that_was_trained_on_a_file_of_its_own(finished_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    mine = Path(shutil.copy(next(finished_run.parent.glob("data/kitchen/slide/*.hdf5")), tmp_path / "mine.hdf5"))
    config = run / "config.yaml"
    text = config.read_text().replace(str(finished_run.parent / "data"), str(tmp_path / "nowhere"))
    assert "\ndataset: null\n" in text
    config.write_text(text.replace("\ndataset: null\n", f"\ndataset: {mine}\n"))
    assert select_from_run(run).info.path == mine


def test_a_run_whose_demonstrations_have_changed(finished_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    data = Path(shutil.copytree(finished_run.parent / "data", tmp_path / "data"))
    config = run / "config.yaml"
    config.write_text(config.read_text().replace(str(finished_run.parent / "data"), str(data)))
    path = next(data.glob("kitchen/slide/*.hdf5"))
    with h5py.File(path, "a") as file:
        file["data/demo_2"].attrs["digest"] = "another"
    with pytest.raises(UserError, match="holds other demonstrations than"):
        select_from_run(run)
    path.unlink()
    with pytest.raises(UserError, match="no demonstrations at"):
        select_from_run(run)


def test_bad_input_is_one_line_and_writes_nothing(
    demonstrations: Path, finished_run: Path, tmp_path: Path, run_main: Callable[..., str]
) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    content = demonstrations.read_bytes()
    (inputs / "cut.hdf5").write_bytes(content[: len(content) // 2])
    (inputs / "text.hdf5").write_text("demonstrations")
    with h5py.File(inputs / "other.hdf5", "w") as file:
        file["data"] = np.zeros(3)
    nan = Path(shutil.copy(demonstrations, inputs / "nan.hdf5"))
    with h5py.File(nan, "a") as file:
        file["data/demo_2/actions"][5] = np.nan
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    out = f"out={tmp_path / 'out'}"
    good = f"source={demonstrations}"
    cases = {
        (out,): "give one of them",
        (out, good, f"run={finished_run}"): "give one of them",
        (good,): "option 'out' is needed",
        (out, f"source={inputs / 'nowhere.hdf5'}"): "no demonstrations at",
        (out, f"source={inputs / 'cut.hdf5'}"): "damaged",
        (out, f"source={inputs / 'text.hdf5'}"): "damaged",
        (out, f"source={inputs / 'other.hdf5'}"): "no demonstrations of egorobot",
        (out, f"source={nan}"): "demo_2: actions hold NaN or infinity at step 5",
        (out, good, "num_demos=4"): "num_demos=4 is none of 1 to that",
        (out, good, "format=rlds"): "choose lerobot or minari",
        (out, good, "images=jpeg"): "video or png",
        (out, good, "pix_fmt=rgb24"): "choose yuv444p or yuv420p",
        (out, f"run={tmp_path}"): "is not a run folder",
        (out, f"run={finished_run}", "num_demos=2"): "num_demos= goes with source=",
        (f"out={tmp_path / 'full'}", good): "is there already",
    }
    for arguments, expected in cases.items():
        printed = run_main(module.main, *arguments)
        assert printed.startswith("error: ") and expected in printed, printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "inputs"]


@pytest.mark.parametrize(("name", "options"), [("pyarrow", []), ("minari", ["format=minari"])])
def test_a_package_that_is_missing(
    demonstrations: Path,
    tmp_path: Path,
    run_main: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: list[str],
) -> None:
    for module_name in list(sys.modules):
        if module_name.split(".")[0] == name or module_name.startswith("egorobot.envs.exchange."):
            monkeypatch.delitem(sys.modules, module_name)
    monkeypatch.setitem(sys.modules, name, None)
    printed = run_main(module.main, f"source={demonstrations}", f"out={tmp_path / 'out'}", *options)
    extra = {"pyarrow": "lerobot"}.get(name, name)
    assert printed.startswith("error: ") and printed.endswith(f"pip install 'egorobot[{extra}]'")


def test_bad_input_for_minari(
    demonstrations: Path, minari_datasets: Path, tmp_path: Path, run_main: Callable[..., str]
) -> None:
    elsewhere = Path(shutil.copy(demonstrations, tmp_path / "elsewhere.hdf5"))
    with h5py.File(elsewhere, "a") as file:
        args = file["data"].attrs["env_args"]
        file["data"].attrs["env_args"] = args.replace(read_info(demonstrations).render_fingerprint, "f" * 16)
    printed = run_main(module.main, f"source={elsewhere}", "format=minari", "out=microwave-v0")
    assert "drawn unlike images are drawn here" in printed
    printed = run_main(module.main, f"source={demonstrations}", "format=minari", f"out={tmp_path}")
    assert "is no id of a Minari dataset" in printed
    assert not list(minari_datasets.rglob("*.hdf5"))
