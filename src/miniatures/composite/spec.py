"""The size of a fabricated COCO with unseen objects beside it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from miniatures.patterns import PATTERNS
from miniatures.requests import check_ranges
from miniatures.shapes import BODIES
from miniatures.spec import MAX_SIZE_PX

MOST_OBJECTS = 5
"""In one scene; there are at least as many known and as many unseen kinds, so that they can all be different."""

MIN_SIZE_PX = 32
_IMAGES = (1, 99_999)


@dataclass(frozen=True)
class CompositeSpec:
    """What to render; the same spec gives the same bytes on every run, in any order and with any number of workers.

    Attributes:
        known_kinds: Kinds of objects in the training scenes: the classes.
        unseen_kinds: Kinds of objects that the OOD scenes are made of; each is a combination of body plan and pattern
            that no known kind has.
        train_images: Scenes to train on.
        val_images: Scenes to fit detectors on and to test on.
        ood_images: Scenes in the folder of each unseen kind.
        control_images: Scenes in the folder of each known kind, made as the OOD scenes are: the control; 0 leaves it
            out.
        size_px: Height and width of an image in pixels.
        spread: Standard deviation of the individuals of a kind, in trait units (see `miniatures.traits`).
        seed: Seed of everything.

    Raises:
        ValueError: If a field is outside its range; the message lists every such field, its value and what is allowed.
    """

    known_kinds: int = 14
    unseen_kinds: int = 6
    train_images: int = 800
    val_images: int = 400
    ood_images: int = 50
    control_images: int = 20
    size_px: int = 96
    spread: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field, and report all problems at once."""
        check_ranges(self, self._ranges(), numbers=frozenset({"spread"}))

    def _ranges(self) -> dict[str, tuple[float, float]]:
        cells = len(BODIES) * len(PATTERNS)
        allowed: dict[str, tuple[float, float]] = {
            "known_kinds": (max(len(BODIES), len(PATTERNS)), cells // 2),
            "unseen_kinds": (MOST_OBJECTS, max(len(BODIES), len(PATTERNS))),
            "size_px": (MIN_SIZE_PX, MAX_SIZE_PX),
            "spread": (0.0, 1.0),
            "seed": (0, 2**63 - 1),
        }
        images = {field.name: _IMAGES for field in fields(self) if field.name.endswith("_images")}
        return allowed | images | {"control_images": (0, _IMAGES[1])}
