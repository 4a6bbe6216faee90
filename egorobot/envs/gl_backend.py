"""Which OpenGL draws off screen: EGL, OSMesa where EGL is missing.

MuJoCo reads MUJOCO_GL when it is imported, and PyOpenGL reads PYOPENGL_PLATFORM, so the
choice is made before either is, and cheaply: without creating a context or importing
anything.
"""

import ctypes
import os
import sys

from egorobot.errors import UserError

BACKENDS = ("egl", "osmesa", "glfw")
MEND = "install EGL and a driver (Debian, Ubuntu: apt install libegl1 libgl1) or OSMesa (libosmesa6)"
_OFF = ("disable", "disabled", "off", "false", "0")
_LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}

_problem = ""  # why the MUJOCO_GL that we were given cannot be used


def choose_backend() -> None:
    """Set MUJOCO_GL on Linux where it is unset: `egl`, else `osmesa`, else leave it unset.

    What the environment says already is respected, and where it cannot be, `backend_name`
    says so: importing MuJoCo would fail, even for those who draw nothing, so drawing is
    switched off. On macOS and Windows MuJoCo's own choice (CGL, WGL) needs no setting.
    """
    global _problem
    if not sys.platform.startswith("linux"):
        return
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if not wanted:
        if _has_egl_device():
            os.environ["MUJOCO_GL"] = "egl"
        elif _loads("osmesa"):
            os.environ["MUJOCO_GL"] = "osmesa"
    elif wanted in _LIBRARIES and not _loads(wanted):
        _problem = f"MUJOCO_GL={wanted}, but {_LIBRARIES[wanted][0]} is not there: {MEND}, or unset MUJOCO_GL"
    elif wanted not in (*BACKENDS, *_OFF, "glx", "enable", "enabled", "on", "true", "1"):
        _problem = f"MUJOCO_GL={wanted} is not a backend: set it to {', '.join(BACKENDS)}, or unset it"
    if _problem:
        os.environ["MUJOCO_GL"] = "disabled"


def backend_name() -> str:
    """Return the backend in use: `egl`, `osmesa`, `glfw` or, on macOS, `cgl`.

    Raises:
        UserError: there is no way to draw off screen, or drawing was switched off.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if _problem:
        raise UserError(_problem)
    if sys.platform == "darwin":
        return "cgl"
    if chosen in _LIBRARIES:
        return chosen
    if chosen in _OFF:
        raise UserError(f"MUJOCO_GL={chosen} switches rendering off: unset it")
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        if chosen:
            raise UserError(f"MUJOCO_GL={chosen} needs a display, and there is none: unset it")
        raise UserError(f"no off-screen OpenGL, neither EGL nor OSMesa: {MEND}")
    return "glfw"


def protect_later_imports() -> None:
    """Keep extension modules that are imported from now on off Mesa's copy of LLVM.

    Mesa's software drivers load libLLVM into the namespace that all libraries share.
    Triton, which torchvision and timm import by way of PyTorch, holds an LLVM of its own;
    imported after an image was drawn it would call Mesa's, and crash. With RTLD_DEEPBIND
    a library prefers what it holds itself.
    """
    if hasattr(os, "RTLD_DEEPBIND"):
        sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_DEEPBIND)


def _loads(backend: str) -> bool:
    """Whether one of a backend's libraries can be loaded."""
    for library in _LIBRARIES[backend]:
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False


def _has_egl_device() -> bool:
    """Whether an EGL library is there and knows a device, which may be Mesa's software."""
    if not _loads("egl"):
        return False
    get_address = ctypes.CDLL(_LIBRARIES["egl"][0]).eglGetProcAddress
    get_address.restype = ctypes.c_void_p
    address = get_address(b"eglQueryDevicesEXT")
    if not address:
        return False
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    count = ctypes.c_int()
    return bool(query(0, None, ctypes.byref(count))) and count.value > 0
