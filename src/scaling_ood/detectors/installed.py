"""Detectors of other installed packages: each is one file, written like those here, that an entry point names."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from scaling_ood.registry import Registry

GROUP = "scaling_ood.detectors"
"""Group of the entry points, `<detector> = "<module>"`."""

_logger = logging.getLogger(__name__)


def load_installed(registry: Registry[Any]) -> dict[str, str]:
    """Import the modules of all entry points; each registers a detector, and is told apart by the package's version.

    Args:
        registry: Holds this project's own detectors already, and takes the others.

    Returns:
        Name of each that is refused, with the reason: it cannot be imported, its name is taken, or there is no detector
        of that name in its module.
    """
    owners = dict.fromkeys(registry, "this project")
    refused: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        owner = _package(point)
        if point.name in owners:
            refused[point.name] = (
                f"detector name '{point.name}' is taken: {owners[point.name]} has one, and so has {owner}; give it "
                "another name, or uninstall the package"
            )
        elif problem := _load(point, registry):
            refused[point.name] = f"detector '{point.name}' of {owner} is refused: {problem}"
        else:
            registry[point.name].package = owner
        owners[point.name] = owner
    for reason in refused.values():
        _logger.warning(reason)
    return refused


def _load(point: EntryPoint, registry: Registry[Any]) -> str:
    """What is wrong with an entry point; empty where it registers its detector."""
    try:
        point.load()
    # Other people's code may raise anything; the other detectors run all the same.
    except Exception as error:
        return f"{point.value} cannot be imported: {error}"
    if point.name not in registry:
        return f"{point.value} has no detector of that name: its file is called like the detector"
    return ""


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
