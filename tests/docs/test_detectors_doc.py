"""What docs/detectors.md says of a detector is true of it; a new detector may come before its section."""

import re
from inspect import signature
from pathlib import Path

import pytest
import yaml

from scaling_ood.detectors import detector_class, detector_names, name_of
from scaling_ood.tasks import tasks

SETTINGS = [task.name for task in tasks()]
PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "detectors.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))


def test_the_page_describes_registered_detectors_only():
    assert SECTIONS
    assert set(SECTIONS) <= set(detector_names())


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_gives_formula_source_and_every_option(name):
    assert "**Formula.**" in SECTIONS[name]
    assert "**Source.**" in SECTIONS[name]
    options = SECTIONS[name].split("**Options.**")[1].split("- **")[0]
    assert all(f"`{option}`" in options for option in signature(detector_class(name)).parameters)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_table_says_what_a_detector_needs(name):
    row = re.search(rf"^\| \[`{name}`\]\(#{name}\) \|.*", PAGE, flags=re.MULTILINE)
    assert row is not None
    cells = [cell.strip() for cell in row[0].strip("|").split("|")]
    assert set(cells[2].split(", ")) == set(map(name_of, detector_class(name).needs))
    assert cells[4] == ("yes" if detector_class(name).dense else "no")


@pytest.mark.parametrize("name", SECTIONS)
def test_the_table_says_where_a_detector_is_switched_on(name):
    cell = re.search(rf"^\| \[`{name}`\].*\| ([^|]+) \|$", PAGE, flags=re.MULTILINE)[1]
    said = set(SETTINGS) if cell == "all settings" else {setting for setting in SETTINGS if f"`{setting}`" in cell}
    base = yaml.safe_load((PROJECT / "conf" / "base" / "parameters.yml").read_text(encoding="utf-8"))
    detectors = {setting: base[setting]["detectors"] for setting in SETTINGS}
    assert said == {setting for setting in SETTINGS if detectors[setting].get(name, False) is not False}
