"""Layouts: how data sets lie on people's disks. Each kind of data set has its own `Layouts`, and a reader for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, Generic, ParamSpec, TypeVar

from scaling_ood.registry import Registry

Reader = TypeVar("Reader")
Layout = TypeVar("Layout")
About = ParamSpec("About")


class LayoutError(ValueError):
    """What is on disk contradicts itself: a list and its images, say."""


class Layouts(Registry[Layout], Generic[Layout, Reader, About]):
    """The layouts of one kind of data set, by the names by which YAML asks for them; a new one is one reader.

    >>> layouts = Layouts(lambda reader, endings: (reader, endings))
    >>> @layouts.reader("folder", endings=".png")
    ... def _folder(root):
    ...     return list(root.iterdir())
    >>> layouts["folder"] == (_folder, ".png")
    True
    """

    def __init__(self, of: Callable[Concatenate[Reader, About], Layout]) -> None:
        """No layout is known yet; `of` makes one of a reader and of what else there is to know about it."""
        super().__init__("layout")
        self._of = of

    def reader(self, name: str, *args: About.args, **about: About.kwargs) -> Callable[[Reader], Reader]:
        """Register a reader under a name, with what else there is to know about its layout."""

        def register(reader: Reader) -> Reader:
            self[name] = self._of(reader, *args, **about)
            return reader

        return register
