"""Packages that only some data sets or networks need: imported where they are used, named where they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class MissingLibraryError(ValueError):
    """A package that this work needs is not installed."""


def library(name: str, purpose: str, extra: str = "") -> ModuleType:
    """An optional package.

    Args:
        name: Of the package to import.
        purpose: What it is needed for; begins the message.
        extra: The project's extra that installs it; by default it has the package's name.

    Raises:
        MissingLibraryError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingLibraryError(
            f"{purpose} needs the package {name}, which is not installed: pip install -e '.[{extra or name}]' in the "
            "project's folder"
        ) from error
