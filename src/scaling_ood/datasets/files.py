"""Files that a person provides: read only, and known by their content."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset, DatasetError

from scaling_ood import storage
from scaling_ood.products.kept_files import content_sum
from scaling_ood.products.stored import ProvidedFile


class ProvidedFileDataset(AbstractDataset[None, ProvidedFile]):
    """One file, such as a checkpoint.

    YAML:
        ```yaml
        "{setting}.checkpoint":
          type: scaling_ood.datasets.ProvidedFileDataset
          filepath: data/01_raw/checkpoint.pth
        ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Remember where it is.

        Args:
            filepath: The file.
            metadata: For Kedro-Viz; not used here.
        """
        self._path = storage.local(filepath, "weights are read").expanduser().resolve()
        self.metadata = metadata

    def load(self) -> ProvidedFile:
        """Its place and the fingerprint of its content."""
        return ProvidedFile(str(self._path), content_sum(self._path))

    peek = load

    def save(self, data: None) -> None:  # noqa: ARG002
        """Refused: nothing here may write into a person's data."""
        raise DatasetError(f"{self._path} is read only")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
