"""Tables in CSV files, for people and other programs, with a record that says what they were made from."""

from __future__ import annotations

import json
from functools import partial

import pandas as pd
from kedro_datasets._typing import TablePreview

from scaling_ood import storage
from scaling_ood.datasets.placed import PlacedDataset
from scaling_ood.datasets.vouching import Voucher
from scaling_ood.products.kept_files import keep
from scaling_ood.products.plans import Plan


class TableDataset(PlacedDataset[pd.DataFrame | Plan[pd.DataFrame], pd.DataFrame]):
    """A CSV file in UTF-8, without an index. A plan is made where the file is not what it would make.

    YAML:
        ```yaml
        "{setting}.results":
          type: scaling_ood.datasets.TableDataset
          filepath: data/08_reporting/{setting}/results.csv
        ```
    """

    def save(self, data: pd.DataFrame | Plan[pd.DataFrame]) -> None:
        """Write it as a whole."""
        Voucher(self._at.parent, self._at.name).renew(data, self._write)

    def _write(self, table: pd.DataFrame) -> dict[str, dict[str, str]]:
        return {self._at.name: keep(self._at, partial(table.to_csv, index=False))}

    def load(self) -> pd.DataFrame:
        """The table."""
        with storage.local_copy(self._at) as copy:
            return pd.read_csv(copy)

    def preview(self, nrows: int = 20) -> TablePreview:
        """The first rows, for Kedro-Viz."""
        with storage.local_copy(self._at) as copy:
            return TablePreview(json.loads(pd.read_csv(copy, nrows=nrows).to_json(orient="split")))

    def _exists(self) -> bool:
        return self._at.is_file()
