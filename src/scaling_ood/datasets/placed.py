"""What every catalog type of this project has in common: one place, on the disk or in an object store."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset

from scaling_ood import storage

Given = TypeVar("Given")
Loaded = TypeVar("Loaded")


class PlacedDataset(AbstractDataset[Given, Loaded], Generic[Given, Loaded]):
    """A file or folder."""

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
            filepath: The file or folder.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        self._at = storage.place(filepath, credentials, fs_args)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._at)}
