"""The notebook on outputs of one's own runs anywhere, and carries no output."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "own_outputs.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_committed_without_outputs(notebook):
    assert not any(cell.outputs or cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.slow
def test_it_runs_without_a_project(notebook, tmp_path):
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert "benchmark: digits_0_to_6" in shown["evaluate"][0].text
    assert "image/png" in shown["scores"][-1].data
    assert "report.html" in shown["keep"][-1].data["text/plain"]
