"""Packages that only some data sets need: imported where they are used, and named where they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class MissingLibraryError(RuntimeError):
    """A package that this work needs is not installed."""


def library(name: str, purpose: str) -> ModuleType:
    """An optional package.

    Args:
        name: Of the package to import, and of the project's extra that installs it.
        purpose: What it is needed for; begins the message.

    Raises:
        MissingLibraryError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingLibraryError(
            f"{purpose} needs the package {name}, which is not installed: pip install -e '.[{name}]' in the project's "
            "folder"
        ) from error
