"""The kitchen with a right and a left hand in the robot's place.

The Shadow hand of gymnasium-robotics is read where that package is installed. Nothing
has physics here: fixtures and hands are put where a motion wants them.
"""

from functools import cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.scene import RENDER_PRESETS, Meshes, asset_root, kitchen_spec, replace_meshes, simplified_meshes
from egorobot.pretrain.hands.pose import GRIP_POINTS, HandPose, Posture

HAND_XML = "envs/assets/hand/reach.xml"
MOUNT = "robot0:hand mount"
SIDES = ("right", "left")
HEAD_CAMERA = "head"
PRESET = RENDER_PRESETS["fast"]
VISIBLE_GROUP, HIDDEN_GROUP = 1, 5  # geom groups: MuJoCo draws 0 to 2
DRAWN_GROUPS = np.array([1, 1, 1, 0, 0, 0], np.uint8)

# Faces kept of a hand's visual meshes, which have 33,000 as shipped.
HAND_FACES = {"wrist": 200, "palm": 500, "lfmetacarpal": 150, "knuckle": 60}
FINGER_FACES = 120
SLEEVE_SIZE = (0.045, 0.28, 0.0)  # radius and half-length of an arm, m


class HandKitchen:
    """A kitchen whose fixtures, hands and head camera are placed by hand, so to speak.

    Attributes:
        model: MuJoCo model.
        data: MuJoCo data; `forward` brings its positions up to date.
        desk_id: body index of the desk, whose position is in the model.
    """

    def __init__(self) -> None:
        self.model = _spec().compile()
        self.data = mujoco.MjData(self.model)
        self.desk_id = self.model.body("desk").id
        self.desk_rest = self.model.body_pos[self.desk_id].copy()
        self._camera = self.model.camera(HEAD_CAMERA).id
        self._hand_geoms = {side: _visual_geoms(self.model, f"{side}/{MOUNT}") for side in SIDES}
        _mirror(self.model, self.model.body(f"left/{MOUNT}").id)

    def set_joint(self, name: str, position: float | NDArray[np.float64]) -> None:
        """Put joint `name` at `position`: rad, m, or a free joint's (7,) position and quaternion."""
        self.data.joint(name).qpos[:] = position

    def place_hand(self, side: str, pose: HandPose, posture: Posture) -> None:
        """Put the `side` hand where `pose` says, its fingers as in `posture`."""
        sign = 1.0 if side == "right" else -1.0
        rotation = pose.rotation(sign)
        grip = GRIP_POINTS[pose.grip] * (sign, 1, 1)
        mocap = self._mocap(side)
        self.data.mocap_pos[mocap] = pose.point - rotation @ grip
        mujoco.mju_mat2Quat(self.data.mocap_quat[mocap], rotation.ravel())
        for name, angle in posture.items():
            self.set_joint(f"{side}/robot0:{name}", angle)
        self.model.geom_group[self._hand_geoms[side]] = VISIBLE_GROUP

    def hand_geoms(self, side: str) -> NDArray[np.int_]:
        """Return the geoms of the `side` hand that can be seen."""
        return self._hand_geoms[side]

    def hide_hand(self, side: str) -> None:
        """Do not draw the `side` hand."""
        self.model.geom_group[self._hand_geoms[side]] = HIDDEN_GROUP

    def place_camera(self, position: NDArray[np.float64], rotation: NDArray[np.float64], fovy: float) -> None:
        """Put the head camera at `position` (m); `rotation` has its right, up and backward axes; `fovy` in degrees."""
        self.model.cam_pos[self._camera] = position
        mujoco.mju_mat2Quat(self.model.cam_quat[self._camera], rotation.ravel())
        self.model.cam_fovy[self._camera] = fovy

    def is_hidden(self, end: NDArray[np.float64], start: NDArray[np.float64], reach: float) -> bool:
        """Return whether something drawn stands between `start` and `end`, over `reach` (m) before the latter."""
        hit = np.zeros(1, np.int32)
        way = end - start
        share = mujoco.mj_ray(self.model, self.data, start, way, DRAWN_GROUPS, 1, -1, hit)  # -1 for nothing
        return bool(0 <= share < 1 - reach / np.linalg.norm(way))

    def forward(self) -> None:
        """Bring the positions of bodies, sites and cameras up to date, coupled joints included."""
        self._follow_couplings()
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _mocap(self, side: str) -> int:
        return int(self.model.body(f"{side}/{MOUNT}").mocapid[0])

    def _follow_couplings(self) -> None:
        """Move what moves with something else: a burner with its knob, the lamp with its switch.

        In the model these are equalities, leader = offset + slope * follower.
        """
        model = self.model
        for kind, leader, follower, (offset, slope, *_) in zip(
            model.eq_type, model.eq_obj1id, model.eq_obj2id, model.eq_data, strict=True
        ):
            if kind == mujoco.mjtEq.mjEQ_JOINT and follower >= 0:
                position = self.data.qpos[model.jnt_qposadr[leader]]
                self.data.qpos[model.jnt_qposadr[follower]] = (position - offset) / slope


def _spec() -> mujoco.MjSpec:
    spec = kitchen_spec(PRESET)
    robot = next(body for body in spec.worldbody.bodies if not body.name)
    spec.delete(robot)
    for mesh in list(spec.meshes):
        if mesh.name.endswith(("_viz", "_col")):  # the robot's
            spec.delete(mesh)
    for key in list(spec.keys):
        spec.delete(key)
    for side in SIDES:
        hand = _hand_spec(spec)
        mount = spec.worldbody.add_frame().attach_body(hand.body(MOUNT), f"{side}/", "")
        mount.mocap = True
    spec.worldbody.add_camera(name=HEAD_CAMERA)
    return spec


def _hand_spec(kitchen: mujoco.MjSpec) -> mujoco.MjSpec:
    hand = mujoco.MjSpec.from_file(str(asset_root() / HAND_XML))
    replace_meshes(hand, _hand_meshes())
    sleeve = hand.geom("robot0:V_forearm")  # as shipped a box of motors with 18,689 faces
    sleeve.type = mujoco.mjtGeom.mjGEOM_CAPSULE
    sleeve.meshname = ""
    sleeve.size = SLEEVE_SIZE
    sleeve.pos = (0, 0, 0.256 - SLEEVE_SIZE[0] - SLEEVE_SIZE[1])
    sleeve.material = ""
    # Sizes and options that would otherwise conflict on attaching.
    hand.option.iterations = kitchen.option.iterations
    for size in ("njmax", "nconmax", "nuser_jnt", "nuser_site", "nuser_tendon", "nuser_actuator", "nuser_sensor"):
        setattr(hand, size, getattr(kitchen, size))
    return hand


@cache
def _hand_meshes() -> Meshes:
    model = mujoco.MjSpec.from_file(str(asset_root() / HAND_XML)).compile()
    names = [model.mesh(i).name for i in range(model.nmesh)]
    return simplified_meshes(model, {name: HAND_FACES.get(name.split(":")[-1], FINGER_FACES) for name in names})


def _visual_geoms(model: mujoco.MjModel, root: str) -> NDArray[np.int_]:
    bodies = _bodies_below(model, model.body(root).id)
    return np.flatnonzero(np.isin(model.geom_bodyid, bodies) & (model.geom_group == VISIBLE_GROUP))


def _mirror(model: mujoco.MjModel, root: int) -> None:
    """Turn the right hand below body `root` into a left one: reflect x in every body's own frame.

    A reflection keeps a joint's angle when its axis, a pseudovector, is reflected with
    the opposite sign.
    """
    bodies = _bodies_below(model, root)
    inner = [i for i in bodies if i != root]
    _reflect(model.body_pos, model.body_quat, inner)
    geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies))
    _reflect(model.geom_pos, model.geom_quat, geoms)
    model.geom_aabb[geoms, 0] *= -1
    joints = np.flatnonzero(np.isin(model.jnt_bodyid, bodies))
    model.jnt_pos[joints, 0] *= -1
    model.jnt_axis[joints, 1:] *= -1
    for mesh in {int(i) for i in model.geom_dataid[geoms] if i >= 0}:
        vertices = slice(model.mesh_vertadr[mesh], model.mesh_vertadr[mesh] + model.mesh_vertnum[mesh])
        normals = slice(model.mesh_normaladr[mesh], model.mesh_normaladr[mesh] + model.mesh_normalnum[mesh])
        faces = slice(model.mesh_faceadr[mesh], model.mesh_faceadr[mesh] + model.mesh_facenum[mesh])
        boxes = slice(model.mesh_bvhadr[mesh], model.mesh_bvhadr[mesh] + model.mesh_bvhnum[mesh])
        model.mesh_vert[vertices, 0] *= -1
        model.mesh_normal[normals, 0] *= -1
        model.mesh_face[faces] = model.mesh_face[faces][:, ::-1].copy()
        model.mesh_facenormal[faces] = model.mesh_facenormal[faces][:, ::-1].copy()
        model.bvh_aabb[boxes, 0] *= -1  # rays find a mesh's triangles by them


def _reflect(positions: NDArray[Any], quaternions: NDArray[Any], index: Any) -> None:
    positions[index, 0] *= -1
    quaternions[index, 2:] *= -1


def _bodies_below(model: mujoco.MjModel, root: int) -> list[int]:
    """Return body `root` and all below it; MuJoCo numbers parents before children."""
    below = {root}
    for body in range(root + 1, model.nbody):
        if int(model.body_parentid[body]) in below:
            below.add(body)
    return sorted(below)
