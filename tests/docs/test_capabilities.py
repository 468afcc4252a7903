"""The page of capabilities says what the code says."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "capabilities.py"


@pytest.fixture(scope="module")
def capabilities():
    specification = importlib.util.spec_from_file_location("capabilities", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_page_is_what_the_code_says_of_every_setting(capabilities):
    assert capabilities.PAGE.read_text(encoding="utf-8") == capabilities.page()


def test_a_reason_for_what_is_there_is_refused(capabilities, monkeypatch):
    task = next(task for task in capabilities.tasks() if task.name == "multi_class")
    monkeypatch.setitem(capabilities.REASONS, ("Several seeds", "multi_class"), "too slow")
    with pytest.raises(ValueError, match="Several seeds is there in multi_class"):
        capabilities.cell(task, "Several seeds", "")


def test_a_reason_names_a_row_of_the_page(capabilities):
    rows = {row for part in capabilities.CAPABILITIES.values() for row in part} | set(capabilities.detector_names())
    assert {row for row, _ in capabilities.REASONS} <= rows
