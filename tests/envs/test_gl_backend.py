import subprocess
import sys

import pytest

from egorobot.envs import gl_backend
from egorobot.errors import UserError

needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="backends are chosen on Linux only")


@pytest.fixture
def libraries(monkeypatch):
    """Say which GL libraries can be loaded, and forget what was chosen when the package was imported."""
    present: set[str] = set()

    def load(name):
        if name not in present:
            raise OSError(name)
        return object()

    monkeypatch.setattr(gl_backend.ctypes, "CDLL", load)
    monkeypatch.setattr(gl_backend, "_problem", "")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    return present


@needs_linux
def test_osmesa_where_egl_is_missing(libraries):
    libraries.add("libOSMesa.so.8")
    gl_backend.choose_backend()
    assert gl_backend.backend_name() == "osmesa"


@needs_linux
def test_one_line_where_neither_is_there(libraries):
    gl_backend.choose_backend()
    with pytest.raises(UserError, match=r"neither EGL nor OSMesa.*apt install") as error:
        gl_backend.backend_name()
    assert "\n" not in str(error.value)


@needs_linux
@pytest.mark.parametrize(
    ("value", "message"), [("osmesa", "libOSMesa.so.8 is not there"), ("vulkan", "is not a backend"), ("off", "off")]
)
def test_environment_is_respected_or_the_reason_told(libraries, monkeypatch, value, message):
    monkeypatch.setenv("MUJOCO_GL", value)
    gl_backend.choose_backend()
    with pytest.raises(UserError, match=message):
        gl_backend.backend_name()


def test_explicit_choice_is_kept(libraries, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    monkeypatch.setenv("DISPLAY", ":0")
    gl_backend.choose_backend()
    assert gl_backend.backend_name() == "glfw"


def test_import_is_light():
    heavy = "{'torch', 'robomimic', 'mujoco', 'scipy', 'gymnasium_robotics'}"
    code = f"import sys, egorobot, egorobot.envs; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_environments_import_neither_torch_nor_robomimic():
    code = (
        "import sys, egorobot.envs.pool, egorobot.envs.d4rl, egorobot.collect\n"
        "print(sorted({'torch', 'robomimic', 'statsmodels'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_exit_without_close_is_quiet():
    code = "import gymnasium, egorobot; env = gymnasium.make('egorobot/Slide-v0', image_size=32); env.reset(seed=0)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
