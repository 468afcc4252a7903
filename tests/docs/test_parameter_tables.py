"""The tables of parameters name every place in YAML, and say of it what the models do."""

import importlib.util
from functools import partial
from pathlib import Path

import pytest
import yaml

from scaling_ood.parameters.common import PixelReportingSpec, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.packaging import PackagingSpec
from scaling_ood.parameters.setting import ExtractionSpec
from scaling_ood.tasks import tasks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tables():
    specification = importlib.util.spec_from_file_location("parameter_tables", ROOT / "docs" / "parameter_tables.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(tables):
    return tables.rows()


def places(value, path=""):
    """Places of all values of a mapping in mappings."""
    if not isinstance(value, dict) or not value:
        return [path]
    return [place for name, inner in value.items() for place in places(inner, f"{path}.{name}" if path else name)]


def test_every_place_of_the_defaults_has_a_row(rows):
    base = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text(encoding="utf-8"))
    names = {name for task in tasks() for name in base[task.name]["networks"]}
    known = {row.path for row in rows}
    given = [place.split(".") for place in places(base) if place != "benchmark"]
    named = [["<name>" if step in names and at == 2 else step for at, step in enumerate(steps)] for steps in given]
    absent = [".".join(steps) for steps in named if steps[1] != "detectors" and ".".join(steps) not in known]
    assert absent == []


@pytest.mark.parametrize(
    ("path", "kind", "default", "keyed"),
    [
        ("multi_class.networks.<name>.epochs", "integer ≥ 1", "30", True),
        ("multi_class.networks.<name>.least_quality", "number ≥ 0, ≤ 1, or null", "null", False),
        ("multi_class.data.fit.share", "number > 0, ≤ 1, or null", "null", True),
        ("segmentation.extraction.stored", "`float32` or `float16`", "float16", True),
        ("segmentation.data.layout", "text", "", True),
        ("runtime.workers", "integer ≥ 0 or `auto`", "auto", False),
        ("data_sets.<name>.splits", "list of text, or null", "null", True),
    ],
)
def test_a_row_says_type_range_default_and_whether_it_is_part_of_keys(rows, path, kind, default, keyed):
    row = next(each for each in rows if each.path == path)
    assert (row.kind, row.default, row.keyed) == (kind, default, keyed)


@pytest.mark.parametrize(
    ("place", "model"),
    [
        ("runtime", RuntimeSpec),
        ("multi_class.extraction", partial(ExtractionSpec, keep="scores")),
        ("multi_class.reporting", ReportingSpec),
        ("segmentation.reporting", PixelReportingSpec),
        ("multi_label.packaging", PackagingSpec),
    ],
)
def test_what_is_part_of_keys_is_what_matters(rows, place, model):
    keyed = {row.path.rpartition(".")[2] for row in rows if row.path.rpartition(".")[0] == place and row.keyed}
    assert keyed == set(model().what_matters())


def test_every_parameter_has_a_meaning_and_one_row(rows):
    assert [row.path for row in rows if not row.meaning.endswith(".")] == []
    assert len({(row.path, row.variant) for row in rows}) == len(rows)


def test_a_network_that_is_no_segmenter_has_defaults_of_its_own(rows):
    mine = [row for row in rows if row.path == "segmentation.networks.<name>.epochs"]
    assert {row.variant: row.default for row in mine} == {"a segmenter": "20", "a network that rebuilds scenes": "10"}


def test_a_bar_in_a_cell_ends_no_column(tables, monkeypatch):
    monkeypatch.setattr(tables, "rows", lambda: [tables.Row("runtime.a", "text", "1", "a | b.", True)])
    assert tables.page().splitlines()[-1] == "| `runtime.a` | text | `1` | a \\| b. | yes |"
