"""Drawing a MuJoCo model off screen."""

import atexit
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

import mujoco
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.gl_backend import MEND, backend_name, protect_later_imports
from egorobot.envs.protocols import get_protocol
from egorobot.envs.scene import CAMERAS, RenderPreset, get_render_preset
from egorobot.envs.simulation import KitchenSimulation
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError
from egorobot.files import digest

MAX_GEOMS = 2000
_GL_VENDOR, _GL_RENDERER, _GL_VERSION = 0x1F00, 0x1F01, 0x1F02

Camera: TypeAlias = str | int | mujoco.MjvCamera

_live_renderers: "weakref.WeakSet[OffscreenRenderer]" = weakref.WeakSet()


class OffscreenRenderer:
    """Draws the state of a MuJoCo model into arrays, with an OpenGL context of its own.

    Args:
        model: the model; its off-screen buffer is made as large as `image_size`.
        preset: whether shadows and reflections are drawn (the other settings of a preset
            belong to the model).
        image_size: pixels, of square images; `render` may be asked for another size.

    Raises:
        UserError: there is no OpenGL to draw with.
    """

    def __init__(self, model: mujoco.MjModel, preset: RenderPreset, image_size: int) -> None:
        self.model = model
        self.image_size = image_size
        self._context = _make_gl_context(image_size)
        self._context.make_current()
        if not preset.shadows:
            model.vis.quality.shadowsize = 0  # as shipped a 4096 x 4096 buffer
        model.vis.global_.offwidth = model.vis.global_.offheight = image_size
        self._drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawing)
        self._buffer_size = image_size
        self._scene = mujoco.MjvScene(model, maxgeom=MAX_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = preset.shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = preset.reflections
        self._option = mujoco.MjvOption()
        self._open = True
        if not _live_renderers:
            # Registered after the context was made, so run before EGL's own exit handler:
            # contexts that outlive the display print errors.
            atexit.register(_close_all)
        _live_renderers.add(self)

    def render(self, data: mujoco.MjData, camera: Camera, image_size: int | None = None) -> NDArray[np.uint8]:
        """Return what `camera` sees, (image_size, image_size, 3).

        Args:
            data: the state to draw, its derived quantities up to date.
            camera: name or index of a camera of the model, or a free MjvCamera.
            image_size: pixels; None is the size that the renderer was made with.
        """
        if not self._open:
            raise RuntimeError("the renderer is closed")
        size = image_size or self.image_size
        self._context.make_current()
        if size > self._buffer_size:
            mujoco.mjr_resizeOffscreen(size, size, self._drawing)
            self._buffer_size = size
        if not isinstance(camera, mujoco.MjvCamera):
            camera = _fixed_camera(self.model, camera)
        categories = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self.model, data, self._option, None, camera, categories, self._scene)
        rectangle = mujoco.MjrRect(0, 0, size, size)
        image = np.empty((size, size, 3), np.uint8)
        mujoco.mjr_render(rectangle, self._scene, self._drawing)
        mujoco.mjr_readPixels(image, None, rectangle, self._drawing)
        return np.ascontiguousarray(image[::-1])  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free the OpenGL context; again is harmless."""
        if not self._open:
            return
        self._open = False
        _live_renderers.discard(self)
        self._context.make_current()
        self._drawing.free()
        self._context.free()

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()


def _close_all() -> None:
    for renderer in list(_live_renderers):
        renderer.close()


def _fixed_camera(model: mujoco.MjModel, camera: str | int) -> mujoco.MjvCamera:
    fixed = mujoco.MjvCamera()
    fixed.type = mujoco.mjtCamera.mjCAMERA_FIXED
    fixed.fixedcamid = model.camera(camera).id
    return fixed


def _make_gl_context(size: int) -> Any:
    backend = backend_name()
    try:
        # Imported by name, not through mujoco.GLContext: that one was decided when mujoco
        # was imported, perhaps before MUJOCO_GL was chosen.
        if backend == "egl":
            from mujoco.egl import GLContext
        elif backend == "osmesa":
            from mujoco.osmesa import GLContext
        elif backend == "cgl":
            from mujoco.cgl import GLContext
        else:
            from mujoco.glfw import GLContext
        context = GLContext(size, size)
    except Exception as error:  # each backend and driver has its own ways to fail
        reason = str(error).split("\n")[0] or type(error).__name__
        raise UserError(f"cannot draw off screen with MUJOCO_GL={backend} ({reason}): {MEND}") from error
    protect_later_imports()
    return context


def gl_info() -> dict[str, str]:
    """Return how images are drawn: `backend`, and OpenGL's `renderer`, `vendor` and `version`.

    EGL can be software without saying so: the renderer is then llvmpipe or softpipe.

    Raises:
        UserError: there is no OpenGL to draw with.
    """
    context = _make_gl_context(64)
    context.make_current()
    from OpenGL import GL

    strings = {"renderer": _GL_RENDERER, "vendor": _GL_VENDOR, "version": _GL_VERSION}
    info = {"backend": backend_name()} | {key: GL.glGetString(name).decode() for key, name in strings.items()}
    context.free()
    return info


def camera_names(camera: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the cameras that an option such as `left_cap2`, a list of names, or None means.

    Raises:
        UserError: there is no such camera.
    """
    if not isinstance(camera, str | Sequence | None):
        raise UserError(f"camera={camera}: a name or a list of names is needed")
    names = () if camera is None else (camera,) if isinstance(camera, str) else tuple(camera)
    for name in names:
        if name not in CAMERAS:
            raise UserError(f"unknown camera '{name}': choose among {', '.join(CAMERAS)}")
    return names


def render_fingerprint(
    protocol: str = "kitchen",
    camera: str | Sequence[str] | None = "left_cap2",
    image_size: int = 224,
    render: str = "fast",
) -> str:
    """Return a hash of what the cameras see in one fixed state, on this machine.

    Images of two datasets are drawn alike if, and only if, their fingerprints are the
    same: protocol (its crop; `d4rl` has none), size, preset, MuJoCo and the OpenGL driver
    all show in it.
    """
    return _render_fingerprint(protocol, camera_names(camera), image_size, render)


def env_render_fingerprint(env_kwargs: Mapping[str, Any]) -> str:
    """Return `render_fingerprint` for the arguments of an environment; those without a protocol are of `d4rl`."""
    looks = {key: env_kwargs[key] for key in ("camera", "image_size", "render")}
    return render_fingerprint(env_kwargs.get("protocol", "d4rl"), **looks)


@cache
def _render_fingerprint(protocol: str, cameras: tuple[str, ...], image_size: int, render: str) -> str:
    preset = get_render_preset(render)
    settings = replace(get_protocol("kitchen"), crop=1.0) if protocol == "d4rl" else get_protocol(protocol)
    simulation = KitchenSimulation(TASKS["knob"], settings, preset)
    simulation.reset(np.random.default_rng(0))
    if not cameras:
        return digest("no camera")
    renderer = OffscreenRenderer(simulation.model, preset, image_size)
    images = [renderer.render(simulation.data, camera).tobytes() for camera in cameras]
    renderer.close()
    return digest(*cameras, *images)
