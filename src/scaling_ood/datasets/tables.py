"""Tables in CSV files, for people and other programs, with a record that says what they were made from."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from scaling_ood import storage
from scaling_ood.datasets.vouching import Voucher
from scaling_ood.products.kept_files import keep
from scaling_ood.products.keys import NOT_MADE
from scaling_ood.products.plans import Plan


class TableDataset(AbstractDataset[pd.DataFrame | Plan[pd.DataFrame], pd.DataFrame]):
    """A CSV file in UTF-8, without an index. A plan is made where the file is not what it would make.

    YAML:
        ```yaml
        "{setting}.results":
          type: scaling_ood.datasets.TableDataset
          filepath: data/08_reporting/{setting}/results.csv
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
            filepath: The file.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        self._path = storage.place(filepath, credentials, fs_args)
        self._record = Voucher(self._path.parent, self._path.name)
        self.metadata = metadata

    def save(self, data: pd.DataFrame | Plan[pd.DataFrame]) -> None:
        """Write it as a whole."""
        origin = data.origin if isinstance(data, Plan) else NOT_MADE
        if isinstance(data, Plan) and self._record.vouches_for(origin):
            return
        table: pd.DataFrame = data.whole() if isinstance(data, Plan) else data
        self._record.withdraw()
        kept = keep(self._path, partial(table.to_csv, index=False))
        self._record.write(origin, {self._path.name: kept})

    def load(self) -> pd.DataFrame:
        """The table."""
        with storage.local_copy(self._path) as copy:
            return pd.read_csv(copy)

    def preview(self, nrows: int = 20) -> TablePreview:
        """The first rows, for Kedro-Viz."""
        with storage.local_copy(self._path) as copy:
            return TablePreview(json.loads(pd.read_csv(copy, nrows=nrows).to_json(orient="split")))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
