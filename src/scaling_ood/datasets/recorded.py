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

from scaling_ood import storage
from scaling_ood.datasets.rounds import Rounds
from scaling_ood.engines import Engine, Local
from scaling_ood.products.kept_files import (
    RECORD,
    DamagedPartError,
    content_sum,
    damaged,
    is_there,
    keep,
    opened_intact,
    read_record,
)
from scaling_ood.products.keys import Origin, digest
from scaling_ood.products.plans import Plan
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Measured, Quality, Scores

KINDS: dict[str, type[Any]] = {each.__name__: each for each in (Manifest, Quality, Scores, Measured)}
"""What can be stored so, by the name in its record."""

_SHOWN_ROWS = 20


class RecordedDataset(AbstractDataset[Any, Any]):
    """A folder with a Parquet file for each table of a product, and `record.json` with all else and their checksums.

    A plan is made where the folder does not hold, whole, what it would make. Loading checks the files; a table is read
    when it is asked for.

    Attributes:
        engine: Who makes the parts that a product comes of, if it comes of any.

    YAML:
        ```yaml
        "{setting}.{detector}.scores":
          type: scaling_ood.datasets.RecordedDataset
          filepath: data/07_model_output/{setting}/{detector}
        ```
    """

    engine: Engine = Local()
    _progress: tuple[int, int, bool] = (0, 0, False)

    def __init__(
        self,
        *,
        filepath: str,
        roots: dict[str, str | dict[str, Any]] | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Remember where it is.

        Args:
            filepath: The folder.
            roots: Of a manifest: where photographs and rendered images are today, relative to the project; or a mapping
                of `filepath`, `credentials` and `fs_args`, where those are others than the folder's.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        own = {"credentials": credentials, "fs_args": fs_args}
        self._folder = storage.place(filepath, **own)
        given = {name: {"filepath": root} if isinstance(root, str) else root for name, root in (roots or {}).items()}
        self._roots = {name: self._root(**{**own, **root}) for name, root in given.items()}
        self.metadata = metadata

    def _root(self, filepath: str, credentials: dict[str, Any] | None, fs_args: dict[str, Any] | None) -> str:
        place = storage.place(filepath, credentials, fs_args)
        if not storage.is_stored(place):
            # Kedro makes `filepath` absolute, and nothing else: a notebook runs in a folder of its own.
            project = None if storage.is_stored(self._folder) else find_kedro_project(self._folder)
            place = ((project or Path.cwd()) / place.expanduser()).resolve()
        return storage.address_of(place)

    def save(self, data: Any) -> None:
        """Write the folder as a whole; nothing, where this run makes but its share of what the product comes of."""
        if isinstance(data, Plan):
            if self._holds(data.origin):
                return
            data = self._product(data)
        if isinstance(data, Plan):
            return
        keep(self._folder, partial(self._write, data))

    def progress(self) -> tuple[int, int, bool]:
        """Of what this run has made of a product's parts; see `Rounds`."""
        return self._progress

    def _product(self, plan: Plan[Any]) -> Any:
        if not (self.engine.stores and (plan.then or plan.next_round)):
            return plan.whole()
        rounds = Rounds(self._folder, self.engine)
        made = rounds.made(plan)
        self._progress = rounds.progress
        return made

    def _write(self, data: Any, folder: Path) -> None:
        folder.mkdir(parents=True)
        fields, sums = {}, {}
        for name, value in _values(data).items():
            if isinstance(value, pd.DataFrame):
                value.reset_index(drop=True).to_parquet(folder / f"{name}.parquet", index=False)
                sums[name] = content_sum(folder / f"{name}.parquet")
            else:
                fields[name] = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        record = {"kind": type(data).__name__, **data.origin.record(), "fields": fields, "sums": sums}
        record = json.loads(json.dumps(record))
        (folder / RECORD).write_text(json.dumps({**record, "sum": digest(record)}, indent=1), encoding="utf-8")

    def load(self) -> Any:
        """The product.

        Raises:
            DamagedPartError: It is not what was written. Of a table in an object store that is told when it is read.
        """
        record = self._record()
        places = {name: self._folder / f"{name}.parquet" for name in record["sums"]}
        for name, place in places.items():
            if not is_there(place, record["sums"][name]):
                raise damaged(place)
        return self._made(record, {name: partial(_read, place, record["sums"][name]) for name, place in places.items()})

    def peek(self) -> Any:
        """The product without the rows of its tables: what its record tells."""
        record = self._record()
        return self._made(record, dict.fromkeys(record["sums"], pd.DataFrame))

    def preview(self) -> TablePreview:
        """The first rows of its first table, for Kedro-Viz."""
        frame = pd.DataFrame()
        if files := sorted(self._folder.glob("*.parquet")):
            with storage.local_copy(files[0]) as copy:
                frame = pd.read_parquet(copy).head(_SHOWN_ROWS)
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


def _read(place: Path, sha256: object) -> pd.DataFrame:
    opened = opened_intact(place, sha256)
    try:
        return pd.read_parquet(opened)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(place, str(error)) from error


def _values(data: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(data) if field.name not in ("origin", "roots")]
    return {name: getattr(data, name) for name in names}


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)
