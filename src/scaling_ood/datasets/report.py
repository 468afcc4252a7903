"""The files of a report: pages, texts, figures and tables, in one folder."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro_datasets._typing import PlotlyPreview

from scaling_ood.datasets.placed import PlacedDataset
from scaling_ood.datasets.vouching import Voucher
from scaling_ood.products.kept_files import keep
from scaling_ood.products.plans import Plan

PREVIEWED = "overview.json"
_DPI = 150


class ReportDataset(PlacedDataset[Mapping[str, Any] | Plan[Mapping[str, Any]], dict[str, Path]]):
    """A folder with a file for each part of a report; other files in it stay.

    A plan is made where the files are not what it would make.

    Text is saved under its own name, such as `report.html`; a Plotly figure gets the ending `.json`, a Matplotlib one
    `.png`, a table `.csv`. Loads as the files that are there, by name.

    YAML:
        ```yaml
        "{setting}.report":
          type: scaling_ood.datasets.ReportDataset
          filepath: data/08_reporting/{setting}
        ```
    """

    def save(self, data: Mapping[str, Any] | Plan[Mapping[str, Any]]) -> None:
        """Write each file as a whole."""
        Voucher(self._at, "report").renew(data, self._write)

    def _write(self, parts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        files = (_file(name, content) for name, content in parts.items())
        return {name: self._keep(name, content) for name, content in files}

    def _keep(self, name: str, content: bytes) -> dict[str, str]:
        return keep(self._at / name, lambda beside: beside.write_bytes(content))

    def load(self) -> dict[str, Path]:
        """Name to file."""
        return {path.name: path for path in sorted(self._at.iterdir()) if path.is_file()}

    def preview(self) -> PlotlyPreview:
        """The metrics with their intervals, for Kedro-Viz."""
        place = self._at / PREVIEWED
        return PlotlyPreview(json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {})

    def _exists(self) -> bool:
        return (self._at / "report.html").is_file()


def _file(name: str, content: Any) -> tuple[str, bytes]:
    """Name and content of the file for one part."""
    if isinstance(content, str):
        return name, content.encode()
    if isinstance(content, pd.DataFrame):
        return f"{name}.csv", content.to_csv(index=False).encode()
    if hasattr(content, "to_json"):
        return f"{name}.json", content.to_json().encode()
    image = io.BytesIO()
    content.savefig(image, format="png", dpi=_DPI)
    return f"{name}.png", image.getvalue()
