"""Ground-truth boxes of hands and of the thing they work on."""

import itertools

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hands.camera import project_all
from egorobot.pretrain.hands.motion import Motion
from egorobot.pretrain.hands.pose import Vector
from egorobot.pretrain.hands.scene import HIDDEN_GROUP, HandKitchen
from egorobot.pretrain.samples import SIDES

MIN_SIDE = 0.01  # of the image; a smaller rest of a box is out of view
_CORNERS = np.array(list(itertools.product((-1, 1), repeat=3)))  # (8, 3)


class BoxFinder:
    """Finds boxes in the image from the bounds of geoms; what stands before them does not count.

    Args:
        kitchen: its positions are read when `find` is called.
    """

    def __init__(self, kitchen: HandKitchen) -> None:
        self.kitchen = kitchen
        self._hands = [kitchen.hand_geoms(side) for side in SIDES]
        self._things: dict[str, NDArray[np.int_]] = {}

    def find(
        self, motion: Motion, eye: Vector, rotation: NDArray[np.float64], fovy: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the boxes of both hands (2, 4), left first, and of what `motion` moves (4,).

        Args:
            motion: names the thing.
            eye: position of the camera, in m.
            rotation: its right, up and backward axes, (3, 3).
            fovy: its vertical field of view, in degrees.

        Returns:
            Left, top, right, bottom, in [0, 1]; NaN for what is not in view.
        """
        if motion.site not in self._things:
            self._things[motion.site] = self._moving_geoms(motion.site)
        visible = self.kitchen.model.geom_group != HIDDEN_GROUP
        hands = [self._box(geoms[visible[geoms]], eye, rotation, fovy) for geoms in self._hands]
        return np.stack(hands), self._box(self._things[motion.site], eye, rotation, fovy)

    def _box(
        self, geoms: NDArray[np.int_], eye: Vector, rotation: NDArray[np.float64], fovy: float
    ) -> NDArray[np.float64]:
        if not len(geoms):
            return np.full(4, np.nan)
        model, data = self.kitchen.model, self.kitchen.data
        centre, half = model.geom_aabb[geoms, :3], model.geom_aabb[geoms, 3:]  # in the geom's frame
        corners = centre[:, None] + _CORNERS * half[:, None]  # (G, 8, 3)
        axes = data.geom_xmat[geoms].reshape(-1, 3, 3)
        points = data.geom_xpos[geoms][:, None] + np.einsum("gij,gkj->gki", axes, corners)
        places = project_all(points.reshape(-1, 3), eye, rotation, fovy)
        box = np.clip(np.concatenate([places.min(axis=0), places.max(axis=0)]), 0, 1)
        return box if (box[2:] - box[:2] > MIN_SIDE).all() else np.full(4, np.nan)

    def _moving_geoms(self, site: str) -> NDArray[np.int_]:
        """Return the visible geoms of the body that `site` is on."""
        model = self.kitchen.model
        body = model.site_bodyid[model.site(site).id]
        geoms = np.flatnonzero((model.geom_bodyid == body) & (model.geom_group < 3) & (model.geom_rgba[:, 3] > 0))
        return geoms if len(geoms) else np.flatnonzero(model.geom_bodyid == body)
