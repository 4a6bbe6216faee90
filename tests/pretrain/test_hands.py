"""Simulated hands: a kitchen with two of them, their poses and motions."""

import numpy as np
import pytest

from egorobot.pretrain.hands.draws import draw_motion
from egorobot.pretrain.hands.fixtures import FIXTURES, FORWARD, UP
from egorobot.pretrain.hands.motion import Motion
from egorobot.pretrain.hands.pose import GRIP_POINTS, POSTURES, HandPose
from egorobot.pretrain.hands.scene import HandKitchen

LENGTH = 1.12  # s


@pytest.fixture(scope="module")
def kitchen() -> HandKitchen:
    return HandKitchen()


def draw(verb: str, seed: int = 0) -> Motion:
    """Draw motions until one has the wanted verb."""
    rng = np.random.default_rng(seed)
    while True:
        motion = draw_motion(rng, LENGTH, np.zeros(3), from_robot=False)
        if motion.verb == verb:
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


def test_rays_meet_a_left_hand_as_they_meet_a_right_one(kitchen: HandKitchen) -> None:
    """Seen from the front, through a grid of 1 cm; more than twenty of its rays meet a hand."""
    met = {}
    for side, sign in (("right", 1), ("left", -1)):
        other = "left" if side == "right" else "right"
        kitchen.hide_hand(other)
        kitchen.place_hand(side, HandPose(np.array([0, 0.2, 2.2]), FORWARD, UP - (sign * 0.5, 0, 0)), POSTURES["open"])
        kitchen.forward()
        places = np.stack(np.meshgrid(np.arange(-0.2, 0.2, 0.01), np.arange(2.05, 2.4, 0.01)), axis=-1).reshape(-1, 2)
        met[side] = [
            kitchen.is_hidden(np.array([sign * x, 0.4, z]), np.array([sign * x, -0.6, z]), 0.0) for x, z in places
        ]
    assert met["left"] == met["right"] and sum(met["right"]) > 20


def test_a_hidden_hand_hides_nothing(kitchen: HandKitchen) -> None:
    point = np.array([0.0, 0.2, 2.2])
    behind, eye = point + 0.3 * FORWARD, point - FORWARD
    kitchen.hide_hand("left")
    kitchen.place_hand("right", HandPose(point, FORWARD, UP, "wrap"), POSTURES["wrap"])
    kitchen.forward()
    assert kitchen.is_hidden(behind, eye, 0.1)
    kitchen.hide_hand("right")
    assert not kitchen.is_hidden(behind, eye, 0.1)


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


@pytest.mark.parametrize("verb", ["work", "lift", "push"])
def test_handle_moves_with_the_hand_that_holds_it(kitchen: HandKitchen, verb: str) -> None:
    motion = draw(verb)
    distances, handles = [], []
    for time in np.linspace(motion.timing.contact, motion.timing.release, 5):
        pose = motion.apply(kitchen, time)
        handles.append(kitchen.data.site(motion.site).xpos.copy())
        distances.append(np.linalg.norm(pose.point - handles[-1]))
        assert motion.in_contact(time)
    assert np.ptp(distances) < 1e-6
    if motion.fixture is None or motion.fixture.grip == "wrap":
        assert np.linalg.norm(handles[-1] - handles[0]) > 0.05


def test_a_reaching_hand_comes_closer_and_touches_nothing(kitchen: HandKitchen) -> None:
    motion = draw("reach", seed=1)
    for each, sign in ((motion, -1), (motion.turned_round(), 1)):
        distances = []
        for time in (0.0, LENGTH):
            pose = each.apply(kitchen, time)
            distances.append(np.linalg.norm(pose.point - kitchen.data.site(each.site).xpos))
            assert not each.in_contact(time)
        assert np.sign(distances[1] - distances[0]) == sign


@pytest.mark.parametrize("verb", ["work", "lift", "push", "reach"])
def test_a_motion_turned_round_begins_alike_and_goes_the_other_way(kitchen: HandKitchen, verb: str) -> None:
    for seed in range(5):
        motion = draw(verb, seed)
        ways = []
        for each in (motion, motion.turned_round()):
            points = [each.apply(kitchen, time).point for time in (0.0, LENGTH)]
            ways.append((points[0], each.position(LENGTH) - each.position(0.0), points[1] - points[0]))
        if verb != "push":  # the palm lies on the other side
            np.testing.assert_allclose(ways[0][0], ways[1][0], atol=0.1)
        np.testing.assert_allclose(ways[0][1], -ways[1][1], atol=1e-9)
        if verb == "reach":
            assert ways[0][2] @ ways[1][2] < 0


def test_a_motion_that_fits_its_fixture_also_fits_turned_round(kitchen: HandKitchen) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        motion = draw_motion(rng, LENGTH, np.zeros(3), from_robot=False)
        if motion.fixture:
            lower, upper = kitchen.model.joint(motion.fixture.joint).range
            for position in (motion.begin, motion.end, motion.turned_round().end):
                assert lower - 1e-9 <= position[0] <= upper + 1e-9


def test_the_other_hand_does_the_same_from_the_other_side(kitchen: HandKitchen) -> None:
    motion = draw("work").with_body(0.3)
    other = motion.with_other_hand()
    assert {motion.side, other.side} == {"left", "right"}
    assert (motion.rest.point + other.rest.point)[0] == pytest.approx(2 * 0.3)
    middle = (motion.timing.start + motion.timing.stop) / 2
    poses = [each.apply(kitchen, middle) for each in (motion, other)]
    np.testing.assert_allclose(poses[0].point, poses[1].point, atol=1e-9)
    elbows = {each.side: -pose.pointing[0] for each, pose in zip((motion, other), poses, strict=True)}
    assert elbows["left"] < elbows["right"]  # each forearm comes from its own side
    assert other.with_other_hand().rest.point == pytest.approx(motion.rest.point)
