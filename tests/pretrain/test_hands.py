"""Simulated hands: poses, motions, captions that are true, clips that repeat."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from egorobot.pretrain.hands.camera import draw_head, draw_near_robot_camera
from egorobot.pretrain.hands.captions import direction_words, make_captions, narration, opening_words, place_words
from egorobot.pretrain.hands.clips import ClipOptions, ClipRenderer, Track, project
from egorobot.pretrain.hands.fixtures import FIXTURES, FORWARD, UP
from egorobot.pretrain.hands.motion import MANIPULATE, REACH, WITHDRAW, Motion, draw_motion
from egorobot.pretrain.hands.pose import GRIP_POINTS, POSTURES, HandPose
from egorobot.pretrain.hands.scene import HandKitchen

OPTIONS = ClipOptions(num_frames=4, image_size=48)


@pytest.fixture(scope="module")
def kitchen() -> HandKitchen:
    return HandKitchen()


@pytest.fixture(scope="module")
def renderer() -> ClipRenderer:
    return ClipRenderer(OPTIONS)


def draw(phase: str, seed: int = 0, verb: str | None = None) -> Motion:
    """Draw motions until one has the wanted phase (and verb)."""
    rng = np.random.default_rng(seed)
    while True:
        motion = draw_motion(rng, 1.12, np.zeros(3), from_robot=False)
        if motion.phase == phase and verb in (None, motion.verb):
            return motion


def body(kitchen: HandKitchen, side: str, name: str) -> np.ndarray:
    return kitchen.data.body(f"{side}/robot0:{name}").xpos.copy()


def test_kitchen_has_two_hands_and_no_robot(kitchen: HandKitchen) -> None:
    names = {kitchen.model.body(i).name for i in range(kitchen.model.nbody)}
    assert {"right/robot0:palm", "left/robot0:palm", "desk", "kettle"} <= names
    assert not any("panda" in name for name in names)
    assert kitchen.model.nmeshface < 20_000


@pytest.mark.parametrize("side", ["right", "left"])
def test_hand_is_where_its_pose_says(kitchen: HandKitchen, side: str) -> None:
    point = np.array([0.1, 0.2, 1.9])
    kitchen.place_hand(side, HandPose(point, FORWARD, UP, "wrap"), POSTURES["open"])
    kitchen.forward()
    assert np.linalg.norm(body(kitchen, side, "palm") - point) < 0.11
    assert body(kitchen, side, "ffdistal")[1] > body(kitchen, side, "palm")[1]
    assert body(kitchen, side, "thdistal")[2] > body(kitchen, side, "palm")[2]  # the thumb is up


def test_left_hand_is_the_mirror_image_of_the_right(kitchen: HandKitchen) -> None:
    for side in ("right", "left"):
        kitchen.place_hand(side, HandPose(np.array([0, 0.3, 2.0]), FORWARD, UP, "pinch"), POSTURES["wrap"])
    kitchen.forward()
    for name in ("ffdistal", "lfdistal", "thdistal", "palm"):
        right, left = body(kitchen, "right", name), body(kitchen, "left", name)
        np.testing.assert_allclose(left, right * (-1, 1, 1), atol=1e-6)
    palm_normal = kitchen.data.body("left/robot0:palm").xmat.reshape(3, 3)[:, 1]
    assert palm_normal[0] < -0.9  # a left palm (-y) faces right when the thumb is up


def test_left_hand_geoms_are_mirrored_too(kitchen: HandKitchen) -> None:
    for side in ("right", "left"):
        kitchen.place_hand(side, HandPose(np.array([0, 0.3, 2.0]), FORWARD, UP, "wrap"), POSTURES["point"])
    kitchen.forward()
    for name in ("V_palm", "V_ffdistal", "V_thmiddle"):
        right, left = (world_vertices(kitchen, f"{side}/robot0:{name}") for side in ("right", "left"))
        np.testing.assert_allclose(np.sort(left[:, 0]), np.sort(-right[:, 0]), atol=1e-5)
        np.testing.assert_allclose(np.sort(left[:, 2]), np.sort(right[:, 2]), atol=1e-5)


def world_vertices(kitchen: HandKitchen, geom: str) -> np.ndarray:
    model, data = kitchen.model, kitchen.data
    i = model.geom(geom).id
    mesh = model.geom_dataid[i]
    vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
    return vertices @ data.geom_xmat[i].reshape(3, 3).T + data.geom_xpos[i]


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.joint)
def test_a_hand_that_holds_a_fixture_is_at_its_handle(kitchen: HandKitchen, fixture) -> None:
    lower, upper = kitchen.model.joint(fixture.joint).range
    for opening in (0.0, 0.5, 1.0):
        position = fixture.opened * opening
        assert lower - 1e-9 <= position <= upper + 1e-9
        kitchen.set_joint(fixture.joint, position)
        kitchen.forward()
        pose = fixture.hold(kitchen.data, tilt=0.2)
        np.testing.assert_allclose(pose.point, kitchen.data.site(fixture.site).xpos)
        rotation = pose.rotation(1.0)
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1)
        assert fixture.grip in GRIP_POINTS and fixture.grip in POSTURES


def test_a_burner_lights_with_its_knob(kitchen: HandKitchen) -> None:
    model, data = kitchen.model, kitchen.data
    kitchen.set_joint("knob_Joint_1", 0.0)
    kitchen.forward()
    off = data.qpos.copy()
    kitchen.set_joint("knob_Joint_1", -1.5)
    kitchen.forward()
    moved = {
        model.joint(i).name for i in range(model.njnt) if data.qpos[model.jnt_qposadr[i]] != off[model.jnt_qposadr[i]]
    }
    assert moved == {"knob_Joint_1", "bottom_right_burner"}


@pytest.mark.parametrize("verb", ["open", "close", "lift", "put down", "push"])
def test_handle_moves_with_the_hand_that_holds_it(kitchen: HandKitchen, verb: str) -> None:
    motion = draw(MANIPULATE, verb=verb)
    distances, handles = [], []
    for time in np.linspace(motion.timing.contact, motion.timing.release, 5):
        pose = motion.apply(kitchen, time)
        handles.append(kitchen.data.site(motion.site).xpos.copy())
        distances.append(np.linalg.norm(pose.point - handles[-1]))
        assert motion.in_contact(time)
    assert np.ptp(distances) < 1e-6
    if motion.fixture is None or motion.fixture.grip == "wrap":
        assert np.linalg.norm(handles[-1] - handles[0]) > 0.05


def test_hand_comes_closer_while_it_reaches_and_leaves_while_it_withdraws(kitchen: HandKitchen) -> None:
    for phase, sign in ((REACH, -1), (WITHDRAW, 1)):
        motion = draw(phase, seed=1)
        distances = []
        for time in (0.0, 1.12):
            pose = motion.apply(kitchen, time)
            distances.append(np.linalg.norm(pose.point - kitchen.data.site(motion.site).xpos))
        assert np.sign(distances[1] - distances[0]) == sign


def test_words_of_place_direction_and_opening() -> None:
    assert place_words(np.array([0.99, 0.01])) == "top far right"
    assert place_words(np.array([0.5, 0.5])) == "middle centre"
    assert place_words(np.array([-3.0, 7.0])) == "bottom far left"
    assert direction_words(np.array([0.1, 0.0, 0.0])) == "to the right"
    assert direction_words(np.array([0.0, -0.1, -0.3])) == "away from the body"
    assert direction_words(np.array([0.0, 0.01, 0.0])) == ""
    assert [opening_words(("shut", "half", "open"), value) for value in (0.0, 0.4, 0.9)] == ["shut", "half", "open"]


def still_track() -> Track:
    middle = np.full((4, 2), 0.5)
    return Track(middle, middle, np.ones(4, bool), np.zeros((4, 3)), False, np.array([0.0, 0.3, 0.6, 0.9]))


@pytest.mark.parametrize("phase", [MANIPULATE, REACH, WITHDRAW])
def test_captions_name_side_thing_and_nothing_else(phase: str) -> None:
    rng = np.random.default_rng(0)
    for seed in range(10):
        motion = draw(phase, seed)
        story, hand, both = make_captions(motion, still_track(), rng)
        other = {"right": "left hand", "left": "right hand"}[motion.side]
        assert story.startswith("#C C ") and both.startswith(hand)
        assert f"the {motion.side} hand" in hand and other not in both
        assert motion.noun in hand
        thing = motion.fixture.name if motion.fixture else "kettle"
        assert thing in story and thing in both


def test_narration_tells_opening_from_closing() -> None:
    rng = np.random.default_rng(0)
    for verb, others in (("open", ("closes", "shut", "off")), ("close", ("open", " on "))):
        for seed in range(10):
            assert not any(word in narration(draw(MANIPULATE, seed, verb), rng) for word in others)


def test_projection_agrees_with_the_renderer(renderer: ClipRenderer) -> None:
    """A white ball in a dark scene is drawn where `project` says."""
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(0.03, 0, 0), pos=(0.3, 1.0, 0.2), rgba=(1, 1, 1, 1)
    )
    spec.worldbody.add_camera(name="head", pos=(0, 0, 0), xyaxes=(1, 0, 0, 0, 0, 1), fovy=60)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    from egorobot.envs.rendering import OffscreenRenderer
    from egorobot.pretrain.hands.scene import PRESET

    ball = OffscreenRenderer(model, PRESET, 100)
    rows, columns = np.nonzero(ball.render(data, "head").sum(axis=-1) > 0)
    ball.close()
    rotation = np.column_stack([[1, 0, 0], [0, 0, 1], [0, -1, 0]]).astype(float)
    u, v = project(np.array([0.3, 1.0, 0.2]), np.zeros(3), rotation, 60)
    assert (columns.mean() + 0.5) / 100 == pytest.approx(u, abs=0.01)
    assert (rows.mean() + 0.5) / 100 == pytest.approx(v, abs=0.01)


def test_a_clip_depends_on_its_seed_and_number_only(renderer: ClipRenderer) -> None:
    first = renderer.clip(0, 5)
    renderer.clip(0, 6)
    again = renderer.clip(0, 5)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert first.captions == again.captions
    assert first.frames.shape == (4, 48, 48, 3) and first.frames.dtype == np.uint8
    assert not np.array_equal(first.frames, renderer.clip(1, 5).frames)
    assert not np.array_equal(first.frames[0], first.frames[-1])


def test_clips_show_the_handle_they_speak_of(renderer: ClipRenderer) -> None:
    """Blank walls in view of nothing would teach that any caption fits them."""
    frames = [renderer.clip(2, number).frames for number in range(20)]
    assert all(clip.std(axis=(1, 2, 3)).min() > 10 for clip in frames)


def test_cameras_look_at_what_they_should(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    focus = np.array([-0.6, 0.5, 1.8])
    for _ in range(20):
        for path in (draw_head(rng, focus), draw_near_robot_camera(rng, focus, np.zeros(3))):
            position, rotation = path.at(0.5)
            np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
            assert position[0] > -1.5
            assert -rotation[1, 2] > 0  # forwards, into the kitchen
