"""Tables in CSV files, and what their records vouch for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scaling_ood.datasets import TableDataset
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan

TABLE = pd.DataFrame({"detector": ["größe", "msp"], "auroc": [0.1, 1 / 3]})


class Planned:
    """Plans of the table; `made` counts how often it was made."""

    def __init__(self) -> None:
        self.made = 0

    def plan(self, **origin: Any) -> Plan[pd.DataFrame]:
        return Plan([Part("table", 1)], self._make, origin=Origin("n", **origin))

    def _make(self, parts: Sequence[Part]) -> Any:
        self.made += 1
        yield parts[0].name, TABLE


def test_a_table_is_read_as_it_was_written_in_utf_8(tmp_path: Path) -> None:
    table = TableDataset(filepath=str(tmp_path / "new/results.csv"))
    assert not table.exists()
    table.save(TABLE)
    assert table.exists()
    pd.testing.assert_frame_equal(table.load(), TABLE)
    assert "größe" in (tmp_path / "new/results.csv").read_text(encoding="utf-8")
    assert table.preview(nrows=1)["data"] == [["größe", 0.1]]


@pytest.mark.parametrize("other", [{"version": 2}, {"made_from": {"x": 1}}, {"told": "x"}])
def test_a_plan_is_made_once_and_again_where_its_origin_is_another(tmp_path: Path, other: dict[str, Any]) -> None:
    table, planned = TableDataset(filepath=str(tmp_path / "results.csv")), Planned()
    for expected, origin in ((1, {}), (1, {}), (2, other), (2, other), (3, {})):
        table.save(planned.plan(**origin))
        assert planned.made == expected


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_text(""), lambda p: p.write_text("a,b")])
@pytest.mark.parametrize("name", ["results.csv", ".records/results.csv.json"])
def test_what_is_lost_or_changed_is_made_again(tmp_path: Path, name: str, damage: Any) -> None:
    table, planned = TableDataset(filepath=str(tmp_path / "results.csv")), Planned()
    table.save(planned.plan())
    damage(tmp_path / name)
    table.save(planned.plan())
    assert planned.made == 2
    pd.testing.assert_frame_equal(table.load(), TABLE)


def test_a_table_that_is_no_plan_is_vouched_for_by_nothing(tmp_path: Path) -> None:
    table, planned = TableDataset(filepath=str(tmp_path / "results.csv")), Planned()
    table.save(planned.plan())
    table.save(TABLE.iloc[:1])
    table.save(planned.plan())
    assert planned.made == 2
