"""The size of a fabricated StreetHazards."""

from __future__ import annotations

from dataclasses import dataclass

from miniatures.requests import check_ranges

_RANGES = {
    "training_towns": (1, 20),
    "validation_towns": (1, 20),
    "test_towns": (1, 4),
    "training_images": (1, 99_999),
    "validation_images": (1, 99_999),
    "test_images": (1, 99_999),
    "control_images": (0, 99_999),
    "height_px": (32, 1080),
    "width_px": (32, 1920),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True)
class StreetSpec:
    """What to render; the same spec gives the same bytes on every run, in any order and with any number of workers.

    Attributes:
        training_towns: Towns to train on. No town is in two splits, as in the original (3, 1 and 2 towns).
        validation_towns: Towns without anomalies to choose a checkpoint on.
        test_towns: Towns with one anomaly in every image; no two of them share an unseen shape or texture.
        training_images: Images per training town.
        validation_images: Images per validation town.
        test_images: Images per test town.
        control_images: Images per test town of the control, in which a known object takes the anomaly's place; the same
            scenes as the test images with the same number.
        height_px: Height of an image in pixels.
        width_px: Width of an image in pixels.
        seed: Seed of everything.

    Raises:
        ValueError: If a field is outside its range; the message lists every such field, its value and what is allowed.
    """

    training_towns: int = 3
    validation_towns: int = 1
    test_towns: int = 2
    training_images: int = 100
    validation_images: int = 60
    test_images: int = 60
    control_images: int = 60
    height_px: int = 96
    width_px: int = 160
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field, and report all problems at once."""
        check_ranges(self, _RANGES)
