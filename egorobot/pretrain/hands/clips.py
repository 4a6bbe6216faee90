"""Rendering clips, in groups whose members differ in one thing; each a pure function of options, seed and number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.rendering import OffscreenRenderer
from egorobot.pretrain.hands.appearance import Appearance
from egorobot.pretrain.hands.boxes import BoxFinder
from egorobot.pretrain.hands.captions import Story, hand_sentence, hod_captions, narration
from egorobot.pretrain.hands.scene import HEAD_CAMERA, PRESET, HandKitchen
from egorobot.pretrain.hands.staging import ClipOptions, Scenario, Scene, Stage
from egorobot.pretrain.hands.takes import Take, take
from egorobot.pretrain.samples import HandObjectTracks

# The clips of a group, and what sets each apart from the first: time, direction, hand.
VARIANTS = ("original", "reversed", "other direction", "other hand")
RENDERED = ("original", "other direction", "other hand")  # a reversed clip is the first, played backwards
VIDEO_GROUPS = 2  # groups with the same kitchen, light and colours

VERSION = 2  # of what options, seed and number give: raised with it, so that clips cached before are not mixed in

MAX_TRIES = 200  # to draw a group whose hands are in view


@dataclass(frozen=True)
class RenderedClip:
    """One clip.

    Attributes:
        frames: uint8, (F, H, W, 3).
        narration: what happens, in general.
        hod: captions of hand and object.
        tracks: boxes and contact.
    """

    frames: NDArray[np.uint8]
    narration: str
    hod: list[str]
    tracks: HandObjectTracks


class ClipRenderer:
    """Draws groups of clips of simulated hands; one OpenGL context.

    Args:
        options: what clips are like.
    """

    def __init__(self, options: ClipOptions) -> None:
        self.options = options
        self.kitchen = HandKitchen()
        self.appearance = Appearance(self.kitchen.model)
        self.renderer = OffscreenRenderer(self.kitchen.model, PRESET, options.image_size)
        self.boxes = BoxFinder(self.kitchen)
        self.stage = Stage(self.kitchen, options)

    def group(self, seed: int, number: int) -> list[RenderedClip]:
        """Return the clips of group `number` of the corpus with `seed`, in the order of `VARIANTS`."""
        scene = self.stage.draw_scene(np.random.default_rng([seed, 0, number // VIDEO_GROUPS]))
        rng = np.random.default_rng([seed, 1, number])
        scenarios, takes = self._draw_in_view(rng, scene)
        stories = _stories(takes)
        self.appearance.draw(np.random.default_rng([seed, 2, number // VIDEO_GROUPS]), plain=scene.plain)
        frames = [self._render(scenario) for scenario in scenarios]
        tracks = [take.tracks for take in takes]
        words = narration(stories[0], rng)  # the same for all: it cannot tell them apart
        return [
            RenderedClip(f, words, hod_captions(story, rng), t)
            for f, story, t in zip(
                [frames[0], frames[0][::-1], *frames[1:]],
                stories,
                [tracks[0], tracks[0].reversed(), *tracks[1:]],
                strict=True,
            )
        ]

    def close(self) -> None:
        """Free the OpenGL context."""
        self.renderer.close()

    def _draw_in_view(self, rng: np.random.Generator, scene: Scene) -> tuple[list[Scenario], list[Take]]:
        """Draw until everything can be seen and the clips' captions differ."""
        for _ in range(MAX_TRIES):
            scenarios = self.stage.draw_group(rng, scene)
            takes: list[Take] = []
            for scenario in scenarios:
                takes.append(take(self.stage, self.boxes, scenario))
                if not takes[-1].is_in_view():
                    break
            else:
                if len(set(map(hand_sentence, _stories(takes)))) == len(VARIANTS):
                    return scenarios, takes
        raise RuntimeError(f"{MAX_TRIES} groups drawn, and none is in view: {self.options}")

    def _render(self, scenario: Scenario) -> NDArray[np.uint8]:
        self.stage.reset(scenario.scene)
        frames = []
        for frame in range(self.options.num_frames):
            self.stage.place(scenario, frame)
            frames.append(self.renderer.render(self.kitchen.data, HEAD_CAMERA))
        return np.stack(frames)


def _stories(takes: list[Take]) -> list[Story]:
    """Return what the clips of a group show, in the order of `VARIANTS`, given those of `RENDERED`."""
    original, direction, hand = takes
    return [original.story, original.story.reversed(original.others_first), direction.story, hand.story]
