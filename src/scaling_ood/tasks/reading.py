"""Reading the data sets of a setting, so that a person who has to mend several hears of all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from scaling_ood.images.inventory import mismatch
from scaling_ood.images.layouts import Layouts
from scaling_ood.storage import place


class UnfitFoldersError(ValueError):
    """Folders that do not lie as their layouts say, all of a setting in one message."""


class Reading(NamedTuple):
    """How one data set is read.

    Attributes:
        read: Reads it.
        folder: Its own; empty for one that is in no folder.
        layout: By which it is read.
        layouts: Of which that is one.
    """

    read: Callable[[], Any]
    folder: str = ""
    layout: str = ""
    layouts: Layouts[Any, Any, ...] | None = None

    def told(self, name: str, problem: str) -> str:
        """A problem with the data set, and below it what its layout expects and what is there."""
        lines = [problem if name in problem else f"{name}: {problem}"]
        if self.layouts is not None:
            lines += mismatch(self.layouts, self.layout, place(self.folder))
        return "\n    ".join(lines)


def read_all(readings: Mapping[str, Reading], unfit: type[Exception] = ValueError) -> dict[str, Any]:
    """What is read of each data set, by its name.

    Args:
        readings: Name to how it is read.
        unfit: Kind of errors that say that a folder does not lie as it should, beside those of files that are missing.

    Raises:
        UnfitFoldersError: Some data sets do not; of each the problem, the expected shape, and what was found.
    """
    found, problems = {}, []
    for name, reading in readings.items():
        try:
            found[name] = reading.read()
        except (unfit, FileNotFoundError) as error:
            problems.append(reading.told(name, str(error)))
    if problems:
        raise UnfitFoldersError("\n".join(problems))
    return found
