"""The physics of one kitchen episode: reset, step, success, exact state."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.protocols import FRAME_SKIP, ROBOT_REST, Protocol
from egorobot.envs.scene import RENDER_PRESETS, RenderPreset, kitchen_spec
from egorobot.envs.tasks import Task

NUM_ROBOT_JOINTS = 9  # seven of the arm, two fingers
DESK = "desk"
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class KitchenSimulation:
    """A kitchen, its robot, and the bookkeeping of one task under one protocol.

    Args:
        task: what is to be done.
        protocol: how episodes begin, how actions act, what counts as success.
        preset: how much is drawn, should the model be rendered.

    Attributes:
        model: MuJoCo model; the desk's position in it belongs to the episode.
        data: MuJoCo data, derived quantities always up to date with the state.
        step_count: control steps since the reset.
        solved_count: steps of this episode on which the task was solved.
    """

    def __init__(self, task: Task, protocol: Protocol, preset: RenderPreset = RENDER_PRESETS["fast"]) -> None:
        self.task = task
        self.protocol = protocol
        self.model = kitchen_spec(preset, protocol.crop).compile()
        self.data = mujoco.MjData(self.model)
        self.desk_id = self.model.body(DESK).id
        self.joint_address = int(self.model.joint(task.joint).qposadr[0])
        self.joint_range = self.model.jnt_range[:NUM_ROBOT_JOINTS].copy()  # (9, 2)
        self._desk_rest = self.model.body_pos[self.desk_id].copy()
        self._qpos_rest = self.model.qpos0.copy()
        self._qpos_rest[:NUM_ROBOT_JOINTS] = ROBOT_REST
        self.step_count = 0
        self.solved_count = 0

    @property
    def joint_position(self) -> float:
        """Position of the task's joint (rad, or m for the slide cabinet)."""
        return float(self.data.qpos[self.joint_address])

    @property
    def solved(self) -> bool:
        """Whether the task's joint is within its success band now."""
        return self.task.low <= self.joint_position <= self.task.high

    @property
    def success(self) -> bool:
        """Whether the task has been solved on more than the protocol's number of steps."""
        return self.solved_count > self.protocol.success_steps

    def reset(self, rng: np.random.Generator) -> None:
        """Begin an episode whose desk position and arm pose are drawn from `rng`."""
        desk = self.protocol.desk_range(self.task.name)
        low, high = np.array([desk.x, desk.y, desk.z]).T
        span = self.joint_range[:, 1] - self.joint_range[:, 0]
        while True:
            mujoco.mj_resetData(self.model, self.data)
            noise = self.protocol.arm_noise * (rng.uniform(size=NUM_ROBOT_JOINTS) - 0.5) * span
            self.data.qpos[:] = self._qpos_rest
            self.data.qpos[:NUM_ROBOT_JOINTS] = np.clip(ROBOT_REST + noise, *self.joint_range.T)
            self.model.body_pos[self.desk_id] = self._desk_rest + rng.uniform(low, high)
            mujoco.mj_forward(self.model, self.data)
            if self.data.ncon <= self.protocol.max_contacts:
                break
        self.step_count = 0
        self.solved_count = 0

    def control(self, action: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the joint targets (9,) in rad and m that `action` (9,) in [-1, 1] commands now."""
        displacement = np.clip(action, -1.0, 1.0) * self.protocol.action_scale
        return np.clip(self.data.qpos[:NUM_ROBOT_JOINTS] + displacement, *self.joint_range.T)

    def step(self, action: NDArray[np.floating]) -> None:
        """Advance one control step (0.08 s) under `action`, (9,) in [-1, 1]."""
        self.data.ctrl[:] = self.control(action)
        mujoco.mj_step(self.model, self.data, FRAME_SKIP)
        # mj_step leaves positions of bodies one substep behind the joints.
        self._forward()
        self.step_count += 1
        self.solved_count += self.solved

    def proprio(self) -> NDArray[np.float32]:
        """Return the robot's joint positions, (9,): rad, and m for the fingers."""
        return self.data.qpos[:NUM_ROBOT_JOINTS].astype(np.float32)

    def object_state(self) -> NDArray[np.float32]:
        """Return what vision would have to find out, (24,).

        The positions of all object joints (rad, m; the kettle's free joint in m and as a
        quaternion), then the desk's position (m).
        """
        objects = self.data.qpos[NUM_ROBOT_JOINTS:]
        return np.concatenate([objects, self.model.body_pos[self.desk_id]]).astype(np.float32)

    def get_state(self) -> NDArray[np.float64]:
        """Return everything needed to go on from here exactly, as one vector.

        MuJoCo's integration state, the desk's position, the step and success counters.
        """
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, state, _STATE)
        desk = self.model.body_pos[self.desk_id]
        return np.concatenate([state, desk, [self.step_count, self.solved_count]])

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Go back to what `get_state` returned."""
        self.model.body_pos[self.desk_id] = state[-5:-2]
        mujoco.mj_setState(self.model, self.data, np.ascontiguousarray(state[:-5]), _STATE)
        self._forward()
        self.step_count, self.solved_count = int(state[-2]), int(state[-1])

    def _forward(self) -> None:
        """Bring derived quantities up to date, leaving the integration state as it is.

        mj_forward overwrites the solver's warm start, which is part of that state.
        """
        warmstart = self.data.qacc_warmstart.copy()
        mujoco.mj_forward(self.model, self.data)
        self.data.qacc_warmstart[:] = warmstart
