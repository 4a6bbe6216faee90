"""The package as a whole: which way imports go, what is installed, what the documents promise."""

import ast
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import egorobot
from egorobot.__main__ import COMMANDS, _module_name, help_text
from egorobot.cli import check_overrides

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "egorobot"
LINKS = ("envs", "policies", "pretrain", "configs")
DOCUMENTS = ("README.md", "CONTRIBUTING.md")

# A room may import the rooms before it, and the helpers; the commands may import all.
ROOMS = ("envs", "pretrain", "policies")


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str:
    """Return `envs` for `egorobot.envs.tasks`, and '' for a module outside the package."""
    parts = module.split(".")
    return parts[1] if parts[0] == "egorobot" and len(parts) > 1 else ""


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    forbidden = {*ROOMS[ROOMS.index(room) + 1 :], *COMMANDS} - {*ROOMS[: ROOMS.index(room) + 1]}
    for path in (PACKAGE / room).rglob("*.py"):
        wrong = {module for module in imported_modules(path) if room_of(module) in forbidden}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_nothing_is_imported_through_the_links() -> None:
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        assert not {module.split(".")[0] for module in imported_modules(path)} & {*LINKS}, path


def distribution_name(name: str) -> str:
    return name.lower().replace("_", "-")


def test_what_is_imported_is_declared() -> None:
    """Every package that egorobot imports is a dependency of its own, not only of another one."""
    roots = {module.split(".")[0] for path in PACKAGE.rglob("*.py") for module in imported_modules(path)}
    roots -= {*sys.stdlib_module_names, "egorobot"}
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {distribution_name(Requirement(text).name) for text in metadata["dependencies"]}
    installed = importlib.metadata.packages_distributions()
    assert {r for r in roots if not {distribution_name(d) for d in installed[r]} & declared} == set()


@pytest.mark.parametrize("name", LINKS)
def test_links_lead_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.resolve() == PACKAGE / name


TORCH = {"torch", "robomimic", "pandas", "statsmodels", "timm"}
MODEL = {"open_clip", "torchvision", "transformers", "timm"}


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (("", ".envs.kitchen", ".envs.experts", ".envs.pool", ".collect"), TORCH),
        ((".pretrain.shards", ".pretrain.hands.clips", ".pretrain.hod.stages", ".pretrain.hod.options"), TORCH),
        ((".pretrain.loader", ".pretrain.data", ".pretrain.options"), MODEL),
    ],
)
def test_import_is_light(modules: tuple[str, ...], heavy: set[str]) -> None:
    """Worker processes import these: what is heavy would cost each of them seconds and memory."""
    names = ", ".join("egorobot" + module for module in modules)
    code = f"import sys, {names}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_torch_may_be_imported_after_drawing() -> None:
    """Mesa's software driver and Triton each bring an LLVM; the second used to crash on the first's."""
    code = (
        "import egorobot, gymnasium; env = gymnasium.make('egorobot/Knob-v0', image_size=32); env.reset(seed=0);"
        "import torchvision, timm; env.step(env.action_space.sample()); env.close(); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "alive", done.stderr


def test_importing_registers_the_environments() -> None:
    code = "import gymnasium, egorobot; print('egorobot/Microwave-v0' in gymnasium.registry)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def examples(text: str) -> list[tuple[str, list[str]]]:
    """Return the commands that `text` shows, each with its arguments."""
    found = re.findall(r"(?:python -m egorobot\.|\begorobot )([\w.]+)([^`\n#|]*)", text)
    return [(command, arguments.split()) for command, arguments in found if command in COMMANDS]


def check_example(command: str, arguments: list[str]) -> None:
    """Check that the options of an example exist and that its values fit them; sweeps and placeholders apart."""
    if (PACKAGE / "configs" / f"{command}.yaml").exists():
        check_overrides(command, [a for a in arguments if "=" in a and not re.search(r"[,<]", a)])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """`--help` says what the command does, its options, and at least two examples that fit them."""
    monkeypatch.setattr(sys, "argv", [f"egorobot {command}", "--help"])
    importlib.import_module(_module_name(command)).main()
    text = capsys.readouterr().out
    shown = [arguments for name, arguments in examples(text) if name == command]
    assert len(shown) >= 2
    for arguments in shown:
        check_example(command, arguments)
    if (PACKAGE / "configs" / f"{command}.yaml").exists():
        assert "Options (name=value)" in text


def test_every_command_is_listed_with_what_it_does() -> None:
    lines = help_text().splitlines()
    for command in COMMANDS:
        assert any(re.match(rf"  {command} +\w.*\w", line) for line in lines), command


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "egorobot", *arguments], capture_output=True, text=True, check=False)


def test_version() -> None:
    assert run_program("--version").stdout.strip() == f"egorobot {egorobot.__version__}"


def test_unknown_command() -> None:
    done = run_program("colect", "task=slide")
    assert done.returncode == 2
    assert done.stderr == "error: unknown command 'colect': did you mean 'collect'?\n"


def test_program_runs_a_command() -> None:
    done = run_program("leaderboard", "runs_dir=/nowhere/at/all")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no folder /nowhere/at/all")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_show_commands_that_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    shown = re.findall(r"python -m egorobot\.([\w.]+)", text)
    assert set(shown) <= {*COMMANDS}
    for command, arguments in examples(text):
        check_example(command, arguments)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {*re.findall(r"`make ([a-z]+)", text)} <= {*targets}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_link_to_files_that_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Every file of the package is in the wheel; the links at the root are not."""
    checkout = tmp_path / "checkout"
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(PACKAGE, checkout / "egorobot", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for name in LINKS:
        (checkout / name).symlink_to(f"egorobot/{name}")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(checkout)], check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {p.relative_to(checkout).as_posix() for p in (checkout / "egorobot").rglob("*") if p.is_file()}
    assert packed == files
