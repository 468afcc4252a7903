"""Products whose tables are read when they are asked for: most nodes need a few facts of most of their inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import pandas as pd


class WithTables:
    """Base of data classes that have tables."""

    @classmethod
    def reading(cls, tables: Mapping[str, Callable[[], pd.DataFrame]], **fields: Any) -> Self:
        """One whose tables are read at their first use.

        Args:
            tables: Field to what reads it; picklable.
            fields: All others.
        """
        made = cls(**fields, **dict.fromkeys(tables))
        for name in tables:
            del vars(made)[name]
        vars(made)["_tables"] = tables
        return made

    def __getattr__(self, name: str) -> pd.DataFrame:
        """A table that was not read yet."""
        tables = vars(self).get("_tables", {})
        if name not in tables:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        table: pd.DataFrame = tables[name]()
        vars(self)[name] = table
        return table
