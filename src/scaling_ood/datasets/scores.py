"""Scores in a Parquet file whose metadata says what they were made from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset

from scaling_ood.datasets.kept_files import DamagedPartError, local_path, put_in_place
from scaling_ood.scores import Scores

FIELDS = ("detector", "options", "key", "gaps", "diagnostics", "images_per_second")


class ScoresDataset(AbstractDataset[Scores, Scores]):
    """One Parquet file, written atomically, with a checksum of all that is told.

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
        self._path = local_path(filepath)
        self.metadata = metadata

    def save(self, data: Scores) -> None:
        """Write the table, with everything else as its metadata."""
        table = pa.Table.from_pandas(data.frame, preserve_index=False)
        about = {name: getattr(data, name) for name in FIELDS}
        told = json.dumps(about).encode()
        metadata = {b"scores": told, b"scores_sha256": _sum(data.frame, told)}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.part")
        pq.write_table(table, beside)
        put_in_place(beside, self._path)

    def load(self) -> Scores:
        """Read all of it.

        Raises:
            DamagedPartError: It is not what was written.
        """
        try:
            table = pq.read_table(self._path)
            frame, told = table.to_pandas(), table.schema.metadata[b"scores"]
            if table.schema.metadata[b"scores_sha256"] != _sum(frame, told):
                raise ValueError("its content differs from its checksum")
            return Scores(frame=frame, **json.loads(told))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedPartError(
                f"{self._path} is damaged ({error}): kedro run --pipelines score_extraction makes it again"
            ) from error

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def _sum(frame: pd.DataFrame, told: bytes) -> bytes:
    """Over the values, types and names of a table, and what is told beside it."""
    values = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    names = json.dumps([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode()
    return hashlib.sha256(values.tobytes() + names + told).hexdigest().encode()
