"""Where whole segmenters come from, one file each; a new source is a new file here with its `SOURCE`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from scaling_ood.models.segmentation.whole import WholeSegmenter

__all__ = ["SegmenterSource", "segmenter_sources"]


@dataclass(frozen=True)
class SegmenterSource:
    """Where segmenters come from.

    Attributes:
        has: Whether a name is one of this source's.
        segmenter: The segmenter of such a name; a ValueError where the source does not have it after all.
        offers: What the source has, in words.
    """

    has: Callable[[str], bool]
    segmenter: Callable[[str], WholeSegmenter]
    offers: str


def segmenter_sources() -> Iterator[SegmenterSource]:
    """Those of all files here, by the files' names; each is imported when it is asked for, with its library."""
    for module in iter_modules(__path__):
        yield import_module(f"{__name__}.{module.name}").SOURCE
