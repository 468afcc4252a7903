"""Layouts: how data sets lie on people's disks. Each kind of data set has its own `Layouts`, and a reader for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, Generic, ParamSpec, TypeVar

from scaling_ood.registry import Registry

Reader = TypeVar("Reader")
Layout = TypeVar("Layout")
About = ParamSpec("About")


class LayoutError(ValueError):
    """What is on disk contradicts itself: a list and its images, say."""


class Layouts(Registry[Layout], Generic[Layout, Reader, About]):
    """The layouts of one kind of data set, by the names by which YAML asks for them; a new one is one reader.

    Attributes:
        shapes: Name of a layout to how its files lie below the data set's folder, for people.
        signs: Name of a layout to patterns of paths that a folder of no other layout has.

    >>> layouts = Layouts(lambda reader, endings: (reader, endings))
    >>> @layouts.reader("icons", "<name>.png", ["icons.json"], endings=".png")
    ... def _icons(root):
    ...     return list(root.iterdir())
    >>> layouts["icons"] == (_icons, ".png")
    True
    >>> layouts.expected("icons")
    "layout 'icons' expects <name>.png"
    """

    def __init__(self, of: Callable[Concatenate[Reader, About], Layout]) -> None:
        """No layout is known yet; `of` makes one of a reader and of what else there is to know about it."""
        super().__init__("layout")
        self._of = of
        self.shapes: dict[str, str] = {}
        self.signs: dict[str, Sequence[str]] = {}

    def reader(
        self, name: str, shape: str, signs: Sequence[str] = (), *args: About.args, **about: About.kwargs
    ) -> Callable[[Reader], Reader]:
        """Register a reader under a name.

        Args:
            name: Of the layout.
            shape: How its files lie below the data set's folder, such as `<split>/<class>/<image>`.
            signs: Patterns of paths below that folder, any of which shows that it is of this layout and no other.
            args: What else there is to know about it.
            about: The same, by name.
        """

        def register(reader: Reader) -> Reader:
            self[name] = self._of(reader, *args, **about)
            self.shapes[name], self.signs[name] = shape, tuple(signs)
            return reader

        return register

    def expected(self, name: str) -> str:
        """What a layout expects, for the end of a message."""
        return f"layout '{name}' expects {self.shapes[name]}"

    def recognised(self, folder: Path) -> str:
        """The layout whose sign is in a folder; empty where there is none."""
        return next((name for name, signs in self.signs.items() if any(_holds(folder, each) for each in signs)), "")


def _holds(folder: Path, pattern: str) -> bool:
    return next(folder.glob(pattern), None) is not None
