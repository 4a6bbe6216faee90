"""The kitchen's MuJoCo model, built from gymnasium-robotics' assets.

Nothing of the assets is copied: they are read where that package is installed. What is
added are R3M's cameras; what is changed is how much there is to draw (`RENDER_PRESETS`).
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fast_simplification
import mujoco
import numpy as np
from PIL import Image

from egorobot.errors import UserError

KITCHEN_XML = "envs/assets/kitchen_franka/kitchen_assets/kitchen_env_model.xml"
KITCHEN_TEXTURES = "envs/assets/kitchen_franka/kitchen_assets/textures"


@dataclass(frozen=True)
class Camera:
    """A fixed camera that turns towards a body; `position` in m, `fovy` in degrees."""

    position: tuple[float, float, float]
    target: str
    fovy: float = 45.0


# R3M's evaluation (mj_envs / robohive v0.0.5, relay_kitchen).
CAMERAS: dict[str, Camera] = {
    "left_cap2": Camera((-1.4, -1.0, 1.8), "knob 1"),
    "right_cap2": Camera((1.3, -0.7, 3.4), "microwave"),
}


@dataclass(frozen=True)
class RenderPreset:
    """How much is drawn.

    Attributes:
        shadows: draw shadows (four lights cast them).
        reflections: draw reflections.
        multisampling: samples a pixel; 0 turns it off.
        texture_size: textures are shrunk to this many pixels a side; None keeps theirs (512
            or 1024, six times over as cube maps: a second and 160 MB for each context).
            At 128 no pixel of a 224-pixel image changes by more than 2 of 255.
        mesh_faces: faces kept of each visual robot mesh; None keeps all (12,000 to 22,000).
        slices: segments around a cylinder or capsule (MuJoCo's numslices).
        stacks: rings of a sphere or capsule's end (numstacks).
        quads: subdivisions of a box's face (numquads).
    """

    shadows: bool
    reflections: bool
    multisampling: int
    texture_size: int | None
    mesh_faces: int | None
    slices: int
    stacks: int
    quads: int


RENDER_PRESETS: dict[str, RenderPreset] = {
    "full": RenderPreset(True, True, 4, None, None, slices=28, stacks=16, quads=4),
    "fast": RenderPreset(False, False, 0, 128, 1500, slices=12, stacks=6, quads=1),
}


def asset_root() -> Path:
    """Return the folder of the installed gymnasium-robotics, without importing it.

    Raises:
        UserError: gymnasium-robotics is not installed.
    """
    spec = importlib.util.find_spec("gymnasium_robotics")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("gymnasium-robotics is missing, and with it the kitchen: pip install gymnasium-robotics==1.4.2")
    return Path(spec.submodule_search_locations[0])


def get_render_preset(name: str) -> RenderPreset:
    """Return the render preset called `name`.

    Raises:
        UserError: there is no such preset.
    """
    if name not in RENDER_PRESETS:
        raise UserError(f"unknown render preset '{name}': choose one of {', '.join(RENDER_PRESETS)}")
    return RENDER_PRESETS[name]


def kitchen_spec(preset: RenderPreset, crop: float = 1.0) -> mujoco.MjSpec:
    """Return an editable model of the kitchen with R3M's cameras.

    Args:
        preset: how much is drawn.
        crop: share of the image that a centre crop would keep, in (0, 1]; the field of
            view is narrowed to it.
    """
    spec = mujoco.MjSpec.from_file(str(asset_root() / KITCHEN_XML))
    for name, camera in CAMERAS.items():
        half = np.tan(np.radians(camera.fovy) / 2) * crop
        spec.worldbody.add_camera(
            name=name,
            pos=camera.position,
            fovy=float(np.degrees(2 * np.arctan(half))),
            mode=mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODY,
            targetbody=camera.target,
        )
    quality = spec.visual.quality
    quality.offsamples = preset.multisampling
    quality.numslices, quality.numstacks, quality.numquads = preset.slices, preset.stacks, preset.quads
    if preset.mesh_faces is not None:
        _use_simplified_meshes(spec, preset.mesh_faces)
    if preset.texture_size is not None:
        _shrink_textures(spec, preset.texture_size)
    return spec


def _shrink_textures(spec: mujoco.MjSpec, size: int) -> None:
    for texture in spec.textures:
        if texture.file:
            image = _shrunk_image(asset_root() / KITCHEN_TEXTURES / texture.file, size)
            if texture.type == mujoco.mjtTexture.mjTEXTURE_CUBE:
                image = np.concatenate([image] * 6)  # as MuJoCo does with a single image
            texture.file = ""
            texture.height, texture.width, texture.nchannel = image.shape
            texture.data = image.tobytes()


@cache
def _shrunk_image(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BOX))


def _use_simplified_meshes(spec: mujoco.MjSpec, faces: int) -> None:
    """Put meshes of about `faces` faces in the place of the robot's visual ones.

    The robot's nine visual meshes hold 133,676 of the scene's 141,622 faces. They touch
    nothing and weigh nothing, so the physics stay what they were.
    """
    replace_meshes(spec, simplified_robot_meshes(faces))


Meshes = dict[str, tuple[np.ndarray, np.ndarray]]  # name: vertices (V, 3) in m, triangles (F, 3)


def replace_meshes(spec: mujoco.MjSpec, meshes: Meshes) -> None:
    """Put `meshes` in the place of those of the same names in `spec`."""
    for mesh in spec.meshes:
        if mesh.name in meshes:
            vertices, triangles = meshes[mesh.name]
            mesh.file = ""
            mesh.scale = np.ones(3)
            mesh.uservert = vertices.ravel().tolist()
            mesh.userface = triangles.ravel().tolist()


@cache
def simplified_robot_meshes(faces: int) -> Meshes:
    """Return the robot's visual meshes that have more than `faces` faces, reduced to about that many."""
    model = mujoco.MjSpec.from_file(str(asset_root() / KITCHEN_XML)).compile()
    names = [model.mesh(i).name for i in range(model.nmesh)]
    return simplified_meshes(model, {name: faces for name in names if name.endswith("_viz")})


def simplified_meshes(model: mujoco.MjModel, faces: dict[str, int]) -> Meshes:
    """Return the meshes of `model` named in `faces`, each reduced to about that many faces.

    Meshes that have no more faces than that are not among them.
    """
    meshes = {}
    for name, target in faces.items():
        i = model.mesh(name).id
        count = int(model.mesh_facenum[i])
        if count <= target:
            continue
        start, first = model.mesh_vertadr[i], model.mesh_faceadr[i]
        vertices, triangles = fast_simplification.simplify(
            model.mesh_vert[start : start + model.mesh_vertnum[i]],
            model.mesh_face[first : first + count],
            target_reduction=1 - target / count,
        )
        # The compiler centred and turned the mesh; put it back where its file had it.
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.mesh_quat[i])
        meshes[name] = (vertices @ rotation.reshape(3, 3).T + model.mesh_pos[i], triangles)
    return meshes
