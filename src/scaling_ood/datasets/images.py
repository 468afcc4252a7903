"""Folders of images: those that a person provides, and those that are rendered here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset
from kedro.io.core import DatasetError
from numpy.typing import NDArray
from PIL import Image

from scaling_ood import storage
from scaling_ood.datasets.planned import PlannedDataset
from scaling_ood.products.stored import StoredParts

ImageFolder = dict[str, NDArray[np.uint8] | dict[str, Any]]
"""File name to pixels (H, W, 3) or (H, W), or to the content of a JSON file."""


class ImageRootDataset(AbstractDataset[None, str]):
    """The folder that holds data sets in their official layouts. Read only; loads as its absolute path or address."""

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Remember where it is.

        Args:
            filepath: The folder.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        folder = storage.place(filepath, credentials, fs_args)
        self._folder = folder if storage.is_stored(folder) else folder.expanduser().resolve()
        self.metadata = metadata

    def load(self) -> str:
        """Absolute path or address of the folder."""
        return storage.address_of(self._folder)

    def save(self, data: None) -> None:  # noqa: ARG002
        """Refused: nothing here may write into a person's data."""
        raise DatasetError(f"{self._folder} is read only")

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class FabricatedImagesDataset(PlannedDataset[ImageFolder]):
    """One folder of image files per part of a plan, from sRGB pixels, and of JSON files that say what they show."""

    quality = 95

    def load(self) -> StoredParts:
        """The rendered folders, after making sure that none of their files was changed or lost.

        Raises:
            DamagedPartError: One was; its folder is named.
        """
        stored = super().load()
        storage.each(self._at, lambda name: stored.check(name, self._at / name), stored.parts)
        return stored

    def peek(self) -> StoredParts:
        """What the record tells, without looking at any file."""
        return super().load()

    def _place(self, name: str) -> Path:
        return Path(name)

    def _write(self, place: Path, content: ImageFolder) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for name, file in content.items():
            if isinstance(file, dict):
                (place / name).write_text(json.dumps(file), encoding="utf-8")
            else:
                Image.fromarray(file).save(place / name, quality=self.quality)
