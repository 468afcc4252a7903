"""Products that are tables with a record: one folder each, written as a whole, checked when it is read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
import pyarrow as pa
from kedro.io import AbstractDataset, DatasetError
from kedro.utils import find_kedro_project
from kedro_datasets._typing import TablePreview
from pydantic import BaseModel

from scaling_ood.datasets.places import local_path
from scaling_ood.products.kept_files import (
    DamagedPartError,
    content_sum,
    damaged,
    is_intact,
    put_in_place,
    read_record,
    remove,
)
from scaling_ood.products.keys import Origin, digest
from scaling_ood.products.plans import Plan
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Measured, Quality, Scores
from scaling_ood.products.tables import WithTables

KINDS: dict[str, type[WithTables]] = {each.__name__: each for each in (Manifest, Quality, Scores, Measured)}
"""What can be stored so, by the name in its record."""

RECORD = "record.json"
_SHOWN_ROWS = 20


class RecordedDataset(AbstractDataset[Any, Any]):
    """A folder with a Parquet file for each table of a product, and `record.json` with all else and their checksums.

    A plan is made where the folder does not hold, whole, what it would make. Loading checks the files; a table is read
    when it is asked for.

    YAML:
        ```yaml
        "{setting}.{detector}.scores":
          type: scaling_ood.datasets.RecordedDataset
          filepath: data/07_model_output/{setting}/{detector}
        ```
    """

    def __init__(
        self, *, filepath: str, roots: dict[str, str] | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Remember where it is.

        Args:
            filepath: The folder.
            roots: Of a manifest: where photographs and rendered images are today; relative to the project.
            metadata: For Kedro-Viz; not used here.
        """
        self._folder = local_path(filepath)
        # Kedro makes `filepath` absolute, and nothing else: a notebook runs in a folder of its own.
        project = find_kedro_project(self._folder) or Path.cwd()
        places = {name: project / local_path(place).expanduser() for name, place in (roots or {}).items()}
        self._roots = {name: str(place.resolve()) for name, place in places.items()}
        self.metadata = metadata

    def save(self, data: Any) -> None:
        """Write the folder beside its place, then give it its name."""
        if isinstance(data, Plan):
            if self._holds(data.origin):
                return
            data = data.whole()
        beside = self._folder.with_name(f".{self._folder.name}.part")
        remove(beside)
        beside.mkdir(parents=True)
        fields, sums = {}, {}
        for name, value in _values(data).items():
            if isinstance(value, pd.DataFrame):
                value.reset_index(drop=True).to_parquet(beside / f"{name}.parquet", index=False)
                sums[name] = content_sum(beside / f"{name}.parquet")
            else:
                fields[name] = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        record = {"kind": type(data).__name__, **data.origin.record(), "fields": fields, "sums": sums}
        record = json.loads(json.dumps(record))
        (beside / RECORD).write_text(json.dumps({**record, "sum": digest(record)}, indent=1), encoding="utf-8")
        put_in_place(beside, self._folder)

    def load(self) -> Any:
        """The product.

        Raises:
            DamagedPartError: It is not what was written.
        """
        record = self._record()
        places = {name: self._folder / f"{name}.parquet" for name in record["sums"]}
        for name, place in places.items():
            if not is_intact(place, record["sums"][name]):
                raise damaged(place)
        return self._made(record, {name: partial(_read, place) for name, place in places.items()})

    def peek(self) -> Any:
        """The product without the rows of its tables: what its record tells."""
        record = self._record()
        return self._made(record, dict.fromkeys(record["sums"], pd.DataFrame))

    def preview(self) -> TablePreview:
        """The first rows of its first table, for Kedro-Viz."""
        files = sorted(self._folder.glob("*.parquet"))
        frame = pd.read_parquet(files[0]).head(_SHOWN_ROWS) if files else pd.DataFrame()
        return TablePreview(json.loads(frame.to_json(orient="split")))

    def _holds(self, origin: Origin) -> bool:
        """Whether what is there is whole, and was made from this."""
        try:
            return bool(self.load().origin == origin)
        except (DatasetError, DamagedPartError, FileNotFoundError):
            return False

    def _made(self, record: dict[str, Any], tables: Mapping[str, Callable[[], pd.DataFrame]]) -> Any:
        kind = KINDS[record["kind"]]
        hints = get_type_hints(kind)
        fields = {
            name: hints[name].model_validate(value) if _is_model(hints[name]) else value
            for name, value in record["fields"].items()
        }
        roots = {"roots": self._roots} if "roots" in hints else {}
        return kind.reading(tables, **fields, **roots, origin=Origin.of_record(record))

    def _record(self) -> dict[str, Any]:
        place = self._folder / RECORD
        record = read_record(place)
        if not record:
            raise FileNotFoundError(f"{self._folder} is not there, or not finished")
        if record.pop("sum", "") != digest(record) or record["kind"] not in KINDS:
            raise damaged(place)
        return record

    def _exists(self) -> bool:
        return bool(read_record(self._folder / RECORD))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


def _read(place: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(place)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(place, str(error)) from error


def _values(data: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(data) if field.name not in ("origin", "roots")]
    return {name: getattr(data, name) for name in names}


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)
