"""The notebook on the metrics runs, and what it computes by hand is what the library computes."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_it_runs_without_anything_that_ran_before(tmp_path):
    notebook = nbformat.read(NOTEBOOKS / "three_metrics.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    printed = {name: "".join(each.get("text", "") for each in outputs) for name, outputs in shown.items()}
    assert "DetectionMetrics" in str(shown["scores"])
    assert all(printed[name] for name in shown if name != "scores")
