"""The files of a report: pages, texts, figures and tables, in one folder."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import PlotlyPreview

from scaling_ood import storage
from scaling_ood.products.kept_files import write_atomically, write_bytes_atomically

PREVIEWED = "overview.json"
_DPI = 150


class ReportDataset(AbstractDataset[Mapping[str, Any], dict[str, Path]]):
    """A folder with a file for each part of a report; other files in it stay.

    Text is saved under its own name, such as `report.html`; a Plotly figure gets the ending `.json`, a Matplotlib one
    `.png`, a table `.csv`. Loads as the files that are there, by name.

    YAML:
        ```yaml
        "{setting}.report":
          type: scaling_ood.datasets.ReportDataset
          filepath: data/08_reporting/{setting}
        ```
    """

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
        self._folder = storage.place(filepath, credentials, fs_args)
        self.metadata = metadata

    def save(self, data: Mapping[str, Any]) -> None:
        """Write each file as a whole."""
        for name, content in data.items():
            if isinstance(content, str):
                write_atomically(self._folder / name, content)
            elif isinstance(content, pd.DataFrame):
                write_atomically(self._folder / f"{name}.csv", content.to_csv(index=False))
            elif hasattr(content, "to_json"):
                write_atomically(self._folder / f"{name}.json", content.to_json())
            else:
                image = io.BytesIO()
                content.savefig(image, format="png", dpi=_DPI)
                write_bytes_atomically(self._folder / f"{name}.png", image.getvalue())

    def load(self) -> dict[str, Path]:
        """Name to file."""
        return {path.name: path for path in sorted(self._folder.iterdir()) if path.is_file()}

    def preview(self) -> PlotlyPreview:
        """The metrics with their intervals, for Kedro-Viz."""
        place = self._folder / PREVIEWED
        return PlotlyPreview(json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {})

    def _exists(self) -> bool:
        return (self._folder / "report.html").is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}
