import numpy as np
import pytest

from egorobot.envs.protocols import PROTOCOLS
from egorobot.envs.rendering import OffscreenRenderer, camera_names, gl_info, render_fingerprint
from egorobot.envs.scene import RENDER_PRESETS
from egorobot.envs.simulation import KitchenSimulation
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError


def make_simulation(preset="fast"):
    simulation = KitchenSimulation(TASKS["microwave"], PROTOCOLS["kitchen"], RENDER_PRESETS[preset])
    simulation.reset(np.random.default_rng(3))
    return simulation


@pytest.fixture(scope="module")
def simulation():
    return make_simulation()


@pytest.fixture
def renderer(simulation):
    renderer = OffscreenRenderer(simulation.model, RENDER_PRESETS["fast"], 64)
    yield renderer
    renderer.close()


def test_renderers_take_turns_without_a_trace(simulation, renderer):
    first = renderer.render(simulation.data, "left_cap2")
    other = OffscreenRenderer(simulation.model, RENDER_PRESETS["fast"], 96)
    assert other.render(simulation.data, "right_cap2").shape == (96, 96, 3)
    assert np.array_equal(renderer.render(simulation.data, "left_cap2"), first)
    assert np.array_equal(other.render(simulation.data, "left_cap2", image_size=64), first)
    other.close()
    assert np.array_equal(renderer.render(simulation.data, "left_cap2"), first)


def test_larger_images_than_the_renderer_was_made_for(simulation, renderer):
    small = renderer.render(simulation.data, "left_cap2")
    large = renderer.render(simulation.data, "left_cap2", image_size=128)
    assert large.shape == (128, 128, 3)
    shrunk = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 8
    assert np.array_equal(renderer.render(simulation.data, "left_cap2"), small)


def test_fast_looks_like_full():
    images = []
    for preset in ("fast", "full"):
        simulation = make_simulation(preset)
        renderer = OffscreenRenderer(simulation.model, RENDER_PRESETS[preset], 112)
        images.append(renderer.render(simulation.data, "left_cap2").astype(float))
        renderer.close()
    fast, full = images
    assert fast.std() > 30  # a picture of something
    # What differs are the shadows and the smoothness of edges.
    assert np.corrcoef(fast.ravel(), full.ravel())[0, 1] > 0.85
    assert np.abs(fast - full).mean() < 20


def test_closed_renderer_says_so(simulation, renderer):
    renderer.close()
    renderer.close()
    with pytest.raises(RuntimeError, match="closed"):
        renderer.render(simulation.data, "left_cap2")


def test_gl_info_names_what_draws():
    info = gl_info()
    assert info["backend"] in ("egl", "osmesa", "glfw", "cgl")
    assert info["renderer"]
    assert info["version"]


def test_fingerprint_tells_settings_apart():
    settings = [{"image_size": 64}, {"image_size": 48}, {"image_size": 64, "camera": ["left_cap2", "right_cap2"]}]
    fingerprints = [render_fingerprint(**s) for s in settings]
    assert len(set(fingerprints)) == len(settings)
    render_fingerprint.__globals__["_render_fingerprint"].cache_clear()
    assert render_fingerprint(**settings[0]) == fingerprints[0]


def test_camera_names():
    assert camera_names(None) == ()
    assert camera_names("left_cap2") == ("left_cap2",)
    assert camera_names(["right_cap2", "left_cap2"]) == ("right_cap2", "left_cap2")
    with pytest.raises(UserError, match="unknown camera 'top': choose among left_cap2"):
        camera_names("top")
