"""Light and colours of a clip, drawn anew for each."""

import mujoco
import numpy as np

SKIN_TONES = np.array(
    [(0.96, 0.82, 0.72), (0.88, 0.68, 0.54), (0.72, 0.50, 0.36), (0.50, 0.33, 0.23), (0.34, 0.22, 0.16)]
)
SLEEVE_SHARE = 0.2  # of the clips in which forearms are covered


class Appearance:
    """Draws light and colours for a model, around those it came with.

    Args:
        model: its materials, lights and geoms are changed by `draw`.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self._materials = model.mat_rgba.copy()
        self._diffuse = model.light_diffuse.copy()
        self._headlight = model.vis.headlight.diffuse.copy(), model.vis.headlight.ambient.copy()
        names = [model.material(i).name for i in range(model.nmat)]
        self._skin = [i for i, name in enumerate(names) if name.endswith("robot0:MatViz")]
        self._sleeves = [model.geom(f"{side}/robot0:V_forearm").id for side in ("right", "left")]

    def draw(self, rng: np.random.Generator, plain: bool) -> None:
        """Draw light and colours; `plain` keeps those of the kitchen nearly as they came."""
        model, spread = self.model, 0.05 if plain else 0.3
        gain = 1 + spread * rng.uniform(-1, 1, (len(self._materials), 1))
        tint = 1 + 0.5 * spread * rng.uniform(-1, 1, (len(self._materials), 3))
        model.mat_rgba[:, :3] = np.clip(self._materials[:, :3] * gain * tint, 0, 1)
        model.light_diffuse[:] = self._diffuse * (1 + spread * rng.uniform(-1, 1, (len(self._diffuse), 1)))
        diffuse, ambient = self._headlight
        model.vis.headlight.diffuse[:] = diffuse * (1 + spread * rng.uniform(-1, 1))
        model.vis.headlight.ambient[:] = ambient * (1 + spread * rng.uniform(-1, 1))
        skin = SKIN_TONES[rng.integers(len(SKIN_TONES))] * rng.uniform(0.85, 1.0)
        model.mat_rgba[self._skin, :3] = skin
        model.mat_reflectance[self._skin] = model.mat_specular[self._skin] = 0
        sleeve = rng.uniform(0.05, 0.95, 3)
        model.geom_rgba[self._sleeves, :3] = sleeve if rng.random() < SLEEVE_SHARE else skin
