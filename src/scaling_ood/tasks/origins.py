"""From where the images of each image set come, and how many."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import chain

import pandas as pd

from scaling_ood.products.preparation import Origins, Place
from scaling_ood.storage import below, place

_logger = logging.getLogger(__name__)

_HEADINGS = ("image set", "images", "classes", "data set", "folder")


def origins_of(manifest: pd.DataFrame, places: Mapping[str, Place]) -> tuple[Origins, ...]:
    """A row for each image set and data set, in the order of the manifest.

    Args:
        manifest: All images that are used.
        places: Data set to its place; what is generated has none.
    """
    return tuple(
        Origins(
            image_set=str(image_set),
            images=len(rows),
            classes=_classes_shown(rows),
            data_set=str(data_set),
            place=places.get(str(data_set)),
        )
        for (image_set, data_set), rows in manifest.groupby(["image_set", "data_set"], sort=False)
    )


def tell_origins(manifest: pd.DataFrame, places: Mapping[str, Place], roots: Mapping[str, str]) -> tuple[Origins, ...]:
    """The same, after one table of it in the terminal; `roots` are where photographs and rendered images are."""
    origins = origins_of(manifest, places)
    _logger.info("Images\n%s", origins_in_words(origins, roots))
    return origins


def origins_in_words(origins: Sequence[Origins], roots: Mapping[str, str]) -> str:
    """An aligned table, a line for each row.

    >>> place = Place(root="photographs", folder="b")
    >>> test = Origins(image_set="test", images=1200, classes=3, data_set="a", place=place)
    >>> print(origins_in_words([test], {"photographs": "/data"}))
      image set  images  classes  data set  folder
      test        1,200        3  a         /data/b
    """
    rows = [
        (
            one.image_set,
            f"{one.images:,}",
            f"{one.classes:,}" if one.classes else "-",
            one.data_set,
            str(place(below(roots[one.place.root], one.place.folder))) if one.place else one.folder,
        )
        for one in origins
    ]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    align = (str.ljust, str.rjust, str.rjust, str.ljust, str.ljust)
    cells = [
        [put(cell, width) for put, cell, width in zip(align, row, widths, strict=True)] for row in (_HEADINGS, *rows)
    ]
    return "\n".join(("  " + "  ".join(row)).rstrip() for row in cells)


def _classes_shown(rows: pd.DataFrame) -> int:
    """How many classes the images show: one each, several each by their indices, or by the names of their pixels."""
    for column in ("classes", "labels"):
        if column in rows and rows[column].notna().any():
            return len(set(chain.from_iterable(rows[column].dropna().str.split(";"))) - {""})
    return len(set(rows["class_name"]) - {""})
