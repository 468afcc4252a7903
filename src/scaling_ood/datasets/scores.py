"""Scores in a Parquet file whose metadata says what they were made from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset

from scaling_ood.scores import Scores

FIELDS = ("detector", "options", "key", "gaps", "diagnostics", "images_per_second")


class ScoresDataset(AbstractDataset[Scores, Scores]):
    """One Parquet file, written atomically.

    YAML:
        ```yaml
        multi_class.{detector}.scores:
          type: scaling_ood.datasets.ScoresDataset
          filepath: data/07_model_output/{detector}.parquet
        ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Remember where it is.

        Args:
            filepath: The file.
            metadata: For Kedro-Viz; not used here.
        """
        self._path = Path(filepath)
        self.metadata = metadata

    def save(self, data: Scores) -> None:
        """Write the table, with everything else as its metadata."""
        table = pa.Table.from_pandas(data.frame, preserve_index=False)
        about = {name: getattr(data, name) for name in FIELDS}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"scores": json.dumps(about).encode()})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.part")
        pq.write_table(table, beside)
        os.replace(beside, self._path)

    def load(self) -> Scores:
        """Read all of it."""
        table = pq.read_table(self._path)
        return Scores(frame=table.to_pandas(), **json.loads(table.schema.metadata[b"scores"]))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
