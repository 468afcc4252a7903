"""Invented names: pronounceable, unique, and the same for the same seed."""

from __future__ import annotations

import numpy as np

ONSETS = ("b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "cl", "dr", "fl", "gr", "tr")
VOWELS = ("a", "e", "i", "o", "u")
ENDINGS = ("ra", "na", "lia", "nia", "ria", "della", "mora", "sta", "vena", "xa", "rina", "lora")
# None of them tells a colour or a pattern: a name must not contradict the picture.
EPITHETS = (
    "vera", "parva", "nova", "minor", "major", "media", "altera", "mira", "lenta", "blanda", "certa", "dubia",
)  # fmt: skip
SUPERCATEGORIES = ("aquatica", "montana", "palustria", "silvatica", "littorea", "deserta", "arctica", "insularia")


def family_names(count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Invent unique family names.

    Args:
        count: How many, at most a few thousand.
        rng: Source of chance.

    Returns:
        Names of lower-case letters only, so that `<family>_<epithet>` splits at its only underscore.
    """
    names: dict[str, None] = {}
    while len(names) < count:
        start, middle = (ONSETS[rng.integers(len(ONSETS))] + VOWELS[rng.integers(len(VOWELS))] for _ in range(2))
        names[start + middle + ENDINGS[rng.integers(len(ENDINGS))]] = None
    return tuple(names)


def family_of(class_name: str) -> str:
    """Return the family of a class folder name.

    Args:
        class_name: `<family>_<epithet>`.

    Returns:
        The text before the first underscore.

    >>> family_of("velora_parva")
    'velora'
    """
    return class_name.split("_", 1)[0]
