"""What differs from photograph to photograph whatever it shows: camera, light, surroundings, and places for objects."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from miniatures.composite.placing import Place, draw_places
from miniatures.composite.view import View
from miniatures.scene import Scene, draw_scene

GROUNDS = ("soil", "wood", "pebbles", "tiles", "water", "leaves")
BACKDROPS = ("bokeh", "leaves", "studio")
"""Keys of `BACKGROUNDS`: what the objects stand on, and what is seen above the horizon."""


class Stage(NamedTuple):
    """The circumstances of one image. They know nothing about the objects, so they cannot give them away.

    Attributes:
        scene: Light, colours, occluders and lens; what it says about pose is not used.
        view: The camera's place.
        backdrop: Key of `BACKGROUNDS`, of what is seen above the horizon.
        detail: How often the ground's texture is repeated.
        places: Where the objects are, the furthest first.
    """

    scene: Scene
    view: View
    backdrop: str
    detail: float
    places: tuple[Place, ...]


def draw_stage(rng: np.random.Generator) -> Stage:
    """Draw the circumstances of one image.

    Args:
        rng: Source of chance of this image's stage, and of nothing else.

    Returns:
        A stage; the same distribution for every part, in-distribution or not.
    """
    scene = draw_scene(rng)
    view = View(horizon=rng.uniform(0.6, 1.3), focal=rng.uniform(2.0, 3.0))
    return Stage(
        # The light comes from above, and is low enough to cast shadows behind what stands there.
        scene=replace(
            scene,
            background=GROUNDS[rng.integers(len(GROUNDS))],
            light_azimuth=float(np.pi / 2) + float(np.clip(rng.normal(0.0, 0.6), -1.1, 1.1)),
            light_elevation=rng.uniform(0.35, 0.85),
        ),
        view=view,
        backdrop=BACKDROPS[rng.integers(len(BACKDROPS))],
        detail=rng.uniform(1.3, 2.2),
        places=draw_places(view, rng),
    )
