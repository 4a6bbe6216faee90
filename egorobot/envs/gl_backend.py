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


def choose_backend() -> None:
    """Set MUJOCO_GL on Linux where it is unset: `egl`, else `osmesa`, else leave it unset.

    What the environment says already is respected. On macOS and Windows MuJoCo's own
    choice (CGL, WGL) needs no setting.
    """
    if not sys.platform.startswith("linux") or os.environ.get("MUJOCO_GL"):
        return
    if _has_egl_device():
        os.environ["MUJOCO_GL"] = "egl"
    elif _loads("libOSMesa.so.8") or _loads("libOSMesa.so.6") or _loads("libOSMesa.so"):
        os.environ["MUJOCO_GL"] = "osmesa"


def backend_name() -> str:
    """Return the backend in use: `egl`, `osmesa`, `glfw` or, on macOS, `cgl`.

    Raises:
        UserError: there is no way to draw off screen, or drawing was switched off.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if sys.platform == "darwin":
        return "cgl"
    if chosen in BACKENDS:
        return chosen
    if chosen in ("disable", "disabled", "off", "false", "0"):
        raise UserError(
            f"MUJOCO_GL={chosen} switches rendering off: unset it, or observe without a camera (camera=null)"
        )
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise UserError(f"no off-screen OpenGL: neither EGL nor OSMesa was found: {MEND}")
    return "glfw"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _has_egl_device() -> bool:
    """Whether an EGL library is there and knows a device, which may be Mesa's software."""
    try:
        get_address = ctypes.CDLL("libEGL.so.1").eglGetProcAddress
    except (OSError, AttributeError):
        return False
    get_address.restype = ctypes.c_void_p
    address = get_address(b"eglQueryDevicesEXT")
    if not address:
        return False
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    count = ctypes.c_int()
    return bool(query(0, None, ctypes.byref(count))) and count.value > 0
