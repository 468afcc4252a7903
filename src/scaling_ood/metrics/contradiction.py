"""Do test labels contradict what a network does on other images that it was not trained on?"""

from __future__ import annotations

import math

LEAST_SHARE = 0.5
"""Of a network's quality on other held-out images that it must reach on test images."""

_STANDARD_ERRORS = 3


def contradiction(measure: str, test: float, held_out: float, on: str, images: tuple[int, int] | None = None) -> str:
    """A warning, or nothing.

    A network that is good on held-out images and not half as good on test images more often meets labels of another
    numbering, or images of another kind, than harder ones. A difference that chance explains is none.

    Args:
        measure: Its name, for the warning.
        test: Value on the test images, a fraction.
        held_out: Value on the others.
        on: What these are called.
        images: Numbers of test and other images, where the values are shares of them: the difference must then be
            beyond three standard errors too.

    >>> contradiction("mIoU", 0.006, 0.327, "validation scenes")[:66]
    'The test labels contradict the network: mIoU 0.6% on test, 32.7% o'
    >>> contradiction("mIoU", 0.2, 0.327, "validation scenes")
    ''
    """
    by_chance = _STANDARD_ERRORS * _error(test, held_out, images) if images else 0.0
    if test >= LEAST_SHARE * held_out or held_out - test <= by_chance:
        return ""
    return (
        f"The test labels contradict the network: {measure} {test:.1%} on test, {held_out:.1%} on {on}, which is "
        "more than twice as much. Are the test labels of the same numbering, and the test images of the same kind?"
    )


def _error(test: float, held_out: float, images: tuple[int, int]) -> float:
    """Standard error of the difference of two shares that are equal."""
    pooled = (test * images[0] + held_out * images[1]) / sum(images)
    return math.sqrt(pooled * (1 - pooled) * (1 / images[0] + 1 / images[1]))
