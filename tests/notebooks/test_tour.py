"""The notebook runs on what a run left behind."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TOUR = Path(__file__).parents[2] / "notebooks" / "tour.ipynb"


@pytest.fixture
def tour():
    return nbformat.read(TOUR, as_version=4)


@pytest.mark.slow
def test_it_runs_on_a_finished_project(tour, finished, monkeypatch):
    monkeypatch.setenv("KEDRO_ENV", "test")
    folder = finished.path / "notebooks"
    folder.mkdir()
    NotebookClient(tour, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    shown = {cell.id: cell.outputs for cell in tour.cells if cell.cell_type == "code"}
    assert all("application/vnd.plotly.v1+json" in shown[name][-1].data for name in ("roc", "histograms"))
    assert any("image/png" in output.get("data", {}) for output in shown["examples"])
    assert "as in results.csv" in shown["metrics"][-1].text
